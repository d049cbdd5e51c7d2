#include "upstream/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "upstream/epoch.h"

/* A node whose url has a name. */
struct name {
    struct names *names;
    struct roster_node *node;          /* owned reference */
    char *host;                        /* owned */
    uint16_t port;
    struct resolver_request *question; /* under way, or NULL */
    struct loop_timer timer;
};

struct names {
    struct loop *loop;
    struct resolver *resolver;
    struct name *of_slot[ROSTER_SLOTS];
};

/* ---- one name ---- */

static void on_resolved(void *owner, const struct resolver_answer *answer)
{
    struct name *name = owner;
    struct loop *loop = name->names->loop;
    name->question = NULL;
    if (answer->count > 0)
        roster_node_set_address(name->node, &answer->addresses[0]);
    else
        log_line(LOG_LEVEL_WARNING, "event=resolve_failed node=%s reason=\"%s\"", name->node->node_id, answer->reason);
    loop_timer_set(loop, &name->timer, loop_now_ms(loop) + NAMES_RESOLVE_MS);
}

static void on_timer(void *owner)
{
    struct name *name = owner;
    struct loop *loop = name->names->loop;
    name->question = resolver_start(name->names->resolver, name->host, name->port, on_resolved, name);
    if (name->question == NULL)
        loop_timer_set(loop, &name->timer, loop_now_ms(loop) + NAMES_RESOLVE_MS);
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
