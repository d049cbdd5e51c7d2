#ifndef SLUICE_ROUTING_RETRY_H
#define SLUICE_ROUTING_RETRY_H
/*
 * The only place where "again" is decided: a fault and what is known of the exchange become a decision. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "routing/classify.h"

enum retry_decision { RETRY_AGAIN_HERE, RETRY_AGAIN_ELSEWHERE, RETRY_GIVE_UP };

/* What is known of the attempt and its request; each by itself. */
enum retry_fact {
    RETRY_COMMITTED = 1 << 0,        /* a byte of the response has gone to the client: never again */
    RETRY_BODY_IS_KEPT = 1 << 1,     /* each byte of the request body read so far can be sent once more */
    RETRY_REQUEST_HAS_LEFT = 1 << 2, /* its last byte was given to the kernel: the node may have read it to its end */
    RETRY_IS_TIMESTAMPED = 1 << 3,   /* line protocol whose every line carries a timestamp (routing/timestamp_check.h) */
    RETRY_LINK_WAS_REUSED = 1 << 4,  /* the attempt ran on a kept-alive link */
    RETRY_OTHERS_USABLE = 1 << 5,    /* another node that was not tried could take it */
    RETRY_LINK_IS_SPENT = 1 << 6,    /* the link of the attempt is over, or takes nothing new */
};

struct retry_question {
    enum fault fault;
    enum request_class class;
    enum route_repeat repeat;
    unsigned facts;            /* enum retry_fact bits */
    unsigned attempts;         /* made so far, this one included, without those that retry_was_passed_over */
    uint64_t now_ms;
    uint64_t deadline_ms;      /* no attempt starts at or after it; 0: none */
};

/*
 * Has the node taken the requests before this one on its link, and then ended the link without reading this one? There are nodes and proxies
 * that say GOAWAY after each stream, and many requests may be on their way to one: each round serves one of them, and none has been tried.
 * Such an attempt is paid with time, which is the caller's to watch, and not with one of the tries.
 */
bool retry_was_passed_over(const struct retry_question *question);

/*
 * At most as many attempts as the policy of the class says; a writeback has exactly one fallback hop (two attempts) and only for faults
 * of the connect class (FAULT_REPEAT_UNSENT) or before its end has left. A link closed unread is tried again on a fresh link to the same node
 * first, a refused stream when no other node is left.
 */
enum retry_decision retry_decide(const struct retry_question *question);

/*
 * Does a repeat cost nothing of the budget (routing/retry_budget.h)? What was provably not read, and what a node refused by its role, is no more
 * load than it was.
 */
bool retry_is_free(const struct retry_question *question);

#endif
