#ifndef SLUICE_HTTP_H1_ANNOUNCED_H
#define SLUICE_HTTP_H1_ANNOUNCED_H
/*
 * A body on its way out whose length was announced. Where it comes by HTTP/2, length and end are two things that may not agree, and the reader of
 * HTTP/1 goes by the length alone. So the last byte waits for the end: a body that ends elsewhere, or never, does not look whole. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "http/message.h"

struct h1_announced {
    uint64_t left_bytes;    /* that have not been handed out */
    bool waits_for_end;     /* the last of them does */
    bool has_last_byte;     /* it has come */
    char last_byte;
};

/* For the body of this head. */
void h1_announced_start(struct h1_announced *announced, const struct message_head *head);
/* How much of a piece goes out now: all of it, or all but the last byte. */
struct text h1_announced_take(struct h1_announced *announced, struct text bytes);
/* The body has ended: what goes out now. */
struct text h1_announced_end(struct h1_announced *announced);

#endif
