#ifndef SLUICE_HTTP_H2_LINK_H
#define SLUICE_HTTP_H2_LINK_H
/*
 * What h2_server and h2_client have in common, for the h2 files only: the nghttp2 session between conn and streams, the streams'
 * buffers, and when to call whom.
 *
 * Order. Input comes through h2_link_bytes. Bodies and answers go up while nghttp2 reads; requests and the ends of streams are gathered
 * and go up when the whole input has been read (h2_link_settle), so a flood of streams that are reset at once reaches nobody. Verbs
 * only submit; h2_link_pump, once at the end of the loop's turn, lets nghttp2 write all that has gathered into the conn. Two things
 * are written into the conn at once, which saves their copies: a head (h2_link_write_head) and a large piece of body, while its bytes
 * are still there.
 *
 * A stream lives until its owner has released it and nghttp2 has closed it.
 */
#include <nghttp2/nghttp2.h>

#include "http/h2.h"
#include "http/h2_budget.h"
#include "http/h2_head.h"
#include "net/buffer.h"
#include "net/loop.h"

/* What has come from the peer. */
enum h2_receiving {
    H2_RECEIVING_HEAD,    /* nothing, or interim heads */
    H2_RECEIVING_BODY,
    H2_RECEIVING_ENDED,   /* END_STREAM came; the owner may still be owed buffered bytes */
    H2_RECEIVING_DONE,    /* on_end or on_failed was given, or the owner no longer listens */
};

/* What we send. */
enum h2_sending {
    H2_SENDING_HEAD,      /* nothing submitted yet */
    H2_SENDING_BODY,
    H2_SENDING_LAST,      /* the owner has sent its end; buffered bytes may still wait */
    H2_SENDING_DONE,      /* END_STREAM has been written, or the stream was reset */
};

/* How long a client that we have said goodbye to may take to read it. */
#define H2_LINGER_MS 1000

struct h2_link;

struct h2_stream {
    struct stream stream;          /* first */
    struct h2_link *link;
    struct slab *slab;             /* ref: the loop's, which is asked when the link may be gone */
    struct list_node node;         /* in link->streams */
    struct list_node queue_node;   /* in link->arrived (requests) or link->settling (pauses, ends) */
    struct list_node congested_node;
    int32_t id;                    /* 0: not submitted yet */
    enum h2_receiving receiving;
    enum h2_sending sending;
    bool is_owned;                 /* the owner has not released it */
    bool is_dispatched;            /* server: on_request was given */
    bool is_bodyless;              /* server: the request ended with its head; client: the answer has no body, so no bytes may follow */
    bool is_closed;                /* nghttp2 knows it no more */
    bool is_buried;
    uint8_t heads_queued;          /* submitted and not written: interim ones, the head, trailers */
    bool was_reset_by_peer;
    bool is_paused;
    bool was_reset_here;           /* by a verb: not the peer's fault */
    bool is_length_known;          /* the body we send has left_bytes to go */
    bool is_deferred;              /* nghttp2 waits for nghttp2_session_resume_data */
    bool has_failed;               /* on_failed is owed: `fault` */
    bool is_failure_told;          /* and was given: nothing follows */
    bool to_head_request;
    uint8_t interim_count;
    enum fault fault;
    uint64_t left_bytes;
    uint64_t received_bytes;
    uint64_t moved_ms;             /* output last moved */
    bool is_begun;                 /* client: the request's head is in the conn */
    uint64_t begins_at_bytes;      /* and ends there, or begins a little later */
    uint64_t ends_at_bytes;        /* END_STREAM among the bytes handed to the kernel; UINT64_MAX while it is not in the conn */
    struct text borrowed;          /* bytes of a verb that is running: sent from where they are */
    struct buffer output;
    struct buffer input;
    struct h2_header_block *block;        /* a head that is not complete or not given yet */
    struct h2_header_block *trailers;     /* received: they follow the input */
    struct h2_header_block *last;         /* trailers to send behind the output */
};

enum h2_link_state {
    H2_LINK_OPEN,
    H2_LINK_CLOSING,  /* the last output goes out; no event follows but the end */
    H2_LINK_DEAD,     /* in the grave */
};

