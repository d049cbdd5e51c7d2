#include "upstream/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "upstream/epoch.h"

/* The least time between two questions. */
#define LOOK_LEAST_MS 1000

/* A node whose url has a name. */
struct name {
    struct names *names;
    struct roster_node *node;          /* owned reference */
    char *host;                        /* owned */
    uint16_t port;
    struct resolver_request *question; /* under way, or NULL */
    uint64_t asked_ms;                 /* the last time */
    unsigned failures;                 /* in a row */
    size_t place_count;
    struct address places[NAMES_PLACES_MAXIMUM]; /* of the last good answer */
    struct loop_timer timer;
};

struct names {
    struct loop *loop;
    struct resolver *resolver;
    names_on_moved *on_moved;
    void *owner;
    struct name *of_slot[ROSTER_SLOTS];
};

/* ---- one name ---- */

/* How long the answer to the last question holds. */
static uint64_t hold_ms(unsigned failures, unsigned ttl_s)
{
    if (failures > 0) {
        uint64_t retry_ms = (uint64_t)LOOK_LEAST_MS << (failures < 6 ? failures - 1 : 5);
        return retry_ms < NAMES_RETRY_MAXIMUM_MS ? retry_ms : NAMES_RETRY_MAXIMUM_MS;
    }
    uint64_t ttl_ms = ttl_s == 0 ? NAMES_HOLD_MS : (uint64_t)ttl_s * 1000;
    return ttl_ms < NAMES_HOLD_MAXIMUM_MS ? ttl_ms : NAMES_HOLD_MAXIMUM_MS;
}

static bool has_place(const struct name *name, const struct address *address)
{
    for (size_t i = 0; i < name->place_count; i++) {
        if (address_same_host(&name->places[i], address))
            return true;
    }
    return false;
}

static void put_at(struct roster_node *node, const struct address *place)
{
    char words[ADDRESS_TEXT_BYTES];
    roster_node_set_address(node, place);
    log_line(LOG_LEVEL_INFO, "event=node_address node=%s address=%s", node->node_id, address_format(place, words, sizeof words));
}

/* The node stays where it is, if the name still says so. */
static void settle(struct name *name)
{
    struct address present;
    if (roster_node_get_address(name->node, &present) && has_place(name, &present))
        return;
    put_at(name->node, &name->places[0]);
    if (name->names->on_moved != NULL)
        name->names->on_moved(name->names->owner, name->node);
}

static void on_resolved(void *owner, const struct resolver_answer *answer)
{
    struct name *name = owner;
    struct loop *loop = name->names->loop;
    name->question = NULL;
    name->failures = answer->count > 0 ? 0 : name->failures + 1;
    loop_timer_set(loop, &name->timer, loop_now_ms(loop) + hold_ms(name->failures, answer->ttl_s));
    if (answer->count == 0) {
        log_line(LOG_LEVEL_WARNING, "event=resolve_failed node=%s reason=\"%s\"", name->node->node_id, answer->reason);
        return;
    }
    name->place_count = answer->count < NAMES_PLACES_MAXIMUM ? answer->count : NAMES_PLACES_MAXIMUM;
    memcpy(name->places, answer->addresses, name->place_count * sizeof *name->places);
    settle(name);
}

static void on_timer(void *owner)
{
    struct name *name = owner;
    struct loop *loop = name->names->loop;
    name->asked_ms = loop_now_ms(loop);
    name->question = resolver_start(name->names->resolver, name->host, name->port, on_resolved, name);
    if (name->question != NULL)
        return;
    name->failures++;
    loop_timer_set(loop, &name->timer, loop_now_ms(loop) + hold_ms(name->failures, 0));
}

static void forget(struct name *name)
{
    struct names *names = name->names;
    names->of_slot[name->node->slot] = NULL;
    loop_timer_clear(names->loop, &name->timer);
    resolver_cancel(name->question);
    roster_node_release(name->node);
    free(name->host);
    free(name);
}

