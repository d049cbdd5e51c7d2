/* How connections begin: who listens where, SYNs and what becomes of them. */
#include <arpa/inet.h>
#include <errno.h>

#include "kernel/tcp.h"
#include "kernel/memory.h"
#include "kernel/world.h"
#include "world/plan.h"

#define HOSTS_DOWN_MAXIMUM 64
/* As Linux: tcp_syn_retries of 6. */
#define SYN_TRIES 7

static struct sim_socket *listeners;
static struct sim_socket *closed_listeners;
static unsigned hosts_down[HOSTS_DOWN_MAXIMUM];
static size_t hosts_down_count;
static uint16_t next_port;

void tcp_connect_begin(void)
{
    listeners = NULL;
    hosts_down_count = 0;
    next_port = 20000;
}

void tcp_connect_end(void)
{
    while (listeners != NULL)
        tcp_close_listener(listeners);
    tcp_collect_listeners();
}

struct address sim_address(unsigned host, uint16_t port)
{
    struct address address = {.length = sizeof address.socket.v4};
    address.socket.v4.sin_family = AF_INET;
    address.socket.v4.sin_port = htons(port);
    address.socket.v4.sin_addr.s_addr = htonl(0x0a000000u + host);
    return address;
}

/* Sluice's own machine has its loopback, too. */
unsigned tcp_host_of(const struct address *address)
{
    uint32_t ip = ntohl(address->socket.v4.sin_addr.s_addr);
    return ip >> 24 == 127 || ip == 0 ? SIM_HOST_SLUICE : ip - 0x0a000000u;
}

static bool host_is_down(unsigned host)
{
    for (size_t i = 0; i < hosts_down_count; i++) {
        if (hosts_down[i] == host)
            return true;
    }
    return false;
}

void sim_host_power(unsigned host, bool is_on)
{
    for (size_t i = 0; i < hosts_down_count; i++) {
        if (hosts_down[i] == host) {
            if (is_on)
                hosts_down[i] = hosts_down[--hosts_down_count];
            return;
        }
    }
    if (is_on || hosts_down_count == HOSTS_DOWN_MAXIMUM)
        return;
    hosts_down[hosts_down_count++] = host;
    tcp_cut_host(host);
}

/* ---- listening ---- */

static bool listens_at(const struct sim_socket *listener, const struct address *address)
{
    return listener->local.socket.v4.sin_port == address->socket.v4.sin_port && tcp_host_of(&listener->local) == tcp_host_of(address);
}

bool tcp_is_taken(const struct address *address)
{
    for (struct sim_socket *at = listeners; at != NULL; at = at->next_listener) {
        if (listens_at(at, address))
            return true;
    }
    return false;
}

static void on_listener_tell(void *owner)
{
    struct sim_socket *listener = owner;
    if (listener->queue_count > 0 && listener->owner_kind != NULL)
        listener->owner_kind->on_news(listener, TCP_NEWS_ACCEPT);
}

struct sim_socket *tcp_listen(const struct address *address, size_t backlog, bool is_shared)
{
    if (!is_shared && tcp_is_taken(address)) {
        errno = EADDRINUSE;
        return NULL;
    }
    struct sim_socket *listener = world_calloc(1, sizeof *listener);
    listener->state = TCP_STATE_LISTENING;
    listener->local = *address;
    listener->backlog = backlog;
    listener->fd = -1;
    sim_timer_init(&listener->tell, on_listener_tell, listener);
    listener->next_listener = listeners;
    listeners = listener;
    return listener;
}

void tcp_close_listener(struct sim_socket *listener)
{
    for (struct sim_socket **at = &listeners; *at != NULL; at = &(*at)->next_listener) {
        if (*at == listener) {
            *at = listener->next_listener;
            break;
        }
    }
    for (struct sim_socket *waiting = listener->queue_first; waiting != NULL;) {
        struct sim_socket *next = waiting->next_queued;
        tcp_send_reset_to(waiting->other);
        tcp_enter_closed(waiting);
        waiting = next;
    }
    sim_timer_clear(&listener->tell);
    listener->owner_kind = NULL;
    listener->next_listener = closed_listeners;
    closed_listeners = listener;
}

void tcp_collect_listeners(void)
{
    while (closed_listeners != NULL) {
        struct sim_socket *next = closed_listeners->next_listener;
        world_free(closed_listeners);
        closed_listeners = next;
    }
}

