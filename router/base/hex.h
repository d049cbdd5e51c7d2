#ifndef SLUICE_BASE_HEX_H
#define SLUICE_BASE_HEX_H
/* Hexadecimal digits, both ways. */
#include <stddef.h>
#include <stdint.h>

#define HEX_LOWER "0123456789abcdef"
/* As percent-encoding wants them (RFC 3986 section 2.1). */
#define HEX_UPPER "0123456789ABCDEF"

/* Most digits of a 64-bit number. */
#define HEX_U64_DIGITS 16

/* 0 to 15 for a digit in either case, else -1. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that two digits stand for, or -1 when they are not two digits. */
static inline int hex_byte(char high, char low)
{
    int upper = hex_value(high);
    int lower = hex_value(low);
    return upper < 0 || lower < 0 ? -1 : upper << 4 | lower;
}

/* Writes the two digits of a byte, of HEX_LOWER or HEX_UPPER; returns the place behind them. */
static inline char *hex_put_byte(char *out, const char *digits, unsigned char byte)
{
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
    return out;
}

/* Writes `value` in lower case with at least `width` digits, zeros in front; HEX_U64_DIGITS at most, no NUL. Returns how many. */
size_t hex_put_u64(char out[HEX_U64_DIGITS], uint64_t value, unsigned width);

#endif
