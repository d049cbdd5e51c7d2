#include "worker/worker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory_account.h"
#include "base/thread.h"
#include "dispatch/dispatch.h"
#include "exchange/exchange.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/socket.h"
#include "net/wakeup.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "upstream/pool.h"

#define FLUSH_MS 1000

/* What the control thread asks for, in the order of urgency. */
enum worker_request { WORKER_REQUEST_NONE, WORKER_REQUEST_DRAIN, WORKER_REQUEST_STOP };

struct worker {
    unsigned index;
    struct thread *thread;           /* NULL: not started, or ended */
    struct memory_account account;
    struct loop *loop;
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct h2_context *h2;
    struct lease *lease;             /* of the newest epoch; NULL before the first */
    struct list leases;              /* of struct lease: those that have not ended */
    struct dispatch_context dispatch;
    struct exchange_context exchange;
    struct listeners listeners;
    struct wakeup *mail;             /* `change` or `request` has changed */
    struct loop_timer flush_timer;
    struct {
        atomic_uint request;         /* enum worker_request; written by the control thread */
        _Atomic(const struct worker_change *) change; /* to be applied; taken by the worker */
        struct metrics metrics;      /* written by the worker */
    } shared;
};

static bool is_draining(const struct worker *worker)
{
    return worker->listeners.state == LISTENERS_DRAINING;
}

static void end_if_drained(void *owner)
{
    struct worker *worker = owner;
    if (is_draining(worker) && worker_session_count(worker) == 0)
        loop_stop(worker->loop);
}

/* ---- sessions ---- */

static void on_session_closed(void *owner, enum fault fault)
{
    struct worker *worker = owner;
    if (fault == FAULT_DOWNSTREAM_ABUSE)
        metrics_add(&worker->shared.metrics.faults[fault], 1);
    metrics_add(&worker->shared.metrics.sessions_closed, 1);
}

static void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    struct worker *worker = owner;
    exchange_start(&worker->exchange, session, stream, head);
}

static void on_refused(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault)
{
    struct worker *worker = owner;
    exchange_refuse(&worker->exchange, session, stream, head, fault);
}

