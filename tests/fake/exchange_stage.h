#ifndef SLUICE_FAKE_EXCHANGE_STAGE_H
#define SLUICE_FAKE_EXCHANGE_STAGE_H
/*
 * Exchanges between a client that the test plays, too, and a cluster (fake/cluster_stage.h). client_* call the events of the client's stream as a
 * codec would: none after it was let go.
 */
#include "downstream/session.h"
#include "exchange/exchange.h"
#include "fake/cluster_stage.h"

struct exchange_stage {
    struct exchange_context context;
    struct session_settings session_settings;
    struct session session;
    struct fake_stream client;
};

static struct exchange_stage stage;

/* ---- life ---- */

static inline int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    cluster_start();
    stage.context = (struct exchange_context){.loop = cluster.rig.loop, .lease = cluster.dispatch.newest,
                                              .dispatch = &cluster.dispatch, .metrics = &cluster.metrics, .fields = cluster.fields};
    list_init(&stage.context.exchanges);
    stage.session = (struct session){.settings = &stage.session_settings, .client_host = "192.0.2.7"};
    fake_stream_init(&stage.client);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    exchange_cut_all(&stage.context);
    assert_int_equal(stage.context.exchanges.count, 0);
    cluster_stop();
    return 0;
}

/* For the exchanges from now on. */
static inline void serve_with(unsigned count, unsigned capabilities)
{
    assert_int_equal(stage.context.exchanges.count, 0);
    cluster_serve(count, capabilities);
    stage.context.lease = cluster.dispatch.newest;
}

/* The worker takes the next epoch over. */
static inline void reload(unsigned count)
{
    cluster_reload(count);
    stage.context.lease = cluster.dispatch.newest;
    exchange_leave_epochs(&stage.context);
}

/* For one more exchange in the same scene; the one before is over. */
static inline void another_client(void)
{
    assert_true(stage.client.is_released);
    fake_stream_init(&stage.client);
    for (unsigned i = 0; i < NODES; i++)
        cluster.pool.nodes[i].attempts = 0;
}

/* ---- the client ---- */

static inline void client_asks(const char *method, const char *target, const char *lines, enum body_kind body)
{
    exchange_start(&stage.context, &stage.session, &stage.client.stream, received_request(method, target, lines, body));
}

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

/* ---- what came of it ---- */

static inline unsigned long count_fault(enum fault fault)
{
    return atomic_load(&cluster.metrics.faults[fault]);
}

static inline unsigned long count_grpc(enum grpc_status status)
{
    return atomic_load(&cluster.metrics.grpc_responses[status]);
}

#endif
