#ifndef SLUICE_FAKE_CLUSTER_STAGE_H
#define SLUICE_FAKE_CLUSTER_STAGE_H
/*
 * A cluster of two query nodes (or as many as cluster_serve says), all of which the test plays: streams that write down what they are told, a pool
 * that gives what the test wants, a clock that the test moves. Answers are made with node_*, which call the events of a stream's owner as a codec
 * would.
 */
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatch.h"
#include "fake/clock.h"
#include "fake/epochs.h"
#include "fake/fake_stream.h"
#include "fake/rig.h"
#include "http/link.h"
#include "observe/metrics.h"
#include "upstream/lease.h"
#include "upstream/pool.h"

#define NODES 3
#ifndef ATTEMPTS
#define ATTEMPTS 4 /* on one node */
#endif
#define EPOCHS 4

/* How a node's pool behaves. */
enum fake_supply { SUPPLY_READY, SUPPLY_WAITS, SUPPLY_REFUSES };

struct fake_node {
    struct link link; /* first */
    enum fake_supply supply;
    enum fault refusal;
    bool is_slow;     /* its streams are congested from the start, and again with each piece */
    bool ends_link;   /* its link takes nothing more */
    struct fake_stream streams[ATTEMPTS];
    unsigned attempts;
    unsigned links_out;
    unsigned suspected;
    bool wanted_fresh; /* the newest ticket */
    struct pool_ticket *waiting;
};

/* The test's own: a dispatch knows a pool by its verbs alone. */
struct pool {
    struct fake_node nodes[NODES];
    unsigned asked; /* the node of the newest attempt */
};

struct cluster_stage {
    struct rig rig;
    struct topology topology;  /* of the first epoch */
    struct topology_node nodes[NODES];
    struct topology later[EPOCHS];
    struct topology_node later_nodes[EPOCHS][NODES];
    struct roster *roster;
    struct epoch *epoch;       /* in force */
    struct list leases;
    struct pool pool;
    struct metrics metrics;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM + 8];
    struct dispatch_context dispatch;
};

static struct cluster_stage cluster;

/* What all workers know of a node. */
static inline struct roster_node *shared(unsigned index)
{
    return cluster.epoch->nodes[index];
}

/* ---- the pool ---- */

static inline struct stream *open_fake_stream(struct link *link)
{
    struct fake_node *node = (struct fake_node *)link;
    assert_in_range(node->attempts, 0, ATTEMPTS - 1);
    struct fake_stream *stream = &node->streams[node->attempts++];
    fake_stream_init(stream);
    stream->is_congested = stream->congests = node->is_slow;
    link->used++;
    cluster.pool.asked = (unsigned)(node - cluster.pool.nodes);
    return &stream->stream;
}

static inline bool is_fake_link_spent(const struct link *link)
{
    return ((const struct fake_node *)(const void *)link)->ends_link;
}

static const struct link_verbs fake_link_verbs = {.open_stream = open_fake_stream, .is_spent = is_fake_link_spent};

/* Nobody but the test's epochs admits nodes, in the order of their topology: slot and index are the same. */
static inline struct fake_node *fake_node_of(struct pool *pool, const struct roster_node *node)
{
    assert_in_range(node->slot, 0, NODES - 1);
    return &pool->nodes[node->slot];
}

static inline struct stream *fake_take(struct pool *pool, struct roster_node *shared_node, struct pool_ticket *ticket,
                                       struct link **link, enum fault *fault)
{
    struct fake_node *node = fake_node_of(pool, shared_node);
    *fault = node->supply == SUPPLY_REFUSES ? node->refusal : FAULT_NONE;
    node->wanted_fresh = ticket->wants_fresh;
    if (ticket->needs_http2 && !node->link.is_http2) {
        *fault = FAULT_UPSTREAM_VERSION;
        return NULL;
    }
    if (node->supply == SUPPLY_WAITS) {
        ticket->waits_for = shared_node;
        node->waiting = ticket;
    }
    if (node->supply != SUPPLY_READY)
        return NULL;
    node->links_out++;
    *link = &node->link;
    return link_open_stream(&node->link);
}

static inline void fake_give(struct pool *pool, struct link *link, const struct pool_ticket *ticket)
{
    (void)pool;
    (void)ticket;
    struct fake_node *node = (struct fake_node *)link;
    assert_in_range(node->links_out, 1, ATTEMPTS);
    node->links_out--;
}

static inline void fake_cancel(struct pool *pool, struct pool_ticket *ticket)
{
    if (ticket->waits_for != NULL)
        fake_node_of(pool, ticket->waits_for)->waiting = NULL;
    ticket->waits_for = NULL;
}

static inline void fake_suspect(struct pool *pool, struct roster_node *node)
{
    fake_node_of(pool, node)->suspected++;
}

