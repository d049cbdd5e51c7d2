#include "worker/worker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "downstream/entrance.h"
#include "downstream/session.h"
#include "exchange/exchange.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/wakeup.h"
#include "observe/access_log.h"
#include "upstream/cluster.h"
#include "upstream/pool.h"

#define FLUSH_MS 1000

/* What the main thread asks for, in the order of urgency. */
enum worker_request { WORKER_REQUEST_NONE, WORKER_REQUEST_DRAIN, WORKER_REQUEST_STOP };

struct worker_listener {
    struct worker *worker;
    struct listener *listener;
    struct entrance entrance;
    struct session_settings session;
};

struct worker {
    const struct topology *topology; /* ref */
    unsigned index;
    struct thread *thread;           /* NULL: not started, or ended */
    struct loop *loop;
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct h2_context *h2;
    struct exchange_context context;
    struct list sessions;
    struct list proxy_readers;       /* connections on their way to a session */
    struct log_limit abuse_log;
    struct worker_listener *listeners;
    size_t connections_maximum;
    bool is_accepting;
    bool is_draining;
    struct wakeup *mail;             /* `request` has changed */
    struct loop_timer flush_timer;
    struct {
        atomic_uint request;         /* enum worker_request; written by the main thread */
        atomic_size_t session_count; /* written by the worker */
        struct metrics metrics;      /* written by the worker */
    } shared;
};

/* ---- sessions ---- */

static size_t connection_count(const struct worker *worker)
{
    return worker->sessions.count + worker->proxy_readers.count;
}

static void set_session_count(struct worker *worker)
{
    atomic_store_explicit(&worker->shared.session_count, connection_count(worker), memory_order_relaxed);
}

static void end_if_drained(struct worker *worker)
{
    if (worker->is_draining && connection_count(worker) == 0)
        loop_stop(worker->loop);
}

static void set_accepting(struct worker *worker, bool accepting)
{
    if (worker->is_accepting == accepting || worker->is_draining)
        return;
    worker->is_accepting = accepting;
    for (size_t i = 0; i < worker->topology->listener_count; i++) {
        if (accepting)
            listener_resume(worker->listeners[i].listener);
        else
            listener_pause(worker->listeners[i].listener);
    }
    if (!accepting)
        log_line(LOG_LEVEL_WARNING, "event=connection_limit worker=%u connections=%zu", worker->index,
                 connection_count(worker));
}

/* A connection has come, gone, or become a session. */
static void count_connections(struct worker *worker)
{
    set_session_count(worker);
    set_accepting(worker, connection_count(worker) < worker->connections_maximum);
}

static void on_session_closed(void *owner, enum fault fault)
{
    struct worker_listener *listener = owner;
    if (fault == FAULT_DOWNSTREAM_ABUSE)
        metrics_add(&listener->worker->shared.metrics.faults[fault], 1);
    metrics_add(&listener->worker->shared.metrics.sessions_closed, 1);
    count_connections(listener->worker);
    end_if_drained(listener->worker);
}

static void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    struct worker_listener *listener = owner;
    exchange_start(&listener->worker->context, session, stream, head);
}

static void on_refused(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault)
{
    struct worker_listener *listener = owner;
    exchange_refuse(&listener->worker->context, session, stream, head, fault);
}

static void on_handshake(void *owner, enum session_handshake handshake)
{
    struct worker_listener *listener = owner;
    struct metrics *metrics = &listener->worker->shared.metrics;
    switch (handshake) {
    case SESSION_HANDSHAKE_FULL:
        metrics_add(&metrics->tls_handshakes_full, 1);
        break;
    case SESSION_HANDSHAKE_RESUMED:
        metrics_add(&metrics->tls_handshakes_resumed, 1);
        break;
    case SESSION_HANDSHAKE_FAILED:
        metrics_add(&metrics->tls_handshake_failures, 1);
        break;
    }
}

static const struct session_handler handler = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_session_closed = on_session_closed,
    .on_handshake = on_handshake,
};

static void on_entered(void *owner, int fd, const struct address *client)
{
    struct worker_listener *listener = owner;
    struct worker *worker = listener->worker;
    if (session_create(worker->loop, fd, client, &listener->session, &worker->sessions)) {
        metrics_add(&worker->shared.metrics.sessions_opened, 1);
        /* Whose header is read while draining comes too late for the round that drain() makes. The newest is the last. */
        if (worker->is_draining)
            session_drain(LIST_OWNER(worker->sessions.head.previous, struct session, node));
    }
    count_connections(worker);
    end_if_drained(worker);
}

