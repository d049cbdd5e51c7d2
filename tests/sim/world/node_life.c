/* A node's process: when it runs, hangs, stops and dies, and what ails it meanwhile. */
#include "kernel/draw.h"
#include "kernel/names.h"
#include "world/node_parts.h"

#define FIRST_HOST 100
/* A node that moves goes this far, so that it meets no other. */
#define HOSTS_APART 20
#define BACKLOG 128

#define TO(state) (1U << (state))

/* By state: those that may follow. */
static const unsigned moves[NODE_STATE_COUNT] = {
    [NODE_RUNNING] = TO(NODE_STOPPING) | TO(NODE_HANGING) | TO(NODE_DOWN),
    [NODE_STOPPING] = TO(NODE_DOWN),
    [NODE_HANGING] = TO(NODE_RUNNING) | TO(NODE_STARTING) | TO(NODE_DOWN),
    [NODE_DOWN] = TO(NODE_HANGING) | TO(NODE_STARTING),
    [NODE_STARTING] = TO(NODE_RUNNING) | TO(NODE_DOWN),
};

static void life_enter(struct node *node, enum node_state state)
{
    if ((moves[node->state] & TO(state)) == 0)
        ledger_violation("simulator", "%s cannot go from state %u to %u", node->id, (unsigned)node->state, (unsigned)state);
    node->state = state;
}

/* ---- the socket that it listens on ---- */

static void on_accept(void *owner, struct sim_socket *socket)
{
    connection_open(owner, socket);
}

static const struct sim_socket_events listener_events = {.on_accept = on_accept};

static void stop_listening(struct node *node)
{
    sim_close(node->listener);
    node->listener = NULL;
}

static void listen_here(struct node *node)
{
    if (node->listener == NULL)
        node->listener = sim_listen(&node->address, BACKLOG, &listener_events, node);
}

static void settle_at(struct node *node, unsigned host)
{
    node->host = host;
    node->address = sim_address(host, NODE_PORT);
    if (node->plan->nodes[node->index].is_named)
        sim_name_set(node->name, host);
}

/* ---- from state to state ---- */

static void step_in(struct node *node, uint64_t from_us, uint64_t to_us)
{
    sim_timer_in(&node->step, draw_between(&node->draw, from_us, to_us));
}

static const char *name_of_end(enum fault_kind reason)
{
    if (reason == FAULT_KIND_NODE_POWER)
        return "node: its machine lost power";
    if (reason == FAULT_KIND_NAME_MOVES)
        return "node: moved";
    return reason == FAULT_KIND_NODE_STOP ? "node: stopped" : "node: its process died";
}

void life_kill(struct node *node, enum fault_kind reason)
{
    if (node->state == NODE_DOWN)
        return;
    bool is_power = reason == FAULT_KIND_NODE_POWER;
    reached(name_of_end(reason));
    if (is_power)
        sim_host_power(node->host, false);
    life_enter(node, NODE_DOWN);
    node->reason = reason;
    stop_listening(node);
    if (is_power)
        connections_drop(node);
    else
        connections_die(node);
    wal_lose(node);
    if (node->plugin != NULL)
        plugin_die(node->plugin);
    node->roles = node->plan->nodes[node->index].roles;
    step_in(node, 100 * SIM_MS, is_power ? 15 * SIM_S : 6 * SIM_S);
}

/* Refuses writes from now on, and stores what it has. */
void life_stop(struct node *node)
{
    reached("node: stops");
    life_enter(node, NODE_STOPPING);
    node->reason = FAULT_KIND_NODE_STOP;
    wal_hurry(node);
    step_in(node, 0, 3 * SIM_S);
}

void life_hang(struct node *node, uint64_t duration_us)
{
    reached("node: hangs");
    node->after_hanging = node->state == NODE_DOWN ? NODE_STARTING : NODE_RUNNING;
    node->reason = FAULT_KIND_NODE_SILENT;
    life_enter(node, NODE_HANGING);
    connections_freeze(node, true);
    sim_timer_in(&node->step, duration_us);
}

