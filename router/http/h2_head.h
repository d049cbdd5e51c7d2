#ifndef SLUICE_HTTP_H2_HEAD_H
#define SLUICE_HTTP_H2_HEAD_H
/*
 * Heads between HTTP/2 and message_head. nghttp2 hands a head over field by field; a header block gathers them (nghttp2's word for what RFC
 * 9113 calls a field section), and h2_read_request or h2_read_response makes the head from it, with the checks that nghttp2 leaves to its
 * user (docs/security.md#http2-heads). The other way, h2_write_* fills the array that nghttp2 sends: names in lower case, nothing that concerns a connection (RFC 9113
 * section 8.2.2).
 *
 * h2_header_block_take -> h2_header_block_add for each field -> h2_read_... -> h2_header_block_give. A head that was read points into its
 * block.
 */
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "http/h1_validator.h"
#include "http/message.h"

/* One field, by its place in the block's bytes, which may move while it grows. */
struct h2_header_block_field {
    uint32_t name_start, name_length;
    uint32_t value_start, value_length;
};

struct h2_header_block {
    struct h2_header_block *next;   /* among the spare ones */
    char *bytes;
    size_t length;
    size_t capacity;
    size_t counted_bytes;    /* by RFC 9113 section 6.5.2: name, value and 32 a field; grows on when nothing more is kept */
    enum fault fault;        /* FAULT_NONE, or why it is no whole head: a limit, memory */
    unsigned pseudo_count;   /* pseudo fields come first */
    unsigned field_count;
    unsigned field_capacity;
    struct h2_header_block_field *fields;
};

/* spare header blocks of a loop, so that a head usually costs no allocation. Zero it first. */
struct h2_header_blocks {
    struct h2_header_block *spare;
    unsigned count;
};

/* An empty header block, or NULL when memory is out. */
struct h2_header_block *h2_header_block_take(struct h2_header_blocks *blocks);
/* NULL is allowed. */
void h2_header_block_give(struct h2_header_blocks *blocks, struct h2_header_block *block);
void h2_header_blocks_clear(struct h2_header_blocks *blocks);

/* Copies a field, without the blanks around its value (RFC 9110 section 5.5); a pseudo field as it is. What passes a limit is counted and not kept, and the block has a fault from then on. */
void h2_header_block_add(struct h2_header_block *block, const struct h1_limits *limits, bool is_request, struct text name, struct text value);

/*
 * Makes a request's head from a block that nghttp2 has found well-formed; `head->fields` has room for MESSAGE_FIELDS_MAXIMUM. `is_end`:
 * no body follows. FAULT_NONE, or why the request must be refused: bytes in :path that no URL has, user information in :authority,
 * CONNECT, an expectation, a limit; `head` then holds what was understood. When :authority and Host differ the first rules (RFC 9113 section 8.3.1).
 */
enum fault h2_read_request(struct h2_header_block *block, const struct h1_limits *limits, bool is_end, struct message_head *head);

/* The same for an answer. `is_end`: no body follows, whatever a Content-Length announces (HEAD, 304). */
enum fault h2_read_response(struct h2_header_block *block, bool is_end, struct message_head *head);

/* The fields behind a body; hop-by-hop ones are left out. */
enum fault h2_read_trailers(struct h2_header_block *block, bool is_request, struct message_head *head);

/* Room for one head on its way out; lives in the loop's h2_context and is used by one call at a time. */
#define H2_WRITE_FIELDS (MESSAGE_FIELDS_MAXIMUM + 16)
struct h2_writer {
    uint8_t borrowing;      /* nghttp2's flags for a head that is written before the call that makes it returns: it copies nothing */
    nghttp2_nv fields[H2_WRITE_FIELDS];
    size_t count;
    char length_text[24];
    char status_text[4];
    char *names;            /* lower-case copies of names that came otherwise */
    size_t names_capacity;
    size_t names_length;
};

/*
 * Each fills writer->fields; nghttp2 copies them when they are submitted, unless it may borrow. False when memory is out. `scheme`: "http"
 * or "https".
 */
bool h2_write_request(struct h2_writer *writer, const struct message_head *head, struct text scheme);
bool h2_write_response(struct h2_writer *writer, const struct message_head *head);
/* The fields of a block as they are, in lower case: trailers that waited for the body. nghttp2 borrows them until they are written. */
void h2_write_header_block(struct h2_writer *writer, struct h2_header_block *block);
void h2_writer_clear(struct h2_writer *writer);

#endif
