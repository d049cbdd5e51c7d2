#include "upstream/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/thread.h"
#include "net/wakeup.h"

const char *node_admin_name(enum node_admin admin)
{
    static const char *const names[] = {"ready", "drain", "maint"};
    return names[admin];
}

/* ---- the roster ---- */

struct roster *roster_create(void)
{
    struct roster *roster = calloc(1, sizeof *roster);
    if (roster == NULL)
        return NULL;
    roster->lock = lock_create();
    if (roster->lock == NULL) {
        free(roster);
        return NULL;
    }
    struct random_source source;
    random_seed_from_system(&source);
    uint32_t own = random_u32(&source);
    static const char *const versions[] = {
        [MESSAGE_HTTP_1_1] = "1.1", [MESSAGE_HTTP_1_0] = "1.0", [MESSAGE_HTTP_2] = "2.0"};
    for (unsigned i = 0; i < MESSAGE_VERSION_COUNT; i++)
        snprintf(roster->via[i], sizeof roster->via[i], "%s sluice-%08x", versions[i], own);
    return roster;
}

void roster_destroy(struct roster *roster)
{
    if (roster == NULL)
        return;
    lock_destroy(roster->lock);
    free(roster);
}

/* ---- nodes and slots ---- */

static struct roster_node *find(const struct roster *roster, const char *node_id, unsigned *free_slot)
{
    *free_slot = ROSTER_SLOTS;
    for (unsigned i = ROSTER_SLOTS; i-- > 0;) {
        if (roster->slots[i] == NULL)
            *free_slot = i;
        else if (strcmp(roster->slots[i]->node_id, node_id) == 0)
            return roster->slots[i];
    }
    return NULL;
}

static struct roster_node *make(struct roster *roster, const char *node_id, unsigned slot)
{
    size_t length = strlen(node_id) + 1;
    size_t bytes = (sizeof(struct roster_node) + length + 63) / 64 * 64;
    struct roster_node *node = aligned_alloc(64, bytes);
    if (node == NULL)
        return NULL;
    memset(node, 0, bytes);
    node->roster = roster;
    node->slot = slot;
    roster->admitted++;
    node->handle = roster->admitted * ROSTER_SLOTS + slot;
    if (node->handle < ROSTER_SLOTS) {
        roster->admitted++;
        node->handle += ROSTER_SLOTS;
    }
    memcpy(node->node_id, node_id, length);
    roster->slots[slot] = node;
    return node;
}

struct roster_node *roster_admit(struct roster *roster, const char *node_id, bool *is_full)
{
    unsigned slot;
    lock_take(roster->lock);
    struct roster_node *node = find(roster, node_id, &slot);
    *is_full = node == NULL && slot == ROSTER_SLOTS;
    if (node == NULL && !*is_full)
        node = make(roster, node_id, slot);
    if (node != NULL)
        roster_node_retain(node);
    lock_give(roster->lock);
    return node;
}

void roster_node_retain(struct roster_node *node)
{
    atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
}

void roster_node_release(struct roster_node *node)
{
    struct roster *roster = node->roster;
    /* Under the lock, so that roster_admit cannot find a node that is about to go. */
    lock_take(roster->lock);
    bool is_last = atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) == 1;
    if (is_last)
        roster->slots[node->slot] = NULL;
    lock_give(roster->lock);
    if (is_last)
        free(node);
}

/* ---- addresses ---- */

/* An address in a form that fits into four words. */
struct packed_address {
    uint16_t family; /* 0: none */
    uint16_t port;
    uint32_t scope;
    uint8_t bytes[16];
    uint64_t unused;
};
_Static_assert(sizeof(struct packed_address) == sizeof(uint64_t[4]), "four words");

void roster_node_set_address(struct roster_node *node, const struct address *address)
{
    struct packed_address packed = {.family = address->length == 0 ? 0 : address->socket.any.sa_family};
    if (packed.family == AF_INET) {
        packed.port = address->socket.v4.sin_port;
        memcpy(packed.bytes, &address->socket.v4.sin_addr, 4);
    } else if (packed.family != 0) {
        packed.port = address->socket.v6.sin6_port;
        packed.scope = address->socket.v6.sin6_scope_id;
        memcpy(packed.bytes, &address->socket.v6.sin6_addr, 16);
    }
    uint64_t words[4];
    memcpy(words, &packed, sizeof words);
    bool is_same = true;
    for (unsigned i = 0; i < 4; i++)
        is_same = is_same && atomic_load(&node->address_words[i]) == words[i];
    if (is_same)
        return;
    atomic_fetch_add(&node->address_version, 1);
    for (unsigned i = 0; i < 4; i++)
        atomic_store(&node->address_words[i], words[i]);
    atomic_fetch_add(&node->address_version, 1);
    atomic_fetch_add_explicit(&node->roster->addresses, 1, memory_order_release);
}

