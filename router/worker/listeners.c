#include "worker/listeners.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "downstream/acceptor.h"
#include "net/listener.h"
#include "net/socket.h"
#include "net/tls_server.h"
#include "observe/metrics.h"
#include "upstream/epoch.h"

/* How often a worker that rests looks whether connections have gone elsewhere, */
#define ROOM_LOOK_MS 50
/* and one that accepts whether the limit has been reached elsewhere. */
#define LIMIT_LOOK_MS 1000
/* Idle sessions have a second to go (session_drain); before that nobody asks for the same places again. */
#define WANT_EVERY_MS 1000
/* So many places are wanted at most: this part of all. Whoever connects again and again must not send everybody away at once. */
#define WANTED_PART 2
/* The rest goes with the next look, so that one event does not hold the loop. */
#define GIVEN_AT_ONCE 256

struct worker_listener {
    struct list_node node;
    struct listeners *listeners;
    struct epoch *epoch;             /* owned reference: the newest one that has it */
    struct listener *listener;       /* NULL when it is closed */
    struct acceptor acceptor;
    struct session_settings session; /* holds a reference to its `tls`: who has connected may begin a handshake after a reload */
    size_t connections;              /* that came through it and are there */
};

/* ---- counting ---- */

static void set_accepting(struct listeners *listeners, bool is_accepting)
{
    for (struct list_node *at = listeners->current.head.next; at != &listeners->current.head; at = at->next) {
        struct worker_listener *own = LIST_OWNER(at, struct worker_listener, node);
        if (is_accepting)
            listener_resume(own->listener);
        else
            listener_pause(own->listener);
    }
}

static bool has_room(const struct listeners *listeners)
{
    const struct connection_limit *limit = listeners->settings.limit;
    return atomic_load_explicit(&limit->open, memory_order_relaxed) < atomic_load_explicit(&limit->maximum, memory_order_relaxed);
}

static const char *const state_names[] = {"accepting", "resting", "draining"};

#define TO(state) MACHINE_TO(LISTENERS_##state)
static const uint32_t moves[] = {
    [LISTENERS_ACCEPTING] = TO(RESTING) | TO(DRAINING),
    [LISTENERS_RESTING] = TO(ACCEPTING) | TO(DRAINING),
    [LISTENERS_DRAINING] = 0,
};
#undef TO

static const struct machine listeners_machine = {"listeners", state_names, moves};

/* The only writer of the state. */
static void enter(struct listeners *listeners, enum listeners_state next)
{
    machine_check(&listeners_machine, listeners->state, next);
    listeners->state = next;
    if (next == LISTENERS_DRAINING)
        loop_timer_clear(listeners->settings.loop, &listeners->room_timer);
}

/* At the limit it is reached anew with each connection that goes and comes. */
static void log_limit_reached(struct listeners *listeners)
{
    unsigned suppressed;
    enum log_level level = log_limit_level(&listeners->limit_log, LOG_LEVEL_WARNING, loop_now_ms(listeners->settings.loop), &suppressed);
    log_line(level, "event=connection_limit connections=%zu suppressed=%u", atomic_load(&listeners->settings.limit->open), suppressed);
}

/* Each client that waits in our queues wants the place of an idle connection, wherever that is. */
static void want_places(struct listeners *listeners)
{
    struct connection_limit *limit = listeners->settings.limit;
    uint64_t now_ms = loop_now_ms(listeners->settings.loop);
    size_t most = atomic_load_explicit(&limit->maximum, memory_order_relaxed) / WANTED_PART + 1;
    size_t waiting = 0;
    if (now_ms < listeners->wanted_ms + WANT_EVERY_MS)
        return;
    for (struct list_node *at = listeners->current.head.next; at != &listeners->current.head; at = at->next)
        waiting += listener_waiting(LIST_OWNER(at, struct worker_listener, node)->listener);
    if (waiting == 0)
        return;
    listeners->wanted_ms = now_ms;
    /* Workers may pass the bound together, by the part of one each. */
    if (atomic_load_explicit(&limit->wanted, memory_order_relaxed) < most)
        atomic_fetch_add_explicit(&limit->wanted, waiting < most ? waiting : most, memory_order_relaxed);
}

