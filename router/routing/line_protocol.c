#include "routing/line_protocol.h"


/* The digits of the largest nanosecond timestamp, 2^63-1; more of them is for the database to refuse. */
#define TIME_DIGITS_MAXIMUM 19

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum line_protocol_place at_line_start(char c)
{
    switch (c) {
    case '\n':
        return LINE_PROTOCOL_LINE_START;
    case ' ':
        return LINE_PROTOCOL_BLANK_LINE;
    case '#':
        return LINE_PROTOCOL_COMMENT;
    case ',':
    case '"':
        return LINE_PROTOCOL_DOUBT;
    default:
        return LINE_PROTOCOL_SERIES;
    }
}

static enum line_protocol_place in_blank_line(char c)
{
    if (c == '\n')
        return LINE_PROTOCOL_LINE_START;
    return c == ' ' ? LINE_PROTOCOL_BLANK_LINE : LINE_PROTOCOL_DOUBT;
}

/* The database splits lines before it knows comments, so a quote in one could hide a line end from it. */
static enum line_protocol_place in_comment(char c)
{
    if (c == '\n')
        return LINE_PROTOCOL_LINE_START;
    return c == '"' ? LINE_PROTOCOL_DOUBT : LINE_PROTOCOL_COMMENT;
}

static enum line_protocol_place in_series(char c)
{
    if (c == '\n' || c == '"')
        return LINE_PROTOCOL_DOUBT;
    return c == ' ' ? LINE_PROTOCOL_BEFORE_FIELDS : LINE_PROTOCOL_SERIES;
}

static enum line_protocol_place in_field_key(char c)
{
    switch (c) {
    case '=':
        return LINE_PROTOCOL_FIELD_START;
    case ' ':
    case '"':
    case '\n':
        return LINE_PROTOCOL_DOUBT;
    default:
        return LINE_PROTOCOL_FIELD_KEY;
    }
}

/* Numbers and booleans: nothing in them needs quotes. */
static enum line_protocol_place in_field_value(char c)
{
    switch (c) {
    case ',':
        return LINE_PROTOCOL_FIELD_KEY;
    case ' ':
        return LINE_PROTOCOL_BEFORE_TIME;
    case '"':
    case '=':
    case '\n':
        return LINE_PROTOCOL_DOUBT;
    default:
        return LINE_PROTOCOL_FIELD_VALUE;
    }
}

static enum line_protocol_place behind_string(char c)
{
    if (c == ',')
        return LINE_PROTOCOL_FIELD_KEY;
    return c == ' ' ? LINE_PROTOCOL_BEFORE_TIME : LINE_PROTOCOL_DOUBT;
}

static enum line_protocol_place in_time(struct line_protocol_scan *scan, char c)
{
    if (is_digit(c))
        return ++scan->time_digits <= TIME_DIGITS_MAXIMUM ? LINE_PROTOCOL_TIME : LINE_PROTOCOL_DOUBT;
    if (c == '\n')
        return LINE_PROTOCOL_LINE_START;
    return c == ' ' ? LINE_PROTOCOL_AFTER_TIME : LINE_PROTOCOL_DOUBT;
}

static enum line_protocol_place before_time(struct line_protocol_scan *scan, char c)
{
    scan->time_digits = 0;
    if (c == ' ')
        return LINE_PROTOCOL_BEFORE_TIME;
    if (c == '-')
        return LINE_PROTOCOL_TIME_SIGN;
    return is_digit(c) ? in_time(scan, c) : LINE_PROTOCOL_DOUBT;
}

