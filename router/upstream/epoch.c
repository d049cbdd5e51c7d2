#include "upstream/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "routing/classify.h"
#include "upstream/node_tls.h"

static bool admit_nodes(struct epoch *epoch, char *reason, size_t capacity)
{
    const struct topology *topology = epoch->topology;
    memset(epoch->index_of_slot, 0xff, sizeof epoch->index_of_slot);
    for (unsigned i = 0; i < topology->node_count; i++) {
        bool is_full;
        epoch->nodes[i] = roster_admit(epoch->roster, topology->nodes[i].node_id, &is_full);
        if (epoch->nodes[i] == NULL) {
            if (is_full)
                text_append(reason, capacity, 0,
                            "too many nodes of earlier configurations still have requests under way; reload again later");
            return false;
        }
        epoch->index_of_slot[epoch->nodes[i]->slot] = (uint16_t)i;
    }
    return true;
}

struct epoch *epoch_create(struct roster *roster, struct topology *topology, uint64_t number, char *reason, size_t capacity)
{
    struct epoch *epoch = calloc(1, sizeof *epoch + topology->node_count * sizeof epoch->nodes[0]);
    text_append(reason, capacity, 0, "out of memory");
    if (epoch == NULL)
        return NULL;
    topology_retain(topology);
    epoch->topology = topology;
    epoch->roster = roster;
    epoch->number = number;
    atomic_init(&epoch->references, 1);
    if (admit_nodes(epoch, reason, capacity))
        epoch->classifier = classifier_create(topology);
    if (epoch->classifier != NULL)
        epoch->tls = node_tls_create(topology, reason, capacity);
    if (epoch->tls == NULL) {
        epoch_release(epoch);
        return NULL;
    }
    return epoch;
}

void epoch_retain(struct epoch *epoch)
{
    atomic_fetch_add_explicit(&epoch->references, 1, memory_order_relaxed);
}

void epoch_release(struct epoch *epoch)
{
    if (epoch == NULL || atomic_fetch_sub_explicit(&epoch->references, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        if (epoch->nodes[i] != NULL)
            roster_node_release(epoch->nodes[i]);
    }
    node_tls_destroy(epoch->tls);
    classifier_destroy(epoch->classifier);
    topology_release(epoch->topology);
    free(epoch);
}

int epoch_find(const struct epoch *epoch, const struct roster_node *node)
{
    uint16_t index = epoch->index_of_slot[node->slot];
    return index != EPOCH_NO_INDEX && epoch->nodes[index] == node ? (int)index : -1;
}

int epoch_find_handle(const struct epoch *epoch, roster_handle handle)
{
    uint16_t index = epoch->index_of_slot[handle % ROSTER_SLOTS];
    return index != EPOCH_NO_INDEX && epoch->nodes[index]->handle == handle ? (int)index : -1;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool epoch_is_same_place(const struct topology_node *a, const struct topology_node *b)
{
    return is_same(a->host, b->host) && a->port == b->port && a->is_tls == b->is_tls && a->http == b->http &&
           is_same(a->server_name, b->server_name) && a->tls.verify == b->tls.verify && is_same(a->tls.ca, b->tls.ca) &&
           a->tls.minimum_version == b->tls.minimum_version && is_same(a->tls.pair.certificate, b->tls.pair.certificate);
}

bool epoch_has_other_up(const struct epoch *epoch, unsigned index)
{
    const struct topology *topology = epoch->topology;
    for (unsigned i = 0; i < topology->node_count; i++) {
        bool is_alike = (topology->nodes[i].capabilities & topology->nodes[index].capabilities) != 0;
        if (i != index && is_alike && atomic_load_explicit(&epoch->nodes[i]->health, memory_order_relaxed) == HEALTH_UP)
            return true;
    }
    return false;
}
