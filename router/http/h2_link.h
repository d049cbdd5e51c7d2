#ifndef SLUICE_HTTP_H2_LINK_H
#define SLUICE_HTTP_H2_LINK_H
/*
 * The lowest of the private HTTP/2 headers: a link's states and its output, that is, when nghttp2 may write into the conn. What stands on it:
 *
 *   h2_server, h2_client     what the two sides do differently (struct h2_role), each with its own fields around struct h2_link
 *   h2_connection            the life of a link: how it begins, input and owed events, how it ends
 *   h2_callbacks             nghttp2's events
 *   h2_stream_send           what the owner of a stream sends
 *   h2_stream                one stream: its states, and what it receives
 *   h2_link                  (here)
 *
 * Order. Input comes through h2_connection_bytes. Bodies and answers go up while nghttp2 reads; requests and the ends of streams are gathered
 * and go up when the whole input has been read (h2_connection_settle), so a flood of streams that are reset at once reaches nobody. Verbs
 * only submit; h2_link_pump, once at the end of the loop's turn, lets nghttp2 write all that has gathered into the conn. Two things
 * are written into the conn at once, which saves their copies: a head (h2_stream_write_head) and a large piece of body, while its bytes
 * are still there.
 *
 * Only servers are in FINISHING, only clients in ENDED and DELIVERING. Any state may become DISOWNED, and any but ENDED may become DEAD.
 *
 *   OPEN --the session is over: client----------------> DELIVERING --the last answer was read--+
 *    |  \--the connection has ended: client--> ENDED -------^                                  v
 *    |   \--no memory--> BROKEN ----------------------at the end of the turn------------------> DEAD --link_close--> DISOWNED
 *    +------the session is over: server--> FINISHING ------the last output has left------------^
 */
#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "http/h2.h"
#include "http/h2_budget.h"
#include "http/h2_head.h"
#include "http/h2_memory.h"
#include "net/loop.h"

enum h2_link_state {
    H2_LINK_OPEN,
    H2_LINK_BROKEN,      /* nothing more is written */
    H2_LINK_ENDED,       /* nothing more is written; whether the node has read the requests is not known yet */
    H2_LINK_DELIVERING,  /* nothing more is read or written; answers that came whole wait for their readers */
    H2_LINK_FINISHING,   /* what is written goes out; no event follows but the end */
    H2_LINK_DEAD,        /* in the grave */
    H2_LINK_DISOWNED,    /* in the grave, and closed by the owner: nobody hears of it any more */
};

/* Is nghttp2 at work? Then nothing may be written. READING and WRITING both come from RESTING and go back there. */
enum h2_link_activity { H2_LINK_RESTING, H2_LINK_READING, H2_LINK_WRITING };

/* SETTINGS, theirs and ours (RFC 9113 section 6.5.3): AWAITED --theirs--> RECEIVED --they acknowledge ours--> ACKNOWLEDGED */
enum h2_settings_state { H2_SETTINGS_AWAITED, H2_SETTINGS_RECEIVED, H2_SETTINGS_ACKNOWLEDGED };

struct h2_link;
struct h2_stream;

/* What server and client do differently. All are called from the loop, never from a verb. NULL where a side has nothing to do. */
struct h2_role {
    bool is_server;
    /* Gives input to nghttp2, as h2_connection_receive does. Server only. */
    ssize_t (*receive)(struct h2_link *link, struct text bytes);
    /* A header block begins for a stream that the session does not know. Server only. NULL: refuse. */
    struct h2_stream *(*on_new_stream)(struct h2_link *link, int32_t id);
    /* The head of a stream is complete (inside nghttp2's reading). */
    void (*on_head)(struct h2_link *link, struct h2_stream *stream, bool is_end);
    /* A DATA frame with bytes in it has come for a stream that is open. Server only. */
    void (*on_body)(struct h2_link *link);
    /* Everything that has arrived was read. Server only: requests are handed up. */
    void (*on_read)(struct h2_link *link);
    /* The fault that the owner of a stream hears when it was closed before its time. */
    enum fault (*fault_of_close)(const struct h2_link *link, const struct h2_stream *stream, uint32_t error);
    /* Everything that has arrived is settled. */
    void (*on_settled)(struct h2_link *link);
    /* Server only: a frame begins to come, a frame has been sent, the peer costs us something. */
    void (*on_frame_begin)(struct h2_link *link, const nghttp2_frame_hd *head);
    void (*on_frame_sent)(struct h2_link *link, const struct h2_stream *stream, const nghttp2_frame *frame);
    void (*on_expense)(struct h2_link *link, enum h2_expense expense);
    /* Server only: the peer has answered a ping of ours. (A client's ping is answered by any byte.) */
    void (*on_ping_answered)(struct h2_link *link);
    /* Client only: GOAWAY has come (inside nghttp2's reading). */
    void (*on_goaway)(struct h2_link *link);
    /* nghttp2 reads no further: a flood of its own counting, no memory, no HTTP/2 at all. */
    void (*on_unreadable)(struct h2_link *link);
    /* Neither side has anything more to say. */
    void (*on_over)(struct h2_link *link);
    /* The link ends: the side's own timers are cleared. */
    void (*stop_timers)(struct h2_link *link);
};

