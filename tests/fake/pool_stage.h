#ifndef SLUICE_FAKE_POOL_STAGE_H
#define SLUICE_FAKE_POOL_STAGE_H
/*
 * A pool of links to two nodes, which are listening sockets of the test, and those who ask it for links. The clock is
 * the test's.
 */
#include <string.h>

#include "fake/clock.h"
#include "fake/epochs.h"
#include "fake/rig.h"
#include "http/h1.h"
#include "http/h2.h"
#include "http/link.h"
#include "http/stream.h"
#include "topology/topology.h"
#include "upstream/epoch.h"
#include "upstream/pool.h"
#include "upstream/roster.h"

#define NODES 2
#define ASKERS 8

struct asker {
    struct pool_ticket ticket;
    struct link *link;
    struct stream *stream;
    enum fault fault;
    unsigned events;
    unsigned turn; /* in which order the askers were served */
    unsigned status; /* of the last answer */
    unsigned failed;
    enum fault failure; /* of the stream */
    bool gives_ended; /* the link, as soon as an answer is complete */
};

struct pool_stage {
    struct rig rig;
    struct topology topology;
    struct topology_node nodes[NODES];
    struct h1_settings h1;
    struct h2_context *h2;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct roster *roster;
    struct epoch *epoch; /* in force */
    struct pool *pool;
    int listening[NODES];
    int far[ASKERS]; /* accepted by a node */
    size_t far_count;
    struct asker askers[ASKERS];
    unsigned served;
};

static struct pool_stage stage;

/* What all pools know of a node. */
static inline struct roster_node *shared(unsigned node)
{
    return stage.epoch->nodes[node];
}

static inline size_t links_to(unsigned node)
{
    return pool_link_count(stage.pool, shared(node));
}

static inline bool is_waiting(const struct asker *asker)
{
    return asker->ticket.waits_for != NULL;
}

/* Lets go of the stream, if it is still there, and of the link. */
static inline void give(struct asker *asker)
{
    if (asker->link == NULL)
        return;
    if (asker->stream != NULL)
        stream_release(asker->stream);
    pool_give(stage.pool, asker->link, &asker->ticket);
    asker->link = NULL;
    asker->stream = NULL;
}

static inline void on_head(void *owner, const struct message_head *head)
{
    ((struct asker *)owner)->status = head->status;
}

static inline void on_data(void *owner, struct text bytes)
{
    (void)owner;
    (void)bytes;
}

static inline void on_end(void *owner)
{
    struct asker *asker = owner;
    if (asker->gives_ended)
        give(asker);
}

/* The stream has failed, perhaps because its link has died. */
static inline void on_failed(void *owner, enum fault fault)
{
    struct asker *asker = owner;
    asker->failed++;
    asker->failure = fault;
    give(asker);
}

static const struct stream_events asker_stream_events = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end, .on_failed = on_failed};

static inline void on_stream(void *owner, struct link *link, struct stream *stream)
{
    struct asker *asker = owner;
    stream_set_owner(stream, &asker_stream_events, asker);
    rig_expect_turning(&stage.rig);
    assert_false(is_waiting(asker));
    asker->link = link;
    asker->stream = stream;
    asker->events++;
    asker->turn = ++stage.served;
}

static inline void on_fault(void *owner, enum fault fault)
{
    struct asker *asker = owner;
    rig_expect_turning(&stage.rig);
    assert_false(is_waiting(asker));
    asker->fault = fault;
    asker->events++;
    asker->turn = ++stage.served;
}

static const struct pool_events asker_events = {on_stream, on_fault};

/* A worker's, with the epoch that is in force. */
static inline struct pool *make_pool(void)
{
    struct pool_settings settings = {&stage.h1, stage.h2, &stage.rig.buffers};
    struct pool *pool = pool_create(stage.rig.loop, &settings);
    assert_non_null(pool);
    assert_true(pool_apply(pool, stage.epoch));
    return pool;
}

static inline int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"query-01", "query-02"};
    struct address addresses[NODES];
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    for (unsigned i = 0; i < NODES; i++) {
        stage.listening[i] = far_listen(&addresses[i]);
        stage.nodes[i] = (struct topology_node){
            .node_id = names[i], .host = "127.0.0.1", .port = address_port(&addresses[i]), .maximum_links = 2};
    }
    stage.topology = (struct topology){
        .nodes = stage.nodes, .node_count = NODES, .limits = {.head_bytes = 65536, .buffer_bytes = 65536, .queue = 2},
        .timeouts = {.connect_ms = 1000, .upstream_idle_ms = 5000, .queue_ms = 2000}};
    stage.h1 = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .fields = stage.fields};
    stage.roster = roster_create();
    assert_non_null(stage.roster);
    stage.epoch = make_epoch(stage.roster, &stage.topology, 1);
    for (unsigned i = 0; i < NODES; i++)
        roster_node_set_address(shared(i), &addresses[i]);
    struct h2_settings h2 = {.limits = stage.h1.limits,
                             .streams_maximum = 100,
                             .window_bytes = 65536,
                             .output_bytes = 65536,
                             .buffers = &stage.rig.buffers,
                             .fields = stage.fields};
    stage.h2 = h2_context_create(stage.rig.loop, &h2);
    stage.pool = make_pool();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASKERS; i++) {
        pool_cancel(stage.pool, &stage.askers[i].ticket);
        give(&stage.askers[i]);
    }
    for (unsigned i = 0; i < stage.epoch->topology->node_count; i++)
        assert_int_equal(atomic_load(&shared(i)->waiting), 0);
    pool_destroy(stage.pool);
    epoch_release(stage.epoch);
    rig_stop(&stage.rig);
    h2_context_destroy(stage.h2);
    for (size_t i = 0; i < stage.far_count; i++)
        close(stage.far[i]);
    for (unsigned i = 0; i < NODES; i++)
        close(stage.listening[i]);
    assert_int_equal(count_roster(stage.roster), 0);
    roster_destroy(stage.roster);
    return 0;
}

/* Asks for a link to a node: what came at once is in the asker, else it waits. */
static inline struct asker *ask_node(unsigned node, size_t number)
{
    struct asker *asker = &stage.askers[number];
    asker->ticket.events = &asker_events;
    asker->ticket.owner = asker;
    asker->fault = FAULT_NONE;
    asker->events = asker->turn = asker->status = asker->failed = 0;
    asker->link = NULL;
    asker->stream = pool_take(stage.pool, shared(node), &asker->ticket, &asker->link, &asker->fault);
    if (asker->stream != NULL)
        stream_set_owner(asker->stream, &asker_stream_events, asker);
    assert_int_equal(is_waiting(asker), asker->stream == NULL && asker->fault == FAULT_NONE);
    return asker;
}

/* The same, until there is a link. */
static inline struct asker *served(unsigned node, size_t number)
{
    struct asker *asker = ask_node(node, number);
    if (asker->link == NULL)
        rig_until(&stage.rig, asker->events == 1);
    assert_non_null(asker->link);
    return asker;
}

/* The next connection that a node has taken. */
static inline int take_in(unsigned node)
{
    int far;
    rig_until(&stage.rig, (far = far_accept(stage.listening[node])) >= 0);
    stage.far[stage.far_count++] = far;
    return far;
}

/* Time passes in small steps, as for a machine that is awake. */
static inline void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms + LOOP_TICK_MS; passed += LOOP_TICK_MS) {
        clock_advance(LOOP_TICK_MS);
        rig_turn(&stage.rig);
    }
}

#endif
