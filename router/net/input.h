#ifndef SLUICE_NET_INPUT_H
#define SLUICE_NET_INPUT_H
/* Bytes that were read and not yet understood: one contiguous piece, which holds no memory while it is empty. */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct memory_account;

/* Zero is empty. */
struct input {
    char *bytes; /* owned */
    size_t length;
    size_t capacity;
    struct memory_account *account; /* ref: where it is counted as MEMORY_INPUT; or NULL */
};

void input_clear(struct input *input);
/* `bytes` becomes the whole of it; they may be a part of what it holds. False when memory is out. */
bool input_keep(struct input *input, struct text bytes) __attribute__((warn_unused_result));
/* False when memory is out, and then nothing was appended. */
bool input_append(struct input *input, struct text bytes) __attribute__((warn_unused_result));

static inline struct text input_text(const struct input *input)
{
    return text_of(input->bytes, input->length);
}

#endif
