#include "check/answer.h"

#define WORD_BYTES 8

/* 64 characters that need no escape anywhere. */
static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";

/* A number that looks like chance, for the pair. */
static uint64_t mixed(uint64_t number, uint64_t position)
{
    uint64_t z = number * UINT64_C(0x9e3779b97f4a7c15) + position * UINT64_C(0xd1342543de82ef95) + 1;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static char letter_of(uint64_t word, uint64_t place)
{
    return letters[word >> WORD_BYTES * place & 63];
}

char answer_byte(uint64_t number, uint64_t offset)
{
    return letter_of(mixed(number, offset / WORD_BYTES), offset % WORD_BYTES);
}

/* Most answers are small; some are larger than a buffer on the way, few are larger than all of them together. */
uint64_t answer_length(uint64_t number)
{
    uint64_t chance = mixed(number, UINT64_MAX);
    uint64_t size = chance >> 16;
    unsigned kind = (unsigned)chance & 4095;
    if (kind < 2)
        return 200000 + size % 800000;
    if (kind < 32)
        return 10000 + size % 90000;
    return kind < 72 ? 0 : 1 + size % (kind < 2048 ? 200 : 1500);
}

/* Up to WORD_BYTES letters into `out`, from a word's `place` on. */
static size_t copy_word(uint64_t word, uint64_t place, char *out, size_t length)
{
    size_t count = WORD_BYTES - (size_t)place < length ? WORD_BYTES - (size_t)place : length;
    for (size_t i = 0; i < count; i++)
        out[i] = letter_of(word, place + i);
    return count;
}

size_t answer_copy(uint64_t number, uint64_t offset, char *buffer, size_t capacity)
{
    uint64_t length = answer_length(number);
    uint64_t left = offset < length ? length - offset : 0;
    size_t count = left < capacity ? (size_t)left : capacity;
    for (size_t i = 0; i < count;)
        i += copy_word(mixed(number, (offset + i) / WORD_BYTES), (offset + i) % WORD_BYTES, buffer + i, count - i);
    return count;
}

bool answer_is(uint64_t number, uint64_t offset, struct text piece)
{
    char expected[256];
    if (offset + piece.length > answer_length(number))
        return false;
    for (size_t i = 0; i < piece.length;) {
        size_t count = answer_copy(number, offset + i, expected, piece.length - i < sizeof expected ? piece.length - i : sizeof expected);
        if (memcmp(expected, piece.bytes + i, count) != 0)
            return false;
        i += count;
    }
    return true;
}
