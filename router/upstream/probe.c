#include "upstream/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "upstream/cluster.h"
#include "upstream/node_tls.h"

#define TOKEN_BYTES 4096
/* Rounds after which a node that spoke HTTP/1 only is asked again. */
#define VERSION_ROUNDS 15
/* Failures in a row before a node that spoke HTTP/2 is taken for one that does so no more. */
#define VERSION_FAILURES 3
#define TLS_REASON_BYTES 160

struct probe {
    struct prober *prober;
    unsigned index;
    struct health health;
    unsigned step;              /* which of the paths is known there: see path_of_step */
    bool has_result;
    bool is_http2;              /* this try */
    unsigned http2_failures;    /* in a row, of a node that has spoken it */
    unsigned version_rounds;    /* left until HTTP/2 is tried again; 0: now */
    struct conn *conn;          /* while connecting */
    struct link *link;
    struct stream *stream;
    struct loop_timer timer;    /* the next round, or the end of this one's patience */
    struct loop_timer resolve_timer;
    struct resolver_request *question; /* NULL: none is asked */
    bool is_running;
    bool was_passive_down;      /* logged that live traffic set it aside */
    char tls_reason[TLS_REASON_BYTES]; /* why the last handshake failed; "" when it did not */
};

struct prober {
    struct loop *loop;
    struct cluster *cluster;    /* ref */
    struct resolver *resolver;
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct h2_context *h2;
    struct random_source random;
    struct probe probes[TOPOLOGY_NODES_MAXIMUM];
};

static const struct topology_node *node_of(const struct probe *probe)
{
    return &probe->prober->cluster->topology->nodes[probe->index];
}

/*
 * The configured path (/ready), then /health for nodes before 3.10, then /ping for those that have neither (InfluxDB 1.x); an
 * answer of 404 moves on, and the node keeps the step that it knew.
 */
static const char *path_of_step(const struct probe *probe)
{
    static const char *const fall_backs[] = {"/health", "/ping"};
    return probe->step == 0 ? probe->prober->cluster->topology->health.path : fall_backs[probe->step - 1];
}
#define LAST_STEP 2

/* ---- the end of a probe ---- */

static void let_go(struct probe *probe)
{
    if (probe->stream != NULL)
        stream_reset(probe->stream, FAULT_NONE);
    if (probe->link != NULL)
        link_close(probe->link);
    else if (probe->conn != NULL)
        conn_close(probe->conn);
    probe->stream = NULL;
    probe->link = NULL;
    probe->conn = NULL;
    probe->is_running = false;
}

/* Every result comes here: the only writer of a node's health. */
static void report(struct probe *probe, enum health_result result)
{
    struct prober *prober = probe->prober;
    const struct topology_health *settings = &prober->cluster->topology->health;
    struct cluster_node *shared = &prober->cluster->nodes[probe->index];
    uint64_t now_ms = loop_now_ms(prober->loop);
    let_go(probe);
    probe->has_result = true;
    bool changed = health_feed(&probe->health, result, settings->rise, settings->fall, now_ms);
    atomic_store_explicit(&shared->health, probe->health.state, memory_order_relaxed);
    bool is_good = result == HEALTH_RESULT_GOOD || result == HEALTH_RESULT_UNAUTHORIZED;
    bool is_passive_down = atomic_load_explicit(&shared->connect_failures, memory_order_relaxed) >= HEALTH_PASSIVE_FAILURES;
    if (is_passive_down && !probe->was_passive_down && !is_good)
        log_line(LOG_LEVEL_WARNING, "event=node_set_aside node=%s reason=connection_failures", node_of(probe)->node_id);
    probe->was_passive_down = is_passive_down && !is_good;
    if (is_good)
        atomic_store_explicit(&shared->connect_failures, 0, memory_order_relaxed);
    if (changed)
        log_line(probe->health.state == HEALTH_DOWN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 "event=node_health node=%s state=%s result=%s", node_of(probe)->node_id,
                 health_state_name(probe->health.state), health_result_name(result));
    loop_timer_set(prober->loop, &probe->timer,
                   now_ms + health_next_probe_ms(settings->interval_ms, random_u32(&prober->random)));
}

/* ---- which HTTP the node speaks ---- */