static bool begin(struct names *names, struct roster_node *node, const char *host, uint16_t port)
{
    struct name *name = calloc(1, sizeof *name);
    char *own_host = strdup(host);
    if (name == NULL || own_host == NULL) {
        free(name);
        free(own_host);
        return false;
    }
    *name = (struct name){.names = names, .node = node, .host = own_host, .port = port};
    roster_node_retain(node);
    names->of_slot[node->slot] = name;
    loop_timer_init(&name->timer, on_timer, name);
    loop_timer_set(names->loop, &name->timer, loop_now_ms(names->loop));
    return true;
}

/* ---- epochs ---- */

/* A literal is the address; a name that is the same as before goes on, another one is asked for. */
static bool look_after(struct names *names, struct roster_node *node, const struct topology_node *configured)
{
    struct name *known = names->of_slot[node->slot];
    struct address address, before;
    if (known != NULL && strcmp(known->host, configured->host) == 0 && known->port == configured->port)
        return true;
    if (known != NULL)
        forget(known);
    if (!address_parse(configured->host, configured->port, &address)) {
        /* Until the answer comes the node has no address: the one before is that of somebody else now. */
        roster_node_set_address(node, &(struct address){.length = 0});
        return begin(names, node, configured->host, configured->port);
    }
    bool is_known = roster_node_get_address(node, &before) && address_port(&before) == address_port(&address) &&
                    address_same_host(&before, &address);
    if (!is_known)
        roster_node_set_address(node, &address);
    return true;
}

bool names_apply(struct names *names, struct epoch *epoch)
{
    bool is_complete = true;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (names->of_slot[i] != NULL && epoch_find(epoch, names->of_slot[i]->node) < 0)
            forget(names->of_slot[i]);
    }
    for (unsigned i = 0; i < epoch->topology->node_count; i++)
        is_complete = look_after(names, epoch->nodes[i], &epoch->topology->nodes[i]) && is_complete;
    return is_complete;
}

/* ---- places ---- */

static struct name *name_of(const struct names *names, const struct roster_node *node)
{
    struct name *name = names->of_slot[node->slot];
    return name != NULL && name->node == node ? name : NULL;
}

size_t names_places(const struct names *names, const struct roster_node *node, struct address places[NAMES_PLACES_MAXIMUM])
{
    const struct name *name = name_of(names, node);
    if (!roster_node_get_address(node, &places[0]))
        return 0;
    size_t count = 1;
    for (size_t i = 0; name != NULL && i < name->place_count && count < NAMES_PLACES_MAXIMUM; i++) {
        if (!address_same_host(&name->places[i], &places[0]))
            places[count++] = name->places[i];
    }
    return count;
}

void names_confirm(struct names *names, struct roster_node *node, const struct address *place)
{
    const struct name *name = name_of(names, node);
    struct address present;
    bool is_known = roster_node_get_address(node, &present) && address_same_host(&present, place);
    /* The answer may have changed since the place was asked for. */
    if (is_known || name == NULL || !has_place(name, place))
        return;
    put_at(node, place);
}

void names_ask_again(struct names *names, const struct roster_node *node)
{
    struct name *name = name_of(names, node);
    if (name == NULL || name->question != NULL)
        return;
    uint64_t now_ms = loop_now_ms(names->loop);
    uint64_t earliest_ms = name->asked_ms + LOOK_LEAST_MS;
    uint64_t at_ms = earliest_ms > now_ms ? earliest_ms : now_ms;
    if (loop_timer_is_set(&name->timer) && name->timer.deadline_ms > at_ms)
        loop_timer_set(names->loop, &name->timer, at_ms);
}

/* ---- life ---- */

struct names *names_create(struct loop *loop)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return NULL;
    names->loop = loop;
    names->resolver = resolver_create(loop);
    if (names->resolver == NULL) {
        free(names);
        return NULL;
    }
    return names;
}

void names_set_listener(struct names *names, names_on_moved *on_moved, void *owner)
{
    names->on_moved = on_moved;
    names->owner = owner;
}

void names_destroy(struct names *names)
{
    if (names == NULL)
        return;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (names->of_slot[i] != NULL)
            forget(names->of_slot[i]);
    }
    resolver_destroy(names->resolver);
    free(names);
}
