#include "upstream/node_tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "upstream/cluster.h"

struct node_tls {
    const struct topology *topology; /* ref */
    struct tls_client *clients[TOPOLOGY_NODES_MAXIMUM]; /* by the first node that has these settings */
    struct tls_peer *peers[TOPOLOGY_NODES_MAXIMUM];
};

static bool is_same_path(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct topology_node_tls *a, const struct topology_node_tls *b)
{
    return a->verify == b->verify && a->minimum_version == b->minimum_version && is_same_path(a->ca, b->ca) &&
           is_same_path(a->pair.certificate, b->pair.certificate) && is_same_path(a->pair.key, b->pair.key);
}

static struct tls_client *find_client(const struct node_tls *node_tls, unsigned node)
{
    for (unsigned i = 0; i < node; i++) {
        if (node_tls->clients[i] != NULL && is_same(&node_tls->topology->nodes[i].tls, &node_tls->topology->nodes[node].tls))
            return node_tls->clients[i];
    }
    return NULL;
}

static bool create_peer(struct node_tls *node_tls, unsigned index, char *reason, size_t capacity)
{
    const struct topology_node *node = &node_tls->topology->nodes[index];
    struct tls_client *client = find_client(node_tls, index);
    if (client == NULL) {
        struct tls_client_settings settings = {
            .ca = node->tls.ca,
            .pair = node->tls.pair,
            .is_unverified = !node->tls.verify,
            .minimum_version = node->tls.minimum_version,
        };
        client = tls_client_create(&settings, reason, capacity);
        if (client == NULL)
            return false;
        node_tls->clients[index] = client;
    }
    text_append(reason, capacity, 0, "out of memory");
    node_tls->peers[index] = tls_peer_create(client, node->server_name != NULL ? node->server_name : node->host);
    return node_tls->peers[index] != NULL;
}

struct node_tls *node_tls_create(const struct topology *topology, char *reason, size_t capacity)
{
    struct node_tls *node_tls = calloc(1, sizeof *node_tls);
    text_append(reason, capacity, 0, "out of memory");
    if (node_tls == NULL)
        return NULL;
    node_tls->topology = topology;
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (topology->nodes[i].is_tls && !create_peer(node_tls, i, reason, capacity)) {
            node_tls_destroy(node_tls);
            return NULL;
        }
    }
    return node_tls;
}

void node_tls_destroy(struct node_tls *node_tls)
{
    if (node_tls == NULL)
        return;
    for (unsigned i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++)
        tls_peer_destroy(node_tls->peers[i]);
    for (unsigned i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++)
        tls_client_destroy(node_tls->clients[i]);
    free(node_tls);
}

void node_tls_refresh(struct node_tls *node_tls)
{
    for (unsigned i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++) {
        if (node_tls->clients[i] != NULL)
            tls_client_refresh(node_tls->clients[i]);
    }
}

bool node_tls_open(const struct cluster *cluster, unsigned node, enum tls_offer offer, struct tls_channel **channel)
{
    *channel = NULL;
    if (!cluster->topology->nodes[node].is_tls)
        return true;
    struct tls_peer *peer = cluster->tls == NULL ? NULL : cluster->tls->peers[node];
    if (peer != NULL)
        *channel = tls_peer_open(peer, offer);
    return *channel != NULL;
}

enum tls_offer node_tls_offer(const struct cluster *cluster, unsigned node)
{
    static const enum tls_offer offers[] = {
        [TOPOLOGY_HTTP_AUTO] = TLS_OFFER_BOTH,
        [TOPOLOGY_HTTP_1] = TLS_OFFER_HTTP_1_1,
        [TOPOLOGY_HTTP_2] = TLS_OFFER_HTTP_2,
    };
    return offers[cluster->topology->nodes[node].http];
}

struct text node_tls_scheme(const struct cluster *cluster, unsigned node)
{
    return cluster->topology->nodes[node].is_tls ? TEXT("https") : TEXT("http");
}