static bool finds_version(const struct probe *probe)
{
    return node_of(probe)->http == TOPOLOGY_HTTP_AUTO;
}

static void choose_version(struct probe *probe)
{
    probe->is_http2 = node_of(probe)->http == TOPOLOGY_HTTP_2;
    if (!finds_version(probe))
        return;
    unsigned known = atomic_load_explicit(&probe->prober->cluster->nodes[probe->index].http_version, memory_order_relaxed);
    probe->is_http2 = known == 2 || probe->version_rounds == 0;
    if (probe->version_rounds > 0)
        probe->version_rounds--;
}

/* Over clear text only asking tells; one failure of a node that is known to speak HTTP/2 is a failure of the node. */
static bool may_speak_http1(struct probe *probe)
{
    if (!finds_version(probe) || node_of(probe)->is_tls)
        return false;
    unsigned known = atomic_load_explicit(&probe->prober->cluster->nodes[probe->index].http_version, memory_order_relaxed);
    return known != 2 || ++probe->http2_failures >= VERSION_FAILURES;
}

static void set_version(struct probe *probe, unsigned version)
{
    probe->http2_failures = 0;
    atomic_uint *shared = &probe->prober->cluster->nodes[probe->index].http_version;
    if (!finds_version(probe))
        return;
    unsigned before = atomic_exchange_explicit(shared, version, memory_order_relaxed);
    if (before != version)
        log_line(LOG_LEVEL_INFO, "event=node_version node=%s http=%u", node_of(probe)->node_id, version);
}

/* The status page knows only that there is no connection; what is wrong with a certificate is told here, once. */
static void log_tls(struct probe *probe, const char *event, const char *reason)
{
    char quoted[2 * TLS_REASON_BYTES];
    if (strcmp(reason, probe->tls_reason) == 0)
        return;
    text_append(probe->tls_reason, sizeof probe->tls_reason, 0, "%s", reason);
    log_line(LOG_LEVEL_WARNING, "event=%s node=%s url=%s reason=%s", event, node_of(probe)->node_id, node_of(probe)->url,
             log_quote(quoted, sizeof quoted, text_of_string(reason)));
}

/* ---- the steps of a probe, in their order ---- */

static void start(struct probe *probe);
static void connect_to_node(struct probe *probe);

static void on_head(void *owner, const struct message_head *head)
{
    struct probe *probe = owner;
    bool fall_back = false;
    set_version(probe, probe->is_http2 ? 2 : 1);
    if (probe->link->streams_maximum != 0)
        atomic_store_explicit(&probe->prober->cluster->nodes[probe->index].http2_streams, probe->link->streams_maximum,
                              memory_order_relaxed);
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
        probe->version_rounds = VERSION_ROUNDS;
        probe->is_http2 = false;
        connect_to_node(probe);
        return;
    }
    report(probe, fault == FAULT_UPSTREAM_MALFORMED || fault == FAULT_UPSTREAM_HEAD_TOO_LARGE ? HEALTH_RESULT_MALFORMED
                                                                                             : HEALTH_RESULT_CONNECT);
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

/* "Bearer TOKEN" from the token file, or empty: a missing file is told once a round by the 401 that follows. */
static struct text read_token(const struct topology_health *settings, char *buffer, size_t capacity)
{
    if (settings->token_file == NULL)
        return TEXT_EMPTY;
    memcpy(buffer, "Bearer ", 7);
    ptrdiff_t length = file_read_beginning(settings->token_file, buffer + 7, capacity - 7);
    struct text token = text_of(buffer + 7, length > 0 ? (size_t)length : 0);
    const char *line_end = memchr(token.bytes, '\n', token.length);
    if (line_end != NULL)
        token.length = (size_t)(line_end - token.bytes);
    if (token.length > 0 && token.bytes[token.length - 1] == '\r')
        token.length--;
    return token.length == 0 ? TEXT_EMPTY : text_of(buffer, token.length + 7);
}

