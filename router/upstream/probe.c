#include "upstream/probe_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "upstream/epoch.h"
#include "upstream/probe_token.h"
#include "upstream/serving.h"
#include "upstream/standings.h"

/* How long a node that live traffic suspects may take for its answer. */
#define SUSPECT_MS 1000

static const char *const state_names[] = {"idle", "dialing", "asking"};

#define TO(state) MACHINE_TO(PROBE_##state)
static const uint32_t moves[] = {
    [PROBE_IDLE] = TO(DIALING),
    [PROBE_DIALING] = TO(ASKING) | TO(IDLE),
    [PROBE_ASKING] = TO(IDLE),
};
#undef TO

static const struct machine probe_machine = {"probe", state_names, moves};

/* The only writer of the state. */
static void enter(struct probe *probe, enum probe_state next)
{
    machine_check(&probe_machine, probe->state, next);
    probe->state = next;
}

/*
 * The configured path (/ready), then /health for nodes before 3.10, then /ping for those that have neither (InfluxDB 1.x); an
 * answer of 404 moves on, and the node keeps the step that it knew.
 */
static const char *path_of_step(const struct probe *probe)
{
    static const char *const fall_backs[] = {"/health", "/ping"};
    return probe->step == 0 ? probe_settings_of(probe)->path : fall_backs[probe->step - 1];
}
#define LAST_STEP 2

/* ---- the end of a probe ---- */

void probe_let_go(struct probe *probe)
{
    if (probe->stream != NULL)
        stream_reset(probe->stream, FAULT_NONE);
    if (probe->link != NULL)
        link_close(probe->link);
    dial_cancel(&probe->dial);
    probe->stream = NULL;
    probe->link = NULL;
    if (probe->state != PROBE_IDLE)
        enter(probe, PROBE_IDLE);
}

static void set_next_round(struct probe *probe)
{
    struct prober *prober = probe->prober;
    loop_timer_set(prober->loop, &probe->timer,
                   loop_now_ms(prober->loop) + health_next_probe_ms(probe_settings_of(probe)->interval_ms, random_u32(&prober->random)));
}

/* Every result comes here: the only writer of a node's health. */
static void report(struct probe *probe, enum health_result result)
{
    struct prober *prober = probe->prober;
    struct roster_node *shared = probe->shared;
    const struct topology_health *settings = probe_settings_of(probe);
    bool has_connected = probe->state == PROBE_ASKING;
    probe_let_go(probe);
    probe->results++;
    if (!has_connected)
        names_ask_again(prober->names, shared);
    roster_node_set_tls_failed(shared, result == HEALTH_RESULT_TLS);
    unsigned fall = probe->cause == PROBE_SUSPICION && epoch_has_other_up(probe->prober->epoch, probe->index) ? 1 : settings->fall;
    probe->cause = PROBE_ROUTINE;
    bool changed = health_feed(&probe->health, result, settings->rise, fall, loop_now_ms(prober->loop));
    roster_node_set_health(shared, probe->health.state);
    bool is_good = result == HEALTH_RESULT_GOOD || result == HEALTH_RESULT_UNAUTHORIZED;
    bool is_passive_down = atomic_load_explicit(&shared->connect_failures, memory_order_relaxed) >= HEALTH_PASSIVE_FAILURES;
    if (is_passive_down && !probe->was_passive_down && !has_connected)
        log_line(LOG_LEVEL_WARNING, "event=node_set_aside node=%s reason=connection_failures", shared->node_id);
    probe->was_passive_down = is_passive_down && !has_connected;
    /* Whatever it answers, if it does. Where all are down by probes, nothing else would bring it back. */
    if (has_connected)
        roster_node_note_connect(shared, false);
    if (is_good)
        standings_forgive(shared);
    if (changed && probe->health.state == HEALTH_UP)
        standings_forget(shared, loop_now_ms(prober->loop));
    if (changed)
        log_line(probe->health.state == HEALTH_DOWN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 "event=node_health node=%s state=%s result=%s", shared->node_id, health_state_name(probe->health.state),
                 health_result_name(result));
    prober->all_down = serving_tell_changes(prober->epoch, prober->all_down);
    set_next_round(probe);
}

/* ---- which HTTP the node speaks ---- */

static bool finds_version(const struct probe *probe)
{
    return probe_node_of(probe)->http == TOPOLOGY_HTTP_AUTO;
}

static unsigned known_version(const struct probe *probe)
{
    return atomic_load_explicit(&probe->shared->http_version, memory_order_relaxed);
}