/* One byte that no backslash stands before. */
static enum line_protocol_place step(struct line_protocol_scan *scan, char c)
{
    switch (scan->place) {
    case LINE_PROTOCOL_LINE_START:
        return at_line_start(c);
    case LINE_PROTOCOL_BLANK_LINE:
        return in_blank_line(c);
    case LINE_PROTOCOL_COMMENT:
        return in_comment(c);
    case LINE_PROTOCOL_SERIES:
        return in_series(c);
    case LINE_PROTOCOL_BEFORE_FIELDS:
        return c == ' ' ? LINE_PROTOCOL_BEFORE_FIELDS : in_field_key(c);
    case LINE_PROTOCOL_FIELD_KEY:
        return in_field_key(c);
    case LINE_PROTOCOL_FIELD_START:
        return c == '"' ? LINE_PROTOCOL_STRING : c == ' ' || c == ',' ? LINE_PROTOCOL_DOUBT : in_field_value(c);
    case LINE_PROTOCOL_FIELD_VALUE:
        return in_field_value(c);
    case LINE_PROTOCOL_STRING:
        return c == '"' ? LINE_PROTOCOL_STRING_END : LINE_PROTOCOL_STRING;
    case LINE_PROTOCOL_STRING_END:
        return behind_string(c);
    case LINE_PROTOCOL_BEFORE_TIME:
        return before_time(scan, c);
    case LINE_PROTOCOL_TIME_SIGN:
        return is_digit(c) ? in_time(scan, c) : LINE_PROTOCOL_DOUBT;
    case LINE_PROTOCOL_TIME:
        return in_time(scan, c);
    case LINE_PROTOCOL_AFTER_TIME:
        return c == '\n' ? LINE_PROTOCOL_LINE_START : c == ' ' ? LINE_PROTOCOL_AFTER_TIME : LINE_PROTOCOL_DOUBT;
    case LINE_PROTOCOL_DOUBT:
        break;
    }
    return LINE_PROTOCOL_DOUBT;
}

static bool may_be_escaped(enum line_protocol_place place)
{
    return place == LINE_PROTOCOL_SERIES || place == LINE_PROTOCOL_FIELD_KEY || place == LINE_PROTOCOL_STRING;
}

/* Outside of strings and comments a carriage return belongs to the line end, or there is doubt. */
static bool is_return_before_line_end(const struct line_protocol_scan *scan, char c)
{
    return c == '\r' && (scan->place == LINE_PROTOCOL_LINE_START || scan->place == LINE_PROTOCOL_BLANK_LINE ||
                         scan->place == LINE_PROTOCOL_TIME || scan->place == LINE_PROTOCOL_AFTER_TIME);
}

static enum line_protocol_place step_escaped(struct line_protocol_scan *scan, char c)
{
    scan->is_escaped = false;
    if (scan->place == LINE_PROTOCOL_STRING)
        return c == '"' || c == '\\' ? LINE_PROTOCOL_STRING : step(scan, c);
    /* Elsewhere two backslashes are one to some parsers and two to others; what follows would be escaped or not. */
    return c == '\\' || c == '\n' ? LINE_PROTOCOL_DOUBT : scan->place;
}

static void feed_byte(struct line_protocol_scan *scan, char c)
{
    if (scan->is_return && c != '\n') {
        scan->place = LINE_PROTOCOL_DOUBT;
    } else if (scan->is_escaped) {
        scan->place = step_escaped(scan, c);
    } else if (c == '\\' && may_be_escaped(scan->place)) {
        scan->is_escaped = true;
    } else if (c == '\\') {
        scan->place = LINE_PROTOCOL_DOUBT;
    } else if (is_return_before_line_end(scan, c)) {
        scan->is_return = true;
        return;
    } else {
        scan->place = step(scan, c);
    }
    scan->is_return = false;
}

bool line_protocol_feed(struct line_protocol_scan *scan, struct text piece)
{
    for (size_t i = 0; i < piece.length && scan->place != LINE_PROTOCOL_DOUBT; i++)
        feed_byte(scan, piece.bytes[i]);
    return scan->place != LINE_PROTOCOL_DOUBT;
}

bool line_protocol_finish(const struct line_protocol_scan *scan)
{
    if (scan->is_return)
        return false;
    return scan->place == LINE_PROTOCOL_LINE_START || scan->place == LINE_PROTOCOL_BLANK_LINE ||
           scan->place == LINE_PROTOCOL_COMMENT || scan->place == LINE_PROTOCOL_TIME ||
           scan->place == LINE_PROTOCOL_AFTER_TIME;
}
