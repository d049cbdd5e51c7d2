#ifndef SLUICE_HTTP_H1_SERVER_STATE_H
#define SLUICE_HTTP_H1_SERVER_STATE_H
/*
 * The states of a downstream HTTP/1 link, for its own files only: h1_server.c receives requests, h1_server_send.c sends responses. Each state has
 * one writer, which asks the table of allowed moves.
 */
#include "base/machine.h"
#include "http/h1.h"
#include "http/h1_announced.h"
#include "http/h1_body.h"
#include "net/loop.h"

/*
 * The link, as it receives a request:
 *
 *   IDLE --CRLF--> LINE_END
 *    |                | first byte
 *    +--first byte----+--> HEAD --whole--> BODY --last byte--> RECEIVED --released--> IDLE
 *                           |  |           |  ^ paused, resumed   ^
 *                           |  |           +--+--> PAUSED         |
 *                           |  +---no body---|--------------------+
 *                           |                +--released, a small rest--> DISCARDING --last byte--> IDLE
 *                           +--not valid--> REFUSED <--not valid-- BODY
 *
 *   released, and the connection does not persist--> CLOSING      cut, and only a reset can tell--> ABORTED      any--> DEAD
 */
enum h1_server_state {
    H1_SERVER_IDLE,
    H1_SERVER_LINE_END,    /* idle, and one empty line in front of the request was overlooked (RFC 9112 section 2.2) */
    H1_SERVER_HEAD,
    H1_SERVER_BODY,
    H1_SERVER_PAUSED,      /* in the body, by the stream's owner */
    H1_SERVER_RECEIVED,    /* the request is whole; the stream's owner has it until it is released */
    H1_SERVER_REFUSED,     /* nothing behind a flaw can be trusted to be where it seems: no more reading */
    H1_SERVER_DISCARDING,  /* the response is out, and what is left of the body is read and dropped */
    H1_SERVER_CLOSING,     /* what is written goes out; what still comes is dropped */
    H1_SERVER_ABORTED,     /* the connection is reset; its owner hears of it in `next_task` */
    H1_SERVER_DEAD,        /* in the grave */
};

/*
 * The response:
 *
 *   NONE --head--> PLAIN, CHUNKED, UNTIL_CLOSE or SUPPRESSED --end--> COMPLETE --next request--> NONE
 */
enum h1_response_state {
    H1_RESPONSE_NONE,        /* or interim ones only */
    H1_RESPONSE_PLAIN,       /* the body goes as it is: by length, or there is none */
    H1_RESPONSE_CHUNKED,
    H1_RESPONSE_UNTIL_CLOSE, /* of unknown length to an HTTP/1.0 client: the connection ends it */
    H1_RESPONSE_SUPPRESSED,  /* to HEAD: the body is left out */
    H1_RESPONSE_COMPLETE,
};

/*
 * What becomes of the connection behind the response:
 *
 *   KEEP_ALIVE <--next request-- CLOSE         KEEP_ALIVE or CLOSE --drain--> DRAINING
 *       +---request, answer or fault--^
 */
enum h1_persistence {
    H1_PERSISTENCE_KEEP_ALIVE, /* another request may follow */
    H1_PERSISTENCE_CLOSE,      /* this response is the last one */
    H1_PERSISTENCE_DRAINING,   /* and so is any other that may still be asked for */
};

struct h1_server {
    struct link link; /* first */
    struct stream stream;
    struct loop *loop;
    const struct h1_settings *settings;
    enum h1_server_state state;
    enum h1_response_state response;
    enum h1_persistence persistence;
    enum message_version version; /* of the request */
    bool to_head_request;
    bool waits_for_continue;   /* the client may never send the body that it announced */
    enum fault pending_fault;  /* of fail_task */
    size_t dropped_bytes;      /* read behind the last request that is answered */
    struct h1_search search;
    struct h1_body body;
    struct h1_announced announced; /* the response's body */
    struct loop_task next_task; /* after release: tell the owner, look at pipelined input */
    struct loop_task fail_task;
};

void h1_server_enter(struct h1_server *server, enum h1_server_state next);
void h1_server_enter_response(struct h1_server *server, enum h1_response_state next);
void h1_server_enter_persistence(struct h1_server *server, enum h1_persistence next);
/* This response is the last one. */
void h1_server_end_persistence(struct h1_server *server);

/* No request is under way. */
bool h1_server_is_idle(const struct h1_server *server);
/* An owner holds the stream. */
bool h1_server_is_owned(const struct h1_server *server);

/* The connection ends after what is queued; its owner hears of it when the last byte has gone out (on_finished). */
void h1_server_close_after_output(struct h1_server *server, uint64_t linger_ms);
/* The link fails with `fault`, soon and from the loop. */
void h1_server_fail_later(struct h1_server *server, enum fault fault);

#endif