static void choose_version(struct probe *probe)
{
    probe->is_http2 = finds_version(probe) ? version_search_begin(&probe->search, known_version(probe)) : probe_node_of(probe)->http == TOPOLOGY_HTTP_2;
}

/* Over clear text only asking tells. */
static bool may_speak_http1(struct probe *probe)
{
    return finds_version(probe) && !probe_node_of(probe)->is_tls && version_search_failed(&probe->search, known_version(probe));
}

static void set_version(struct probe *probe, unsigned version)
{
    unsigned found = version_search_answered(&probe->search, known_version(probe), version);
    if (found != 0 && finds_version(probe) && roster_node_set_version(probe->shared, found) != found)
        log_line(LOG_LEVEL_INFO, "event=node_version node=%s http=%u", probe->shared->node_id, found);
}

/* The time is up, or the connection is gone, before an answer. */
static void note_unanswered(struct probe *probe, bool is_silence)
{
    if (!probe->is_http2)
        version_search_unanswered(&probe->search, known_version(probe));
    else if (is_silence)
        version_search_silent(&probe->search, known_version(probe));
}

/* The status page knows only that there is no connection; what is wrong with a certificate is told here, once. */
static void log_tls(struct probe *probe, const char *event, const char *reason)
{
    char quoted[2 * DIAL_REASON_BYTES];
    if (strcmp(reason, probe->tls_reason) == 0)
        return;
    text_append(probe->tls_reason, sizeof probe->tls_reason, 0, "%s", reason);
    log_line(LOG_LEVEL_WARNING, "event=%s node=%s url=%s reason=%s", event, probe->shared->node_id, probe_node_of(probe)->url,
             log_quote(quoted, sizeof quoted, text_of_string(reason)));
}

/* ---- the steps of a probe, in their order ---- */

static void connect_to_node(struct probe *probe);

static void on_head(void *owner, const struct message_head *head)
{
    struct probe *probe = owner;
    bool fall_back = false;
    set_version(probe, probe->is_http2 ? 2 : 1);
    if (probe->link->streams_maximum != 0)
        atomic_store_explicit(&probe->shared->http2_streams, probe->link->streams_maximum, memory_order_relaxed);
    probe->tls_reason[0] = '\0';
    enum health_result result = health_judge_status(head->status, probe->step < LAST_STEP, &fall_back);
    if (fall_back) {
        probe->step++;
        probe_let_go(probe);
        connect_to_node(probe);
        return;
    }
    report(probe, result);
}

static void on_nothing(void *owner, struct text bytes)
{
    (void)owner;
    (void)bytes;
}

static void on_end(void *owner)
{
    (void)owner;
}

static void on_interim(void *owner, const struct message_head *head)
{
    (void)owner;
    (void)head;
}

static void on_failed(void *owner, enum fault fault)
{
    struct probe *probe = owner;
    probe_let_go(probe);
    if (fault == FAULT_TLS_FAILED)
        log_tls(probe, "node_tls_failed", "the node refused our certificate, or asks for one");
    /* What an HTTP/1 node makes of the preface differs: an answer in its own words, a close, a reset. Ask in HTTP/1 at once. */
    else if (probe->is_http2 && may_speak_http1(probe)) {
        probe->is_http2 = false;
        connect_to_node(probe);
        return;
    }
    note_unanswered(probe, false);
    report(probe, health_result_of(fault));
}

static const struct stream_events probe_stream_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_nothing,
    .on_end = on_end,
    .on_drained = on_end,
    .on_failed = on_failed,
};

static void on_link_closed(void *owner, enum fault fault)
{
    (void)owner;
    (void)fault;
}

static const struct link_events probe_link_events = {
    .on_closed = on_link_closed,
};

static void send_request(struct probe *probe)
{
    char token[PROBE_TOKEN_BYTES];
    char host[300];
    struct header_field fields[3];
    struct message_head head = {
        .method = TEXT("GET"),
        .target = text_of_string(path_of_step(probe)),
        .authority = text_of(host, (size_t)snprintf(host, sizeof host, "%s:%u", probe_node_of(probe)->host, probe_node_of(probe)->port)),
        .fields = fields,
    };
    struct text authorization = probe_token_read(probe_settings_of(probe)->token_file, token, sizeof token);
    message_add(&head, 3, HEADER_USER_AGENT, TEXT("User-Agent"), TEXT("sluice-probe"));
    if (authorization.length > 0)
        message_add(&head, 3, HEADER_AUTHORIZATION, TEXT("Authorization"), authorization);
    stream_send_head(probe->stream, &head);
    stream_send_end(probe->stream);
}

