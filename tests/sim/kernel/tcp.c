#include "kernel/tcp.h"

#include <errno.h>

#include "kernel/memory.h"
#include "kernel/world.h"
#include "world/plan.h"

#define FOREVER_US UINT64_MAX


static const struct plan *plan_now;
struct random_source tcp_draws;
static struct tcp_connection *connections;
static uint64_t connection_number;
static bool has_garbage;

void tcp_begin(const struct plan *plan)
{
    plan_now = plan;
    tcp_draws = draw_source_of(plan->seed, "network", 0);
    connections = NULL;
    connection_number = 0;
    has_garbage = false;
    tcp_connect_begin();
}

void tcp_enter(struct sim_socket *socket, enum tcp_state state)
{
    socket->state = state;
}

/* ---- telling ---- */

static void on_tell(void *owner)
{
    struct sim_socket *socket = owner;
    unsigned news = socket->news;
    socket->news = 0;
    if (socket->owner_kind != NULL)
        socket->owner_kind->on_news(socket, news);
}

void tcp_tell(struct sim_socket *socket, unsigned news)
{
    if (socket->state == TCP_STATE_ORPHAN || socket->state == TCP_STATE_CLOSED)
        return;
    socket->news |= news;
    if (!sim_timer_is_set(&socket->tell))
        sim_timer_in(&socket->tell, 0);
}

/* ---- ends ---- */

static void forget_buffers(struct sim_socket *socket)
{
    ring_free(&socket->out);
    ring_free(&socket->in);
}

void tcp_enter_closed(struct sim_socket *socket)
{
    tcp_enter(socket, TCP_STATE_CLOSED);
    forget_buffers(socket);
    sim_timer_clear(&socket->travel);
    sim_timer_clear(&socket->reset);
    sim_timer_clear(&socket->tell);
    sim_timer_clear(&socket->alive);
    sim_timer_clear(&socket->coming);
    has_garbage = true;
}

/* A reset is sent to this end: it arrives behind the bytes that travel already, or overtakes their loss. */
void tcp_send_reset_to(struct sim_socket *socket)
{
    if (socket->state == TCP_STATE_CLOSED || socket->state == TCP_STATE_FAILED || sim_timer_is_set(&socket->reset))
        return;
    sim_timer_in(&socket->reset, socket->connection->latency_us);
}

/* Nobody has the socket any more: what comes for it is answered by a reset. */
static bool is_nobody(const struct sim_socket *socket)
{
    return socket->state == TCP_STATE_ORPHAN || socket->state == TCP_STATE_CLOSED || socket->state == TCP_STATE_FAILED;
}

static void fail(struct sim_socket *socket, int error)
{
    socket->error = error;
    tcp_enter(socket, TCP_STATE_FAILED);
    ring_free(&socket->out);
    sim_timer_clear(&socket->travel);
    sim_timer_clear(&socket->alive);
    tcp_tell(socket, TCP_NEWS_READABLE | TCP_NEWS_WRITABLE);
}

static void on_alive(void *owner)
{
    struct sim_socket *socket = owner;
    const struct tcp_connection *connection = socket->connection;
    bool is_lost = connection->cut != TCP_CUT_NOT || connection->silent_until_us > sim_now_us();
    if (socket->state != TCP_STATE_OPEN && socket->state != TCP_STATE_CONNECTING)
        return;
    sim_timer_in(&socket->alive, socket->alive_us);
    if (socket->state == TCP_STATE_CONNECTING)
        return;
    socket->unanswered_us = is_lost ? socket->unanswered_us + socket->alive_us : 0;
    if (socket->unanswered_us >= socket->alive_limit_us) {
        fail(socket, ETIMEDOUT);
        return;
    }
    if (!is_lost && is_nobody(socket->other))
        tcp_send_reset_to(socket);
}

void tcp_keep_alive(struct sim_socket *socket, uint64_t idle_us, uint64_t limit_us)
{
    socket->alive_us = idle_us;
    socket->alive_limit_us = limit_us;
    sim_timer_in(&socket->alive, idle_us);
}

static void on_reset(void *owner)
{
    struct sim_socket *socket = owner;
    struct tcp_connection *connection = socket->connection;
    if (connection->cut != TCP_CUT_NOT || connection->silent_until_us > sim_now_us()) {
        /* Lost; the next bytes of this end are answered by another one when the silence is over. */
        return;
    }
    world_note(UINT64_C(0x5e7) ^ sim_now_us());
    if (socket->state == TCP_STATE_ORPHAN) {
        tcp_enter_closed(socket);
        return;
    }
    fail(socket, socket->other->sends_fin == TCP_FIN_ARRIVED ? EPIPE : ECONNRESET);
}