static const struct pool_verbs fake_pool_verbs = {.take = fake_take, .give = fake_give, .cancel = fake_cancel, .suspect = fake_suspect};

static inline struct pool_ticket *take_waiting(unsigned index)
{
    struct fake_node *node = &cluster.pool.nodes[index];
    struct pool_ticket *ticket = node->waiting;
    assert_non_null(ticket);
    node->waiting = NULL;
    ticket->waits_for = NULL;
    return ticket;
}

/* Somebody waits for this node's link: here it is. */
static inline void node_serve(unsigned index)
{
    struct pool_ticket *ticket = take_waiting(index);
    struct fake_node *node = &cluster.pool.nodes[index];
    node->links_out++;
    ticket->events->on_stream(ticket->owner, &node->link, link_open_stream(&node->link));
}

/* Somebody waits for this node's link: there is none. */
static inline void node_cannot_serve(unsigned index, enum fault fault)
{
    struct pool_ticket *ticket = take_waiting(index);
    ticket->events->on_fault(ticket->owner, fault);
}

/* ---- life ---- */

static inline void use_epoch(struct topology *topology, uint64_t number)
{
    cluster.epoch = make_epoch(cluster.roster, topology, number);
    cluster.dispatch.newest = lease_create(cluster.epoch, &cluster.leases, NULL, NULL);
    assert_non_null(cluster.dispatch.newest);
}

static inline void cluster_start(void)
{
    static const char *const names[NODES] = {"query-01", "query-02", "query-03"};
    memset(&cluster, 0, sizeof cluster);
    rig_start(&cluster.rig);
    for (unsigned i = 0; i < NODES; i++) {
        cluster.nodes[i] = (struct topology_node){.node_id = names[i], .modes = NODE_MODE_QUERY,
                                                  .capabilities = NODE_CAPABILITY_QUERY, .weight = 1};
        cluster.pool.nodes[i].link = (struct link){.verbs = &fake_link_verbs, .is_http2 = true};
    }
    cluster.topology = (struct topology){
        .cluster_id = "test", .nodes = cluster.nodes, .node_count = 2,
        .timeouts = {.response_ms = 60000, .idle_ms = 5000, .queue_ms = 2000, .write_deadline_ms = 4000, .write_response_ms = 30000},
        .limits = {.replay_bytes = 1024, .replay_total_bytes = 4096},
        .retries = {.floor = 1000}};
    cluster.roster = roster_create();
    assert_non_null(cluster.roster);
    list_init(&cluster.leases);
    cluster.dispatch.loop = cluster.rig.loop;
    cluster.dispatch.roster = cluster.roster;
    cluster.dispatch.pool = &cluster.pool;
    cluster.dispatch.pool_verbs = &fake_pool_verbs;
    cluster.dispatch.metrics = &cluster.metrics;
    cluster.dispatch.fields = cluster.fields;
    dispatch_context_init(&cluster.dispatch);
    use_epoch(&cluster.topology, 1);
}

/* While nobody holds the epoch: so many nodes, all of which can do this. */
static inline void cluster_serve(unsigned count, unsigned capabilities)
{
    assert_int_equal(cluster.leases.count, 1);
    lease_release(cluster.dispatch.newest);
    epoch_release(cluster.epoch);
    for (unsigned i = 0; i < NODES; i++)
        cluster.nodes[i].capabilities = capabilities;
    cluster.topology.node_count = count;
    use_epoch(&cluster.topology, 1);
}

/* The next epoch, with so many of the nodes: whoever holds the one before keeps it. */
static inline void cluster_reload(unsigned count)
{
    unsigned number = (unsigned)cluster.epoch->number;
    assert_in_range(number, 1, EPOCHS - 1);
    memcpy(cluster.later_nodes[number], cluster.nodes, sizeof cluster.nodes);
    cluster.later[number] = cluster.topology;
    cluster.later[number].nodes = cluster.later_nodes[number];
    cluster.later[number].node_count = count;
    atomic_store(&cluster.later[number].references, 1);
    struct epoch *old = cluster.epoch;
    struct lease *before = cluster.dispatch.newest;
    use_epoch(&cluster.later[number], number + 1);
    epoch_release(old);
    lease_release(before);
}

/* Every attempt has ended once, and nothing is kept: all that an ended request may leave behind is its counters. */
static inline void assert_nothing_under_way(void)
{
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(cluster.pool.nodes[i].links_out, 0);
        assert_null(cluster.pool.nodes[i].waiting);
    }
    for (unsigned slot = 0; slot < NODES; slot++) {
        const struct roster_node *node = cluster.roster->slots[slot];
        for (unsigned class = 0; node != NULL && class < REQUEST_CLASS_COUNT; class++)
            assert_int_equal(atomic_load(&node->outstanding_of[class]), 0);
        assert_true(node == NULL || atomic_load(&node->outstanding) == 0);
    }
}