/* What server and client do differently. All are called from the loop, never from a verb. */
struct h2_role {
    bool is_server;
    /* A header block begins for a stream that the session does not know. NULL: refuse. */
    struct h2_stream *(*on_new_stream)(struct h2_link *link, int32_t id);
    /* The block of a stream is complete (inside nghttp2's reading). */
    void (*on_head)(struct h2_link *link, struct h2_stream *stream, bool is_end);
    /* Server: the turn of a stream in link->arrived. */
    void (*on_arrived)(struct h2_link *link, struct h2_stream *stream);
    /* The fault that the owner of a stream hears when it was closed before its time. */
    enum fault (*fault_of_close)(const struct h2_link *link, const struct h2_stream *stream, uint32_t error);
    /* Everything that has arrived is settled. */
    void (*on_settled)(struct h2_link *link);
    /* GOAWAY has come (inside nghttp2's reading). */
    void (*on_goodbye)(struct h2_link *link);
    /* nghttp2 reads no further: a flood of its own counting, no memory, no HTTP/2 at all. */
    void (*on_unreadable)(struct h2_link *link);
    /* Neither side has anything more to say. */
    void (*on_over)(struct h2_link *link);
};

struct h2_link {
    struct link link;              /* first */
    const struct h2_role *role;
    struct h2_context *context;
    nghttp2_session *session;
    enum h2_link_state state;
    bool is_reading;               /* inside nghttp2_session_mem_recv: no writing */
    bool is_writing;
    struct h2_stream *head_stream; /* in h2_link_write_head: nghttp2 tells of its frame before the bytes are in the conn */
    bool is_draining;              /* no new streams: we said GOAWAY, or heard it */
    bool is_muted;                 /* the owner has closed the link: it hears nothing more */
    bool has_ended;                /* client: the connection has; nothing more is written */
    bool is_over;                  /* client: nothing more will come; the link ends with its last owned stream */
    bool has_acknowledged;         /* the peer knows our SETTINGS */
    uint32_t early_refusals;       /* of streams, before that */
    bool has_settings;             /* the peer's first SETTINGS has come */
    bool is_idle_told;             /* server */
    bool is_notice_given;          /* server, draining: GOAWAY that names no last stream yet */
    bool is_last_word_due;         /* server, draining: what crossed our notice has arrived */
    bool is_last_word_said;        /* server: GOAWAY with the last stream, or for abuse */
    bool is_broken;                /* memory is out: the link ends with this turn */
    bool had_room;                 /* client */
    int32_t gathering_id;          /* the stream whose head is coming in, and its block; a header block has the link for itself */
    struct h2_header_block *gathering;
    int32_t watched_id;            /* server: the block that `timer` is for; 0: the first SETTINGS */
    uint32_t peer_streams_maximum; /* what the peer allows us */
    uint32_t resets;               /* streams that we cancelled */
    int abuse;                     /* enum h2_expense that ran out, or -1 */
    struct text scheme;
    struct list streams;
    struct list arrived;
    struct list settling;
    struct list congested;
    size_t owned_count;
    struct h2_budget budget;
    struct loop_task task;         /* pump and settle at the end of the turn */
    struct loop_timer timer;       /* server: a header block must end; client: was it read? */
    struct loop_timer drain_timer; /* server: the notice of a drain has had its time; client: a ping has */
    uint64_t heard_ms;             /* when the peer was last heard */
    bool is_heard;                 /* something has come since it became suspect */
    bool is_suspect;               /* client: a request was given up in silence, and a ping asks whether anybody is there */
    struct loop_timer stall_timer;
    uint64_t stalled_at_bytes;     /* of the conn's output, and since when it stands there */
    uint64_t stalled_since_ms;
    enum fault pending_fault;
};

struct h2_context {
    struct loop *loop;
    struct slab *slab;           /* ref: the loop's */
    nghttp2_mem memory;
    struct h2_settings settings;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct h2_header_blocks blocks;
    struct h2_writer writer;
};

/* Fills what is common; false when memory is out (the caller frees its memory and closes the conn). */
bool h2_link_init(struct h2_link *link, struct h2_context *context, const struct h2_role *role, struct conn *conn);

/* The conn's events. */
size_t h2_link_bytes(void *owner, struct text bytes);
void h2_link_drained(void *owner);

