#ifndef SLUICE_FAKE_EXCHANGE_STAGE_H
#define SLUICE_FAKE_EXCHANGE_STAGE_H
/*
 * Exchanges between a client and two query nodes (and a third for who raises topology.node_count), all of which the test plays: streams
 * that write down what they are told, a pool that gives what the test wants, a clock that the test moves. Answers are made with node_*
 * and client_*, which call the events of a stream's owner as a codec would.
 */
#include <stdlib.h>
#include <string.h>

#include "downstream/session.h"
#include "exchange/exchange.h"
#include "fake/clock.h"
#include "fake/fake_stream.h"
#include "fake/rig.h"
#include "http/link.h"
#include "routing/classify.h"
#include "upstream/cluster.h"
#include "upstream/pool.h"

#define NODES 3
#define ATTEMPTS 4 /* on one node */

/* How a node's pool behaves. */
enum fake_supply { SUPPLY_READY, SUPPLY_WAITS, SUPPLY_REFUSES };

struct fake_node {
    struct link link; /* first */
    enum fake_supply supply;
    enum fault refusal;
    struct fake_stream streams[ATTEMPTS];
    unsigned attempts;
    unsigned links_out;
    struct pool_ticket *waiting;
};

/* The test's own: exchanges know a pool by its verbs alone. */
struct pool {
    struct fake_node nodes[NODES];
    unsigned asked; /* the node of the newest attempt */
};

struct exchange_stage {
    struct rig rig;
    struct topology topology;
    struct topology_node nodes[NODES];
    struct cluster *cluster;
    struct classifier *classifier;
    struct pool pool;
    struct metrics metrics;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM + 8];
    struct exchange_context context;
    struct session_settings session_settings;
    struct session session;
    struct fake_stream client;
};

static struct exchange_stage stage;

/* ---- the pool ---- */

static inline struct stream *open_fake_stream(struct link *link)
{
    struct fake_node *node = (struct fake_node *)link;
    assert_in_range(node->attempts, 0, ATTEMPTS - 1);
    struct fake_stream *stream = &node->streams[node->attempts++];
    fake_stream_init(stream);
    link->used++;
    stage.pool.asked = (unsigned)(node - stage.pool.nodes);
    return &stream->stream;
}

static const struct link_verbs fake_link_verbs = {.open_stream = open_fake_stream};

static inline struct stream *fake_take(struct pool *pool, unsigned index, struct pool_ticket *ticket, struct link **link,
                                       enum fault *fault)
{
    struct fake_node *node = &pool->nodes[index];
    *fault = node->supply == SUPPLY_REFUSES ? node->refusal : FAULT_NONE;
    if (ticket->needs_http2 && !node->link.is_http2) {
        *fault = FAULT_UPSTREAM_VERSION;
        return NULL;
    }
    if (node->supply == SUPPLY_WAITS) {
        ticket->is_waiting = true;
        node->waiting = ticket;
    }
    if (node->supply != SUPPLY_READY)
        return NULL;
    node->links_out++;
    *link = &node->link;
    return link_open_stream(&node->link);
}

static inline void fake_give(struct pool *pool, struct link *link)
{
    (void)pool;
    struct fake_node *node = (struct fake_node *)link;
    assert_in_range(node->links_out, 1, ATTEMPTS);
    node->links_out--;
}

static inline void fake_cancel(struct pool *pool, struct pool_ticket *ticket)
{
    for (unsigned i = 0; i < NODES && ticket->is_waiting; i++) {
        if (pool->nodes[i].waiting == ticket)
            pool->nodes[i].waiting = NULL;
    }
    ticket->is_waiting = false;
}

static const struct pool_verbs fake_pool_verbs = {.take = fake_take, .give = fake_give, .cancel = fake_cancel};

/* Somebody waits for this node's link: here it is. */
static inline void node_serve(unsigned index)
{
    struct fake_node *node = &stage.pool.nodes[index];
    struct pool_ticket *ticket = node->waiting;
    assert_non_null(ticket);
    node->waiting = NULL;
    ticket->is_waiting = false;
    node->links_out++;
    ticket->events->on_stream(ticket->owner, &node->link, link_open_stream(&node->link));
}