static inline void cluster_stop(void)
{
    assert_nothing_under_way();
    assert_int_equal(cluster.dispatch.checks.waiting.count, 0);
    dispatch_context_clear(&cluster.dispatch);
    lease_release(cluster.dispatch.newest);
    assert_int_equal(cluster.leases.count, 0);
    epoch_release(cluster.epoch);
    rig_stop(&cluster.rig);
    assert_int_equal(count_roster(cluster.roster), 0);
    roster_destroy(cluster.roster);
}

/* Time passes in small steps, as for a machine that is awake. */
static inline void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(ms - passed < LOOP_TICK_MS ? ms - passed : LOOP_TICK_MS);
        rig_turn(&cluster.rig);
    }
}

/* What was postponed is done: faults of the beginning, checks of bodies. */
static inline void settle(void)
{
    rig_settle(&cluster.rig);
}

/* A node that is certainly not used: nobody reaches it. */
static inline void take_down(unsigned index)
{
    roster_node_set_health(shared(index), HEALTH_DOWN);
    for (unsigned i = 0; i < HEALTH_PASSIVE_FAILURES; i++)
        roster_node_note_connect(shared(index), true);
}

/* ---- heads ---- */

/* A head as a codec hands it up: its text and fields are gone with the next one. `lines`: "name: value\n" each. */
static inline struct message_head *received_head(const char *lines)
{
    static char raw[2048];
    static struct header_field fields[32];
    static struct message_head head;
    size_t used = text_append(raw, sizeof raw, 0, "%s", lines);
    head = (struct message_head){.version = MESSAGE_HTTP_2, .fields = fields, .raw = text_of(raw, used)};
    struct text rest = head.raw;
    while (rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        struct text name = text_cut(&value, ':');
        assert_true(message_add(&head, 32, header_name_of(name), name, text_trim(value)));
    }
    return &head;
}

/* The request line goes into the head's text as one more line that is no field. */
static inline struct message_head *received_request(const char *method, const char *target, const char *lines, enum body_kind body)
{
    char all[1024];
    text_append(all, sizeof all, 0, "%sx-asked: %s %s\n", lines, method, target);
    struct message_head *head = received_head(all);
    struct text line = head->fields[--head->field_count].value;
    head->method = text_cut(&line, ' ');
    head->target = line;
    struct text rest = line;
    head->path = text_cut(&rest, '?');
    message_set(head, MESSAGE_ACCEPTS_TRAILERS, true);
    head->body = body;
    return head;
}

/* ---- events of a node's newest stream ---- */

static inline struct fake_stream *at_node(unsigned index)
{
    struct fake_node *node = &cluster.pool.nodes[index];
    assert_in_range(node->attempts, 1, ATTEMPTS);
    return &node->streams[node->attempts - 1];
}

static inline struct stream *open_at_node(unsigned index)
{
    assert_false(at_node(index)->is_released);
    return &at_node(index)->stream;
}

static inline void node_head(unsigned index, unsigned status, enum body_kind body, const char *lines)
{
    struct stream *stream = open_at_node(index);
    struct message_head *head = received_head(lines);
    head->status = status;
    head->body = body;
    stream->events->on_head(stream->owner, head);
}

static inline void node_data(unsigned index, const char *bytes)
{
    struct stream *stream = open_at_node(index);
    stream->events->on_data(stream->owner, text_of_string(bytes));
}

static inline void node_trailers(unsigned index, const char *lines)
{
    struct stream *stream = open_at_node(index);
    stream->events->on_trailers(stream->owner, received_head(lines));
}

static inline void node_end(unsigned index)
{
    struct stream *stream = open_at_node(index);
    stream->events->on_end(stream->owner);
}

static inline void node_fails(unsigned index, enum fault fault)
{
    struct stream *stream = open_at_node(index);
    stream->events->on_failed(stream->owner, fault);
}

/* It takes more. */
static inline void node_drains(unsigned index)
{
    struct stream *stream = open_at_node(index);
    at_node(index)->is_congested = false;
    stream->events->on_drained(stream->owner);
}

static inline unsigned asked_node(void)
{
    return cluster.pool.asked;
}

/* ---- what came of it ---- */

static inline unsigned attempts(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < NODES; i++)
        sum += cluster.pool.nodes[i].attempts;
    return sum;
}

static inline unsigned long count_retries(void)
{
    return atomic_load(&cluster.metrics.retries);
}

static inline unsigned long count_failures(unsigned index)
{
    return atomic_load(&shared(index)->failures);
}

static inline void assert_has(const char *lines, const char *line)
{
    if (strstr(lines, line) == NULL)
        fail_msg("there is no \"%s\" in:\n%s", line, lines);
}

static inline void assert_has_not(const char *lines, const char *line)
{
    if (strstr(lines, line) != NULL)
        fail_msg("there is \"%s\" in:\n%s", line, lines);
}

#endif
