#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- case ---- */

/* text_lower of eight bytes at once. */
static uint64_t lower_word(uint64_t word)
{
    uint64_t low_bits = word & TEXT_WORD(0x7f);
    uint64_t is_from_a = low_bits + TEXT_WORD(0x80 - 'A');
    uint64_t is_after_z = low_bits + TEXT_WORD(0x7f - 'Z');
    uint64_t is_upper = ~word & (is_from_a ^ is_after_z) & TEXT_WORD(0x80);
    return word | is_upper >> 2;
}

bool text_equals_ignoring_case(struct text a, struct text b)
{
    if (a.length != b.length)
        return false;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= a.length; i += sizeof(uint64_t)) {
        uint64_t of_a, of_b;
        memcpy(&of_a, a.bytes + i, sizeof of_a);
        memcpy(&of_b, b.bytes + i, sizeof of_b);
        if (of_a != of_b && lower_word(of_a) != lower_word(of_b))
            return false;
    }
    for (; i < a.length; i++) {
        if (text_lower(a.bytes[i]) != text_lower(b.bytes[i]))
            return false;
    }
    return true;
}

/* ---- parts ---- */

ptrdiff_t text_find(struct text t, struct text needle)
{
    if (needle.length == 0)
        return 0;
    if (needle.length > t.length)
        return -1;
    const char *found = memmem(t.bytes, t.length, needle.bytes, needle.length);
    return found == NULL ? -1 : found - t.bytes;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct text text_trim(struct text t)
{
    while (t.length > 0 && is_blank(t.bytes[0])) {
        t.bytes++;
        t.length--;
    }
    while (t.length > 0 && is_blank(t.bytes[t.length - 1]))
        t.length--;
    return t;
}

struct text text_cut(struct text *rest, char separator)
{
    const char *at = rest->length == 0 ? NULL : memchr(rest->bytes, separator, rest->length);
    struct text piece = *rest;
    if (at == NULL) {
        *rest = TEXT_EMPTY;
        return piece;
    }
    piece.length = (size_t)(at - rest->bytes);
    rest->bytes += piece.length + 1;
    rest->length -= piece.length + 1;
    return piece;
}

struct text text_query_value(struct text query, struct text key)
{
    while (query.length > 0) {
        struct text pair = text_cut(&query, '&');
        struct text name = text_cut(&pair, '=');
        if (text_equals(name, key))
            return pair;
    }
    return TEXT_EMPTY;
}

bool text_to_u64(struct text t, uint64_t *value)
{
    if (t.length == 0)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < t.length; i++) {
        if (t.bytes[i] < '0' || t.bytes[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(t.bytes[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

struct unit {
    struct text name;
    uint64_t factor;
};

/* Splits digits from unit and multiplies; `units` ends with an empty name. */
static bool number_with_unit(struct text t, const struct unit *units, bool bare_allowed, uint64_t *value)
{
    size_t digits = 0;
    while (digits < t.length && t.bytes[digits] >= '0' && t.bytes[digits] <= '9')
        digits++;
    uint64_t number;
    if (!text_to_u64(text_of(t.bytes, digits), &number))
        return false;
    struct text unit = text_of(t.bytes + digits, t.length - digits);
    if (unit.length == 0) {
        *value = number;
        return bare_allowed || number == 0;
    }
    for (const struct unit *u = units; u->name.length > 0; u++) {
        if (!text_equals(unit, u->name))
            continue;
        if (number > ((uint64_t)1 << 53) / u->factor)
            return false;
        *value = number * u->factor;
        return true;
    }
    return false;
}

bool text_to_duration_ms(struct text t, uint64_t *value_ms)
{
    static const struct unit units[] = {
        {{"ms", 2}, 1}, {{"s", 1}, 1000}, {{"m", 1}, 60000}, {{"h", 1}, 3600000}, {{NULL, 0}, 0},
    };
    return number_with_unit(t, units, false, value_ms);
}

bool text_to_size_bytes(struct text t, uint64_t *value_bytes)
{
    static const struct unit units[] = {
        {{"B", 1}, 1},         {{"KiB", 3}, 1024},  {{"MiB", 3}, 1048576},  {{"GiB", 3}, 1073741824},
        {{"kB", 2}, 1000},     {{"KB", 2}, 1000},   {{"MB", 2}, 1000000},   {{"GB", 2}, 1000000000},
        {{NULL, 0}, 0},
    };
    return number_with_unit(t, units, true, value_bytes);
}

char *text_duplicate(struct text t)
{
    char *copy = malloc(t.length + 1);
    if (copy == NULL)
        return NULL;
    if (t.length > 0)
        memcpy(copy, t.bytes, t.length);
    copy[t.length] = '\0';
    return copy;
}

#define DISTANCE_MAXIMUM_LENGTH 64

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(struct text a, struct text b)
{
    if (a.length > DISTANCE_MAXIMUM_LENGTH || b.length > DISTANCE_MAXIMUM_LENGTH)
        return SIZE_MAX;
    /* Three rows of the usual table are enough, because a swap looks back two. */
    size_t rows[3][DISTANCE_MAXIMUM_LENGTH + 1];
    for (size_t j = 0; j <= b.length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t replace = above[j - 1] + (a.bytes[i - 1] == b.bytes[j - 1] ? 0 : 1);
            row[j] = smaller(replace, smaller(above[j], row[j - 1]) + 1);
            bool swapped = i > 1 && j > 1 && a.bytes[i - 1] == b.bytes[j - 2] && a.bytes[i - 2] == b.bytes[j - 1];
            if (swapped)
                row[j] = smaller(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[a.length % 3][b.length];
}

size_t text_append(char *buffer, size_t capacity, size_t used, const char *format, ...)
{
    if (used >= capacity)
        return used;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(buffer + used, capacity - used, format, arguments);
    va_end(arguments);
    if (wanted < 0)
        return used;
    return (size_t)wanted >= capacity - used ? capacity - 1 : used + (size_t)wanted;
}