static bool take_wanted(struct connection_limit *limit)
{
    size_t wanted = atomic_load_explicit(&limit->wanted, memory_order_relaxed);
    while (wanted > 0) {
        if (atomic_compare_exchange_weak_explicit(&limit->wanted, &wanted, wanted - 1, memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return false;
}

/* Who has asked for nothing for longest goes. A request that still comes within the grace is answered, with the word to close. */
static void give_places(struct listeners *listeners)
{
    struct list_node *first;
    for (unsigned left = GIVEN_AT_ONCE; left > 0 && (first = list_first(&listeners->idle)) != NULL; left--) {
        if (!take_wanted(listeners->settings.limit))
            return;
        metrics_add(&listeners->settings.metrics->sessions_shed, 1);
        session_drain(LIST_OWNER(first, struct session, idle_node));
    }
}

static void rest(struct listeners *listeners)
{
    log_limit_reached(listeners);
    enter(listeners, LISTENERS_RESTING);
    set_accepting(listeners, false);
}

static void look_for_room(struct listeners *listeners)
{
    struct loop *loop = listeners->settings.loop;
    if (listeners->state == LISTENERS_DRAINING)
        return;
    if (has_room(listeners)) {
        /* Whoever waited comes in now. */
        if (atomic_load_explicit(&listeners->settings.limit->wanted, memory_order_relaxed) != 0)
            atomic_store_explicit(&listeners->settings.limit->wanted, 0, memory_order_relaxed);
        if (listeners->state == LISTENERS_RESTING) {
            enter(listeners, LISTENERS_ACCEPTING);
            set_accepting(listeners, true);
        }
    } else {
        if (listeners->state == LISTENERS_ACCEPTING)
            rest(listeners);
        want_places(listeners);
        give_places(listeners);
    }
    uint64_t look_ms = listeners->state == LISTENERS_RESTING ? ROOM_LOOK_MS : LIMIT_LOOK_MS;
    loop_timer_set(loop, &listeners->room_timer, loop_now_ms(loop) + look_ms);
}

static void on_room_look(void *owner)
{
    look_for_room(owner);
}

static void destroy_listener(void *object)
{
    struct worker_listener *own = object;
    tls_server_release(own->session.tls);
    epoch_release(own->epoch);
    free(own);
}

/* A closed listener goes with its last connection. */
static void bury_if_over(struct worker_listener *own)
{
    if (own->listener != NULL || own->connections > 0)
        return;
    list_remove(&own->listeners->closed, &own->node);
    loop_bury(own->listeners->settings.loop, own, destroy_listener);
}

static void count_in(struct worker_listener *own)
{
    own->connections++;
    atomic_fetch_add_explicit(&own->listeners->settings.limit->open, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&own->listeners->count, 1, memory_order_relaxed);
    look_for_room(own->listeners);
}

static void count_out(struct worker_listener *own)
{
    struct listeners *listeners = own->listeners;
    own->connections--;
    atomic_fetch_sub_explicit(&listeners->settings.limit->open, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&listeners->count, 1, memory_order_relaxed);
    bury_if_over(own);
    look_for_room(listeners);
    listeners->settings.on_gone(listeners->settings.owner);
}

/* ---- a connection's way ---- */

static void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    const struct listeners_settings *settings = &((struct worker_listener *)owner)->listeners->settings;
    settings->handler->on_request(settings->owner, session, stream, head);
}

static void on_refused(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault)
{
    const struct listeners_settings *settings = &((struct worker_listener *)owner)->listeners->settings;
    settings->handler->on_refused(settings->owner, session, stream, head, fault);
}

static void on_handshake(void *owner, enum session_handshake handshake)
{
    const struct listeners_settings *settings = &((struct worker_listener *)owner)->listeners->settings;
    settings->handler->on_handshake(settings->owner, handshake);
}

static void on_session_closed(void *owner, enum fault fault)
{
    struct worker_listener *own = owner;
    const struct listeners_settings *settings = &own->listeners->settings;
    settings->handler->on_session_closed(settings->owner, fault);
    count_out(own);
}

static const struct session_handler session_handler = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_session_closed = on_session_closed,
    .on_handshake = on_handshake,
};

static void on_admitted(void *owner, int fd, const struct address *client)
{
    struct worker_listener *own = owner;
    struct listeners *listeners = own->listeners;
    if (!session_create(listeners->settings.loop, fd, client, &own->session, &listeners->sessions)) {
        count_out(own);
        return;
    }
    metrics_add(&listeners->settings.metrics->sessions_opened, 1);
    /* Whose header came while draining comes too late for the round that listeners_drain makes. The newest is the last. */
    if (listeners->state == LISTENERS_DRAINING)
        session_drain(LIST_OWNER(listeners->sessions.head.previous, struct session, node));
}

static void on_rejected(void *owner)
{
    count_out(owner);
}

static const struct acceptor_events acceptor_events = {
    .on_admitted = on_admitted,
    .on_rejected = on_rejected,
};

static void on_accept(void *owner, int fd)
{
    struct worker_listener *own = owner;
    count_in(own);
    if (!acceptor_admit(&own->acceptor, fd))
        count_out(own);
}

/* ---- epochs ---- */

static struct worker_listener *find_current(struct listeners *listeners, const char *address)
{
    for (struct list_node *at = listeners->current.head.next; at != &listeners->current.head; at = at->next) {
        struct worker_listener *own = LIST_OWNER(at, struct worker_listener, node);
        if (strcmp(own->acceptor.listener->address, address) == 0)
            return own;
    }
    return NULL;
}

/* What the epoch says of the listener holds for connections from now on, and for the deadlines of those that there are. */
static void configure(struct worker_listener *own, struct epoch *epoch, const struct topology_listener *configured, struct tls_server *tls)
{
    const struct listeners_settings *settings = &own->listeners->settings;
    const struct topology_timeouts *timeouts = &epoch->topology->timeouts;
    struct epoch *before = own->epoch;
    struct tls_server *tls_before = own->session.tls;
    epoch_retain(epoch);
    tls_server_retain(tls);
    own->epoch = epoch;
    own->acceptor.listener = configured;
    own->acceptor.header_ms = timeouts->request_head_ms;
    own->session = (struct session_settings){
        .handler = &session_handler,
        .owner = own,
        .h1 = settings->h1,
        .h2 = settings->h2,
        .buffers = settings->buffers,
        .tls = tls,
        .abuse_log = &own->listeners->abuse_log,
        .idle = &own->listeners->idle,
        .tls_handshake_ms = timeouts->tls_handshake_ms,
        .request_head_ms = timeouts->request_head_ms,
        .keep_alive_ms = timeouts->keep_alive_ms,
        .buffer_bytes = epoch->topology->limits.buffer_bytes,
        .is_writeback = configured->class == REQUEST_CLASS_WRITEBACK,
    };
    epoch_release(before);
    tls_server_release(tls_before);
}

static bool make(struct listeners *listeners, struct epoch *epoch, const struct topology_listener *configured,
                 const struct listener_plan *plan)
{
    struct worker_listener *own = calloc(1, sizeof *own);
    if (own == NULL) {
        socket_close(plan->fd);
        return false;
    }
    own->listeners = listeners;
    own->acceptor = (struct acceptor){
        .loop = listeners->settings.loop,
        .events = &acceptor_events,
        .owner = own,
        .proxy_readers = &listeners->proxy_readers,
        .metrics = listeners->settings.metrics,
    };
    configure(own, epoch, configured, plan->tls);
    list_node_init(&own->node);
    own->listener = listener_create(listeners->settings.loop, plan->fd, on_accept, own);
    if (own->listener == NULL) {
        destroy_listener(own);
        return false;
    }
    list_append(&listeners->current, &own->node);
    if (listeners->state == LISTENERS_RESTING)
        listener_pause(own->listener);
    return true;
}

static void on_closed(void *owner)
{
    struct worker_listener *own = owner;
    own->listener = NULL;
    bury_if_over(own);
}

/* The address is no longer ours to listen on: nobody who has connected is thrown away. */
static void close_removed(struct listeners *listeners, const struct epoch *epoch)
{
    struct list_node *at = listeners->current.head.next;
    while (at != &listeners->current.head) {
        struct worker_listener *own = LIST_OWNER(at, struct worker_listener, node);
        at = at->next;
        if (own->epoch == epoch)
            continue;
        list_remove(&listeners->current, &own->node);
        list_append(&listeners->closed, &own->node);
        listener_close_gracefully(own->listener, on_closed);
    }
}

bool listeners_apply(struct listeners *listeners, struct epoch *epoch, const struct listener_plan *plans)
{
    const struct topology *topology = epoch->topology;
    bool is_complete = true;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *configured = &topology->listeners[i];
        struct worker_listener *known = plans[i].fd >= 0 ? NULL : find_current(listeners, configured->address);
        if (known != NULL) {
            configure(known, epoch, configured, plans[i].tls);
        } else if (plans[i].fd < 0 || !make(listeners, epoch, configured, &plans[i])) {
            atomic_store(plans[i].is_missing, true);
            is_complete = false;
        }
    }
    close_removed(listeners, epoch);
    look_for_room(listeners);
    return is_complete;
}

