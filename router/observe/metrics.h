#ifndef SLUICE_OBSERVE_METRICS_H
#define SLUICE_OBSERVE_METRICS_H
/*
 * What happened, counted. Each worker writes its own slice and nobody else writes to it; the admin route reads all slices and adds them up.
 * Relaxed atomics, so that reading from another thread is defined and counting stays one instruction.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/answer_cause.h"
#include "base/fault.h"
#include "base/grpc_status.h"
#include "base/memory_account.h"
#include "topology/topology.h"

/* Status codes by their first digit: 1xx to 5xx, and 0 for "the client was gone". */
#define METRICS_STATUS_GROUPS 6

/* Why a connection on a listener with proxy_protocol was closed; it never became a session. */
enum metrics_proxy_refusal {
    METRICS_PROXY_UNLISTED,  /* the sender is not in proxy_from */
    METRICS_PROXY_MALFORMED,
    METRICS_PROXY_TRUNCATED, /* closed inside the header */
    METRICS_PROXY_TIMEOUT,
    METRICS_PROXY_COUNT
};
/* "unlisted", ...: the word in logs and metrics. */
const char *metrics_proxy_refusal_name(enum metrics_proxy_refusal refusal);

struct metrics {
    atomic_ulong responses[REQUEST_CLASS_COUNT][METRICS_STATUS_GROUPS];
    atomic_ulong faults[FAULT_COUNT];   /* attempts and requests that ended in it */
    atomic_ulong grpc_responses[GRPC_STATUS_COUNT]; /* finished gRPC calls */
    atomic_ulong retries;               /* attempts after the first */
    atomic_ulong retries_spent;         /* tokens of the budget of repeats */
    atomic_ulong retries_waited;        /* repeats that had to wait for one */
    atomic_ulong retries_expired;       /* of them, those that waited until their deadline */
    atomic_ulong hedges;                /* queries that went to a second node beside the first */
    atomic_ulong hedges_won;            /* of them, those that the second one answered first */
    atomic_ulong ejections;             /* of nodes, each for one class */
    atomic_ulong node_errors[ANSWER_CAUSE_COUNT]; /* answers of nodes that are errors, by enum answer_cause */
    atomic_ulong request_bytes;
    atomic_ulong response_bytes;
    atomic_ulong sessions_opened;
    atomic_ulong sessions_closed;
    atomic_ulong sessions_shed;         /* idle, and told to go for want of room */
    atomic_ulong memory[MEMORY_KIND_COUNT]; /* bytes of traffic, by kind, about a second ago */
    atomic_ulong proxy_refusals[METRICS_PROXY_COUNT];
    atomic_ulong tls_handshakes_full;
    atomic_ulong tls_handshakes_resumed;
    atomic_ulong tls_handshake_failures;
};

static inline void metrics_add(atomic_ulong *counter, uint64_t amount)
{
    /* One writer: a load and a store suffice, no locked instruction. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* Adds `slices[0..count)` and writes them as Prometheus text (version 0.0.4) into a heap string that the caller frees; NULL without memory. */
char *metrics_format(const struct metrics *const *slices, size_t count, size_t *length);

#endif