static void on_turned_away(void *owner)
{
    struct worker_listener *listener = owner;
    count_connections(listener->worker);
    end_if_drained(listener->worker);
}

static const struct entrance_events entrance_events = {
    .on_entered = on_entered,
    .on_turned_away = on_turned_away,
};

static void on_accept(void *owner, int fd)
{
    struct worker_listener *listener = owner;
    entrance_admit(&listener->entrance, fd);
    count_connections(listener->worker);
}

/* ---- requests of the main thread ---- */

static void drain(struct worker *worker)
{
    if (worker->is_draining)
        return;
    /* First: the backlog that closing takes in must not touch listeners that are closed already. */
    worker->is_draining = true;
    for (size_t i = 0; i < worker->topology->listener_count; i++) {
        listener_close(worker->listeners[i].listener);
        worker->listeners[i].listener = NULL;
    }
    struct list_node *node = worker->sessions.head.next;
    while (node != &worker->sessions.head) {
        struct session *session = LIST_OWNER(node, struct session, node);
        node = node->next;
        session_drain(session);
    }
    entrance_drain(worker->loop, &worker->proxy_readers);
    end_if_drained(worker);
}

static void cut(struct worker *worker)
{
    drain(worker);
    exchange_cut_all(&worker->context);
    loop_stop(worker->loop);
}

static void on_mail(void *owner)
{
    struct worker *worker = owner;
    switch (atomic_load(&worker->shared.request)) {
    case WORKER_REQUEST_DRAIN:
        drain(worker);
        break;
    case WORKER_REQUEST_STOP:
        cut(worker);
        break;
    default:
        break;
    }
}

static void send_mail(struct worker *worker, enum worker_request request)
{
    atomic_store(&worker->shared.request, request);
    wakeup_send(worker->mail);
}

void worker_drain(struct worker *worker)
{
    send_mail(worker, WORKER_REQUEST_DRAIN);
}

void worker_stop(struct worker *worker)
{
    send_mail(worker, WORKER_REQUEST_STOP);
}

/* ---- life ---- */

static void on_flush(void *owner)
{
    struct worker *worker = owner;
    if (worker->context.access_log != NULL)
        access_log_flush(worker->context.access_log);
    loop_timer_set(worker->loop, &worker->flush_timer, loop_now_ms(worker->loop) + FLUSH_MS);
}

static bool create_listeners(struct worker *worker, const struct worker_settings *settings)
{
    const struct topology *topology = worker->topology;
    worker->listeners = calloc(topology->listener_count, sizeof *worker->listeners);
    if (worker->listeners == NULL)
        return false;
    for (size_t i = 0; i < topology->listener_count; i++) {
        struct worker_listener *listener = &worker->listeners[i];
        listener->worker = worker;
        listener->entrance = (struct entrance){
            .loop = worker->loop,
            .listener = &topology->listeners[i],
            .events = &entrance_events,
            .owner = listener,
            .proxy_readers = &worker->proxy_readers,
            .metrics = &worker->shared.metrics,
            .header_ms = topology->timeouts.request_head_ms,
        };
        listener->session = (struct session_settings){
            .handler = &handler,
            .owner = listener,
            .h1 = &worker->h1,
            .h2 = worker->h2,
            .buffers = &worker->buffers,
            .tls = settings->tls[i],
            .abuse_log = &worker->abuse_log,
            .tls_handshake_ms = topology->timeouts.tls_handshake_ms,
            .request_head_ms = topology->timeouts.request_head_ms,
            .keep_alive_ms = topology->timeouts.keep_alive_ms,
            .buffer_bytes = topology->limits.buffer_bytes,
            .is_writeback = topology->listeners[i].has_class &&
                            topology->listeners[i].class == REQUEST_CLASS_WRITEBACK,
        };
        listener->listener = listener_create(worker->loop, settings->fds[i], on_accept, listener);
        if (listener->listener == NULL)
            return false;
    }
    worker->is_accepting = true;
    return true;
}