/* ---- life ---- */

static inline int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"query-01", "query-02", "query-03"};
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    for (unsigned i = 0; i < NODES; i++) {
        stage.nodes[i] = (struct topology_node){.node_id = names[i], .modes = NODE_MODE_QUERY,
                                                .capabilities = NODE_CAPABILITY_QUERY, .weight = 1};
        stage.pool.nodes[i].link = (struct link){.verbs = &fake_link_verbs, .is_http2 = true};
    }
    stage.topology = (struct topology){
        .nodes = stage.nodes, .node_count = 2,
        .timeouts = {.response_ms = 60000, .idle_ms = 5000, .queue_ms = 2000, .write_deadline_ms = 4000},
        .limits = {.replay_bytes = 1024, .replay_total_bytes = 4096}};
    stage.cluster = cluster_create(&stage.topology);
    stage.classifier = classifier_create(&stage.topology);
    stage.context = (struct exchange_context){
        .loop = stage.rig.loop, .topology = &stage.topology, .classifier = stage.classifier, .cluster = stage.cluster,
        .pool = &stage.pool, .pool_verbs = &fake_pool_verbs, .metrics = &stage.metrics, .fields = stage.fields};
    list_init(&stage.context.exchanges);
    stage.session = (struct session){.settings = &stage.session_settings, .client_host = "192.0.2.7"};
    fake_stream_init(&stage.client);
    return stage.cluster == NULL || stage.classifier == NULL ? -1 : 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    exchange_cut_all(&stage.context);
    assert_int_equal(stage.context.exchanges.count, 0);
    assert_int_equal(stage.context.replay_bytes, 0);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(stage.pool.nodes[i].links_out, 0);
        assert_null(stage.pool.nodes[i].waiting);
        assert_int_equal(atomic_load(&stage.cluster->nodes[i].outstanding), 0);
    }
    rig_stop(&stage.rig);
    classifier_destroy(stage.classifier);
    cluster_destroy(stage.cluster);
    return 0;
}

/* Time passes in small steps, as for a machine that is awake. */
static inline void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(ms - passed < LOOP_TICK_MS ? ms - passed : LOOP_TICK_MS);
        rig_turn(&stage.rig);
    }
}

/* For one more exchange in the same scene; the one before is over. */
static inline void another_client(void)
{
    assert_true(stage.client.is_released);
    fake_stream_init(&stage.client);
    for (unsigned i = 0; i < NODES; i++)
        stage.pool.nodes[i].attempts = 0;
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
static inline void client_asks(const char *method, const char *target, const char *lines, enum body_kind body)
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
    exchange_start(&stage.context, &stage.session, &stage.client.stream, head);
}

/* ---- events of the client's stream: none after it was let go, as from a codec ---- */

static inline void client_data(const char *bytes)
{
    if (!stage.client.is_released)
        stage.client.stream.events->on_data(stage.client.stream.owner, text_of_string(bytes));
}

static inline void client_trailers(const char *lines)
{
    if (!stage.client.is_released)
        stage.client.stream.events->on_trailers(stage.client.stream.owner, received_head(lines));
}

static inline void client_end(void)
{
    if (!stage.client.is_released)
        stage.client.stream.events->on_end(stage.client.stream.owner);
}

static inline void client_fails(enum fault fault)
{
    if (!stage.client.is_released)
        stage.client.stream.events->on_failed(stage.client.stream.owner, fault);
}

/* ---- events of a node's newest stream ---- */

static inline struct fake_stream *at_node(unsigned index)
{
    struct fake_node *node = &stage.pool.nodes[index];
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

static inline unsigned asked_node(void)
{
    return stage.pool.asked;
}

/* ---- what came of it ---- */

static inline unsigned attempts(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < NODES; i++)
        sum += stage.pool.nodes[i].attempts;
    return sum;
}

static inline unsigned long count_fault(enum fault fault)
{
    return atomic_load(&stage.metrics.faults[fault]);
}

static inline unsigned long count_grpc(enum grpc_status status)
{
    return atomic_load(&stage.metrics.grpc_responses[status]);
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
