#ifndef SLUICE_SIM_CHECK_LEDGER_H
#define SLUICE_SIM_CHECK_LEDGER_H
/*
 * The book of everything that clients asked for and nodes did: what the invariants are counted from. Each try of a client (a request that it sends, its
 * own repetitions count as new tries) is one entry and has a number; the number stands in the request (in each line of a write as `try=N`, in a query's
 * text, in a catalog call's name), so that nodes and answers can say whose they are.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum try_kind {
    TRY_WRITE_STAMPED,
    TRY_WRITE_PLAIN,
    TRY_QUERY,
    TRY_FLIGHT,
    TRY_CATALOG,
    TRY_WRITEBACK,
    TRY_COMPACTOR,
    TRY_ENGINE,  /* a plugin's request trigger: Sluice looks for the node that runs it */
    TRY_FAN_OUT, /* goes to each node that queries */
    TRY_LOCAL,   /* Sluice answers itself */
    TRY_HOSTILE,
    TRY_FLOOD,   /* a query that the hostile send any number of times */
    TRY_KIND_COUNT
};

enum try_end {
    TRY_OPEN,
    TRY_DONE,      /* the answer came whole, and was a success: for a write that is an acknowledgement */
    TRY_REFUSED,   /* the answer came whole, and said no */
    TRY_CUT,       /* cut, reset or silent: the client does not know */
    TRY_LEFT,      /* the client gave up first */
};

/* A new run: the book is empty, there is no verdict, and no state was reached. */
void ledger_open(void);

/* Of a client; returns the try's number, from 1. */
uint64_t ledger_begin(enum try_kind kind, unsigned client);
/* `status`: of HTTP, or the one that means as much as what gRPC said; 0 without an answer. */
void ledger_end(uint64_t number, enum try_end end, unsigned status);
enum try_kind ledger_kind(uint64_t number);
bool ledger_knows(uint64_t number);

/* Of a node: the request of this try has begun to arrive (one attempt of Sluice). `has_role`: may this node be asked this at all, by its configuration? */
void ledger_attempt(uint64_t number, unsigned node, bool has_role);
/* The node has said that it did not look at it (REFUSED_STREAM, a GOAWAY below it): the attempt is none. */
void ledger_passed_over(uint64_t number, unsigned node);
/* It was applied (a write is buffered; of other calls only those are told that may not be repeated); and it is durable now; and what was applied was lost before it was durable (the process died). */
void ledger_applied(uint64_t number, unsigned node);
void ledger_durable(uint64_t number, unsigned node);
void ledger_undone(uint64_t number, unsigned node);

/* A rule was broken: the run has failed. Printed with the time; the first one is the run's verdict. `rule` is one word. */
void ledger_violation(const char *rule, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The rule of the first violation; NULL: none so far. */
const char *ledger_verdict(void);
/* How many tries there were, and how many of them ended in this way. */
uint64_t ledger_count(void);
uint64_t ledger_count_of(enum try_end end);
/* The end of the run: counts what can only be counted then. The book is gone afterwards, the verdict and what was reached stay until ledger_open. */
void ledger_close(void);

/* A rare state was reached: the table of a swarm counts the seeds that did. `name` is static: "client: 503 retried by Telegraf". */
void reached(const char *name);
/* Each state that was reached in this run, once, in the order in which they were. */
void reached_each(void (*on_name)(void *owner, const char *name), void *owner);
/* None was. */
void reached_clear(void);

/* ---- bodies that belong to their try ---- */

/* The byte at `offset` of the answer to this try, and its length: any node gives the same. Without line ends and NUL. */
char answer_byte(uint64_t number, uint64_t offset);
uint64_t answer_length(uint64_t number);

#endif
