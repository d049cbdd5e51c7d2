#ifndef SLUICE_UPSTREAM_FAIR_QUEUE_H
#define SLUICE_UPSTREAM_FAIR_QUEUE_H
/*
 * Who waits for a node, by client: each client in turn, so that one that asks for much waits behind its own requests and not before those of others.
 * Stochastic fairness queueing (McKenney, 1990): clients share a bounded number of buckets by a hash that nobody outside knows; two in one bucket are
 * one to the queue. Within a client first come, first served; once the queue has stood for FAIR_QUEUE_STANDING_MS the newest first, because those at the
 * front will not be served in time anyhow. All but fair_queue_longest takes a few steps. Pure: time is an argument.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define FAIR_QUEUE_BUCKETS 64
/* A queue that has not been empty for so long is no burst. */
#define FAIR_QUEUE_STANDING_MS 500

/* Embedded in whoever waits. */
struct fair_entry {
    struct list_node node;
    uint64_t client;       /* the same for each request of a client; set before it waits */
};

struct fair_bucket {
    struct list_node turn; /* linked while it has entries */
    struct list entries;
    unsigned held;         /* by its clients, of what is waited for; counted by the queue's owner */
};

struct fair_queue {
    struct list turns;     /* of struct fair_bucket: the first is next */
    size_t count;          /* of entries */
    uint64_t seed;
    uint64_t since_ms;     /* when it was empty last; while it has entries */
    struct fair_bucket buckets[FAIR_QUEUE_BUCKETS];
};

void fair_queue_init(struct fair_queue *queue, uint64_t seed);
/* Where the client's entries wait, and what it holds is counted. */
struct fair_bucket *fair_queue_bucket(struct fair_queue *queue, uint64_t client);

void fair_queue_put(struct fair_queue *queue, struct fair_entry *entry, uint64_t now_ms);
/* It waits no more; its client's turn stays where it is. */
void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry);
/* The same for one that is served: its client's next turn comes behind those of all others. */
void fair_queue_serve(struct fair_queue *queue, struct fair_entry *entry);

/*
 * In the order of service: the first one, or the one after `entry`; NULL: there is none. First one of the client whose turn it is, then its others,
 * then the next client's. No entry may come or go between two of these calls.
 */
struct fair_entry *fair_queue_first(struct fair_queue *queue, uint64_t now_ms);
struct fair_entry *fair_queue_next(struct fair_queue *queue, struct fair_entry *entry, uint64_t now_ms);
/* The first one of the next client behind `bucket`; NULL: there is none. */
struct fair_entry *fair_queue_first_behind(struct fair_queue *queue, struct fair_bucket *bucket, uint64_t now_ms);

/* The bucket with the most entries; NULL when nobody waits. Looks at each. */
struct fair_bucket *fair_queue_longest(struct fair_queue *queue);
/* Of a bucket that has entries: who has waited longest. */
struct fair_entry *fair_bucket_oldest(struct fair_bucket *bucket);

#endif
