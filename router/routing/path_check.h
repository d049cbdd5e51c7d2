#ifndef SLUICE_ROUTING_PATH_CHECK_H
#define SLUICE_ROUTING_PATH_CHECK_H
/*
 * Could another reader take a raw path for a different one (docs/security.md#paths)? InfluxDB compares paths byte by byte, but
 * a proxy before us, or a future version behind us, may decode, fold case, or resolve dots. Paths are forwarded
 * unchanged, so what may be misread is refused. Pure; nothing is allocated.
 */
#include <stddef.h>

#include "base/text.h"

enum path_shape {
    PATH_SHAPE_PLAIN,    /* it is its own canonical form */
    PATH_SHAPE_FOLDABLE, /* its canonical form differs: compare what both reach */
    PATH_SHAPE_ESCAPED_SEPARATOR, /* the same with %2f or %5c in it, which only a name that may have any character can need */
    PATH_SHAPE_REFUSED,  /* ambiguous on its own: dot or empty segments, bad escapes, controls, a backslash, separators escaped twice */
};

/* One pass for plain paths; a second one when something needs care. */
enum path_shape path_shape(struct text path);

/* Longer paths that are not plain are refused: this bounds the buffer on the stack. */
#define PATH_CANONICAL_BYTES 4096

/* What one lenient reader does and another does not: all of them together are PATH_READINGS ways to read a path. */
enum path_reading {
    PATH_READING_CUTS_QUERY = 1,      /* at an escaped "?" or "#" */
    PATH_READING_CUTS_PARAMETERS = 2, /* behind ";", in each segment */
    PATH_READING_KEEPS_SLASH = 4,     /* at the end */
};
#define PATH_READINGS 8

/*
 * What a lenient reader would make of a path that is not refused: escapes decoded (repeatedly), backslashes turned, empty and dot segments
 * resolved, lower case, and what `reading` says (enum path_reading). Returns the length written to `buffer`, which has room for
 * PATH_CANONICAL_BYTES and one more; `path` must begin with a slash and not be longer than that.
 */
size_t path_canonical(struct text path, unsigned reading, char *buffer);

#endif
