#ifndef SLUICE_SIM_WORLD_CLIENT_ANSWER_H
#define SLUICE_SIM_WORLD_CLIENT_ANSWER_H
/*
 * What a client hears, looked at as it comes: is it the answer to its own question, byte for byte; does a cut answer show that it was cut; and are
 * Sluice's own words such that no client does harm because of them (docs/clients.md).
 *
 *   rule              what must hold
 *   wrong_answer      what comes is what belongs to the try, at its place
 *   cut_ends_cleanly  an answer that ends in order is all of it
 *   no_grpc_status    a call that ends in order ends with a status
 *   drops_data        of Sluice itself a write hears 503 and nothing else, and no node's refusal of its role reaches a writer
 *   retry_after       Sluice puts no Retry-After on a write's error, and lets none through to the library that misreads it
 *   forbidden_words   Sluice's sentences have none of the words that clients act on
 *   other_node        who names a node hears of no other one
 *   odd_status        the status is one that the asked side can mean
 *   odd_answer        an error of Sluice is the JSON that clients can read; a 204 has no body
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/ledger.h"
#include "peer/peer.h"

enum answer_maker {
    ANSWER_OF_NOBODY, /* no head has come */
    ANSWER_OF_NODE,
    ANSWER_OF_SLUICE,
};

/* Of a gRPC body: messages, each behind 5 bytes that say how long it is. */
struct answer_messages {
    uint64_t left;     /* of the present message */
    unsigned prefix;   /* bytes of its prefix that have come */
};

enum answer_fact {
    ANSWER_IS_CALL = 1,         /* asked by gRPC */
    ANSWER_OF_SLOW_BODY = 2,    /* the request came slowly: 408 is right */
    ANSWER_MISREADS_RETRY = 4,  /* its original takes the seconds of Retry-After for milliseconds */
    ANSWER_IS_WRONG = 8,        /* was reported */
    ANSWER_HAS_RETRY_AFTER = 16,
    ANSWER_IS_JSON = 32,
    ANSWER_IS_EXPECTED = 64,    /* the request says Expect: 100-continue */
    ANSWER_OF_NAMED = 128,      /* the request names ANSWER_NAMED_NODE: no other node may answer */
};

#define ANSWER_NAMED_NODE "node-0"
#define ANSWER_WORDS_BYTES 320
#define ANSWER_NO_CODE (-1)

struct client_answer {
    uint64_t number;
    enum try_kind kind;
    unsigned client;
    unsigned facts;         /* enum answer_fact, or-ed */
    unsigned status;        /* 0: no head has come */
    enum answer_maker maker;
    int code;               /* of gRPC */
    struct answer_messages messages;
    uint64_t received;      /* bytes of the answer proper */
    size_t word_count;
    char words[ANSWER_WORDS_BYTES]; /* the beginning of an error */
};

void client_answer_begin(struct client_answer *answer, enum try_kind kind, uint64_t number, unsigned client, unsigned facts);
/* A head, interim ones too. */
void client_answer_head(struct client_answer *answer, const struct peer_head *head);
void client_answer_body(struct client_answer *answer, struct text piece);
void client_answer_trailers(struct client_answer *answer, const struct peer_head *fields);
/* It ended in order: TRY_DONE or TRY_REFUSED. */
enum try_end client_answer_end(struct client_answer *answer);
/* The HTTP status that means as much: of a call, by its code. 0 while there is none. */
unsigned client_answer_status(const struct client_answer *answer);

#endif
