/* What the parts of h2_responder share; see h2_responder.c for what it is and who owns what. */
#ifndef BENCH_H2_RESPONDER_H
#define BENCH_H2_RESPONDER_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INPUT_BYTES = 131072,
    FRAME_BYTES = 16384, /* the largest payload, sent and taken */
    FRAME_HEAD_BYTES = 9,
    OUTPUT_BYTES = 262144,
    HEAD_ROOM_BYTES = 2048, /* one answer's head and trailers, or a few control frames, always fit in this */
    EVENTS_PER_TURN = 128,
    STREAM_BUCKETS = 256,
    STREAMS_MAXIMUM = 200,
    ACCEPTS_PER_TURN = 64,
    FIELDS_MAXIMUM = 6,
    MESSAGE_BYTES = 65536, /* of gRPC, without its 5 bytes of framing */
    MESSAGE_FRAMING = 5,
    STREAMED_MESSAGES = 256,
};

#define FLIGHT "/arrow.flight.protocol.FlightService/"
#define WINDOW_MAXIMUM 0x7fffffffu
#define WINDOW_REFILL (1u << 30)

enum frame_type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };

enum answer_kind { PLAIN, HELD, GRPC_ONE, GRPC_STREAM };

struct route {
    const char *path;
    const char *status;
    const char *content_type; /* NULL: no body */
    const char *body;         /* of PLAIN */
    enum answer_kind kind;
};

struct stream {
    struct stream *next_in_bucket;
    struct stream *next, *previous; /* in the connection's sending list or in the responder's held list */
    struct connection *connection;
    const struct route *route;
    uint64_t remaining_bytes; /* of the answer's body */
    uint64_t due_ms;          /* of a held answer */
    int64_t window;
    uint32_t id;
    bool is_held, is_sending;
};

struct stream_list {
    struct stream *first, *last;
};

struct connection {
    int fd;
    bool has_preface, wants_writable, is_dirty, is_dead;
    struct connection *next_dirty, *next_dead;
    nghttp2_hd_inflater *inflater;
    nghttp2_hd_deflater *deflater;
    int64_t window, initial_stream_window;
    uint32_t received_since_refill;
    struct stream *buckets[STREAM_BUCKETS];
    struct stream_list sending;
    size_t input_start, input_end, output_start, output_end;
    uint8_t input[INPUT_BYTES];
    uint8_t output[OUTPUT_BYTES];
};

struct responder {
    const char *name;
    char date[64];
    uint64_t hold_ms, now_ms;
    int epoll_fd, listen_fd, signal_fd;
    struct connection *dirty, *dead;
    struct stream *spare;    /* freed streams, linked by next */
    struct stream_list held; /* by due time: all are held equally long */
    unsigned connections, peak_connections, held_count, peak_held;
    uint8_t message[MESSAGE_FRAMING + MESSAGE_BYTES];
};

extern struct responder responder;

/* h2_responder.c */

void fail(const char *what);
/* Output is to be sent at the end of the turn. */
void mark_dirty(struct connection *connection);

/* h2_answers.c: streams, output, answers */

struct stream *stream_open(struct connection *connection, uint32_t id, const struct route *route);
void stream_close(struct stream *stream);
/* Where the pointer to the stream is, or would be. */
struct stream **stream_place(struct connection *connection, uint32_t id);

const struct route *find_route(const uint8_t *path, size_t length);
size_t output_room(const struct connection *connection);
/* The caller has seen to the room. */
void queue_frame(struct connection *connection, enum frame_type type, uint8_t flags, uint32_t id, const void *payload,
                 size_t length);
/* Streams take turns of one message each, until nothing moves. */
void pump(struct connection *connection);
/* The whole request was read: it is answered now, or held. */
void finish_request(struct stream *stream);
void answer_due(void);
void render_answers(const char *name);

/* h2_frames.c */

/* Everything that is complete and whose answer has room. False when the connection is done for. */
bool take_input(struct connection *connection);

#endif