static void fill_h1_settings(struct worker *worker)
{
    const struct topology *topology = worker->topology;
    worker->h1 = (struct h1_settings){
        .limits = {topology->limits.head_bytes, topology->limits.target_bytes, topology->limits.fields},
        .body_limit_bytes = topology->limits.body_bytes,
        .linger_ms = topology->timeouts.linger_ms,
        .fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field)),
    };
}

static bool create_h2_context(struct worker *worker)
{
    const struct topology *topology = worker->topology;
    struct h2_settings settings = {
        .limits = worker->h1.limits,
        .body_limit_bytes = topology->limits.body_bytes,
        .streams_maximum = (uint32_t)topology->limits.streams,
        .window_bytes = (uint32_t)topology->limits.buffer_bytes,
        .output_bytes = topology->limits.buffer_bytes,
        .request_head_ms = topology->timeouts.request_head_ms,
        .stall_ms = topology->timeouts.idle_ms,
        .buffers = &worker->buffers,
        .fields = worker->h1.fields,
    };
    worker->h2 = h2_context_create(worker->loop, &settings);
    return worker->h2 != NULL;
}

static bool fill_context(struct worker *worker, const struct worker_settings *settings, const char **reason)
{
    struct exchange_context *context = &worker->context;
    context->loop = worker->loop;
    context->topology = worker->topology;
    context->classifier = settings->classifier;
    context->cluster = settings->cluster;
    context->metrics = &worker->shared.metrics;
    list_init(&context->exchanges);
    context->fields = calloc(MESSAGE_FIELDS_MAXIMUM + 8, sizeof(struct header_field));
    random_seed_from_system(&context->random);
    struct pool_settings pool = {
        .topology = worker->topology,
        .cluster = settings->cluster,
        .h1 = &worker->h1,
        .h2 = worker->h2,
        .buffers = &worker->buffers,
    };
    context->pool = pool_create(worker->loop, &pool);
    context->pool_verbs = &pool_verbs;
    if (worker->topology->access_log != NULL) {
        context->access_log = access_log_open(worker->topology->access_log, reason);
        if (context->access_log == NULL)
            return false;
    }
    return context->fields != NULL && context->pool != NULL;
}

struct worker *worker_create(const struct worker_settings *settings, const char **reason)
{
    *reason = "out of memory";
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->topology = settings->topology;
    worker->index = settings->index;
    worker->connections_maximum = settings->connections_maximum;
    list_init(&worker->sessions);
    list_init(&worker->proxy_readers);
    worker->loop = loop_create();
    if (worker->loop == NULL)
        goto fail;
    worker->mail = wakeup_create(worker->loop, on_mail, worker);
    if (worker->mail == NULL)
        goto fail;
    fill_h1_settings(worker);
    if (worker->h1.fields == NULL || !create_h2_context(worker) || !fill_context(worker, settings, reason) ||
        !create_listeners(worker, settings))
        goto fail;
    loop_timer_init(&worker->flush_timer, on_flush, worker);
    loop_timer_set(worker->loop, &worker->flush_timer, loop_now_ms(worker->loop) + FLUSH_MS);
    return worker;
fail:
    worker_destroy(worker);
    return NULL;
}

static void run(void *owner)
{
    struct worker *worker = owner;
    loop_run(worker->loop);
}

bool worker_start(struct worker *worker)
{
    worker->thread = thread_start(run, worker);
    return worker->thread != NULL;
}

void worker_join(struct worker *worker)
{
    thread_join(worker->thread);
    worker->thread = NULL;
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    struct list_node *node;
    if (worker->context.exchanges.head.next != NULL)
        exchange_cut_all(&worker->context);
    while ((node = list_first(&worker->sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    for (size_t i = 0; worker->listeners != NULL && i < worker->topology->listener_count; i++)
        listener_close(worker->listeners[i].listener);
    entrance_close(&worker->proxy_readers);
    while ((node = list_first(&worker->sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    pool_destroy(worker->context.pool);
    access_log_close(worker->context.access_log);
    wakeup_destroy(worker->mail);
    loop_destroy(worker->loop);
    h2_context_destroy(worker->h2);
    buffer_pool_clear(&worker->buffers);
    free(worker->context.fields);
    free(worker->h1.fields);
    free(worker->listeners);
    free(worker);
}

const struct metrics *worker_metrics(const struct worker *worker)
{
    return &worker->shared.metrics;
}

size_t worker_session_count(const struct worker *worker)
{
    return atomic_load_explicit(&worker->shared.session_count, memory_order_relaxed);
}