static void thaw(struct node *node)
{
    life_enter(node, node->after_hanging);
    connections_freeze(node, false);
    if (node->state == NODE_STARTING)
        step_in(node, 0, 2 * SIM_S);
}

/* As if a proxy now stood before it, or no more; not in peace, in which it is as it was configured. */
static void change_version(struct node *node)
{
    unsigned planned = node->plan->nodes[node->index].http;
    node->http = !plan_is_quiet(node->plan) && draw_below(&node->draw, 6) == 0 ? 3 - planned : planned;
    if (node->http != planned)
        reached(node->http == 1 ? "node: speaks HTTP/1 from now on" : "node: speaks HTTP/2 from now on");
}

/* The process is there again. Some listen for a while before anybody accepts. */
static void start(struct node *node)
{
    if (node->reason == FAULT_KIND_NODE_POWER)
        sim_host_power(node->host, true);
    if (node->reason == FAULT_KIND_NAME_MOVES) {
        node->moves++;
        settle_at(node, FIRST_HOST + node->index + HOSTS_APART * node->moves);
    }
    change_version(node);
    listen_here(node);
    if (draw_below(&node->draw, 4) == 0) {
        life_hang(node, draw_between(&node->draw, 100 * SIM_MS, 1500 * SIM_MS));
        return;
    }
    life_enter(node, NODE_STARTING);
    step_in(node, 0, 2 * SIM_S);
}

/* First nobody can connect any more and connections end as they can, then the process does. */
static void go_on_stopping(struct node *node)
{
    if (node->listener == NULL) {
        life_kill(node, FAULT_KIND_NODE_STOP);
        return;
    }
    stop_listening(node);
    connections_drain(node);
    step_in(node, 200 * SIM_MS, 3 * SIM_S);
}

static void on_step(void *owner)
{
    struct node *node = owner;
    switch (node->state) {
    case NODE_RUNNING:
    case NODE_STATE_COUNT:
        break;
    case NODE_STOPPING:
        go_on_stopping(node);
        break;
    case NODE_HANGING:
        thaw(node);
        break;
    case NODE_DOWN:
        start(node);
        break;
    case NODE_STARTING:
        life_enter(node, NODE_RUNNING);
        break;
    }
}

/* ---- what ails it ---- */

bool life_ails(const struct node *node, enum node_condition condition)
{
    return node->until_us[condition] > sim_now_us();
}

/* The one mode that it runs in by mistake is one that it is not configured for. */
static unsigned draw_wrong_roles(struct node *node)
{
    static const unsigned wrong[] = {PLAN_ROLE_INGEST, PLAN_ROLE_QUERY, PLAN_ROLE_PROCESS, PLAN_ROLE_QUERY | PLAN_ROLE_PROCESS};
    return wrong[draw_below(&node->draw, sizeof wrong / sizeof *wrong)];
}

static const enum fault_kind kind_of_condition[NODE_CONDITION_COUNT] = {
    [NODE_IS_SLOW] = FAULT_KIND_NODE_SLOW,
    [NODE_HAS_NO_STORAGE] = FAULT_KIND_NODE_STORAGE,
    [NODE_IS_IN_WRONG_MODE] = FAULT_KIND_NODE_WRONG_MODE,
};

static void draw_conditions(struct node *node)
{
    static const char *const names[] = {"node: is slow", "node: lost its object store", "node: runs in another mode"};
    for (unsigned i = 0; i < NODE_CONDITION_COUNT; i++) {
        if (!node_suffers(node, kind_of_condition[i]) || node->state != NODE_RUNNING)
            continue;
        reached(names[i]);
        node->until_us[i] = sim_now_us() + draw_between(&node->draw, SIM_S / 2, 8 * SIM_S);
        if (i == NODE_IS_IN_WRONG_MODE)
            node->roles = draw_wrong_roles(node);
    }
}

/* The plan had this fault, and has grown quiet. */
static bool is_over(const struct node *node, enum fault_kind kind)
{
    return node->plan->rate[kind] > 0 && plan_rate(node->plan, kind) == 0;
}

