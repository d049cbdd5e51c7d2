#ifndef SLUICE_HTTP_H2_BUDGET_H
#define SLUICE_HTTP_H2_BUDGET_H
/*
 * How much a client may ask of an HTTP/2 connection without asking for anything: frames that cost us work and bring no request
 * forward. Two token buckets that refill with time: one for streams that are begun and thrown away (rapid reset, CVE-2023-44487, and its
 * reversal, where the client's errors make us reset), one for control frames. Beside them credit for what our traffic makes an honest client
 * say: window for the bytes that it has read, and the pings with which gRPC libraries measure the path. It has no brim, because
 * a client that has slept answers everything at once. Pure; time is an argument.
 */
#include <stdbool.h>
#include <stdint.h>

enum h2_expense {
    H2_EXPENSE_RESET,          /* a stream that the client reset as soon as it had begun it, or that we had to reset for its errors */
    H2_EXPENSE_LATE_RESET,     /* of a stream that has ended */
    H2_EXPENSE_SETTINGS,       /* each wants an acknowledgement */
    H2_EXPENSE_PING,
    H2_EXPENSE_EMPTY_DATA,     /* no bytes and no end */
    H2_EXPENSE_PRIORITY,
    H2_EXPENSE_WINDOW_UPDATE,
    H2_EXPENSE_UNKNOWN,        /* a frame type that nobody knows */
    H2_EXPENSE_STALE,          /* a head for a stream that has ended */
    H2_EXPENSE_HEADER_LIST,    /* a head of more than twice the limit: never affordable */
    H2_EXPENSE_UNREADABLE,     /* what nghttp2 stops at: too many CONTINUATION frames, too much unanswered */
    H2_EXPENSE_COUNT
};

/* "reset", "settings", ...: for the log. */
const char *h2_expense_name(enum h2_expense expense);

/* What a client may answer. */
enum h2_occasion {
    H2_OCCASION_REQUEST,        /* it has begun a stream, which may get a larger window at once, and be reset when it has just ended */
    H2_OCCASION_DATA_RECEIVED,  /* a DATA frame of its own, with bytes in it */
    H2_OCCASION_DATA_SENT,      /* one of ours */
    H2_OCCASION_COUNT
};

struct h2_budget {
    uint64_t refilled_ms;
    uint64_t credit;
    uint32_t resets_maximum;
    uint32_t resets_left;
    uint32_t control_left;
};

/* `streams_maximum`: how many the client may have at a time. It may lose interest in all of them at once. */
void h2_budget_start(struct h2_budget *budget, uint32_t streams_maximum, uint64_t now_ms);
/* False when the bucket is empty: the connection must end. */
bool h2_budget_spend(struct h2_budget *budget, enum h2_expense expense, uint64_t now_ms);
/* Pays for WINDOW_UPDATE, PING, SETTINGS and late resets; for nothing else. */
void h2_budget_credit(struct h2_budget *budget, enum h2_occasion occasion);

#endif