static void on_travel(void *owner);

static void travel_in(struct sim_socket *socket, uint64_t delay_us)
{
    struct sim_socket *other = socket->other;
    if (sim_timer_is_set(&socket->travel))
        return;
    sim_timer_in(&socket->travel, delay_us);
    if (other->on_coming != NULL && delay_us > 0 && !sim_timer_is_set(&other->coming))
        sim_timer_in(&other->coming, draw_below(&socket->connection->draws, delay_us));
}

static void on_coming(void *owner)
{
    struct sim_socket *socket = owner;
    void (*callback)(void *waiting) = socket->on_coming;
    socket->on_coming = NULL;
    if (callback != NULL && socket->state == TCP_STATE_OPEN && socket->owner_kind != NULL)
        callback(socket->coming_owner);
}

void sim_on_coming(struct sim_socket *socket, void (*callback)(void *owner), void *owner)
{
    socket->on_coming = callback;
    socket->coming_owner = owner;
}

static void end_init(struct sim_socket *socket, struct tcp_connection *connection, struct sim_socket *other)
{
    bool is_small = draw_chance(&connection->draws, plan_rate(plan_now, FAULT_KIND_NET_SMALL_BUFFERS));
    socket->connection = connection;
    socket->other = other;
    socket->fd = -1;
    socket->out_maximum = is_small ? draw_between(&connection->draws, 600, 4096) : 87040;
    socket->in_maximum = is_small ? draw_between(&connection->draws, 600, 4096) : 131072;
    socket->state = TCP_STATE_CLOSED;
    sim_timer_init(&socket->travel, on_travel, socket);
    sim_timer_init(&socket->reset, on_reset, socket);
    sim_timer_init(&socket->tell, on_tell, socket);
    sim_timer_init(&socket->alive, on_alive, socket);
    sim_timer_init(&socket->coming, on_coming, socket);
}

/* Places where faults strike are as likely in the first bytes as far behind. */
static uint64_t draw_place(struct random_source *source)
{
    return draw_below(source, UINT64_C(1) << draw_between(source, 1, 18));
}

struct tcp_connection *tcp_connection_create(void)
{
    struct tcp_connection *connection = world_calloc(1, sizeof *connection);
    connection->draws = draw_source_of(plan_now->seed, "connection", connection_number++);
    struct random_source *source = &connection->draws;
    connection->latency_us = draw_between(source, 20, draw_between(source, 50, 1500));
    connection->reset_at_bytes = connection->silent_at_bytes = FOREVER_US;
    if (draw_chance(source, plan_rate(plan_now, FAULT_KIND_NET_RESET)))
        connection->reset_at_bytes = draw_place(source);
    if (draw_chance(source, plan_rate(plan_now, FAULT_KIND_NET_SILENCE))) {
        connection->silent_at_bytes = draw_place(source);
        connection->silence_us = draw_below(source, 3) == 0 ? FOREVER_US : draw_between(source, 100, 30000) * SIM_MS;
    }
    end_init(&connection->ends[0], connection, &connection->ends[1]);
    end_init(&connection->ends[1], connection, &connection->ends[0]);
    connection->next = connections;
    connections = connection;
    return connection;
}

void tcp_cut(struct tcp_connection *connection)
{
    connection->cut = TCP_CUT_FOR_EVER;
}

static bool leads_to(const struct tcp_connection *connection, unsigned host)
{
    return tcp_host_of(&connection->ends[0].local) == host || tcp_host_of(&connection->ends[0].remote) == host;
}

void tcp_cut_host(unsigned host)
{
    for (struct tcp_connection *at = connections; at != NULL; at = at->next) {
        if (leads_to(at, host) && at->cut == TCP_CUT_NOT)
            at->cut = TCP_CUT_BY_POWER;
    }
}

/* ---- bytes on their way ---- */

static uint64_t travel_time(struct tcp_connection *connection)
{
    if (draw_chance(&connection->draws, plan_rate(plan_now, FAULT_KIND_NET_DELAY)))
        return draw_between(&connection->draws, 1, 2000) * SIM_MS;
    return connection->latency_us;
}

static void note_arrival(struct sim_socket *socket, size_t length)
{
    socket->arrived_bytes += length;
    for (unsigned i = TCP_ARRIVALS - 1; i > 0; i--)
        socket->arrivals[i] = socket->arrivals[i - 1];
    socket->arrivals[0].at_us = sim_now_us();
    socket->arrivals[0].bytes = socket->arrived_bytes;
}

uint64_t tcp_acknowledged_bytes(const struct sim_socket *socket)
{
    uint64_t latency_us = socket->connection->latency_us;
    for (unsigned i = 0; i < TCP_ARRIVALS; i++) {
        if (socket->arrivals[i].at_us + latency_us <= sim_now_us() && socket->arrivals[i].bytes > 0)
            return socket->arrivals[i].bytes;
    }
    return socket->arrivals[TCP_ARRIVALS - 1].bytes;
}

