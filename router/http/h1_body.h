#ifndef SLUICE_HTTP_H1_BODY_H
#define SLUICE_HTTP_H1_BODY_H
/*
 * Takes a body out of an HTTP/1 connection's bytes: by length, chunked, or until the connection closes. A strict decoder of our own,
 * because llhttp accepts a bare LF after the last chunk and has no limits (RFC 9112 section 7.1). Data comes out as spans of the input, but for
 * small chunks, which are put together. Chunk extensions and trailers are checked, bounded and dropped. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum h1_body_state {
    H1_BODY_LENGTH,
    H1_BODY_UNTIL_CLOSE,
    H1_BODY_CHUNK_SIZE,      /* the first digit is due */
    H1_BODY_CHUNK_DIGITS,
    H1_BODY_CHUNK_EXTENSION,
    H1_BODY_CHUNK_SIZE_LF,
    H1_BODY_CHUNK_DATA,
    H1_BODY_CHUNK_DATA_CR,
    H1_BODY_CHUNK_DATA_LF,
    H1_BODY_TRAILER_START,
    H1_BODY_TRAILER_NAME,
    H1_BODY_TRAILER_VALUE,
    H1_BODY_TRAILER_LF,
    H1_BODY_FINAL_LF,
    H1_BODY_COMPLETE,
    H1_BODY_BROKEN,
};

struct h1_body {
    enum h1_body_state state;
    uint64_t left;            /* of the length, or of the chunk */
    uint64_t taken;           /* data bytes so far */
    uint64_t limit;           /* of `taken`; 0: none */
    uint32_t digits;          /* of the present chunk size */
    uint32_t extension_bytes; /* of the present chunk */
    uint32_t extensions_total;
    uint32_t trailer_bytes;
};

enum h1_body_result {
    H1_BODY_RESULT_MORE,      /* the input is used up */
    H1_BODY_RESULT_DATA,      /* *data is a piece; call again */
    H1_BODY_RESULT_END,       /* complete; what is left of the input is not part of it */
    H1_BODY_RESULT_BAD,
    H1_BODY_RESULT_TOO_LARGE, /* above `limit` */
};

void h1_body_start_length(struct h1_body *body, uint64_t length, uint64_t limit);
void h1_body_start_chunked(struct h1_body *body, uint64_t limit);
void h1_body_start_until_close(struct h1_body *body);

/* Takes the next piece off the front of `*input`. END, BAD and TOO_LARGE are said again when it is called again. */
enum h1_body_result h1_body_next(struct h1_body *body, struct text *input, struct text *data);
/*
 * The same, but small chunks that follow each other in the input are one piece, for which there is room of H1_BODY_ROOM_BYTES: whoever gets them
 * has the work, and the overhead, of a chunk or frame for each piece, which a sender of one-byte chunks would make a hundredfold.
 */
#define H1_BODY_ROOM_BYTES 4096
enum h1_body_result h1_body_next_merged(struct h1_body *body, struct text *input, struct text *data, char *room);

/* True when the connection's end is the body's proper end. */
bool h1_body_ends_with_connection(const struct h1_body *body);

#endif
