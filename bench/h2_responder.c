/*
 * h2_responder: a stand-in for an InfluxDB 3 node that speaks HTTP/2 (prior knowledge, clear text) and costs little.
 *
 *     h2_responder PORT NAME [HOLD_MS]      PORT 0 takes a free one; "listening on N" goes to standard output
 *
 * One thread, one epoll. It reads each request to its end, throws the body away and answers by path: writes with 204
 * (HOLD_MS later, where that is given), queries with JSON, two methods of Arrow Flight with gRPC messages and trailers.
 * Every answer names the responder in `x-node`. The peer's flow-control windows are kept; its own are so large that they
 * never stop the peer. It takes 200 streams at a time, as the database does. SIGUSR1 prints one line of counters.
 *
 * The frames are handled here and only HPACK is nghttp2's, which halves the cost of a request. It trusts its peers: what
 * it does not expect ends the connection with a line on standard error, not with the right error code.
 *
 * Ownership: the epoll set owns the connections, a connection its streams. A connection that is done for only leaves the
 * epoll set and is freed by end_turn, so no event of the same turn can name a freed one.
 */
#include "h2_responder.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct responder responder;

void fail(const char *what)
{
    fprintf(stderr, "h2_responder: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void mark_dirty(struct connection *connection)
{
    if (connection->is_dirty)
        return;
    connection->is_dirty = true;
    connection->next_dirty = responder.dirty;
    responder.dirty = connection;
}

static void mark_dead(struct connection *connection)
{
    if (connection->is_dead)
        return;
    connection->is_dead = true;
    connection->next_dead = responder.dead;
    responder.dead = connection;
    epoll_ctl(responder.epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
}

static bool read_input(struct connection *connection)
{
    size_t kept = connection->input_end - connection->input_start;

    if (kept > 0 && connection->input_start > 0)
        memmove(connection->input, connection->input + connection->input_start, kept);
    connection->input_start = 0;
    connection->input_end = kept;
    if (kept == INPUT_BYTES)
        return true;
    ssize_t received = recv(connection->fd, connection->input + kept, INPUT_BYTES - kept, 0);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    connection->input_end += (size_t)received;
    return true;
}

/* Sends what is queued, and what may follow now that there is room. False when the connection is done for. */
static bool flush_output(struct connection *connection)
{
    while (connection->output_end > connection->output_start) {
        ssize_t sent = send(connection->fd, connection->output + connection->output_start,
                            connection->output_end - connection->output_start, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0)
            break;
        connection->output_start += (size_t)sent;
        if (connection->output_start < connection->output_end)
            continue;
        connection->output_start = connection->output_end = 0;
        pump(connection);
        if (!take_input(connection))
            return false;
    }
    bool is_empty = connection->output_end == 0;
    if (connection->wants_writable == is_empty) {
        connection->wants_writable = !is_empty;
        struct epoll_event event = {.events = is_empty ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.ptr = connection};
        epoll_ctl(responder.epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return true;
}

static void serve_connection(struct connection *connection, uint32_t events)
{
    bool is_alive = true;

    if (events & EPOLLOUT)
        is_alive = flush_output(connection);
    /* While the peer does not take answers, there is no room and no further request is read. */
    if (is_alive && (events & ~(uint32_t)EPOLLOUT) && output_room(connection) >= HEAD_ROOM_BYTES)
        is_alive = read_input(connection);
    if (!is_alive || !take_input(connection))
        mark_dead(connection);
}

static void free_connection(struct connection *connection)
{
    for (size_t bucket = 0; bucket < STREAM_BUCKETS; bucket++)
        while (connection->buckets[bucket] != NULL)
            stream_close(connection->buckets[bucket]);
    nghttp2_hd_inflate_del(connection->inflater);
    nghttp2_hd_deflate_del(connection->deflater);
    close(connection->fd);
    free(connection);
    responder.connections--;
}

static void end_turn(void)
{
    while (responder.dirty != NULL) {
        struct connection *connection = responder.dirty;
        responder.dirty = connection->next_dirty;
        connection->is_dirty = false;
        if (!connection->is_dead && !flush_output(connection))
            mark_dead(connection);
    }
    while (responder.dead != NULL) {
        struct connection *connection = responder.dead;
        responder.dead = connection->next_dead;
        free_connection(connection);
    }
}

static void queue_greeting(struct connection *connection)
{
    const uint8_t settings[] = {
        0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, 0, STREAMS_MAXIMUM,
        0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7f, 0xff, 0xff, 0xff};
    uint32_t increment = htonl(WINDOW_MAXIMUM - NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE);

    queue_frame(connection, SETTINGS, 0, 0, settings, sizeof settings);
    queue_frame(connection, WINDOW_UPDATE, 0, 0, &increment, sizeof increment);
    mark_dirty(connection);
}

static bool accept_connection(void)
{
    int one = 1;
    int fd = accept4(responder.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection;

    if (fd < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if ((connection = calloc(1, sizeof *connection)) == NULL ||
        nghttp2_hd_inflate_new(&connection->inflater) != 0 ||
        nghttp2_hd_deflate_new(&connection->deflater, NGHTTP2_DEFAULT_HEADER_TABLE_SIZE) != 0)
        fail("out of memory");
    connection->fd = fd;
    connection->window = connection->initial_stream_window = NGHTTP2_INITIAL_WINDOW_SIZE;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(responder.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
    if (++responder.connections > responder.peak_connections)
        responder.peak_connections = responder.connections;
    queue_greeting(connection);
    return true;
}

/* One line: what is, and the peaks since the last one. */
static void print_counters(void)
{
    struct signalfd_siginfo ignored;

    if (read(responder.signal_fd, &ignored, sizeof ignored) != sizeof ignored)
        return;
    printf("connections=%u peak_connections=%u held=%u peak_held=%u\n", responder.connections,
           responder.peak_connections, responder.held_count, responder.peak_held);
    fflush(stdout);
    responder.peak_connections = responder.connections;
    responder.peak_held = responder.held_count;
}

static void watch(int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    if (epoll_ctl(responder.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static void open_listener(const char *port)
{
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    responder.signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    responder.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    responder.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (responder.listen_fd < 0 || responder.epoll_fd < 0 || responder.signal_fd < 0)
        fail("socket");
    setsockopt(responder.listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(responder.listen_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(responder.listen_fd, 4096) != 0)
        fail(port);
    watch(responder.listen_fd, &responder.listen_fd);
    watch(responder.signal_fd, &responder.signal_fd);
    getsockname(responder.listen_fd, (struct sockaddr *)&address, &length);
    printf("listening on %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static int wait_ms(void)
{
    if (responder.held.first == NULL)
        return -1;
    return responder.held.first->due_ms <= responder.now_ms ? 1 : (int)(responder.held.first->due_ms - responder.now_ms);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_PER_TURN];

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: h2_responder PORT NAME [HOLD_MS]\n");
        return 2;
    }
    render_answers(argv[2]);
    responder.hold_ms = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    open_listener(argv[1]);
    for (;;) {
        int count = epoll_wait(responder.epoll_fd, events, EVENTS_PER_TURN, wait_ms());
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        responder.now_ms = clock_ms();
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &responder.listen_fd)
                for (int accepted = 0; accepted < ACCEPTS_PER_TURN && accept_connection(); accepted++)
                    continue;
            else if (events[i].data.ptr == &responder.signal_fd)
                print_counters();
            else
                serve_connection(events[i].data.ptr, events[i].events);
        }
        answer_due();
        end_turn();
    }
}