/* The network's own faults at a place in the connection's life; true: the piece that would travel now does not. */
static bool network_strikes(struct sim_socket *socket, size_t length)
{
    struct tcp_connection *connection = socket->connection;
    connection->carried_bytes += length;
    if (plan_is_quiet(plan_now))
        return false;
    if (connection->carried_bytes > connection->silent_at_bytes) {
        connection->silent_at_bytes = FOREVER_US;
        connection->silent_until_us = connection->silence_us == FOREVER_US ? FOREVER_US : sim_now_us() + connection->silence_us;
        return true;
    }
    if (connection->carried_bytes <= connection->reset_at_bytes)
        return false;
    connection->reset_at_bytes = FOREVER_US;
    tcp_send_reset_to(socket);
    tcp_send_reset_to(socket->other);
    return true;
}

static void arrive_fin(struct sim_socket *socket)
{
    socket->sends_fin = TCP_FIN_ARRIVED;
    tcp_tell(socket->other, TCP_NEWS_READABLE);
    if (socket->state == TCP_STATE_ORPHAN)
        tcp_enter_closed(socket);
}

static void on_travel(void *owner)
{
    struct sim_socket *socket = owner;
    struct sim_socket *other = socket->other;
    struct tcp_connection *connection = socket->connection;
    uint64_t now_us = sim_now_us();
    if (connection->cut != TCP_CUT_NOT)
        return;
    if (connection->silent_until_us > now_us) {
        if (connection->silent_until_us != FOREVER_US)
            travel_in(socket, connection->silent_until_us - now_us + 1);
        return;
    }
    if (socket->out.length > 0 && is_nobody(other)) {
        tcp_send_reset_to(socket);
        return;
    }
    size_t room = other->in_maximum - other->in.length;
    size_t length = socket->out.length < room ? socket->out.length : room;
    if (length > 0 && network_strikes(socket, length)) {
        travel_in(socket, connection->latency_us);
        return;
    }
    if (length > 0) {
        ring_move(&socket->out, &other->in, length);
        note_arrival(socket, length);
        world_note(now_us ^ length << 40);
        tcp_tell(other, TCP_NEWS_READABLE);
        if (socket->wants_room)
            tcp_tell(socket, TCP_NEWS_WRITABLE);
    }
    if (socket->out.length == 0 && socket->sends_fin == TCP_FIN_QUEUED)
        arrive_fin(socket);
}

/* How long TCP waits, by then, until it sends once more what was not acknowledged. */
#define SENT_AGAIN_US (4 * SIM_S)

void tcp_mend_host(unsigned host)
{
    for (struct tcp_connection *at = connections; at != NULL; at = at->next) {
        struct sim_socket *far = &at->ends[tcp_host_of(&at->ends[0].local) == host ? 0 : 1];
        if (at->cut != TCP_CUT_BY_POWER || !leads_to(at, host) || !is_nobody(far))
            continue;
        at->cut = TCP_CUT_NOT;
        if (far->other->out.length > 0)
            travel_in(far->other, draw_below(&at->draws, SENT_AGAIN_US));
    }
}

/* ---- the calls ---- */

ptrdiff_t tcp_receive(struct sim_socket *socket, char *bytes, size_t length, bool is_peek)
{
    if (socket->in.length > 0) {
        if (draw_chance(&socket->connection->draws, plan_rate(plan_now, FAULT_KIND_NET_SMALL_PIECES)))
            length = draw_between(&socket->connection->draws, 1, 16);
        length = length < socket->in.length ? length : socket->in.length;
        ring_copy(&socket->in, bytes, length);
        if (is_peek)
            return (ptrdiff_t)length;
        bool was_full = socket->in.length >= socket->in_maximum;
        ring_drop(&socket->in, length);
        if ((was_full || socket->other->out.length > 0) && socket->other->state != TCP_STATE_CLOSED)
            travel_in(socket->other, 2 * socket->connection->latency_us);
        if (socket->in.length == 0 && socket->in.capacity > 16384)
            ring_free(&socket->in);
        return (ptrdiff_t)length;
    }
    if (socket->error != 0) {
        errno = socket->error;
        socket->error = 0;
        return -1;
    }
    if (socket->state == TCP_STATE_FAILED || socket->other->sends_fin == TCP_FIN_ARRIVED)
        return 0;
    errno = EAGAIN;
    return -1;
}

