#include "world/bodies.h"

#include <stdio.h>

/* The longest line is some 70 bytes. */
#define LINE_BYTES 96
#define VALUE_DIGITS 7
/* Nanoseconds since 1970, 19 digits for any number and line. */
#define FIRST_TIMESTAMP UINT64_C(1700000000000000000)

/* What all lines of a body have in common: they differ in digits at two places. */
struct body_shape {
    char line[LINE_BYTES];
    size_t length;        /* of each line but the last one */
    size_t value_at;      /* its VALUE_DIGITS digits */
    size_t timestamp_at;  /* 19 digits; 0: no line has one */
    uint64_t lines;
    size_t last_length;
};

static uint64_t mixed(uint64_t number)
{
    uint64_t z = number * UINT64_C(0xd1342543de82ef95) + UINT64_C(0x632be59bd9b4e019);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Most are small. Others than writes always are: a body that several nodes get must fit into what is kept for a replay. */
static uint64_t lines_of(uint64_t number, enum try_kind kind)
{
    uint64_t chance = mixed(number);
    uint64_t size = chance >> 16;
    unsigned share = (unsigned)chance & 1023;
    if (!body_is_of_a_write(kind) || share >= 24)
        return 1 + size % 12;
    return share == 0 ? 18000 + size % 9000 : 200 + size % 5000;
}

static size_t put(char *line, size_t at, const char *words)
{
    size_t length = strlen(words);
    memcpy(line + at, words, length);
    return at + length;
}

static void put_digits(char *place, size_t digits, uint64_t value)
{
    for (size_t i = digits; i > 0; i--) {
        place[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

static size_t put_number(char *line, size_t at, uint64_t value)
{
    size_t digits = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        digits++;
    put_digits(line + at, digits, value);
    return at + digits;
}

/* A plain body has no timestamp at all, or all lines but the last one have one. */
static void shape_of(uint64_t number, enum try_kind kind, struct body_shape *shape)
{
    bool is_plain = kind == TRY_WRITE_PLAIN;
    size_t at = put(shape->line, 0, "m,c=");
    put_digits(shape->line + at, 2, number % 100);
    at = put_number(shape->line, put(shape->line, at + 2, ",try="), number);
    shape->value_at = put(shape->line, at, " v=");
    size_t without_timestamp = put(shape->line, shape->value_at + VALUE_DIGITS, "i");
    shape->timestamp_at = is_plain && number % 3 != 0 ? 0 : without_timestamp + 1;
    shape->line[without_timestamp] = ' ';
    at = shape->timestamp_at == 0 ? without_timestamp : shape->timestamp_at + 19;
    shape->length = put(shape->line, at, "\n");
    shape->last_length = is_plain ? without_timestamp + 1 : shape->length;
    shape->lines = lines_of(number, kind);
}

/* The line's digits; the last one of a plain body loses its timestamp. */
static size_t draw_line(struct body_shape *shape, uint64_t number, uint64_t index)
{
    put_digits(shape->line + shape->value_at, VALUE_DIGITS, index);
    if (index + 1 == shape->lines && shape->last_length != shape->length) {
        shape->line[shape->last_length - 1] = '\n';
        return shape->last_length;
    }
    if (shape->timestamp_at != 0)
        put_digits(shape->line + shape->timestamp_at, 19, FIRST_TIMESTAMP + number % 1000000 * 1000000 + index);
    return shape->length;
}

static uint64_t length_of(const struct body_shape *shape)
{
    return (shape->lines - 1) * shape->length + shape->last_length;
}

bool body_is_of_a_write(enum try_kind kind)
{
    return kind == TRY_WRITE_STAMPED || kind == TRY_WRITE_PLAIN || kind == TRY_WRITEBACK;
}

uint64_t body_length(uint64_t number, enum try_kind kind)
{
    struct body_shape shape;
    shape_of(number, kind, &shape);
    return length_of(&shape);
}

/* Visits the lines from `offset` on; `take` compares or copies. False as soon as it says so. */
static bool each_part(uint64_t number, enum try_kind kind, uint64_t offset, size_t length,
                      bool (*take)(void *context, size_t at, struct text part), void *context)
{
    struct body_shape shape;
    shape_of(number, kind, &shape);
    for (size_t at = 0; at < length;) {
        uint64_t index = (offset + at) / shape.length;
        if (index >= shape.lines)
            index = shape.lines - 1;
        size_t skipped = (size_t)(offset + at - index * shape.length);
        size_t count = draw_line(&shape, number, index) - skipped;
        if (count > length - at)
            count = length - at;
        if (!take(context, at, text_of(shape.line + skipped, count)))
            return false;
        at += count;
    }
    return true;
}

static bool copy_part(void *context, size_t at, struct text part)
{
    memcpy((char *)context + at, part.bytes, part.length);
    return true;
}

static bool compare_part(void *context, size_t at, struct text part)
{
    const struct text *piece = context;
    return memcmp(piece->bytes + at, part.bytes, part.length) == 0;
}

size_t body_copy(uint64_t number, enum try_kind kind, uint64_t offset, char *buffer, size_t capacity)
{
    uint64_t length = body_length(number, kind);
    uint64_t left = offset < length ? length - offset : 0;
    size_t count = left < capacity ? (size_t)left : capacity;
    each_part(number, kind, offset, count, copy_part, buffer);
    return count;
}

bool body_is(uint64_t number, enum try_kind kind, uint64_t offset, struct text piece)
{
    if (offset + piece.length > body_length(number, kind))
        return false;
    return each_part(number, kind, offset, piece.length, compare_part, &piece);
}

struct text write_body(uint64_t number, enum try_kind kind, char *buffer, size_t capacity)
{
    return text_of(buffer, body_copy(number, kind, 0, buffer, capacity));
}
