#ifndef SLUICE_DISPATCH_SCREEN_H
#define SLUICE_DISPATCH_SCREEN_H
/*
 * Is a node's answer the client's, or does it say that another node should be asked? Some answers are kept back until their body has shown that.
 * Pure.
 */
#include <stdbool.h>

#include "base/text.h"
#include "http/message.h"
#include "routing/answer.h"

enum screen_kind {
    SCREEN_ORDINARY,
    SCREEN_FAN_OUT,          /* each node gets the request; the last answer is the client's */
    SCREEN_FAN_OUT_LAST,     /* the same, and this is the last one of all */
    SCREEN_CALL,             /* gRPC */
    SCREEN_CALL_READS,       /* gRPC, DoGet: the schema comes first, and tells nothing yet of whether there will be data */
};

/* Has a node's own error sent the request to another one already? No third one is asked for that, where the error is not held against the node. */
enum screen_turn { SCREEN_FIRST, SCREEN_AGAIN };

/* What the answer is for. */
struct screen_question {
    enum request_class class;
    enum screen_kind kind;
    enum route_repeat repeat;
    enum screen_turn turn;
};

enum screen_head {
    SCREEN_RELAY,            /* the client's, whatever its body is */
    SCREEN_HOLD_FIRST,       /* a call's: its head is the client's, the first message is to be kept back, for a moment */
    SCREEN_HOLD,             /* to be kept back until its body is complete, or has shown enough */
    SCREEN_MALFORMED,        /* a gRPC answer that ends without a status: the client would take it for the node's UNKNOWN */
};
enum screen_head screen_head(const struct screen_question *question, const struct message_head *head);

enum screen_result {
    SCREEN_IS_ANSWER,        /* the client's */
    SCREEN_IS_REFUSAL,       /* the node did nothing */
    SCREEN_IS_FAILURE,       /* another node may do better; the node's own words count if none is asked */
    SCREEN_IS_PART,          /* one of a fan-out has done it: the next one */
};
/*
 * What a kept answer turns out to be, and *cause why it is an error, or NONE. `body` is all of it, or the beginning of a longer one, at most
 * ANSWER_WORDS_BYTES.
 */
enum screen_result screen_judge(const struct screen_question *question, const struct message_head *head, struct text body,
                                enum answer_cause *cause);
/* A call whose first message is kept back ends with these trailers: may another node do better? *cause as above. */
bool screen_is_failed_call(const struct screen_question *question, const struct message_head *trailers, enum answer_cause *cause);
/* The cause of an answer that was not kept, as far as its head (or the trailers of a call) tells. */
enum answer_cause screen_cause_of_head(const struct screen_question *question, const struct message_head *head);

#endif
