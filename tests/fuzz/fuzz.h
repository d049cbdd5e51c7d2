#ifndef SLUICE_FUZZ_FUZZ_H
#define SLUICE_FUZZ_FUZZ_H
/*
 * What the fuzzers share. A fuzzer is a program with one function, LLVMFuzzerTestOneInput, that feeds any bytes to a part of the router
 * and expects something of what comes out. With clang it is linked to libFuzzer (make fuzz); with any compiler to replay.c, which feeds it
 * the files that it is given (make test does so with the corpus).
 */
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *words)
{
    fprintf(stderr, "%s:%d: it does not hold that %s\n", file, line, words);
    abort();
}

#define expect(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* With FUZZ_TRACE=1 in the environment: what happens, for who replays an input. */
static inline bool fuzz_is_traced(void)
{
    static int traced = -1;
    if (traced < 0)
        traced = getenv("FUZZ_TRACE") != NULL;
    return traced == 1;
}

#define trace(...) (fuzz_is_traced() ? (void)fprintf(stderr, __VA_ARGS__) : (void)0)

/* An input that is taken from the front: choices, then bytes. When it is used up all choices are 0. */
struct tape {
    const uint8_t *bytes;
    size_t left;
};

static inline unsigned tape_byte(struct tape *tape)
{
    if (tape->left == 0)
        return 0;
    tape->left--;
    return *tape->bytes++;
}

static inline unsigned tape_u16(struct tape *tape)
{
    unsigned high = tape_byte(tape);
    return high << 8 | tape_byte(tape);
}

/* Up to `length` bytes; they stay where they are. */
static inline struct text tape_text(struct tape *tape, size_t length)
{
    struct text taken = text_of((const char *)tape->bytes, length < tape->left ? length : tape->left);
    tape->bytes += taken.length;
    tape->left -= taken.length;
    return taken;
}

static inline struct text tape_rest(struct tape *tape)
{
    return tape_text(tape, tape->left);
}

/* What is cut off at the first `separator`, which is dropped. */
static inline struct text tape_line(struct tape *tape, char separator)
{
    const uint8_t *end = tape->left == 0 ? NULL : memchr(tape->bytes, separator, tape->left);
    if (end == NULL)
        return tape_rest(tape);
    struct text line = tape_text(tape, (size_t)(end - tape->bytes));
    tape_byte(tape);
    return line;
}

/* A copy in a block of exactly its size, so that a read beyond it is seen; free() it. */
static inline struct text fuzz_copy(struct text bytes)
{
    char *copy = malloc(bytes.length == 0 ? 1 : bytes.length);
    expect(copy != NULL);
    if (bytes.length > 0)
        memcpy(copy, bytes.bytes, bytes.length);
    ASAN_POISON_MEMORY_REGION(copy + bytes.length, bytes.length == 0 ? 1 : 0);
    return text_of(copy, bytes.length);
}

static inline void fuzz_free(struct text copy)
{
    ASAN_UNPOISON_MEMORY_REGION(copy.bytes, copy.length == 0 ? 1 : copy.length);
    free((void *)(uintptr_t)copy.bytes);
}

/* Is `part` within `whole`? An empty part may be anywhere. */
static inline bool lies_in(struct text part, struct text whole)
{
    return part.length == 0 || (part.bytes >= whole.bytes && part.bytes + part.length <= whole.bytes + whole.length);
}

#endif
