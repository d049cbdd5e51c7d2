#include "dispatch/vigil.h"

#include "upstream/pool.h"

#define LOOK_MS 250
#define SILENCE_MS 2000

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void look_at(struct vigils *vigils, struct vigil *vigil)
{
    struct roster_node *of = vigil->of;
    if (roster_node_is_lost(of)) {
        vigil->events->on_lost(vigil->owner);
        return;
    }
    vigil->events->on_look(vigil->owner);
    if (vigil->of != of)
        return;
    uint64_t now_ms = loop_now_ms(vigils->loop);
    uint64_t since_ms = vigil->events->silent_since_ms(vigil->owner);
    if (since_ms == UINT64_MAX)
        return;
    since_ms = latest(since_ms, latest(vigils->heard_ms[of->slot], vigils->suspected_ms[of->slot]));
    if (now_ms < since_ms + SILENCE_MS)
        return;
    vigils->suspected_ms[of->slot] = now_ms;
    vigils->pool_verbs->suspect(vigils->pool, of);
    roster_node_suspect(of);
}

/* Whoever is looked at goes to the end of the list: so some may leave meanwhile, and others come. */
static void on_look(void *owner)
{
    struct vigils *vigils = owner;
    struct list_node *node;
    for (size_t count = vigils->kept.count; count > 0 && (node = list_take_first(&vigils->kept)) != NULL; count--) {
        list_append(&vigils->kept, node);
        look_at(vigils, LIST_OWNER(node, struct vigil, node));
    }
    if (vigils->kept.count > 0 && !loop_timer_is_set(&vigils->timer))
        loop_timer_set(vigils->loop, &vigils->timer, loop_now_ms(vigils->loop) + LOOK_MS);
}

void vigils_init(struct vigils *vigils, struct loop *loop, const struct pool_verbs *verbs, struct pool *pool)
{
    vigils->loop = loop;
    vigils->pool_verbs = verbs;
    vigils->pool = pool;
    list_init(&vigils->kept);
    loop_timer_init(&vigils->timer, on_look, vigils);
}

void vigils_clear(struct vigils *vigils)
{
    loop_timer_clear(vigils->loop, &vigils->timer);
}

void vigil_begin(struct vigils *vigils, struct vigil *vigil, struct roster_node *of)
{
    vigil->of = of;
    list_node_init(&vigil->node);
    list_append(&vigils->kept, &vigil->node);
    if (!loop_timer_is_set(&vigils->timer))
        loop_timer_set(vigils->loop, &vigils->timer, loop_now_ms(vigils->loop) + LOOK_MS);
}

void vigil_end(struct vigils *vigils, struct vigil *vigil)
{
    if (vigil->of == NULL)
        return;
    vigil->of = NULL;
    list_remove(&vigils->kept, &vigil->node);
}