/* ---- life ---- */

void listeners_init(struct listeners *listeners, const struct listeners_settings *settings)
{
    listeners->settings = *settings;
    list_init(&listeners->current);
    list_init(&listeners->closed);
    list_init(&listeners->sessions);
    list_init(&listeners->idle);
    list_init(&listeners->proxy_readers);
    loop_timer_init(&listeners->room_timer, on_room_look, listeners);
}

static void close_sockets(struct list *list, struct listeners *listeners)
{
    struct list_node *at = list->head.next;
    while (at != &list->head) {
        struct worker_listener *own = LIST_OWNER(at, struct worker_listener, node);
        at = at->next;
        /* What waits in the backlog comes in while this closes, so the listener is still there. */
        listener_close(own->listener);
        own->listener = NULL;
        list_remove(list, &own->node);
        list_append(&listeners->closed, &own->node);
        bury_if_over(own);
    }
}

void listeners_drain(struct listeners *listeners)
{
    if (listeners->state == LISTENERS_DRAINING)
        return;
    enter(listeners, LISTENERS_DRAINING);
    close_sockets(&listeners->current, listeners);
    struct list closing;
    list_init(&closing);
    struct list_node *node;
    while ((node = list_take_first(&listeners->closed)) != NULL)
        list_append(&closing, node);
    close_sockets(&closing, listeners);
    node = listeners->sessions.head.next;
    while (node != &listeners->sessions.head) {
        struct session *session = LIST_OWNER(node, struct session, node);
        node = node->next;
        session_drain(session);
    }
    acceptor_drain(listeners->settings.loop, &listeners->proxy_readers);
}

void listeners_close(struct listeners *listeners)
{
    struct list_node *node;
    listeners_drain(listeners);
    acceptor_close(&listeners->proxy_readers);
    while ((node = list_first(&listeners->sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    while ((node = list_take_first(&listeners->closed)) != NULL) {
        struct worker_listener *own = LIST_OWNER(node, struct worker_listener, node);
        loop_bury(listeners->settings.loop, own, destroy_listener);
    }
}
