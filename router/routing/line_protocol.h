#ifndef SLUICE_ROUTING_LINE_PROTOCOL_H
#define SLUICE_ROUTING_LINE_PROTOCOL_H
/*
 * Does each line of line protocol carry its timestamp? A scan, not a parser: it finds the borders of lines and of their
 * three parts and stops at the first thing that two parsers could read differently. It may say "no" for a body where
 * every line has one; it never says "yes" for a body where one has none.
 *
 *   measurement[,tag=value...] field=value[,field=value...] timestamp
 *
 * Zero a `struct line_protocol_scan`, feed the body in pieces of any size, then finish.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum line_protocol_place {
    LINE_PROTOCOL_LINE_START,
    LINE_PROTOCOL_BLANK_LINE,   /* indented lines are in doubt: the database then looks for strings in tags */
    LINE_PROTOCOL_COMMENT,
    LINE_PROTOCOL_SERIES,       /* measurement and tags: a blank ends it, unless a backslash stands before it */
    LINE_PROTOCOL_BEFORE_FIELDS,
    LINE_PROTOCOL_FIELD_KEY,
    LINE_PROTOCOL_FIELD_START,  /* behind the equals sign: a quote opens a string */
    LINE_PROTOCOL_FIELD_VALUE,
    LINE_PROTOCOL_STRING,       /* may hold line ends */
    LINE_PROTOCOL_STRING_END,
    LINE_PROTOCOL_BEFORE_TIME,
    LINE_PROTOCOL_TIME_SIGN,
    LINE_PROTOCOL_TIME,
    LINE_PROTOCOL_AFTER_TIME,
    LINE_PROTOCOL_DOUBT,        /* final */
};

struct line_protocol_scan {
    enum line_protocol_place place;
    bool is_escaped;        /* the byte before was a backslash */
    bool is_return;         /* the byte before was a carriage return, which only a line end may follow */
    unsigned time_digits;
};

/* False when the scan has come to doubt: further pieces change nothing. */
bool line_protocol_feed(struct line_protocol_scan *scan, struct text piece);

/* True when each line had its timestamp; a body without any line has nothing that could be stored twice: true. */
bool line_protocol_finish(const struct line_protocol_scan *scan);

#endif