/* Those of one address share its connections by the sender's port, as SO_REUSEPORT does. */
static struct sim_socket *listener_for(const struct address *address, const struct address *from)
{
    struct sim_socket *found[16];
    unsigned count = 0;
    for (struct sim_socket *at = listeners; at != NULL && count < 16; at = at->next_listener) {
        if (listens_at(at, address))
            found[count++] = at;
    }
    unsigned place = ((unsigned)ntohs(from->socket.v4.sin_port) * 2654435761u >> 7) % (count == 0 ? 1 : count);
    return count == 0 ? NULL : found[place];
}

struct sim_socket *tcp_accept(struct sim_socket *listener)
{
    struct sim_socket *socket = listener->queue_first;
    if (socket == NULL)
        return NULL;
    listener->queue_first = socket->next_queued;
    if (listener->queue_first == NULL)
        listener->queue_last = NULL;
    listener->queue_count--;
    socket->next_queued = NULL;
    return socket;
}

/* ---- connecting ---- */

static void fail(struct sim_socket *socket, int error)
{
    socket->error = error;
    tcp_enter(socket, TCP_STATE_FAILED);
    tcp_tell(socket, TCP_NEWS_FAILED);
}

/* The SYN-ACK, or the reset, is back. */
static void on_answered(void *owner)
{
    struct sim_socket *socket = owner;
    if (socket->other->state == TCP_STATE_CLOSED && socket->other->remote.length == 0) {
        fail(socket, ECONNREFUSED);
        return;
    }
    void (*on_travel)(void *travelling) = socket->other->travel.on_time;
    sim_timer_init(&socket->travel, on_travel, socket);
    tcp_enter(socket, TCP_STATE_OPEN);
    tcp_tell(socket, TCP_NEWS_CONNECTED | TCP_NEWS_WRITABLE | (tcp_is_readable(socket) ? TCP_NEWS_READABLE : 0u));
}

static void come_back(struct sim_socket *socket)
{
    sim_timer_init(&socket->travel, on_answered, socket);
    sim_timer_in(&socket->travel, socket->connection->latency_us);
}

static void complete_at(struct sim_socket *socket, struct sim_socket *listener)
{
    struct sim_socket *accepted = socket->other;
    accepted->local = socket->remote;
    accepted->remote = socket->local;
    tcp_enter(accepted, TCP_STATE_OPEN);
    accepted->next_queued = NULL;
    if (listener->queue_last != NULL)
        listener->queue_last->next_queued = accepted;
    else
        listener->queue_first = accepted;
    listener->queue_last = accepted;
    listener->queue_count++;
    if (!sim_timer_is_set(&listener->tell))
        sim_timer_in(&listener->tell, 0);
}

/* A SYN arrives, or is lost and sent again after 1, 2, 4 ... seconds. */
static void on_syn(void *owner)
{
    struct sim_socket *socket = owner;
    struct tcp_connection *connection = socket->connection;
    struct random_source *source = &connection->draws;
    bool is_lost = host_is_down(tcp_host_of(&socket->remote)) || connection->is_cut;
    if (!is_lost && draw_chance(source, plan_rate(the_plan, FAULT_KIND_NET_SLOW_CONNECT)))
        is_lost = true;
    struct sim_socket *listener = is_lost ? NULL : listener_for(&socket->remote, &socket->local);
    if (listener != NULL && (listener->begins_no_more || listener->queue_count >= listener->backlog))
        is_lost = true;
    if (is_lost) {
        if (++connection->syns >= SYN_TRIES)
            fail(socket, ETIMEDOUT);
        else
            sim_timer_in(&socket->travel, SIM_S << (connection->syns - 1));
        return;
    }
    if (listener != NULL && !draw_chance(source, plan_rate(the_plan, FAULT_KIND_NET_REFUSE)))
        complete_at(socket, listener);
    come_back(socket);
}

struct sim_socket *tcp_connect(unsigned from_host, const struct address *address)
{
    struct tcp_connection *connection = tcp_connection_create();
    struct sim_socket *socket = &connection->ends[0];
    next_port = next_port == 60000 ? 20000 : (uint16_t)(next_port + 1);
    socket->local = sim_address(from_host, next_port);
    socket->remote = *address;
    tcp_enter(socket, TCP_STATE_CONNECTING);
    sim_timer_init(&socket->travel, on_syn, socket);
    sim_timer_in(&socket->travel, connection->latency_us);
    return socket;
}
