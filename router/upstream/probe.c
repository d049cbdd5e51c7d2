#include "upstream/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/random.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/loop.h"
#include "net/wakeup.h"
#include "routing/version_search.h"
#include "upstream/dial.h"
#include "upstream/epoch.h"
#include "upstream/probe_token.h"
#include "upstream/serving.h"
#include "upstream/standings.h"

/* How long a node that live traffic suspects may take for its answer. */
#define SUSPECT_MS 1000
/* The first probe of a node with a name waits so long for its address. */
#define RESOLVE_GRACE_MS 200
/* First probes follow each other at this distance, within the interval, so that a large cluster does not have all of them at once. */
#define FIRST_STEP_MS 10

/*
 *   IDLE --timer--> DIALING --ready--> ASKING --head--> IDLE
 *     ^                |                  |
 *     +-- any failure, or the time is up -+
 */
enum probe_state { PROBE_IDLE, PROBE_DIALING, PROBE_ASKING };

/* Why the node is asked. What live traffic suspects needs no second failure, as long as another node is there to take its work. */
enum probe_cause { PROBE_ROUTINE, PROBE_SUSPICION };

struct probe {
    struct prober *prober;
    struct roster_node *shared; /* owned reference */
    unsigned index;             /* in the prober's epoch */
    enum probe_state state;
    enum probe_cause cause;
    struct health health;
    unsigned results;           /* so far */
    unsigned step;              /* which of the paths is known there: see path_of_step */
    bool is_http2;              /* this try */
    struct version_search search; /* clear text: which HTTP to ask in */
    struct dial dial;
    struct link *link;
    struct stream *stream;
    struct loop_timer timer;    /* the next round, or the end of this one's patience */
    bool was_passive_down;      /* logged that live traffic set it aside */
    char tls_reason[DIAL_REASON_BYTES]; /* why the last handshake failed; "" when it did not */
};

struct prober {
    struct loop *loop;
    struct epoch *epoch;        /* owned reference; NULL before the first */
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct h2_context *h2;
    struct random_source random;
    struct wakeup *suspicions;  /* a worker suspects a node */
    unsigned all_down;          /* of which kinds it was logged that all nodes are down and serve, see serving_all_down */
    struct probe *of_slot[ROSTER_SLOTS];
};

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

static const struct topology_node *node_of(const struct probe *probe)
{
    return &probe->prober->epoch->topology->nodes[probe->index];
}

static const struct topology_health *settings_of(const struct probe *probe)
{
    return &probe->prober->epoch->topology->health;
}

/*
 * The configured path (/ready), then /health for nodes before 3.10, then /ping for those that have neither (InfluxDB 1.x); an
 * answer of 404 moves on, and the node keeps the step that it knew.
 */
static const char *path_of_step(const struct probe *probe)
{
    static const char *const fall_backs[] = {"/health", "/ping"};
    return probe->step == 0 ? settings_of(probe)->path : fall_backs[probe->step - 1];
}
#define LAST_STEP 2

/* ---- the end of a probe ---- */

static void let_go(struct probe *probe)
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
                   loop_now_ms(prober->loop) + health_next_probe_ms(settings_of(probe)->interval_ms, random_u32(&prober->random)));
}

/* Every result comes here: the only writer of a node's health. */
static void report(struct probe *probe, enum health_result result)
{
    struct prober *prober = probe->prober;
    struct roster_node *shared = probe->shared;
    const struct topology_health *settings = settings_of(probe);
    bool has_connected = probe->state == PROBE_ASKING;
    let_go(probe);
    probe->results++;
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
    return node_of(probe)->http == TOPOLOGY_HTTP_AUTO;
}

static unsigned known_version(const struct probe *probe)
{
    return atomic_load_explicit(&probe->shared->http_version, memory_order_relaxed);
}

static void choose_version(struct probe *probe)
{
    probe->is_http2 = finds_version(probe) ? version_search_begin(&probe->search, known_version(probe)) : node_of(probe)->http == TOPOLOGY_HTTP_2;
}