static void on_ready(void *owner, struct link *link)
{
    struct probe *probe = owner;
    probe->link = link;
    probe->is_http2 = link->is_http2;
    probe->stream = link_open_stream(link);
    if (probe->stream == NULL) {
        report(probe, HEALTH_RESULT_CONNECT);
        return;
    }
    enter(probe, PROBE_ASKING);
    names_confirm(probe->prober->names, probe->shared, &probe->places[probe->place]);
    stream_set_owner(probe->stream, &probe_stream_events, probe);
    send_request(probe);
}

/* Our own shortage says nothing about the node. */
static void skip_round(struct probe *probe)
{
    log_line(LOG_LEVEL_WARNING, "event=probe_skipped node=%s reason=no_resources", probe->shared->node_id);
    enter(probe, PROBE_IDLE);
    set_next_round(probe);
}

/* The name of the node has further addresses, which may be reached where this one is not. */
static bool try_next_place(struct probe *probe)
{
    if (probe->place + 1 >= probe->place_count)
        return false;
    probe->place++;
    probe_let_go(probe);
    connect_to_node(probe);
    return true;
}

static void on_dial_failed(void *owner, enum fault fault, const char *reason)
{
    struct probe *probe = owner;
    if (fault == FAULT_OUT_OF_MEMORY) {
        skip_round(probe);
        return;
    }
    if (try_next_place(probe))
        return;
    switch (fault) {
    case FAULT_UPSTREAM_VERSION:
        log_tls(probe, "node_version_wrong", reason);
        break;
    case FAULT_TLS_UNVERIFIED:
        log_tls(probe, "node_tls_unverified", reason);
        break;
    case FAULT_TLS_FAILED:
        log_tls(probe, "node_tls_failed", reason);
        break;
    default:
        note_unanswered(probe, false);
        break;
    }
    report(probe, health_result_of(fault));
}

static const struct dial_events probe_dial_events = {
    .on_ready = on_ready,
    .on_failed = on_dial_failed,
};

/* For all of a round; each of several places has its part. */
static uint64_t patience_ms(const struct probe *probe)
{
    uint64_t timeout_ms = probe_settings_of(probe)->timeout_ms;
    return probe->cause == PROBE_SUSPICION && timeout_ms > SUSPECT_MS ? SUSPECT_MS : timeout_ms;
}

static void connect_to_node(struct probe *probe)
{
    struct prober *prober = probe->prober;
    struct dial_request request = {
        .loop = prober->loop,
        .epoch = prober->epoch,
        .index = probe->index,
        .h1 = &prober->h1,
        .h2 = prober->h2,
        .buffers = &prober->buffers,
        .high_water_bytes = BUFFER_BLOCK_BYTES,
        .address = probe->place_count == 0 ? NULL : &probe->places[probe->place],
        .connect_ms = probe->place_count < 2 ? 0 : patience_ms(probe) / probe->place_count,
        .is_http2 = probe->is_http2,
        .streams_expected = 1,
        .events = &probe_dial_events,
        .owner = probe,
        .link_events = &probe_link_events,
        .link_owner = probe,
    };
    enter(probe, PROBE_DIALING);
    enum fault fault = dial_start(&probe->dial, &request);
    if (fault != FAULT_NONE)
        on_dial_failed(probe, fault, "");
}

/* The operator has said for each class that the node may be away. */
static bool is_left_alone(const struct probe *probe)
{
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        if (atomic_load_explicit(&probe->shared->admin[class], memory_order_relaxed) != NODE_ADMIN_MAINT)
            return false;
    }
    return true;
}

static void start(struct probe *probe)
{
    struct prober *prober = probe->prober;
    if (is_left_alone(probe)) {
        set_next_round(probe);
        return;
    }
    choose_version(probe);
    probe->place_count = names_places(prober->names, probe->shared, probe->places);
    probe->place = 0;
    loop_timer_set(prober->loop, &probe->timer, loop_now_ms(prober->loop) + patience_ms(probe));
    connect_to_node(probe);
}

void probe_ask_at_once(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    probe->cause = PROBE_SUSPICION;
    if (probe->state == PROBE_IDLE)
        start(probe);
    else if (probe->timer.deadline_ms > loop_now_ms(loop) + SUSPECT_MS)
        loop_timer_set(loop, &probe->timer, loop_now_ms(loop) + SUSPECT_MS);
}

void probe_on_timer(void *owner)
{
    struct probe *probe = owner;
    if (probe->state == PROBE_IDLE) {
        start(probe);
        return;
    }
    note_unanswered(probe, probe->state == PROBE_ASKING);
    report(probe, HEALTH_RESULT_TIMEOUT);
}
