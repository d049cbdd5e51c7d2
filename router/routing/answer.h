#ifndef SLUICE_ROUTING_ANSWER_H
#define SLUICE_ROUTING_ANSWER_H
/*
 * Why a node answered with an error, as one table from class, status and words (docs/database.md#causes). The status alone does not tell: the v2
 * write path says 400 for nearly all of them, and clients drop a batch on that (docs/clients.md#write-statuses). Pure.
 */
#include <stdbool.h>

#include "base/answer_cause.h"
#include "base/grpc_status.h"
#include "base/text.h"
#include "routing/classify.h"

/* What follows from it. */
enum answer_meaning {
    ANSWER_IS_THE_CLIENTS, /* it goes to the client as it is */
    ANSWER_REFUSES,        /* the node did nothing: any request may go to another one */
    ANSWER_FAILS,          /* the node may have acted; another one may do better, where twice does no harm */
};

/* So much of a body is looked at. */
#define ANSWER_WORDS_BYTES 1024

/* Must the body be looked at before the client gets an answer with this head? */
bool answer_needs_words(enum request_class class, enum route_repeat repeat, unsigned status);

/*
 * `words`: the body's beginning, at most ANSWER_WORDS_BYTES; empty where nobody has looked. Only the error's own beginning counts, behind its JSON
 * key and a few layers, because further on a node quotes the client's lines.
 */
enum answer_cause answer_cause_of(enum request_class class, unsigned status, struct text words);
enum answer_meaning answer_meaning_of(enum request_class class, enum route_repeat repeat, unsigned status, enum answer_cause cause);

/* The same of a gRPC call: `message` as it stands in grpc-message. RESOURCE_EXHAUSTED is the client's own deadline with some words. */
enum answer_cause answer_cause_of_call(enum grpc_status status, struct text message);
enum answer_meaning answer_meaning_of_call(enum answer_cause cause);

/*
 * The answer is the node's fault and not what a writer may see: a client that drops its batch at a 4xx must not hear one, and words that
 * are known say nothing to it. Then it gets a 503 of ours.
 */
bool answer_is_hidden(enum request_class class, enum answer_cause cause);

/* Does it say that this node works worse than others? (Of a call: as if it had been a 500.) */
bool answer_counts_against_node(enum request_class class, unsigned status, enum answer_cause cause);

#endif