struct h2_link {
    struct link link;              /* first */
    const struct h2_role *role;
    struct h2_context *context;
    nghttp2_session *session;
    enum h2_link_state state;
    enum h2_link_activity activity;
    enum h2_settings_state settings;
    bool is_cut;                   /* client: the conn has ended, and what it holds never leaves */
    uint32_t peer_streams_maximum; /* SETTINGS_MAX_CONCURRENT_STREAMS of the peer */
    uint32_t streams_allowed;      /* ours, as the peer was told when the connection began */
    uint32_t window_bytes;         /* of each stream, likewise */
    uint32_t reads;                /* of input, so far */
    struct h2_stream *head_stream; /* in h2_stream_write_head: nghttp2 tells of its frame before the bytes are in the conn */
    int32_t gathering_id;          /* the stream whose header block is coming in, and the block; it has the link for itself */
    struct h2_header_block *gathering;
    struct list streams;           /* also those that have closed and are not released yet */
    uint32_t live_count;           /* without these: what counts against a limit of streams (RFC 9113 section 5.1.2) */
    struct list settling;          /* of them, those that are owed something: a failure, bytes after a pause, an end */
    struct list congested;
    size_t owned_count;
    struct loop_task task;         /* pump and settle at the end of the turn */
    struct loop_timer stall_timer;
    uint64_t stalled_at_bytes;     /* of the conn's output, and since when it stands there */
    uint64_t stalled_since_ms;
    enum fault pending_fault;      /* in FINISHING and DELIVERING: what on_closed will say */
};

/* What all HTTP/2 links of a loop share. */
struct h2_context {
    struct loop *loop;
    struct slab *slab;           /* ref: the loop's */
    struct h2_memory memory;
    struct h2_settings settings;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct h2_header_blocks blocks;
    struct h2_writer writer;
};

/* The only writers of the states. */
void h2_link_enter(struct h2_link *link, enum h2_link_state next);
void h2_link_enter_activity(struct h2_link *link, enum h2_link_activity next);
void h2_link_enter_settings(struct h2_link *link, enum h2_settings_state next);

/* Streams still hear of what happens. */
static inline bool h2_link_is_alive(const struct h2_link *link)
{
    return link->state < H2_LINK_FINISHING;
}

/* nghttp2 may write into the conn now. */
static inline bool h2_link_may_write(const struct h2_link *link)
{
    return link->state == H2_LINK_OPEN && link->activity == H2_LINK_RESTING;
}

/* What is in the conn goes out yet, unless the conn ends before. */
static inline bool h2_link_holds_conn(const struct h2_link *link)
{
    return !link->is_cut && link->state < H2_LINK_DEAD;
}

/* Output waits, or events are owed: at the end of this turn. */
void h2_link_touch(struct h2_link *link);
/* Memory is out: the link fails at the end of this turn. */
void h2_link_break(struct h2_link *link);
/* Lets nghttp2 write what it has into the conn. Never inside nghttp2's callbacks. */
void h2_link_pump(struct h2_link *link);
/* A whole frame of nghttp2's goes into the conn; false when memory is out. */
bool h2_link_write(struct h2_link *link, struct text frame);
/* A released stream has output: if it stands still, it is given up after a while. */
void h2_link_watch_stall(struct h2_link *link);

#endif