static void on_handshake(void *owner, enum session_handshake handshake)
{
    struct worker *worker = owner;
    struct metrics *metrics = &worker->shared.metrics;
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

/* ---- epochs ---- */

static void set_limits(struct worker *worker, const struct topology *topology)
{
    worker->h1.limits = (struct h1_limits){topology->limits.head_bytes, topology->limits.target_bytes, topology->limits.fields};
    worker->h1.body_limit_bytes = topology->limits.body_bytes;
    worker->h1.linger_ms = topology->timeouts.linger_ms;
    worker->h1.keep_alive_s = session_told_keep_alive_s(topology->timeouts.keep_alive_ms);
}

static struct h2_settings h2_settings_of(struct worker *worker, const struct topology *topology)
{
    return (struct h2_settings){
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
}

/* Nobody of this worker uses the epoch any more: its nodes that no other epoch has are left. */
static void on_lease_ended(void *owner, struct lease *lease)
{
    struct worker *worker = owner;
    for (unsigned i = 0; i < lease->epoch->topology->node_count; i++) {
        struct roster_node *node = lease->epoch->nodes[i];
        bool is_wanted = false;
        for (struct list_node *at = worker->leases.head.next; at != &worker->leases.head && !is_wanted; at = at->next)
            is_wanted = epoch_find(LIST_OWNER(at, struct lease, node)->epoch, node) >= 0;
        if (!is_wanted)
            pool_leave(worker->dispatch.pool, node);
    }
}

static void use_lease(struct worker *worker, struct lease *lease)
{
    struct lease *before = worker->lease;
    worker->lease = lease;
    worker->dispatch.newest = lease;
    worker->exchange.lease = lease;
    exchange_leave_epochs(&worker->exchange);
    if (before != NULL)
        lease_release(before);
}

/* What came with a change that is not taken. */
static void give_up(const struct worker_change *change)
{
    access_log_close(change->access_log);
    for (size_t i = 0; i < change->epoch->topology->listener_count; i++) {
        if (change->listeners[i].fd < 0)
            continue;
        socket_close(change->listeners[i].fd);
        atomic_store(change->listeners[i].is_missing, true);
    }
}

/* All of it, or, when memory is out, nothing but the closing of what came with it. */
static bool apply(struct worker *worker, const struct worker_change *change)
{
    const struct topology *topology = change->epoch->topology;
    struct lease *lease = lease_create(change->epoch, &worker->leases, on_lease_ended, worker);
    if (lease == NULL || !pool_apply(worker->dispatch.pool, change->epoch)) {
        give_up(change);
        if (lease != NULL)
            lease_release(lease);
        return false;
    }
    if (change->changes_access_log) {
        access_log_close(worker->exchange.access_log);
        worker->exchange.access_log = change->access_log;
    }
    set_limits(worker, topology);
    struct h2_settings h2 = h2_settings_of(worker, topology);
    h2_context_configure(worker->h2, &h2);
    use_lease(worker, lease);
    /* A listener that cannot be made for want of memory does not undo the rest. */
    if (!listeners_apply(&worker->listeners, change->epoch, change->listeners))
        log_line(LOG_LEVEL_ERROR, "event=listener_missing worker=%u reason=\"out of memory\"", worker->index);
    return true;
}

/* ---- mail of the control thread ---- */

static void drain(struct worker *worker)
{
    bool is_first = !is_draining(worker);
    listeners_drain(&worker->listeners);
    if (is_first)
        log_line(LOG_LEVEL_INFO, "event=worker_drain worker=%u sessions=%zu", worker->index, worker_session_count(worker));
    end_if_drained(worker);
}

static void cut(struct worker *worker)
{
    drain(worker);
    exchange_cut_all(&worker->exchange);
    loop_stop(worker->loop);
}

static void take_change(struct worker *worker)
{
    const struct worker_change *change = atomic_exchange(&worker->shared.change, NULL);
    if (change == NULL)
        return;
    bool is_applied = apply(worker, change);
    if (!is_applied)
        log_line(LOG_LEVEL_ERROR, "event=epoch_not_applied worker=%u epoch=%llu reason=\"out of memory\"", worker->index,
                 (unsigned long long)change->epoch->number);
    change->on_applied(change->owner, is_applied);
}

static void on_mail(void *owner)
{
    struct worker *worker = owner;
    take_change(worker);
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

void worker_apply(struct worker *worker, const struct worker_change *change)
{
    atomic_store(&worker->shared.change, change);
    wakeup_send(worker->mail);
}

static void request(struct worker *worker, enum worker_request request_kind)
{
    atomic_store(&worker->shared.request, request_kind);
    wakeup_send(worker->mail);
}

void worker_drain(struct worker *worker)
{
    request(worker, WORKER_REQUEST_DRAIN);
}

void worker_stop(struct worker *worker)
{
    request(worker, WORKER_REQUEST_STOP);
}

/* ---- life ---- */

static void on_flush(void *owner)
{
    struct worker *worker = owner;
    if (worker->exchange.access_log != NULL)
        access_log_flush(worker->exchange.access_log);
    exchange_shed_silent(&worker->exchange);
    for (unsigned kind = 0; kind < MEMORY_KIND_COUNT; kind++)
        atomic_store_explicit(&worker->shared.metrics.memory[kind], worker->account.used[kind], memory_order_relaxed);
    loop_timer_set(worker->loop, &worker->flush_timer, loop_now_ms(worker->loop) + FLUSH_MS);
}

/* Whatever is made here is unmade by worker_destroy. */
static bool make_parts(struct worker *worker, const struct worker_change *change)
{
    worker->h1.fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field));
    worker->dispatch.fields = calloc(MESSAGE_FIELDS_MAXIMUM + 8, sizeof(struct header_field));
    worker->mail = wakeup_create(worker->loop, on_mail, worker);
    if (worker->h1.fields == NULL || worker->dispatch.fields == NULL || worker->mail == NULL)
        return false;
    set_limits(worker, change->epoch->topology);
    struct h2_settings h2 = h2_settings_of(worker, change->epoch->topology);
    worker->h2 = h2_context_create(worker->loop, &h2);
    struct pool_settings pool = {.h1 = &worker->h1, .h2 = worker->h2, .buffers = &worker->buffers};
    worker->dispatch.pool = pool_create(worker->loop, &pool);
    return worker->h2 != NULL && worker->dispatch.pool != NULL;
}

static void join_parts(struct worker *worker, const struct worker_settings *settings)
{
    worker->dispatch.loop = worker->loop;
    worker->dispatch.roster = settings->change->epoch->roster;
    worker->dispatch.pool_verbs = &pool_verbs;
    worker->dispatch.metrics = &worker->shared.metrics;
    random_seed_from_system(&worker->dispatch.random);
    dispatch_context_init(&worker->dispatch);
    worker->exchange.loop = worker->loop;
    worker->exchange.dispatch = &worker->dispatch;
    worker->exchange.metrics = &worker->shared.metrics;
    worker->exchange.fields = worker->dispatch.fields;
    random_seed_from_system(&worker->exchange.random);
    struct listeners_settings listeners = {
        .loop = worker->loop,
        .handler = &handler,
        .owner = worker,
        .h1 = &worker->h1,
        .h2 = worker->h2,
        .buffers = &worker->buffers,
        .metrics = &worker->shared.metrics,
        .limit = settings->limit,
        .on_gone = end_if_drained,
    };
    listeners_init(&worker->listeners, &listeners);
}

static void count_memory(struct worker *worker, struct roster *roster)
{
    worker->account.total = &roster->memory_bytes;
    worker->buffers.account = &worker->account;
    loop_set_account(worker->loop, &worker->account);
}

struct worker *worker_create(const struct worker_settings *settings, const char **reason)
{
    *reason = "out of memory";
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        give_up(settings->change);
        return NULL;
    }
    worker->index = settings->index;
    list_init(&worker->leases);
    list_init(&worker->exchange.exchanges);
    worker->loop = loop_create();
    if (worker->loop != NULL)
        count_memory(worker, settings->change->epoch->roster);
    if (worker->loop == NULL || !make_parts(worker, settings->change)) {
        give_up(settings->change);
        worker_destroy(worker);
        return NULL;
    }
    join_parts(worker, settings);
    if (!apply(worker, settings->change)) {
        worker_destroy(worker);
        return NULL;
    }
    loop_timer_init(&worker->flush_timer, on_flush, worker);
    loop_timer_set(worker->loop, &worker->flush_timer, loop_now_ms(worker->loop) + FLUSH_MS);
    return worker;
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

/* What is still counted was not given back, and would count for as long as the process lives. */
static void check_memory(struct worker *worker)
{
    enum memory_kind kind;
    memory_account_settle(&worker->account);
    if (!memory_account_is_even(&worker->account, &kind))
        log_line(LOG_LEVEL_ERROR, "event=bug what=memory worker=%u kind=%s bytes=%zu", worker->index, memory_kind_name(kind),
                 worker->account.used[kind]);
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    const struct worker_change *untaken = atomic_exchange(&worker->shared.change, NULL);
    if (untaken != NULL)
        give_up(untaken);
    exchange_cut_all(&worker->exchange);
    if (worker->listeners.settings.loop != NULL)
        listeners_close(&worker->listeners);
    if (worker->lease != NULL)
        lease_release(worker->lease);
    pool_destroy(worker->dispatch.pool);
    if (worker->dispatch.loop != NULL)
        dispatch_context_clear(&worker->dispatch);
    access_log_close(worker->exchange.access_log);
    wakeup_destroy(worker->mail);
    loop_destroy(worker->loop);
    h2_context_destroy(worker->h2);
    buffer_pool_clear(&worker->buffers);
    free(worker->dispatch.fields);
    free(worker->h1.fields);
    check_memory(worker);
    free(worker);
}

const struct metrics *worker_metrics(const struct worker *worker)
{
    return &worker->shared.metrics;
}

size_t worker_session_count(const struct worker *worker)
{
    return atomic_load_explicit(&worker->listeners.count, memory_order_relaxed);
}