ptrdiff_t tcp_send(struct sim_socket *socket, struct text bytes)
{
    if (socket->error != 0) {
        errno = socket->error;
        socket->error = 0;
        return -1;
    }
    if (socket->state == TCP_STATE_CONNECTING) {
        errno = EAGAIN;
        return -1;
    }
    if (socket->state != TCP_STATE_OPEN || socket->sends_fin != TCP_FIN_NONE) {
        errno = EPIPE;
        return -1;
    }
    size_t room = socket->out_maximum - socket->out.length;
    size_t length = bytes.length < room ? bytes.length : room;
    if (length > 1 && draw_chance(&socket->connection->draws, plan_rate(plan_now, FAULT_KIND_NET_SMALL_PIECES)))
        length = draw_between(&socket->connection->draws, 1, length < 16 ? length : 16);
    socket->wants_room = length < bytes.length;
    if (length == 0) {
        errno = EAGAIN;
        return bytes.length == 0 ? 0 : -1;
    }
    ring_append(&socket->out, bytes.bytes, length);
    socket->sent_bytes += length;
    travel_in(socket, travel_time(socket->connection));
    /* A short send with room left: there is room at once. */
    if (socket->wants_room && length < room)
        tcp_tell(socket, TCP_NEWS_WRITABLE);
    return (ptrdiff_t)length;
}

void tcp_shut_down(struct sim_socket *socket)
{
    if (socket->state != TCP_STATE_OPEN || socket->sends_fin != TCP_FIN_NONE)
        return;
    socket->sends_fin = TCP_FIN_QUEUED;
    travel_in(socket, travel_time(socket->connection));
}

bool tcp_is_readable(const struct sim_socket *socket)
{
    if (socket->state == TCP_STATE_LISTENING)
        return socket->queue_count > 0;
    return socket->state != TCP_STATE_CONNECTING && (socket->in.length > 0 || socket->error != 0 || socket->state == TCP_STATE_FAILED ||
                                                     socket->other->sends_fin == TCP_FIN_ARRIVED);
}

bool tcp_is_writable(const struct sim_socket *socket)
{
    if (socket->state == TCP_STATE_FAILED || socket->error != 0)
        return true;
    return socket->state == TCP_STATE_OPEN && socket->out.length * 3 < socket->out_maximum * 2;
}

bool tcp_has_ended(const struct sim_socket *socket)
{
    return socket->state == TCP_STATE_OPEN && socket->other->sends_fin == TCP_FIN_ARRIVED;
}

bool tcp_is_reset(const struct sim_socket *socket)
{
    return socket->state == TCP_STATE_FAILED;
}

/* ---- closing ---- */

void tcp_close(struct sim_socket *socket)
{
    if (socket->state == TCP_STATE_LISTENING) {
        tcp_close_listener(socket);
        return;
    }
    socket->owner_kind = NULL;
    socket->fd = -1;
    bool was_open = socket->state == TCP_STATE_OPEN;
    if (!was_open || socket->resets_on_close || socket->in.length > 0) {
        /* Most of what was sent is there before the reset is. */
        if (was_open && draw_chance(&socket->connection->draws, 750000) && sim_timer_is_set(&socket->travel))
            on_travel(socket);
        if (was_open)
            tcp_send_reset_to(socket->other);
        if (socket->state != TCP_STATE_CLOSED)
            tcp_enter_closed(socket);
        return;
    }
    tcp_enter(socket, TCP_STATE_ORPHAN);
    sim_timer_clear(&socket->tell);
    if (socket->sends_fin == TCP_FIN_ARRIVED)
        tcp_enter_closed(socket);
    else if (socket->sends_fin == TCP_FIN_NONE) {
        socket->sends_fin = TCP_FIN_QUEUED;
        travel_in(socket, travel_time(socket->connection));
    }
}

void tcp_collect(void)
{
    tcp_collect_listeners();
    if (!has_garbage)
        return;
    has_garbage = false;
    for (struct tcp_connection **at = &connections; *at != NULL;) {
        struct tcp_connection *connection = *at;
        bool is_over = connection->ends[0].state == TCP_STATE_CLOSED && connection->ends[1].state == TCP_STATE_CLOSED;
        if (!is_over) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        world_free(connection);
    }
}

void tcp_end(void)
{
    while (connections != NULL) {
        struct tcp_connection *next = connections->next;
        for (unsigned i = 0; i < 2; i++) {
            forget_buffers(&connections->ends[i]);
            sim_timer_clear(&connections->ends[i].travel);
            sim_timer_clear(&connections->ends[i].reset);
            sim_timer_clear(&connections->ends[i].tell);
            sim_timer_clear(&connections->ends[i].alive);
            sim_timer_clear(&connections->ends[i].coming);
        }
        world_free(connections);
        connections = next;
    }
    tcp_connect_end();
}
