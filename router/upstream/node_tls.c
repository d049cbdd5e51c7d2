#include "upstream/node_tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/tls_client.h"
#include "topology/topology.h"

/* Both by the index of a node. */
struct node_tls {
    const struct topology *topology; /* ref */
    struct tls_client **clients;     /* of the first node that has these settings; else NULL */
    struct tls_peer **peers;
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
    node_tls->clients = calloc(topology->node_count + 1, sizeof node_tls->clients[0]);
    node_tls->peers = calloc(topology->node_count + 1, sizeof node_tls->peers[0]);
    bool is_complete = node_tls->clients != NULL && node_tls->peers != NULL;
    for (unsigned i = 0; is_complete && i < topology->node_count; i++)
        is_complete = !topology->nodes[i].is_tls || create_peer(node_tls, i, reason, capacity);
    if (is_complete)
        return node_tls;
    node_tls_destroy(node_tls);
    return NULL;
}

void node_tls_destroy(struct node_tls *node_tls)
{
    if (node_tls == NULL)
        return;
    for (unsigned i = 0; node_tls->peers != NULL && i < node_tls->topology->node_count; i++)
        tls_peer_destroy(node_tls->peers[i]);
    for (unsigned i = 0; node_tls->clients != NULL && i < node_tls->topology->node_count; i++)
        tls_client_destroy(node_tls->clients[i]);
    free(node_tls->clients);
    free(node_tls->peers);
    free(node_tls);
}

void node_tls_refresh(struct node_tls *node_tls)
{
    for (unsigned i = 0; i < node_tls->topology->node_count; i++) {
        if (node_tls->clients[i] != NULL)
            tls_client_refresh(node_tls->clients[i]);
    }
}

bool node_tls_open(const struct node_tls *node_tls, unsigned index, struct tls_channel **channel)
{
    static const enum tls_offer offers[] = {
        [TOPOLOGY_HTTP_AUTO] = TLS_OFFER_BOTH,
        [TOPOLOGY_HTTP_1] = TLS_OFFER_HTTP_1_1,
        [TOPOLOGY_HTTP_2] = TLS_OFFER_HTTP_2,
    };
    const struct topology_node *node = &node_tls->topology->nodes[index];
    *channel = node->is_tls ? tls_peer_open(node_tls->peers[index], offers[node->http]) : NULL;
    return *channel != NULL || !node->is_tls;
}
