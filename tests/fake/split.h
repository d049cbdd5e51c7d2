#ifndef SLUICE_FAKE_SPLIT_H
#define SLUICE_FAKE_SPLIT_H
/*
 * The ways in which the network may cut a message: whole, byte by byte, and in two at every point. Whatever takes
 * bytes must say the same in each of them.
 *
 *   for (struct split split = split_first(length); !split.is_done; split_next(&split))
 *       for (size_t from = 0, to; (to = split_end(&split, from)) > from; from = to)
 *           feed(bytes + from, to - from);
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct split {
    size_t length;
    size_t step; /* 0: whole; 1: byte by byte; n + 1: cut in two behind byte n */
    bool is_done;
    char name[40]; /* for messages */
};

static inline void split_describe(struct split *split)
{
    if (split->step == 0)
        snprintf(split->name, sizeof split->name, "whole");
    else if (split->step == 1)
        snprintf(split->name, sizeof split->name, "byte by byte");
    else
        snprintf(split->name, sizeof split->name, "cut behind byte %zu", split->step - 1);
}

static inline struct split split_first(size_t length)
{
    struct split split = {.length = length};
    split_describe(&split);
    return split;
}

static inline void split_next(struct split *split)
{
    split->step++;
    split->is_done = split->step > 1 && split->step > split->length;
    split_describe(split);
}

/* Where the piece that begins at `from` ends; `from` itself when nothing is left. */
static inline size_t split_end(const struct split *split, size_t from)
{
    if (from >= split->length || split->step == 0)
        return split->length;
    if (split->step == 1)
        return from + 1;
    return from < split->step - 1 ? split->step - 1 : split->length;
}

#endif