/* Output waits, or events are owed: at the end of this turn. */
void h2_link_touch(struct h2_link *link);
/* Lets nghttp2 write what it has into the conn. Never inside nghttp2's callbacks. */
void h2_link_pump(struct h2_link *link);
/*
 * A head can be written at once unless nghttp2 is reading or writing. Then it is submitted between these two, from fields that nghttp2 does
 * not copy: h2_link_write_head lets it write until the stream's head is out.
 */
void h2_link_begin_head(struct h2_link *link, struct h2_stream *stream);
void h2_link_write_head(struct h2_link *link, struct h2_stream *stream);
/*
 * The head's last byte is the last one that the conn was given, or the next one: before it is read, a node cannot act on the request. Too early
 * a place only means that a request is taken for read sooner.
 */
void h2_stream_note_position(struct h2_stream *stream);
/* END_STREAM is in the conn, or about to be: too early a place only means that a request is taken for one that has left. */
void h2_stream_note_end(struct h2_stream *stream);
/* Gives the events that are owed. Only from the loop. */
void h2_link_settle(struct h2_link *link);

/* Ends the link at once: each owned stream fails, with a fault of its own if it has one. Only from the loop. */
void h2_link_fail(struct h2_link *link, enum fault fault);
/* The same, but what is written goes out first and the other side gets time to read it. */
void h2_link_finish(struct h2_link *link, enum fault fault);
void h2_link_finished(void *owner);
/* Output of released streams that stands still is given up after a while. */
void h2_link_watch_stall(struct h2_link *link);
/* The memory goes to the grave; the conn must be closed already. */
void h2_link_enter_dead(struct h2_link *link);

/* A whole frame of nghttp2's goes into the conn; false when memory is out. */
bool h2_link_write(struct h2_link *link, struct text frame);

/* A stream of the link, in its list; NULL when memory is out. */
struct h2_stream *h2_stream_create(struct h2_link *link, int32_t id);
/* nghttp2 knows it no more. It goes when its owner has released it, too. */
void h2_stream_enter_closed(struct h2_stream *stream);
/* Owed from now on; given by h2_link_settle. */
void h2_stream_fail(struct h2_stream *stream, enum fault fault);
void h2_stream_give_failure(struct h2_stream *stream);
/* The head that stands in the block has been handled. */
void h2_stream_drop_block(struct h2_stream *stream);
/* From nghttp2: bytes of the body, and its end. */
void h2_stream_take_data(struct h2_stream *stream, struct text bytes);
void h2_stream_end_received(struct h2_stream *stream);
/* Gives buffered input, then the end, as long as the owner takes it. */
void h2_stream_deliver(struct h2_stream *stream);
void h2_stream_give_end(struct h2_stream *stream);
bool h2_stream_is_drained(const struct h2_stream *stream);
/* Writes a DATA frame into the conn: its head of 9 bytes, and `length` of the bytes that wait. Returns what nghttp2 wants to hear. */
int h2_stream_write_data(struct h2_stream *stream, const uint8_t *head, size_t length, bool is_end);

/* Verbs that are the same on both sides. */
void h2_stream_send_data(struct stream *stream, struct text bytes);
void h2_stream_send_trailers(struct stream *stream, const struct message_head *trailers);
void h2_stream_send_end(struct stream *stream);
void h2_stream_pause(struct stream *stream);
void h2_stream_resume(struct stream *stream);
bool h2_stream_is_congested(const struct stream *stream);
bool h2_stream_has_left(const struct stream *stream);
/* Submits RST_STREAM with `code` and lets nobody hear of the stream again. */
void h2_stream_reset_with(struct h2_stream *stream, uint32_t code);
/* The owner lets go of a stream whose both sides are complete, as far as it is concerned. */
void h2_stream_let_go(struct h2_stream *stream);
void h2_stream_stop_upload(struct h2_stream *stream);

/* How a body is sent: by h2_stream_send_data and nghttp2's own pace. */
nghttp2_data_provider h2_stream_provider(struct h2_stream *stream);

/* nghttp2's callbacks; h2_callbacks.c. */
nghttp2_session_callbacks *h2_callbacks_create(void);

static inline struct h2_stream *h2_stream_of(struct stream *stream)
{
    return LIST_OWNER(stream, struct h2_stream, stream);
}

#endif
