/* A node's write-ahead log: what was buffered becomes durable together, once a second and an upload later. */
#include "kernel/draw.h"
#include "kernel/memory.h"
#include "world/node_parts.h"

static void take_all(struct list *from, struct list *to)
{
    struct list_node *node;
    while ((node = list_take_first(from)) != NULL)
        list_append(to, node);
}

/* Out of the log; one for which nobody waits any more is gone with it. False then. */
static bool let_go(struct node_request *request)
{
    if (request->connection != NULL)
        return true;
    world_free(request);
    return false;
}

static void undo(struct list *list, bool is_stored)
{
    struct list_node *node;
    while ((node = list_take_first(list)) != NULL) {
        struct node_request *request = LIST_OWNER(node, struct node_request, in_wal);
        if (request->number != 0 && is_stored)
            ledger_durable(request->number, request->node->index);
        else if (request->number != 0)
            ledger_undone(request->number, request->node->index);
        let_go(request);
    }
}

static void set_tick(struct node *node)
{
    uint64_t now_us = sim_now_us();
    uint64_t phase_us = node->index * 130 * SIM_MS;
    sim_timer_set(&node->wal.tick, now_us + SIM_S - (now_us + phase_us) % SIM_S);
}

static void flush(struct node *node)
{
    struct node_wal *wal = &node->wal;
    take_all(&wal->buffered, &wal->flushing);
    uint64_t delay_us = draw_between(&node->draw, 5 * SIM_MS, 150 * SIM_MS);
    if (life_ails(node, NODE_IS_SLOW))
        delay_us += draw_between(&node->draw, 0, 3 * SIM_S);
    sim_timer_in(&wal->stored, delay_us);
    life_flushes(node, delay_us);
}

/* One flush at a time; a process that hangs does nothing, and a killed one has no log. */
static void on_tick(void *owner)
{
    struct node *node = owner;
    if (node->state == NODE_HANGING)
        sim_timer_in(&node->wal.tick, 100 * SIM_MS);
    else if (!sim_timer_is_set(&node->wal.stored))
        flush(node);
}

/* The object store failed: it may have taken them nevertheless, or not. */
static bool is_stored(struct node *node)
{
    if (!life_ails(node, NODE_HAS_NO_STORAGE))
        return true;
    bool is_there = draw_below(&node->draw, 2) == 0;
    reached(is_there ? "node: a flush failed and is stored" : "node: a flush failed and is lost");
    return is_there;
}

static void on_stored(void *owner)
{
    struct node *node = owner;
    struct list done;
    struct list_node *first;
    if (node->state == NODE_HANGING) {
        sim_timer_in(&node->wal.stored, 100 * SIM_MS);
        return;
    }
    bool has_failed = life_ails(node, NODE_HAS_NO_STORAGE);
    bool is_there = is_stored(node);
    list_init(&done);
    take_all(&node->wal.flushing, &done);
    while ((first = list_take_first(&done)) != NULL) {
        struct node_request *request = LIST_OWNER(first, struct node_request, in_wal);
        if (request->number != 0 && is_there)
            ledger_durable(request->number, node->index);
        else if (request->number != 0)
            ledger_undone(request->number, node->index);
        if (let_go(request) && request->step == NODE_STEP_WORKING)
            write_stored(request, !has_failed);
    }
    if (node->wal.buffered.count > 0)
        set_tick(node);
}

void wal_init(struct node *node)
{
    list_init(&node->wal.buffered);
    list_init(&node->wal.flushing);
    sim_timer_init(&node->wal.tick, on_tick, node);
    sim_timer_init(&node->wal.stored, on_stored, node);
}

void wal_take(struct node_request *request)
{
    struct node *node = request->node;
    if (request->number != 0)
        ledger_applied(request->number, node->index);
    list_append(&node->wal.buffered, &request->in_wal);
    if (!sim_timer_is_set(&node->wal.tick))
        set_tick(node);
}

void wal_hurry(struct node *node)
{
    if (node->wal.buffered.count > 0)
        sim_timer_in(&node->wal.tick, 0);
}

void wal_lose(struct node *node)
{
    struct node_wal *wal = &node->wal;
    sim_timer_clear(&wal->tick);
    sim_timer_clear(&wal->stored);
    bool has_arrived = wal->flushing.count > 0 && draw_below(&node->draw, 2) == 0;
    if (wal->buffered.count > 0)
        reached("node: died with writes in its buffer");
    if (has_arrived)
        reached("node: died before it could say that a write is durable");
    undo(&wal->flushing, has_arrived);
    undo(&wal->buffered, false);
}

static void drop(struct list *list)
{
    struct list_node *node;
    while ((node = list_take_first(list)) != NULL)
        let_go(LIST_OWNER(node, struct node_request, in_wal));
}

void wal_drop(struct node *node)
{
    sim_timer_clear(&node->wal.tick);
    sim_timer_clear(&node->wal.stored);
    drop(&node->wal.flushing);
    drop(&node->wal.buffered);
}
