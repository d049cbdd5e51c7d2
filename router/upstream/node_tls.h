#ifndef SLUICE_UPSTREAM_NODE_TLS_H
#define SLUICE_UPSTREAM_NODE_TLS_H
/*
 * TLS to the nodes of one topology: a tls_peer for each one with an https url, nodes with the same settings sharing a tls_client. An epoch owns
 * it; workers and probes open channels through it, the control thread refreshes.
 */
#include <stdbool.h>
#include <stddef.h>

struct node_tls;
struct tls_channel;
struct topology;

/* NULL with a sentence in `reason`. Without https nodes there is nothing in it. `topology` must outlive it. */
struct node_tls *node_tls_create(const struct topology *topology, char *reason, size_t capacity);
/* NULL is allowed. Channels that are open go on. */
void node_tls_destroy(struct node_tls *node_tls);
/* Reads files again that have changed (tls_client_refresh). */
void node_tls_refresh(struct node_tls *node_tls);

/*
 * For one connection to the node of this index: *channel, NULL where the node speaks clear text. ALPN offers what the node's `http` allows.
 * False when a channel is needed and there is none (no memory): then the connection must not be made, or tokens would go out in the clear.
 */
bool node_tls_open(const struct node_tls *node_tls, unsigned index, struct tls_channel **channel)
    __attribute__((warn_unused_result));

#endif