static void on_connected(void *owner)
{
    struct probe *probe = owner;
    struct prober *prober = probe->prober;
    const struct topology_health *settings = &prober->cluster->topology->health;
    struct conn *conn = probe->conn;
    probe->conn = NULL;
    if (node_of(probe)->is_tls)
        probe->is_http2 = conn_protocol(conn) == CONN_PROTOCOL_HTTP_2;
    if (!probe->is_http2 && node_of(probe)->http == TOPOLOGY_HTTP_2) {
        conn_close(conn);
        log_tls(probe, "node_version_wrong", "the node did not choose HTTP/2 (ALPN h2), and its http is 2");
        report(probe, HEALTH_RESULT_MALFORMED);
        return;
    }
    if (probe->is_http2)
        probe->link = h2_client_create(prober->h2, conn, node_tls_scheme(prober->cluster, probe->index), 1,
                                       &probe_link_events, probe);
    else
        probe->link = h1_client_create(prober->loop, conn, &prober->h1, &probe_link_events, probe);
    probe->stream = probe->link == NULL ? NULL : link_open_stream(probe->link);
    if (probe->stream == NULL) {
        report(probe, HEALTH_RESULT_CONNECT);
        return;
    }
    stream_set_owner(probe->stream, &probe_stream_events, probe);
    char token[TOKEN_BYTES];
    char host[300];
    struct header_field fields[3];
    struct message_head head = {
        .method = TEXT("GET"),
        .target = text_of_string(path_of_step(probe)),
        .authority = text_of(host, (size_t)snprintf(host, sizeof host, "%s:%u", node_of(probe)->host, node_of(probe)->port)),
        .fields = fields,
    };
    struct text authorization = read_token(settings, token, sizeof token);
    message_add(&head, 3, HEADER_USER_AGENT, TEXT("User-Agent"), TEXT("sluice-probe"));
    if (authorization.length > 0)
        message_add(&head, 3, HEADER_AUTHORIZATION, TEXT("Authorization"), authorization);
    stream_send_head(probe->stream, &head);
    stream_send_end(probe->stream);
}

static void on_connect_ended(void *owner, enum conn_end end)
{
    struct probe *probe = owner;
    char reason[TLS_REASON_BYTES];
    if (end == CONN_END_TLS_FAILED || end == CONN_END_TLS_UNVERIFIED)
        log_tls(probe, end == CONN_END_TLS_UNVERIFIED ? "node_tls_unverified" : "node_tls_failed",
                conn_end_reason(probe->conn, end, reason, sizeof reason));
    report(probe, HEALTH_RESULT_CONNECT);
}

static const struct conn_events probe_conn_events = {
    .on_connected = on_connected,
    .on_ended = on_connect_ended,
};

/* Our own shortage says nothing about the node. */
static void skip_round(struct probe *probe)
{
    struct prober *prober = probe->prober;
    log_line(LOG_LEVEL_WARNING, "event=probe_skipped node=%s reason=no_resources", node_of(probe)->node_id);
    probe->is_running = false;
    loop_timer_set(prober->loop, &probe->timer,
                   loop_now_ms(prober->loop) + prober->cluster->topology->health.interval_ms);
}