/* Over clear text only asking tells. */
static bool may_speak_http1(struct probe *probe)
{
    return finds_version(probe) && !node_of(probe)->is_tls && version_search_failed(&probe->search, known_version(probe));
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
    log_line(LOG_LEVEL_WARNING, "event=%s node=%s url=%s reason=%s", event, probe->shared->node_id, node_of(probe)->url,
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
        let_go(probe);
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
    let_go(probe);
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
        .authority = text_of(host, (size_t)snprintf(host, sizeof host, "%s:%u", node_of(probe)->host, node_of(probe)->port)),
        .fields = fields,
    };
    struct text authorization = probe_token_read(settings_of(probe)->token_file, token, sizeof token);
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

static void on_dial_failed(void *owner, enum fault fault, const char *reason)
{
    struct probe *probe = owner;
    switch (fault) {
    case FAULT_OUT_OF_MEMORY:
        skip_round(probe);
        return;
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
    uint64_t timeout_ms = settings_of(probe)->timeout_ms;
    if (probe->cause == PROBE_SUSPICION && timeout_ms > SUSPECT_MS)
        timeout_ms = SUSPECT_MS;
    loop_timer_set(prober->loop, &probe->timer, loop_now_ms(prober->loop) + timeout_ms);
    connect_to_node(probe);
}

/* A probe that is under way has no longer than one that would begin now. */
static void ask_at_once(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    probe->cause = PROBE_SUSPICION;
    if (probe->state == PROBE_IDLE)
        start(probe);
    else if (probe->timer.deadline_ms > loop_now_ms(loop) + SUSPECT_MS)
        loop_timer_set(loop, &probe->timer, loop_now_ms(loop) + SUSPECT_MS);
}

static void on_suspicion(void *owner)
{
    struct prober *prober = owner;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        struct probe *probe = prober->of_slot[i];
        if (probe != NULL && atomic_exchange_explicit(&probe->shared->suspected, 0, memory_order_relaxed) != 0)
            ask_at_once(probe);
    }
}

static void on_timer(void *owner)
{
    struct probe *probe = owner;
    if (probe->state == PROBE_IDLE) {
        start(probe);
        return;
    }
    note_unanswered(probe, probe->state == PROBE_ASKING);
    report(probe, HEALTH_RESULT_TIMEOUT);
}

/* ---- epochs ---- */

static void destroy_probe(void *object)
{
    free(object);
}

static void forget(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    let_go(probe);
    loop_timer_clear(loop, &probe->timer);
    probe->prober->of_slot[probe->shared->slot] = NULL;
    roster_node_release(probe->shared);
    /* Its link and stream are in the grave, too, and may still name it as their owner. */
    loop_bury(loop, probe, destroy_probe);
}

static void set_first_round(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    struct address address;
    uint64_t delay_ms = (uint64_t)probe->index * FIRST_STEP_MS % settings_of(probe)->interval_ms;
    if (!roster_node_get_address(probe->shared, &address))
        delay_ms += RESOLVE_GRACE_MS;
    loop_timer_set(loop, &probe->timer, loop_now_ms(loop) + delay_ms);
}

static bool begin(struct prober *prober, struct roster_node *node, unsigned index)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return false;
    probe->prober = prober;
    probe->shared = node;
    probe->index = index;
    roster_node_retain(node);
    prober->of_slot[node->slot] = probe;
    loop_timer_init(&probe->timer, on_timer, probe);
    set_first_round(probe);
    return true;
}

/* The node is elsewhere: what its old place spoke, and that nobody could connect there, says nothing of the new one. */
static void start_over(struct probe *probe)
{
    let_go(probe);
    roster_node_forget_place(probe->shared);
    standings_forget(probe->shared, loop_now_ms(probe->prober->loop));
    probe->step = 0;
    probe->search = (struct version_search){0};
    set_first_round(probe);
}

static void set_limits(struct prober *prober, const struct topology *topology)
{
    prober->h1.limits = (struct h1_limits){topology->limits.head_bytes, topology->limits.target_bytes, topology->limits.fields};
}

bool prober_apply(struct prober *prober, struct epoch *epoch)
{
    bool is_complete = true;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (prober->of_slot[i] != NULL && epoch_find(epoch, prober->of_slot[i]->shared) < 0)
            forget(prober->of_slot[i]);
    }
    struct epoch *before = prober->epoch;
    epoch->roster->suspicions = prober->suspicions;
    epoch_retain(epoch);
    prober->epoch = epoch;
    set_limits(prober, epoch->topology);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        struct probe *known = prober->of_slot[epoch->nodes[i]->slot];
        if (known == NULL) {
            is_complete = begin(prober, epoch->nodes[i], i) && is_complete;
            continue;
        }
        bool has_moved = !epoch_is_same_place(&before->topology->nodes[known->index], &epoch->topology->nodes[i]);
        known->index = i;
        if (has_moved)
            start_over(known);
    }
    epoch_release(before);
    prober->all_down = serving_tell_changes(prober->epoch, prober->all_down);
    return is_complete;
}

/* ---- life ---- */

static void destroy_prober(void *object)
{
    struct prober *prober = object;
    buffer_pool_clear(&prober->buffers);
    h2_context_destroy(prober->h2);
    wakeup_destroy(prober->suspicions);
    free(prober->h1.fields);
    free(prober);
}

struct prober *prober_create(struct loop *loop)
{
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL)
        return NULL;
    prober->loop = loop;
    random_seed_from_system(&prober->random);
    prober->h1.fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field));
    struct h2_settings h2 = {
        .limits = {65536, 8192, 100},
        .streams_maximum = 1,
        .window_bytes = BUFFER_BLOCK_BYTES,
        .output_bytes = BUFFER_BLOCK_BYTES,
        .buffers = &prober->buffers,
        .fields = prober->h1.fields,
    };
    prober->h2 = h2_context_create(loop, &h2);
    prober->suspicions = wakeup_create(loop, on_suspicion, prober);
    if (prober->h1.fields == NULL || prober->h2 == NULL || prober->suspicions == NULL) {
        destroy_prober(prober);
        return NULL;
    }
    return prober;
}

void prober_destroy(struct prober *prober)
{
    if (prober == NULL)
        return;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (prober->of_slot[i] != NULL)
            forget(prober->of_slot[i]);
    }
    if (prober->epoch != NULL)
        prober->epoch->roster->suspicions = NULL;
    wakeup_destroy(prober->suspicions);
    prober->suspicions = NULL;
    epoch_release(prober->epoch);
    /* After the conns, which were buried before and give their blocks back. */
    loop_bury(prober->loop, prober, destroy_prober);
}

/* ---- for people ---- */

const char *prober_last_result(const struct prober *prober, const struct roster_node *node)
{
    const struct probe *probe = prober->of_slot[node->slot];
    return probe == NULL || probe->results == 0 ? "none" : health_result_name(probe->health.last);
}

uint64_t prober_changed_ms(const struct prober *prober, const struct roster_node *node)
{
    const struct probe *probe = prober->of_slot[node->slot];
    return probe == NULL ? 0 : probe->health.changed_ms;
}
