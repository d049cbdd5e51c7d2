#ifndef SLUICE_DISPATCH_SCREEN_H
#define SLUICE_DISPATCH_SCREEN_H
/*
 * Is a node's answer the client's, or does it say that another node should be asked? Some answers are kept back until their body has shown that.
 * Pure.
 */
#include <stdbool.h>

#include "base/text.h"
#include "http/message.h"
#include "routing/retry.h"

enum screen_kind {
    SCREEN_ORDINARY,
    SCREEN_FAN_OUT,          /* each node gets the request; the last answer is the client's */
    SCREEN_FAN_OUT_LAST,     /* the same, and this is the last one of all */
    SCREEN_CALL,             /* gRPC */
    SCREEN_CALL_AGAIN,       /* gRPC: a node has said UNAVAILABLE before, and no third one is asked */
};

/* What the answer is for. */
struct screen_question {
    enum request_class class;
    enum screen_kind kind;
};

enum screen_head {
    SCREEN_RELAY,            /* the client's, whatever its body is */
    SCREEN_HOLD,             /* to be kept back until its body is complete, or too long to be a refusal */
    SCREEN_MALFORMED,        /* a gRPC answer that ends without a status: the client would take it for the node's UNKNOWN */
};
enum screen_head screen_head(const struct screen_question *question, const struct message_head *head);

enum screen_result {
    SCREEN_IS_ANSWER,        /* the client's */
    SCREEN_IS_REFUSAL,       /* the node did nothing */
    SCREEN_IS_UNAVAILABLE,   /* gRPC: it says UNAVAILABLE; its own words count if no other node is asked */
    SCREEN_IS_PART,          /* one of a fan-out has done it: the next one */
};
/* A kept answer is complete; `body` is all of it, at most RETRY_REFUSAL_BYTES, or the beginning of a longer one of a fan-out. */
enum screen_result screen_complete(const struct screen_question *question, const struct message_head *head, struct text body);

#endif
