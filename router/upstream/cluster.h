#ifndef SLUICE_UPSTREAM_CLUSTER_H
#define SLUICE_UPSTREAM_CLUSTER_H
/*
 * What all threads know of the cluster at run time: per-node atomics and a few cursors. Besides the immutable topology it is the
 * only thing that workers share. Health and addresses are written by the control thread alone; workers count
 * connection failures and exchanges under way. Made by cluster_create, kept until all threads have ended.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/message.h"
#include "net/address.h"
#include "routing/balance.h"
#include "routing/health.h"
#include "topology/topology.h"

struct node_tls;

/* Each on its own cache lines, because workers count on them all the time. */
struct cluster_node {
    _Alignas(64) atomic_uint outstanding;  /* attempts under way, all workers */
    atomic_uint health;                    /* enum health_state; writer: control */
    atomic_uint connect_failures;          /* in a row, live traffic; reset by a success or a good probe */
    atomic_uint http_version;              /* 0: not known yet, 1, 2; writer: control */
    atomic_uint http2_streams;             /* that it allows on a connection, 0: not known yet; any thread that learns it */
    atomic_ulong requests;                 /* attempts begun since start */
    atomic_ulong failures;                 /* attempts that ended in a fault of the node */
    atomic_uint address_version;           /* odd while the address is being written (a sequence lock) */
    _Atomic uint64_t address_words[4];     /* struct cluster_address, in words */
};

struct cluster {
    const struct topology *topology;       /* ref, counted by the owner */
    atomic_ulong writeback_cursor;         /* strict round robin over all workers */
    atomic_int catalog_node;               /* the sticky node of class catalog, or -1 */
    atomic_uint draining;                  /* SIGTERM was seen */
    struct node_tls *tls;                  /* ref: set before any thread starts; NULL only where no node speaks TLS */
    uint64_t started_ms;
    char via[MESSAGE_VERSION_COUNT][40];   /* by the version that came in: "1.1 sluice-" and 8 hexadecimal digits, random for each process */
    struct cluster_node nodes[TOPOLOGY_NODES_MAXIMUM];
};

/* NULL when memory is out. Addresses of nodes whose host is a literal are set; names wait for the resolver. */
struct cluster *cluster_create(const struct topology *topology /* ref */);
void cluster_destroy(struct cluster *cluster);

/* Control only. */
void cluster_set_address(struct cluster *cluster, unsigned node, const struct address *address);
/* False while the node has no address. */
bool cluster_get_address(const struct cluster *cluster, unsigned node, struct address *address);

/* The nodes that may get traffic now, as a mask of indices. */
uint64_t cluster_usable_nodes(const struct cluster *cluster);

/* The nodes that a gRPC call can be sent to: all but those that are known to speak HTTP/1 only. */
uint64_t cluster_http2_nodes(const struct cluster *cluster);

/* Live traffic saw a connect-class failure, or a connection that came about. */
void cluster_note_connect(struct cluster *cluster, unsigned node, bool failed);

/* True when `address` belongs to a process-capable node and is no loopback address: the source of plugin write-back. */
bool cluster_is_process_node(const struct cluster *cluster, const struct address *address);

#endif