/* Quiet: what ails the node ends now, and a state that is none to stay in ends soon. */
static void calm_down(struct node *node)
{
    for (unsigned i = 0; i < NODE_CONDITION_COUNT; i++) {
        if (is_over(node, kind_of_condition[i]))
            node->until_us[i] = 0;
    }
    if (!life_ails(node, NODE_IS_IN_WRONG_MODE))
        node->roles = node->plan->nodes[node->index].roles;
    if (plan_is_quiet(node->plan) && node->http != node->plan->nodes[node->index].http && node->state == NODE_RUNNING)
        life_kill(node, FAULT_KIND_NODE_STOP);
    if (node->state != NODE_RUNNING && is_over(node, node->reason) && node->step.at_us > sim_now_us() + SIM_S)
        sim_timer_in(&node->step, SIM_S);
}

/* What strikes a whole process, the first in this order. Each is drawn every second, whatever the others are. */
static enum fault_kind draw_strike(struct node *node)
{
    static const enum fault_kind kinds[] = {FAULT_KIND_NODE_KILL, FAULT_KIND_NODE_POWER, FAULT_KIND_NAME_MOVES, FAULT_KIND_NODE_STOP,
                                            FAULT_KIND_NODE_SILENT};
    enum fault_kind strike = FAULT_KIND_COUNT;
    for (size_t i = sizeof kinds / sizeof *kinds; i > 0; i--) {
        if (node_suffers(node, kinds[i - 1]))
            strike = kinds[i - 1];
    }
    return strike;
}

static void on_blow(void *owner)
{
    struct node *node = owner;
    enum fault_kind strike = node->strike;
    node->strike = FAULT_KIND_COUNT;
    if (node->state != NODE_RUNNING)
        return;
    if (strike == FAULT_KIND_NODE_STOP)
        life_stop(node);
    else if (strike == FAULT_KIND_NODE_SILENT)
        life_hang(node, draw_between(&node->draw, 100 * SIM_MS, draw_below(&node->draw, 4) == 0 ? 20 * SIM_S : 3 * SIM_S));
    else if (strike != FAULT_KIND_NAME_MOVES || node->plan->nodes[node->index].is_named)
        life_kill(node, strike);
}

void life_flushes(struct node *node, uint64_t duration_us)
{
    if (node->strike != FAULT_KIND_COUNT && draw_below(&node->draw, 2) == 0)
        sim_timer_in(&node->blow, draw_below(&node->draw, duration_us));
}

/* A case has it in its eleventh second, once. */
static void fall_silent_as_fixed(struct node *node)
{
    unsigned silent_ms = node->plan->fixed.silent_ms;
    bool is_due = sim_now_us() >= 10 * SIM_S && sim_now_us() < 11 * SIM_S;
    if (silent_ms > 0 && is_due && plan_is_sick(node->plan, node->index) && node->state == NODE_RUNNING)
        life_hang(node, silent_ms * SIM_MS);
}

static void on_look(void *owner)
{
    struct node *node = owner;
    sim_timer_in(&node->look, SIM_S);
    fall_silent_as_fixed(node);
    calm_down(node);
    draw_conditions(node);
    enum fault_kind strike = draw_strike(node);
    if (node->state != NODE_RUNNING || strike == FAULT_KIND_COUNT || node->strike != FAULT_KIND_COUNT)
        return;
    node->strike = strike;
    sim_timer_in(&node->blow, draw_below(&node->draw, SIM_S));
}

/* ---- its beginning and end ---- */

void life_begin(struct node *node)
{
    node->state = NODE_RUNNING;
    settle_at(node, FIRST_HOST + node->index);
    sim_timer_init(&node->look, on_look, node);
    sim_timer_init(&node->step, on_step, node);
    sim_timer_init(&node->blow, on_blow, node);
    node->strike = FAULT_KIND_COUNT;
    sim_timer_in(&node->look, draw_below(&node->draw, SIM_S));
    listen_here(node);
}

void life_end(struct node *node)
{
    sim_timer_clear(&node->look);
    sim_timer_clear(&node->step);
    sim_timer_clear(&node->blow);
    stop_listening(node);
    connections_drop(node);
    wal_drop(node);
}