bool roster_node_get_address(const struct roster_node *node, struct address *address)
{
    struct packed_address packed;
    uint64_t words[4];
    unsigned before;
    do {
        before = atomic_load(&node->address_version);
        for (unsigned i = 0; i < 4; i++)
            words[i] = atomic_load(&node->address_words[i]);
    } while ((before & 1) != 0 || atomic_load(&node->address_version) != before);
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

/* ---- who may be used ---- */

bool roster_node_is_usable(const struct roster_node *node, enum request_class class)
{
    unsigned admin = atomic_load_explicit(&node->admin[class], memory_order_relaxed);
    return admin == NODE_ADMIN_READY && !roster_node_is_lost(node);
}

bool roster_node_is_lost(const struct roster_node *node)
{
    unsigned health = atomic_load_explicit(&node->health, memory_order_relaxed);
    unsigned failures = atomic_load_explicit(&node->connect_failures, memory_order_relaxed);
    return !health_is_usable((enum health_state)health, failures);
}

void roster_node_suspect(struct roster_node *node)
{
    if (atomic_exchange_explicit(&node->suspected, 1, memory_order_relaxed) == 0 && node->roster->suspicions != NULL)
        wakeup_send(node->roster->suspicions);
}

bool roster_node_is_down_by_probes(const struct roster_node *node, enum request_class class)
{
    return atomic_load_explicit(&node->health, memory_order_relaxed) == HEALTH_DOWN &&
           atomic_load_explicit(&node->tls_failed, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&node->connect_failures, memory_order_relaxed) < HEALTH_PASSIVE_FAILURES &&
           atomic_load_explicit(&node->admin[class], memory_order_relaxed) == NODE_ADMIN_READY;
}

bool roster_node_set_health(struct roster_node *node, enum health_state health)
{
    unsigned before = atomic_exchange_explicit(&node->health, health, memory_order_relaxed);
    if (before != (unsigned)health)
        roster_touch(node->roster);
    return before != (unsigned)health;
}

void roster_node_set_tls_failed(struct roster_node *node, bool failed)
{
    if (atomic_exchange_explicit(&node->tls_failed, failed, memory_order_relaxed) != (unsigned)failed)
        roster_touch(node->roster);
}

void roster_node_set_admin(struct roster_node *node, enum request_class class, enum node_admin admin)
{
    atomic_store_explicit(&node->admin[class], admin, memory_order_relaxed);
    roster_touch(node->roster);
}

unsigned roster_node_set_version(struct roster_node *node, unsigned version)
{
    unsigned before = atomic_exchange_explicit(&node->http_version, version, memory_order_relaxed);
    if (before != version)
        roster_touch(node->roster);
    return before;
}

uint64_t roster_node_silent_ms(const struct roster_node *node, uint64_t now_ms)
{
    uint64_t heard_ms = atomic_load_explicit(&node->heard_ms, memory_order_relaxed);
    if (atomic_load_explicit(&node->outstanding, memory_order_relaxed) == 0 || heard_ms >= now_ms)
        return 0;
    return now_ms - heard_ms;
}

void roster_node_forget_place(struct roster_node *node)
{
    roster_node_set_version(node, 0);
    atomic_store_explicit(&node->http2_streams, 0, memory_order_relaxed);
    roster_node_note_connect(node, false);
}

void roster_node_note_connect(struct roster_node *node, bool failed)
{
    if (failed) {
        unsigned before = atomic_fetch_add_explicit(&node->connect_failures, 1, memory_order_relaxed);
        if (before + 1 == HEALTH_PASSIVE_FAILURES)
            roster_touch(node->roster);
    } else if (atomic_load_explicit(&node->connect_failures, memory_order_relaxed) != 0) {
        unsigned before = atomic_exchange_explicit(&node->connect_failures, 0, memory_order_relaxed);
        if (before >= HEALTH_PASSIVE_FAILURES)
            roster_touch(node->roster);
    }
}

/* ---- repeats ---- */

bool roster_take_retry(struct roster *roster, const struct retry_budget_rates *rates, uint64_t now_ms, uint64_t *wait_ms)
{
    lock_take(roster->lock);
    retry_budget_fill(&roster->retry_budget, rates, atomic_exchange_explicit(&roster->requests, 0, memory_order_relaxed), now_ms);
    bool is_taken = retry_budget_take(&roster->retry_budget);
    *wait_ms = retry_budget_wait_ms(&roster->retry_budget, rates);
    lock_give(roster->lock);
    return is_taken;
}
