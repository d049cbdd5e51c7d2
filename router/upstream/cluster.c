#include "upstream/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/* An address in a form that fits into four words. */
struct cluster_address {
    uint16_t family; /* 0: none */
    uint16_t port;
    uint32_t scope;
    uint8_t bytes[16];
    uint64_t unused;
};
_Static_assert(sizeof(struct cluster_address) == sizeof(uint64_t[4]), "four words");

struct cluster *cluster_create(const struct topology *topology)
{
    struct cluster *cluster = aligned_alloc(64, sizeof *cluster);
    if (cluster == NULL)
        return NULL;
    memset(cluster, 0, sizeof *cluster);
    cluster->topology = topology;
    atomic_store(&cluster->catalog_node, -1);
    struct random_source random;
    random_seed_from_system(&random);
    uint32_t own = random_u32(&random);
    static const char *const versions[] = {
        [MESSAGE_HTTP_1_1] = "1.1", [MESSAGE_HTTP_1_0] = "1.0", [MESSAGE_HTTP_2] = "2.0"};
    for (unsigned i = 0; i < MESSAGE_VERSION_COUNT; i++)
        snprintf(cluster->via[i], sizeof cluster->via[i], "%s sluice-%08x", versions[i], own);
    for (unsigned i = 0; i < topology->node_count; i++) {
        struct address address;
        if (topology->nodes[i].host != NULL && address_parse(topology->nodes[i].host, topology->nodes[i].port, &address))
            cluster_set_address(cluster, i, &address);
    }
    return cluster;
}

void cluster_destroy(struct cluster *cluster)
{
    free(cluster);
}

void cluster_set_address(struct cluster *cluster, unsigned node, const struct address *address)
{
    struct cluster_address packed = {.family = address->socket.any.sa_family};
    if (packed.family == AF_INET) {
        packed.port = address->socket.v4.sin_port;
        memcpy(packed.bytes, &address->socket.v4.sin_addr, 4);
    } else {
        packed.port = address->socket.v6.sin6_port;
        packed.scope = address->socket.v6.sin6_scope_id;
        memcpy(packed.bytes, &address->socket.v6.sin6_addr, 16);
    }
    uint64_t words[4];
    memcpy(words, &packed, sizeof words);
    struct cluster_node *shared = &cluster->nodes[node];
    atomic_fetch_add(&shared->address_version, 1);
    for (unsigned i = 0; i < 4; i++)
        atomic_store(&shared->address_words[i], words[i]);
    atomic_fetch_add(&shared->address_version, 1);
}

bool cluster_get_address(const struct cluster *cluster, unsigned node, struct address *address)
{
    const struct cluster_node *shared = &cluster->nodes[node];
    struct cluster_address packed;
    uint64_t words[4];
    unsigned before;
    do {
        before = atomic_load(&shared->address_version);
        for (unsigned i = 0; i < 4; i++)
            words[i] = atomic_load(&shared->address_words[i]);
    } while ((before & 1) != 0 || atomic_load(&shared->address_version) != before);
    memcpy(&packed, words, sizeof packed);
    memset(address, 0, sizeof *address);
    if (packed.family == 0)
        return false;
    address->socket.any.sa_family = packed.family;
    if (packed.family == AF_INET) {
        address->socket.v4.sin_port = packed.port;
        memcpy(&address->socket.v4.sin_addr, packed.bytes, 4);
        address->length = sizeof address->socket.v4;
    } else {
        address->socket.v6.sin6_port = packed.port;
        address->socket.v6.sin6_scope_id = packed.scope;
        memcpy(&address->socket.v6.sin6_addr, packed.bytes, 16);
        address->length = sizeof address->socket.v6;
    }
    return true;
}

uint64_t cluster_usable_nodes(const struct cluster *cluster)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < cluster->topology->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        unsigned health = atomic_load_explicit(&node->health, memory_order_relaxed);
        unsigned failures = atomic_load_explicit(&node->connect_failures, memory_order_relaxed);
        if (health_is_usable((enum health_state)health, failures))
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

uint64_t cluster_http2_nodes(const struct cluster *cluster)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < cluster->topology->node_count; i++) {
        unsigned found = atomic_load_explicit(&cluster->nodes[i].http_version, memory_order_relaxed);
        enum topology_http configured = cluster->topology->nodes[i].http;
        if (configured == TOPOLOGY_HTTP_2 || (configured == TOPOLOGY_HTTP_AUTO && found != 1))
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

void cluster_note_connect(struct cluster *cluster, unsigned node, bool failed)
{
    struct cluster_node *shared = &cluster->nodes[node];
    if (failed)
        atomic_fetch_add_explicit(&shared->connect_failures, 1, memory_order_relaxed);
    else if (atomic_load_explicit(&shared->connect_failures, memory_order_relaxed) != 0)
        atomic_store_explicit(&shared->connect_failures, 0, memory_order_relaxed);
}

bool cluster_is_process_node(const struct cluster *cluster, const struct address *address)
{
    if (address->length == 0 || address_is_loopback(address))
        return false;
    for (unsigned i = 0; i < cluster->topology->node_count; i++) {
        struct address own;
        if ((cluster->topology->nodes[i].capabilities & NODE_CAPABILITY_PROCESS) != 0 &&
            cluster_get_address(cluster, i, &own) && address_same_host(&own, address))
            return true;
    }
    return false;
}
