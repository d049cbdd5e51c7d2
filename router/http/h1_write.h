#ifndef SLUICE_HTTP_H1_WRITE_H
#define SLUICE_HTTP_H1_WRITE_H
/*
 * Heads and chunks as HTTP/1.1 bytes. The heads are sanitised ones: their texts were validated on arrival or made here, so no piece holds
 * a line end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/message.h"

/* What the response's Connection field says (RFC 9112 section 9.3). */
enum h1_connection_option {
    H1_CONNECTION_UNSAID,      /* no field: it persists */
    H1_CONNECTION_CLOSE,
    H1_CONNECTION_KEEP_ALIVE,  /* an HTTP/1.0 client asked for it, or for how long is told */
};

/* How a response's body and connection are to be written. */
struct h1_response_form {
    bool is_chunked;       /* BODY_STREAM to an HTTP/1.1 client */
    enum h1_connection_option connection;
    uint64_t keep_alive_s; /* with KEEP_ALIVE: how long the client may leave the connection idle; 0: unsaid */
};

/* An upper bound of the bytes that the head takes. */
size_t h1_request_head_bytes(const struct message_head *head);
size_t h1_response_head_bytes(const struct message_head *head);

/* Writes the head to `out`, which has room for the bound; returns the bytes written. BODY_STREAM is written as chunked. */
size_t h1_write_request_head(char *out, const struct message_head *head);
size_t h1_write_response_head(char *out, const struct message_head *head, const struct h1_response_form *form);

/* The line before a chunk of `length` bytes; `out` has room for H1_CHUNK_LINE_BYTES. */
#define H1_CHUNK_LINE_BYTES 20
size_t h1_write_chunk_line(char *out, uint64_t length);

#endif