static void connect_to_node(struct probe *probe)
{
    struct prober *prober = probe->prober;
    const struct topology *topology = prober->cluster->topology;
    struct address address;
    struct conn_settings settings = {
        .events = &probe_conn_events,
        .owner = probe,
        .pool = &prober->buffers,
        .high_water_bytes = BUFFER_BLOCK_BYTES,
        .input_maximum_bytes = topology->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    enum conn_end end = CONN_END_CONNECT_FAILED;
    bool has_address = cluster_get_address(prober->cluster, probe->index, &address);
    probe->is_running = true;
    if (has_address && !node_tls_open(prober->cluster, probe->index, node_tls_offer(prober->cluster, probe->index), &settings.tls))
        end = CONN_END_NO_RESOURCES;
    else if (has_address)
        probe->conn = conn_connect(prober->loop, &address, &settings, &end);
    if (probe->conn == NULL && end == CONN_END_NO_RESOURCES)
        skip_round(probe);
    else if (probe->conn == NULL)
        report(probe, HEALTH_RESULT_CONNECT);
}

static void start(struct probe *probe)
{
    struct prober *prober = probe->prober;
    choose_version(probe);
    loop_timer_set(prober->loop, &probe->timer,
                   loop_now_ms(prober->loop) + prober->cluster->topology->health.timeout_ms);
    connect_to_node(probe);
}

static void on_timer(void *owner)
{
    struct probe *probe = owner;
    if (probe->is_running && probe->is_http2 && probe->stream != NULL)
        probe->version_rounds = VERSION_ROUNDS; /* silence may be all that it has to say to HTTP/2 */
    if (probe->is_running)
        report(probe, HEALTH_RESULT_TIMEOUT);
    else
        start(probe);
}

/* ---- names ---- */

static void on_resolved(void *owner, const struct resolver_answer *answer)
{
    struct probe *probe = owner;
    struct prober *prober = probe->prober;
    probe->question = NULL;
    if (answer->count > 0)
        cluster_set_address(prober->cluster, probe->index, &answer->addresses[0]);
    else
        log_line(LOG_LEVEL_WARNING, "event=resolve_failed node=%s reason=\"%s\"", node_of(probe)->node_id, answer->reason);
    loop_timer_set(prober->loop, &probe->resolve_timer, loop_now_ms(prober->loop) + PROBE_RESOLVE_MS);
}

static void on_resolve_timer(void *owner)
{
    struct probe *probe = owner;
    struct prober *prober = probe->prober;
    probe->question = resolver_start(prober->resolver, node_of(probe)->host, node_of(probe)->port, on_resolved, probe);
    if (probe->question == NULL)
        loop_timer_set(prober->loop, &probe->resolve_timer, loop_now_ms(prober->loop) + PROBE_RESOLVE_MS);
}

/* ---- life ---- */

static void begin_probe(struct prober *prober, unsigned index)
{
    struct probe *probe = &prober->probes[index];
    struct address literal;
    probe->prober = prober;
    probe->index = index;
    loop_timer_init(&probe->timer, on_timer, probe);
    loop_timer_init(&probe->resolve_timer, on_resolve_timer, probe);
    uint64_t now_ms = loop_now_ms(prober->loop);
    if (!address_parse(node_of(probe)->host, node_of(probe)->port, &literal))
        loop_timer_set(prober->loop, &probe->resolve_timer, now_ms);
    loop_timer_set(prober->loop, &probe->timer, now_ms + (literal.length == 0 ? 200 : 0));
}

static void destroy_prober(void *object)
{
    struct prober *prober = object;
    buffer_pool_clear(&prober->buffers);
    h2_context_destroy(prober->h2);
    free(prober->h1.fields);
    free(prober);
}

struct prober *prober_create(struct loop *loop, struct cluster *cluster)
{
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL)
        return NULL;
    const struct topology *topology = cluster->topology;
    prober->loop = loop;
    prober->cluster = cluster;
    random_seed_from_system(&prober->random);
    prober->h1 = (struct h1_settings){
        .limits = {topology->limits.head_bytes, topology->limits.target_bytes, topology->limits.fields},
        .fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field)),
    };
    struct h2_settings h2 = {
        .limits = prober->h1.limits,
        .streams_maximum = 1,
        .window_bytes = BUFFER_BLOCK_BYTES,
        .output_bytes = BUFFER_BLOCK_BYTES,
        .buffers = &prober->buffers,
        .fields = prober->h1.fields,
    };
    prober->h2 = h2_context_create(loop, &h2);
    prober->resolver = resolver_create(loop);
    if (prober->h1.fields == NULL || prober->h2 == NULL || prober->resolver == NULL) {
        resolver_destroy(prober->resolver);
        destroy_prober(prober);
        return NULL;
    }
    for (unsigned i = 0; i < topology->node_count; i++)
        begin_probe(prober, i);
    return prober;
}

void prober_destroy(struct prober *prober)
{
    if (prober == NULL)
        return;
    for (unsigned i = 0; i < prober->cluster->topology->node_count; i++) {
        loop_timer_clear(prober->loop, &prober->probes[i].timer);
        loop_timer_clear(prober->loop, &prober->probes[i].resolve_timer);
        let_go(&prober->probes[i]);
    }
    resolver_destroy(prober->resolver);
    /* After the conns, which were buried before and give their blocks back. */
    loop_bury(prober->loop, prober, destroy_prober);
}

const char *prober_last_result(const struct prober *prober, unsigned node)
{
    return prober->probes[node].has_result ? health_result_name(prober->probes[node].health.last) : "none";
}

uint64_t prober_changed_ms(const struct prober *prober, unsigned node)
{
    return prober->probes[node].health.changed_ms;
}
