#ifndef SLUICE_HTTP_H2_STREAM_H
#define SLUICE_HTTP_H2_STREAM_H
/*
 * One stream of an HTTP/2 link: its states, its buffers, and what it receives. h2_stream_send.h has what it sends. Four machines, because
 * its two directions, its owner and its place in the session move apart from each other; each has one writer. A stream lives until its owner
 * has released it and nghttp2 has closed it.
 */
#include "http/h2_link.h"
#include "net/buffer.h"

/*
 * In the session, in the words of RFC 9113 section 5.1:
 *
 *   IDLE --HEADERS are in the conn, or have come--> OPEN --both sides have ended--> CLOSED --and released--> BURIED
 *    |                                               +--RST_STREAM--> RESET_HERE or RESET_BY_PEER --^
 *    +--never sent-----------------------------------------------------------------------------------^
 *
 * Half-closed shows in `receiving` and `sending`.
 */
enum h2_stream_state {
    H2_STREAM_IDLE,          /* nobody can have seen it */
    H2_STREAM_OPEN,
    H2_STREAM_RESET_HERE,    /* by a verb: not the peer's fault */
    H2_STREAM_RESET_BY_PEER,
    H2_STREAM_CLOSED,        /* nghttp2 knows it no more */
    H2_STREAM_BURIED,        /* in the grave */
};

/*
 * Who listens:
 *
 *   NONE --request handed up--> LISTENING <--pause, resume--> PAUSED --on_failed--> TOLD --released--> RELEASED
 *                                   +--on_failed---------------------^                        ^
 *                                   +--released (from PAUSED, too)----------------------------+
 */
enum h2_owner_state {
    H2_OWNER_NONE,           /* server: the request waits until all input has been read */
    H2_OWNER_LISTENING,
    H2_OWNER_PAUSED,         /* hears no data and no end */
    H2_OWNER_TOLD,           /* has had on_failed: nothing follows, its release is due */
    H2_OWNER_RELEASED,
};

/*
 * What has come from the peer:
 *
 *   HEAD --final head--> BODY --END_STREAM--> ENDED --on_end--> DONE
 *    +------head with END_STREAM-----------------^                ^ reset, or refused
 *   any --a failure is owed--> FAILED --on_failed-----------------+
 */
enum h2_receiving {
    H2_RECEIVING_HEAD,       /* nothing, or interim heads */
    H2_RECEIVING_BODY,
    H2_RECEIVING_ENDED,      /* the owner may still be owed buffered bytes and trailers */
    H2_RECEIVING_FAILED,     /* on_failed is owed, with `fault` */
    H2_RECEIVING_DONE,       /* on_end or on_failed was given, or the owner no longer listens */
};

/*
 * What we send:
 *
 *   HEAD --head--> BODY --the owner's end--> LAST --END_STREAM is written--> DONE
 *    |              |  ^ more bytes, or the end     ^                         ^
 *    |              v  |                            |                         | reset, or the length is reached
 *    |             DEFERRED                         |
 *    +--head without a body-------------------------+
 */
enum h2_sending {
    H2_SENDING_HEAD,         /* nothing submitted yet, or interim heads */
    H2_SENDING_BODY,
    H2_SENDING_DEFERRED,     /* in the body, and nghttp2 waits for nghttp2_session_resume_data */
    H2_SENDING_LAST,         /* the owner has sent its end; buffered bytes may still wait */
    H2_SENDING_DONE,
};

#define H2_LENGTH_UNKNOWN UINT64_MAX

