/*
 * relay: a TCP relay that parses nothing, as the floor under every proxy.
 *
 *     relay PORT UPSTREAM_PORT...      PORT 0 takes a free one; "listening on N" goes to standard output
 *
 * One thread, one epoll. Each downstream connection gets an upstream connection of its own, round robin over the ports,
 * all on loopback. An exchange costs two reads, two writes and its share of epoll_wait, and no work on the bytes: a
 * proxy that understands HTTP can come near, not below.
 *
 * When a write is cut short, the rest is kept, and the side that sent it is not read until the rest is gone; so each
 * direction keeps at most one buffer. A pair dies as a whole with either side, in bury_pair; its memory is freed after
 * the turn, because later events of the turn may still name it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 65536,
    EVENTS_PER_TURN = 128,
    UPSTREAMS_MAXIMUM = 16,
};

/* One side of a pair. */
struct side {
    int fd;                /* -1: the pair is buried */
    struct side *opposite;
    struct pair *pair;
    char *rest;            /* what this side has not yet taken; NULL: nothing */
    size_t rest_start, rest_end;
};

struct pair {
    struct side downstream, upstream;
    struct pair *next_buried;
};

struct relay {
    int epoll_fd;
    int listen_fd;
    struct sockaddr_in upstreams[UPSTREAMS_MAXIMUM];
    unsigned upstream_count;
    unsigned next_upstream;
    struct pair *buried;
    char buffer[BUFFER_BYTES];
};

static void fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void bury_pair(struct relay *relay, struct pair *pair)
{
    if (pair->downstream.fd < 0)
        return;
    close(pair->downstream.fd);
    close(pair->upstream.fd);
    pair->downstream.fd = pair->upstream.fd = -1;
    pair->next_buried = relay->buried;
    relay->buried = pair;
}

static void free_buried(struct relay *relay)
{
    while (relay->buried != NULL) {
        struct pair *pair = relay->buried;
        relay->buried = pair->next_buried;
        free(pair->downstream.rest);
        free(pair->upstream.rest);
        free(pair);
    }
}

/* A side is read while the opposite one has no rest, and waits for room while it has one itself. */
static bool watch_side(const struct relay *relay, struct side *side, int operation)
{
    struct epoll_event event = {.events = 0, .data.ptr = side};

    if (side->opposite->rest == NULL)
        event.events |= EPOLLIN;
    if (side->rest != NULL)
        event.events |= EPOLLOUT;

    return epoll_ctl(relay->epoll_fd, operation, side->fd, &event) == 0;
}

static bool watch_pair(const struct relay *relay, struct pair *pair, int operation)
{
    return watch_side(relay, &pair->downstream, operation) && watch_side(relay, &pair->upstream, operation);
}

/* One read from `side`, one write to the opposite one. False when the pair is done for. */
static bool move_bytes(struct relay *relay, struct side *side)
{
    struct side *taker = side->opposite;
    ssize_t received = recv(side->fd, relay->buffer, BUFFER_BYTES, MSG_DONTWAIT);

    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    ssize_t sent = send(taker->fd, relay->buffer, (size_t)received, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == received)
        return true;
    if (sent < 0 && errno != EAGAIN)
        return false;
    sent = sent < 0 ? 0 : sent;
    taker->rest_start = 0;
    taker->rest_end = (size_t)(received - sent);
    taker->rest = malloc(taker->rest_end);
    if (taker->rest == NULL)
        return false;
    memcpy(taker->rest, relay->buffer + sent, taker->rest_end);
    return watch_pair(relay, side->pair, EPOLL_CTL_MOD);
}

/* Gives `side` what it had no room for. False when the pair is done for. */
static bool send_rest(struct relay *relay, struct side *side)
{
    size_t left = side->rest_end - side->rest_start;
    ssize_t sent = send(side->fd, side->rest + side->rest_start, left, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0)
        return errno == EAGAIN;
    side->rest_start += (size_t)sent;
    if (side->rest_start < side->rest_end)
        return true;
    free(side->rest);
    side->rest = NULL;
    return watch_pair(relay, side->pair, EPOLL_CTL_MOD);
}

static void serve_side(struct relay *relay, struct side *side, uint32_t events)
{
    bool is_alive = true;

    if (side->fd < 0)
        return;
    if ((events & EPOLLOUT) && side->rest != NULL)
        is_alive = send_rest(relay, side);
    else if ((events & EPOLLIN) && side->opposite->rest == NULL)
        is_alive = move_bytes(relay, side);
    else if (events & (EPOLLHUP | EPOLLERR))
        is_alive = false;
    if (!is_alive)
        bury_pair(relay, side->pair);
}

/* A connected upstream socket, or -1. The connect blocks: the far side is on loopback, and it is once a connection. */
static int connect_upstream(struct relay *relay)
{
    const struct sockaddr_in *address = &relay->upstreams[relay->next_upstream++ % relay->upstream_count];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void accept_pair(struct relay *relay)
{
    int one = 1;
    struct pair *pair;
    int downstream_fd = accept4(relay->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (downstream_fd < 0)
        return;
    int upstream_fd = connect_upstream(relay);
    if (upstream_fd < 0 || (pair = calloc(1, sizeof *pair)) == NULL) {
        close(downstream_fd);
        if (upstream_fd >= 0)
            close(upstream_fd);
        return;
    }
    pair->downstream = (struct side){.fd = downstream_fd, .opposite = &pair->upstream, .pair = pair};
    pair->upstream = (struct side){.fd = upstream_fd, .opposite = &pair->downstream, .pair = pair};
    setsockopt(downstream_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(upstream_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!watch_pair(relay, pair, EPOLL_CTL_ADD))
        bury_pair(relay, pair);
}

static struct sockaddr_in loopback_address(const char *port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void open_listener(struct relay *relay, const char *port)
{
    int one = 1;
    struct sockaddr_in address = loopback_address(port);
    socklen_t length = sizeof address;

    relay->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (relay->listen_fd < 0 || relay->epoll_fd < 0)
        fail("socket");
    setsockopt(relay->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(relay->listen_fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(relay->listen_fd, 1024) != 0)
        fail(port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, relay->listen_fd, &event) != 0)
        fail("epoll_ctl");
    getsockname(relay->listen_fd, (struct sockaddr *)&address, &length);
    printf("listening on %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct relay relay;
    struct epoll_event events[EVENTS_PER_TURN];

    if (argc < 3 || argc - 2 > UPSTREAMS_MAXIMUM) {
        fprintf(stderr, "usage: relay PORT UPSTREAM_PORT... (at most %d)\n", UPSTREAMS_MAXIMUM);
        return 2;
    }
    for (int i = 2; i < argc; i++)
        relay.upstreams[relay.upstream_count++] = loopback_address(argv[i]);
    open_listener(&relay, argv[1]);
    for (;;) {
        int count = epoll_wait(relay.epoll_fd, events, EVENTS_PER_TURN, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_pair(&relay);
            else
                serve_side(&relay, events[i].data.ptr, events[i].events);
        }
        free_buried(&relay);
    }
}
