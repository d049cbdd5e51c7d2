#ifndef SLUICE_DOWNSTREAM_SESSION_H
#define SLUICE_DOWNSTREAM_SESSION_H
/*
 * One accepted connection: chooses the codec by ALPN or by its first bytes, keeps the deadlines that belong to the connection (TLS handshake,
 * first byte of a head until its end, idle keep-alive), and hands each request to its handler. The admin listener uses the same sessions with another handler.
 *
 * The sessions of a listener hang on one list, which the worker owns: session_drain is called for each of them at shutdown, and
 * on_session_closed tells when one is gone.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/list.h"
#include "base/log_limit.h"
#include "http/stream.h"
#include "net/address.h"
#include "net/buffer.h"
#include "net/loop.h"

struct conn;
struct h1_settings;
struct h2_context;
struct link;
struct session;
struct tls_server;

enum session_handshake { SESSION_HANDSHAKE_FULL, SESSION_HANDSHAKE_RESUMED, SESSION_HANDSHAKE_FAILED };

struct session_handler {
    /* The handler sets the stream's owner and events (or replies) before it returns. */
    void (*on_request)(void *owner, struct session *session, struct stream *stream, const struct message_head *head);
    /* The request is not acceptable; the handler replies. `head` is what was understood of it. */
    void (*on_refused)(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault);
    /* FAULT_NONE after an orderly end. */
    void (*on_session_closed)(void *owner, enum fault fault);
    /* A TLS handshake is over; failed ones are followed by on_session_closed. May be NULL where there is no TLS. */
    void (*on_handshake)(void *owner, enum session_handshake handshake);
};

struct session_settings {
    const struct session_handler *handler;
    void *owner;
    const struct h1_settings *h1;   /* ref */
    struct h2_context *h2;          /* ref; NULL: HTTP/1 only */
    struct buffer_pool *buffers;    /* ref */
    struct tls_server *tls;         /* ref; NULL: clear text */
    struct log_limit *abuse_log;    /* ref: the worker's, of all its listeners; NULL where HTTP/1 only is spoken */
    struct list *idle;              /* ref: sessions between two requests hang there by idle_node, longest first; NULL: nobody asks */
    uint64_t tls_handshake_ms;
    uint64_t request_head_ms;
    uint64_t keep_alive_ms;
    uint64_t buffer_bytes;
    bool is_writeback;              /* the listener says: writes here are plugin write-back */
};

/*
 *   HANDSHAKING (TLS) --ALPN--> OPEN <--first bytes-- NEW (clear text)
 *        |                        |                    |
 *        +------------------------+--------------------+--its end, session_close--> GONE
 */
enum session_state {
    SESSION_HANDSHAKING, /* TLS; `conn` is set */
    SESSION_NEW,         /* which HTTP it is shows with the first bytes; `conn` is set */
    SESSION_OPEN,        /* `link` is set */
    SESSION_GONE,        /* in the grave */
};

struct session {
    struct list_node node;          /* in the worker's list */
    struct list_node idle_node;     /* in settings->idle */
    struct loop *loop;
    const struct session_settings *settings; /* ref: the listener's */
    struct list *sessions;          /* ref: the list it hangs on */
    enum session_state state;
    struct conn *conn;
    struct link *link;
    bool is_tls;                    /* the client came by TLS */
    bool is_draining;               /* keep-alive is down to the grace */
    uint64_t idle_since_ms;         /* since the last answer; 0: before the first, or a request is under way */
    struct loop_timer timer;
    struct address client;
    char client_host[ADDRESS_TEXT_BYTES];
    uint64_t client_key;            /* a hash of client_host: whose requests these are, where clients take turns */
};

/*
 * How long an idle connection is kept is what clients of HTTP/1 are told, less what a request and our answer may take on their way. A client that has
 * left it idle for longer than told gets its answer and hears that it is the last one, because its next request could cross the end. In whole
 * seconds; 0: not told.
 */
uint64_t session_told_keep_alive_s(uint64_t keep_alive_ms);

/*
 * Takes over an accepted socket; false (and the socket is closed) when memory is out. `client` is who the connection is for, where a
 * load balancer has announced it; NULL: who is at the socket's other end.
 */
bool session_create(struct loop *loop, int fd, const struct address *client, const struct session_settings *settings,
                    struct list *sessions);
/* No more requests: an idle session closes after a grace of a second, a busy one with its present answer. */
void session_drain(struct session *session);
/* Closes at once; on_session_closed is not called. */
void session_close(struct session *session);

#endif
