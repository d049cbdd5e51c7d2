#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H
/*
 * Text as pointer and length. A `struct text` never owns its bytes: whoever made it says how long they live.
 * There is no terminating NUL to rely on; text_format and friends bound every write.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *bytes; /* not terminated; may be NULL only when length is 0 */
    size_t length;
};

/* A text over a literal; the length is known at compile time. */
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
#define TEXT_EMPTY ((struct text){NULL, 0})
/* Eight times the byte, to compare text eight bytes at a time. */
#define TEXT_WORD(byte) (UINT64_C(0x0101010101010101) * (byte))
/* For printf's "%.*s": two arguments. */
#define TEXT_ARGUMENTS(t) (int)(t).length, (t).bytes

static inline struct text text_of(const char *bytes, size_t length)
{
    return (struct text){bytes, length};
}

/* NULL gives the empty text. */
static inline struct text text_of_string(const char *string)
{
    return string == NULL ? TEXT_EMPTY : (struct text){string, strlen(string)};
}

static inline bool text_equals(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static inline bool text_starts_with(struct text t, struct text prefix)
{
    return t.length >= prefix.length && (prefix.length == 0 || memcmp(t.bytes, prefix.bytes, prefix.length) == 0);
}

/* ASCII lower case; other bytes are unchanged. */
static inline char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Compares without regard to ASCII case (header names, RFC 9110 section 5.1). */
bool text_equals_ignoring_case(struct text a, struct text b);

/* Position of the first `needle` in `t`, or -1. An empty needle is found at 0. */
ptrdiff_t text_find(struct text t, struct text needle);

/* Removes SP and HTAB from both ends (OWS, RFC 9110 section 5.6.3). */
struct text text_trim(struct text t);

/*
 * Cuts the next piece off `*rest` at `separator`: the piece is returned, `*rest` keeps what follows the separator.
 * The last piece leaves `*rest` with NULL bytes, so `while (rest.bytes != NULL)` visits each piece once.
 */
struct text text_cut(struct text *rest, char separator);

/* The value of a key in a URL's query, as it stands there; empty when it has none, or no such key. The first one counts. */
struct text text_query_value(struct text query, struct text key);

/* Decimal digits only, no sign, no blanks; false on anything else or on a value above UINT64_MAX. */
bool text_to_u64(struct text t, uint64_t *value);

/* "500ms", "2s", "5m", "1h", or "0"; a unit is required for anything but 0. Result in milliseconds, below 2^53. */
bool text_to_duration_ms(struct text t, uint64_t *value_ms);

/* "4096", "64KiB", "10MiB", "1GiB", also "10MB" (decimal). Result in bytes. */
bool text_to_size_bytes(struct text t, uint64_t *value_bytes);

/* A heap copy with a terminating NUL; NULL when memory is out. The caller frees it. */
char *text_duplicate(struct text t);

/*
 * Edit distance (insert, delete, replace, swap of neighbours) for "did you mean"; texts over 64 bytes give SIZE_MAX.
 */
size_t text_distance(struct text a, struct text b);

/*
 * snprintf that appends at `buffer + used` and returns the new `used`, never above `capacity`; a cut is silent but
 * bounded, and the buffer stays terminated while capacity is above 0.
 */
size_t text_append(char *buffer, size_t capacity, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
