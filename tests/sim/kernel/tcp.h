#ifndef SLUICE_SIM_KERNEL_TCP_H
#define SLUICE_SIM_KERNEL_TCP_H
/*
 * TCP between two kernels, below both faces: kernel/socket.h for far ends and net/socket.h, by descriptors, for Sluice.
 *
 * An end's machine:
 *
 *   LISTENING ----------------------------------------------------------> CLOSED
 *   CONNECTING --SYN-ACK--> OPEN --close with nothing unread--> ORPHAN --FIN and data have arrived, or a reset--> CLOSED
 *        | refused, nobody    | reset, close with unread data                                                      ^
 *        v                    v                                                                                    |
 *      FAILED --close--> CLOSED ------------------------------------------------------------------------------------+
 *
 * tcp_enter is the only writer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/draw.h"
#include "kernel/ring.h"
#include "kernel/socket.h"
#include "kernel/time.h"

enum tcp_state { TCP_STATE_CONNECTING, TCP_STATE_LISTENING, TCP_STATE_OPEN, TCP_STATE_ORPHAN, TCP_STATE_FAILED, TCP_STATE_CLOSED };

/* Of the bytes in one direction. */
enum tcp_fin { TCP_FIN_NONE, TCP_FIN_QUEUED, TCP_FIN_ARRIVED };

/* What an owner is to be told, or-ed. */
enum tcp_news { TCP_NEWS_CONNECTED = 1, TCP_NEWS_READABLE = 2, TCP_NEWS_WRITABLE = 4, TCP_NEWS_FAILED = 8, TCP_NEWS_ACCEPT = 16 };

struct tcp_connection;
struct plan;

/* Who owns a socket hears of it: a far end by its callbacks, a descriptor by its watches. */
struct tcp_owner {
    void (*on_news)(struct sim_socket *socket, unsigned news);
};

#define TCP_ARRIVALS 8

struct sim_socket {
    enum tcp_state state;
    struct tcp_connection *connection; /* NULL: listening */
    struct sim_socket *other;          /* of the connection */
    struct address local;
    struct address remote;
    int error;                         /* taken by the next call, as SO_ERROR */
    enum tcp_fin sends_fin;            /* this end's FIN */
    bool resets_on_close;              /* SO_LINGER 0 */
    bool wants_room;                   /* was told EAGAIN, or took less */
    struct ring out;                   /* sent and not arrived */
    struct ring in;                    /* arrived and not read */
    size_t out_maximum;
    size_t in_maximum;
    uint64_t sent_bytes;
    uint64_t arrived_bytes;            /* of sent_bytes, at the other kernel */
    struct { uint64_t at_us, bytes; } arrivals[TCP_ARRIVALS]; /* acknowledged when as much time has passed again */
    struct sim_timer travel;           /* the next piece of `out`, or the FIN, arrives */
    struct sim_timer reset;            /* a reset that was sent to this end arrives */
    struct sim_timer tell;
    struct sim_timer alive;            /* keep-alive: the next question */
    uint64_t alive_us;                 /* between questions; 0: none are asked */
    uint64_t alive_limit_us;           /* without an answer, and the connection has failed */
    uint64_t unanswered_us;
    struct sim_timer coming;           /* the moment of `on_coming` */
    void (*on_coming)(void *owner);    /* a far end's wish, for once; NULL: none */
    void *coming_owner;
    unsigned news;
    const struct tcp_owner *owner_kind;
    const struct sim_socket_events *events; /* a far end's */
    void *owner;
    int fd;                            /* Sluice's */
    /* listening */
    size_t backlog;
    bool begins_no_more;
    struct sim_socket *next_listener;
    struct sim_socket *queue_first;    /* connections that wait to be accepted, by next_queued */
    struct sim_socket *queue_last;
    struct sim_socket *next_queued;
    size_t queue_count;
};

enum tcp_cut { TCP_CUT_NOT, TCP_CUT_FOR_EVER, TCP_CUT_BY_POWER };

struct tcp_connection {
    struct sim_socket ends[2]; /* who connected, who accepted */
    struct tcp_connection *next;
    struct random_source draws;
    uint64_t latency_us;       /* one way */
    uint64_t carried_bytes;    /* both ways */
    uint64_t reset_at_bytes;   /* the network resets it there */
    uint64_t silent_at_bytes;  /* and here it goes silent, */
    uint64_t silence_us;       /* for so long */
    uint64_t silent_until_us;
    unsigned syns;
    int refusal;               /* what who connects hears when nobody takes it; 0: that it is refused */
    enum tcp_cut cut;          /* nothing arrives any more */
};

void tcp_enter(struct sim_socket *socket, enum tcp_state state);

struct sim_socket *tcp_listen(const struct address *address, size_t backlog, bool is_shared);
struct sim_socket *tcp_connect(unsigned from_host, const struct address *address);
/* NULL when nobody waits. */
struct sim_socket *tcp_accept(struct sim_socket *listener);
ptrdiff_t tcp_receive(struct sim_socket *socket, char *bytes, size_t length, bool is_peek);
ptrdiff_t tcp_send(struct sim_socket *socket, struct text bytes);
void tcp_shut_down(struct sim_socket *socket);
/* SO_KEEPALIVE, and TCP_USER_TIMEOUT: an idle connection is asked after `idle_us`, and fails when nobody answers for `limit_us`. */
void tcp_keep_alive(struct sim_socket *socket, uint64_t idle_us, uint64_t limit_us);
/* The owner is done with it. */
void tcp_close(struct sim_socket *socket);
bool tcp_is_readable(const struct sim_socket *socket);
bool tcp_is_writable(const struct sim_socket *socket);
/* The other end's FIN has arrived, perhaps behind bytes that were not read. */
bool tcp_has_ended(const struct sim_socket *socket);
bool tcp_is_reset(const struct sim_socket *socket);
uint64_t tcp_acknowledged_bytes(const struct sim_socket *socket);
/* Does somebody listen at the address? */
bool tcp_is_taken(const struct address *address);

/* ---- for tcp.c and tcp_connect.c ---- */

extern struct random_source tcp_draws;
/* Both ends CLOSED; it is freed by tcp_collect once they are so again. */
struct tcp_connection *tcp_connection_create(void);
void tcp_tell(struct sim_socket *socket, unsigned news);
/* A reset is sent to this end: it arrives behind the bytes that travel already. */
void tcp_send_reset_to(struct sim_socket *socket);
void tcp_enter_closed(struct sim_socket *socket);
/* Cuts the connections of a host that has no power. */
void tcp_cut_host(unsigned host);
/* The power is back: what still comes for a connection that was cut by it, and that nobody has there any more, is answered by a reset. */
void tcp_mend_host(unsigned host);
void tcp_cut(struct tcp_connection *connection);
unsigned tcp_host_of(const struct address *address);
void tcp_connect_begin(void);
void tcp_connect_end(void);
void tcp_close_listener(struct sim_socket *listener);
void tcp_collect_listeners(void);

#endif
