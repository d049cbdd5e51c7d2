#ifndef SLUICE_SIM_PEER_PEER_H1_PARSE_H
#define SLUICE_SIM_PEER_PEER_H1_PARSE_H
/*
 * The heads of HTTP/1.1, taken apart as strictly as RFC 9112 writes them, and stricter: what a sender may not send, and what a recipient may but need
 * not take (bare LF, folds, other versions, chunk extensions), is a fault. Names become lower case where they stand.
 */
#include "peer/peer.h"

/* A longer head comes from nobody. */
#define H1_HEAD_BYTES 131072

enum h1_framing_of { H1_FRAMED_NOT, H1_FRAMED_LENGTH, H1_FRAMED_CHUNKED };

/* What the fields say of the message's end. */
struct h1_framing {
    enum h1_framing_of body;
    bool closes;    /* `connection: close` */
    unsigned hosts; /* how many */
};

/* The length of the head at the front, its empty line too; 0: not whole yet. `*searched` is 0 at first and is carried from try to try. */
size_t far_h1_find_head(struct text bytes, size_t *searched);

/* NULL, or what is wrong (static text). `head` is set but for is_whole; it points into `bytes`. */
const char *far_h1_parse_request(char *bytes, size_t length, struct peer_head *head, struct h1_framing *framing);
const char *far_h1_parse_response(char *bytes, size_t length, struct peer_head *head, struct h1_framing *framing);
/* A request's target, as Sluice may send it: no absolute form. */
bool far_h1_is_target(struct text target, struct text method);
/* From the first field to the empty line. */
const char *far_h1_parse_trailers(char *bytes, size_t length, struct peer_head *fields);

/* The line of a chunk's size: its length with CRLF; 0: not whole yet; -1: wrong. */
ptrdiff_t far_h1_parse_chunk_size(struct text bytes, uint64_t *size);

#endif
