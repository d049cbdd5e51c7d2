#ifndef SLUICE_UPSTREAM_NODE_TLS_H
#define SLUICE_UPSTREAM_NODE_TLS_H
/*
 * TLS to the nodes of a cluster: a tls_peer for each one with an https url, nodes with the same settings sharing a tls_client. Workers and
 * probes open channels through the cluster; the control thread refreshes.
 */
#include <stdbool.h>
#include <stddef.h>

#include "net/tls_client.h"

struct cluster;
struct node_tls;
struct tls_channel;
struct topology;

/* NULL with a sentence in `reason`. Without https nodes there is nothing in it. */
struct node_tls *node_tls_create(const struct topology *topology /* ref */, char *reason, size_t capacity);
/* NULL is allowed. After all channels are gone. */
void node_tls_destroy(struct node_tls *node_tls);
/* Reads files again that have changed (tls_client_refresh). */
void node_tls_refresh(struct node_tls *node_tls);

/*
 * For one connection to a node: *channel, NULL where the node speaks clear text. False when a channel is needed and there is none (no
 * memory): then the connection must not be made, or tokens would go out in the clear.
 */
bool node_tls_open(const struct cluster *cluster, unsigned node, enum tls_offer offer, struct tls_channel **channel)
    __attribute__((warn_unused_result));

/* What ALPN offers to a node, by its configuration; and the scheme of requests to it, "http" or "https". */
enum tls_offer node_tls_offer(const struct cluster *cluster, unsigned node);
struct text node_tls_scheme(const struct cluster *cluster, unsigned node);

#endif
