/* A plugin that writes its results back through Sluice, one after the other, as a client of its own. */
#include <stdio.h>

#include "kernel/draw.h"
#include "kernel/memory.h"
#include "world/bodies.h"
#include "world/client.h"
#include "world/node_parts.h"

#define PATIENCE_US (10 * SIM_S)
#define CLIENT_OF_FIRST_NODE 1000
#define PIECE_BYTES 4096

struct node_plugin {
    struct node *node;
    struct random_source draw;
    struct sim_timer timer; /* the next write, or the end of its patience */
    struct peer *peer;      /* NULL: not connected */
    struct peer_stream *stream;
    uint64_t number;        /* 0: none is under way */
    uint64_t offset;        /* of the body, sent so far */
    unsigned status;        /* 0: no answer yet */
};

/* As the clients, it rests before the run ends, so that each write can end before. */
static void wait_for_next(struct node_plugin *plugin)
{
    const struct plan *plan = plugin->node->plan;
    uint64_t at_us = sim_now_us() + draw_between(&plugin->draw, 200 * SIM_MS, 4 * SIM_S);
    if (at_us + PATIENCE_US + SIM_S < (uint64_t)(plan->faulty_seconds + plan->quiet_seconds) * SIM_S)
        sim_timer_set(&plugin->timer, at_us);
}

static void end_write(struct node_plugin *plugin, enum try_end end)
{
    ledger_end(plugin->number, end, plugin->status);
    if (plugin->stream != NULL)
        peer_stream_release(plugin->stream);
    plugin->stream = NULL;
    plugin->number = 0;
}

static void disconnect(struct node_plugin *plugin)
{
    peer_destroy(plugin->peer);
    plugin->peer = NULL;
}

/* ---- what comes back ---- */

static void on_response(void *owner, const struct peer_head *head)
{
    struct node_plugin *plugin = owner;
    if (head->status >= 200)
        plugin->status = head->status;
}

static void on_body(void *owner, struct text piece)
{
    (void)owner;
    (void)piece;
}

static void on_end(void *owner)
{
    struct node_plugin *plugin = owner;
    end_write(plugin, plugin->status < 300 ? TRY_DONE : TRY_REFUSED);
    sim_timer_clear(&plugin->timer);
    wait_for_next(plugin);
}

static void on_cut(void *owner, enum peer_cut why)
{
    struct node_plugin *plugin = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "the plugin of %s got what is no HTTP", plugin->node->id);
    end_write(plugin, TRY_CUT);
    sim_timer_clear(&plugin->timer);
    wait_for_next(plugin);
}

static void send_body(void *owner)
{
    struct node_plugin *plugin = owner;
    char buffer[PIECE_BYTES];
    size_t length;
    if (plugin->offset == UINT64_MAX)
        return;
    while ((length = body_copy(plugin->number, TRY_WRITEBACK, plugin->offset, buffer, sizeof buffer)) > 0) {
        size_t taken = peer_send_body(plugin->stream, text_of(buffer, length));
        plugin->offset += taken;
        if (taken < length)
            return;
    }
    plugin->offset = UINT64_MAX;
    peer_send_end(plugin->stream, NULL);
}

static const struct peer_stream_events stream_events = {
    .on_response = on_response,
    .on_body = on_body,
    .on_end = on_end,
    .on_cut = on_cut,
    .on_writable = send_body,
};

static void on_closed(void *owner, enum peer_cut why)
{
    (void)why;
    disconnect(owner);
}

static const struct peer_events peer_events = {.on_closed = on_closed};

/* ---- the next write ---- */

static void connect_to_sluice(struct node_plugin *plugin)
{
    struct address address = sim_address(SIM_HOST_SLUICE, CLIENT_PORT_WRITEBACK);
    if (plugin->peer != NULL && peer_can_send(plugin->peer))
        return;
    disconnect(plugin);
    plugin->peer = peer_connect(plugin->node->host, &address, PEER_HTTP_1, NULL, &peer_events, plugin);
}

static void begin_write(struct node_plugin *plugin)
{
    char target[96];
    connect_to_sluice(plugin);
    plugin->number = ledger_begin(TRY_WRITEBACK, CLIENT_OF_FIRST_NODE + plugin->node->index);
    plugin->offset = 0;
    plugin->status = 0;
    int length = snprintf(target, sizeof target, "/api/v3/write_lp?db=nt&precision=nanosecond&try=%llu", (unsigned long long)plugin->number);
    struct peer_head head = {
        .method = TEXT("POST"),
        .target = text_of(target, (size_t)length),
        .authority = TEXT("10.0.0.1:8282"),
        .has_length = true,
        .length = body_length(plugin->number, TRY_WRITEBACK),
        .field_count = 1,
        .fields = {{TEXT("content-type"), TEXT("text/plain; charset=utf-8")}},
    };
    plugin->stream = plugin->peer == NULL ? NULL : peer_request(plugin->peer, &head, &stream_events, plugin);
    if (plugin->stream == NULL) {
        end_write(plugin, TRY_CUT);
        wait_for_next(plugin);
        return;
    }
    sim_timer_in(&plugin->timer, PATIENCE_US);
    send_body(plugin);
}

static void on_time(void *owner)
{
    struct node_plugin *plugin = owner;
    if (plugin->number != 0) {
        reached("node: a write-back got no answer in time");
        end_write(plugin, TRY_LEFT);
        disconnect(plugin);
        wait_for_next(plugin);
    } else if (plugin->node->state == NODE_RUNNING && (plugin->node->roles & PLAN_ROLE_PROCESS) != 0) {
        begin_write(plugin);
    } else {
        wait_for_next(plugin);
    }
}

/* ---- life ---- */

struct node_plugin *plugin_create(struct node *node)
{
    struct node_plugin *plugin = world_calloc(1, sizeof *plugin);
    plugin->node = node;
    plugin->draw = draw_source_of(node->plan->seed, "plugin", node->index);
    sim_timer_init(&plugin->timer, on_time, plugin);
    wait_for_next(plugin);
    return plugin;
}

void plugin_die(struct node_plugin *plugin)
{
    if (plugin->number != 0)
        end_write(plugin, TRY_LEFT);
    peer_abort(plugin->peer);
    plugin->peer = NULL;
    wait_for_next(plugin);
}

void plugin_destroy(struct node_plugin *plugin)
{
    if (plugin == NULL)
        return;
    plugin_die(plugin);
    sim_timer_clear(&plugin->timer);
    world_free(plugin);
}
