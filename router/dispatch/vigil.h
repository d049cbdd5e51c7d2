#ifndef SLUICE_DISPATCH_VIGIL_H
#define SLUICE_DISPATCH_VIGIL_H
/*
 * Who waits for a node, and whether the node is still there. A few times a second, and only while somebody waits: a node that has said nothing for
 * 2 s to any of them is suspected, so that it is probed at once; and those who wait for a node that is lost hear of it.
 */
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "upstream/roster.h"

struct pool;
struct pool_verbs;

struct vigil_events {
    /* With each look. May end the vigil. */
    void (*on_look)(void *owner);
    /* Since when the node has owed something and said nothing; UINT64_MAX: it owes nothing now. */
    uint64_t (*silent_since_ms)(const void *owner);
    /* The node is lost. Comes again while the owner keeps waiting for it. */
    void (*on_lost)(void *owner);
};

/* Embedded in whoever waits; zero it before first use. */
struct vigil {
    struct list_node node;
    const struct vigil_events *events;
    void *owner;
    struct roster_node *of; /* ref; NULL: it is not kept */
};

/* Of one worker. */
struct vigils {
    struct loop *loop;
    const struct pool_verbs *pool_verbs;
    struct pool *pool;
    struct list kept;       /* of struct vigil */
    struct loop_timer timer;
    uint64_t heard_ms[ROSTER_SLOTS];     /* when the node answered somebody last */
    uint64_t suspected_ms[ROSTER_SLOTS]; /* when it was suspected last */
};

void vigils_init(struct vigils *vigils, struct loop *loop, const struct pool_verbs *verbs, struct pool *pool);
/* No vigil may be left. */
void vigils_clear(struct vigils *vigils);

/* `vigil->events` and `owner` are set. */
void vigil_begin(struct vigils *vigils, struct vigil *vigil, struct roster_node *of);
/* Harmless when it is not kept. */
void vigil_end(struct vigils *vigils, struct vigil *vigil);

/* The node has answered: it is there. */
static inline void vigils_note(struct vigils *vigils, const struct roster_node *of, uint64_t now_ms)
{
    vigils->heard_ms[of->slot] = now_ms;
}

#endif