struct h2_stream {
    struct stream stream;          /* first */
    struct h2_link *link;
    struct slab *slab;             /* ref: the loop's, which is asked when the link may be gone */
    struct list_node node;         /* in link->streams */
    struct list_node queue_node;   /* in `queue` */
    struct list_node congested_node;
    struct list *queue;            /* link->settling, or the server's list of requests that have arrived */
    int32_t id;                    /* 0: not submitted yet */
    enum h2_stream_state state;
    enum h2_owner_state owner;
    enum h2_receiving receiving;
    enum h2_sending sending;
    enum fault fault;              /* in FAILED; a client notes it before it knows whether it is owed */
    bool is_bodyless;              /* server: the request ended with its head; client: the answer has no body, so no bytes may follow */
    bool to_head_request;          /* server */
    uint8_t interim_count;         /* client: received */
    uint8_t heads_queued;          /* submitted and not written: interim ones, the head, trailers */
    uint64_t left_bytes;           /* of the body that we send, or H2_LENGTH_UNKNOWN */
    uint64_t received_bytes;
    uint32_t given_in_read;        /* the link's read in which the owner was last given bytes at once */
    uint64_t moved_ms;             /* output last moved */
    uint64_t begins_at_bytes;      /* client, once OPEN: where the request's head ends in the conn's output, or a little before */
    uint64_t ends_at_bytes;        /* END_STREAM among the bytes handed to the kernel; UINT64_MAX while it is not in the conn */
    struct text borrowed;          /* bytes of a verb that is running: sent from where they are */
    struct buffer output;
    struct buffer input;
    size_t granted_bytes;          /* server: of its window, what the client may send at any moment; counted as MEMORY_WINDOWS */
    struct h2_header_block *block;          /* of a head that is not complete or not given yet */
    struct h2_header_block *trailers;       /* received: they follow the input */
    struct h2_header_block *trailers_to_send; /* behind the output */
};

static inline struct h2_stream *h2_stream_of(struct stream *stream)
{
    return LIST_OWNER(stream, struct h2_stream, stream);
}

/* The only writers of the states. */
void h2_stream_enter_owner(struct h2_stream *stream, enum h2_owner_state next);
void h2_stream_enter_receiving(struct h2_stream *stream, enum h2_receiving next);
void h2_stream_enter_sending(struct h2_stream *stream, enum h2_sending next);
/* OPEN, or reset. */
void h2_stream_enter(struct h2_stream *stream, enum h2_stream_state next);
/* nghttp2 knows it no more. It goes when its owner has released it, too. */
void h2_stream_enter_closed(struct h2_stream *stream);

static inline bool h2_stream_is_closed(const struct h2_stream *stream)
{
    return stream->state >= H2_STREAM_CLOSED;
}

/* The owner hears of what happens. */
static inline bool h2_stream_is_heard(const struct h2_stream *stream)
{
    return stream->owner == H2_OWNER_LISTENING || stream->owner == H2_OWNER_PAUSED;
}

/* Everything that was asked for has come. */
static inline bool h2_stream_is_received(const struct h2_stream *stream)
{
    return stream->receiving == H2_RECEIVING_ENDED || stream->receiving == H2_RECEIVING_DONE;
}

/* A stream of the link, in its list, without an owner; NULL when memory is out. */
struct h2_stream *h2_stream_create(struct h2_link *link, int32_t id);
/* Its owner has been found. */
void h2_stream_own(struct h2_stream *stream);
/* It waits in `queue`, and leaves it when it is buried. */
void h2_stream_wait_in(struct h2_stream *stream, struct list *queue);
/*
 * The request's head is in the conn. Its last byte is the last one that the conn was given, or the next one: before it is read, a node cannot
 * act on the request. Too early a place only means that a request is taken for read sooner.
 */
void h2_stream_note_begin(struct h2_stream *stream);
/* END_STREAM is in the conn, or about to be: too early a place only means that a request is taken for one that has left. */
void h2_stream_note_end(struct h2_stream *stream);

/* A failure is owed from now on; h2_stream_settle gives it. */
void h2_stream_fail(struct h2_stream *stream, enum fault fault);
/* Gives what is owed: a failure, or buffered input and then the end, as long as the owner takes it. */
void h2_stream_settle(struct h2_stream *stream);
void h2_stream_give_end(struct h2_stream *stream);
/* The head that stands in the block has been handled. */
void h2_stream_drop_block(struct h2_stream *stream);
/* From nghttp2: bytes of the body, and its end. */
void h2_stream_take_data(struct h2_stream *stream, struct text bytes);
void h2_stream_end_received(struct h2_stream *stream);

/* Submits RST_STREAM with `code` and lets nobody hear of the stream again. */
void h2_stream_reset_with(struct h2_stream *stream, uint32_t code);
/* The owner lets go of a stream whose both sides are complete, as far as it is concerned. */
void h2_stream_let_go(struct h2_stream *stream);
/* The answer is out, nobody listens, and the client still sends: it need not (RFC 9113 section 8.1). */
void h2_stream_stop_upload(struct h2_stream *stream);

/* Verbs that are the same on both sides. */
void h2_stream_pause(struct stream *stream);
void h2_stream_resume(struct stream *stream);

#endif
