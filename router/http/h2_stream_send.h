#ifndef SLUICE_HTTP_H2_STREAM_SEND_H
#define SLUICE_HTTP_H2_STREAM_SEND_H
/* What the owner of an HTTP/2 stream sends: its head, at once where that is allowed, and its body at the pace of nghttp2's windows. */
#include "http/h2_stream.h"

/*
 * A head can be written at once unless nghttp2 is reading or writing. Then it is submitted between these two, from fields that nghttp2 does
 * not copy: h2_stream_write_head lets it write until the stream's head is out.
 */
void h2_stream_begin_head(struct h2_stream *stream);
void h2_stream_write_head(struct h2_stream *stream);

/* How a body is sent: by h2_stream_send_data and nghttp2's own pace. */
nghttp2_data_provider h2_stream_provider(struct h2_stream *stream);
/* Writes a DATA frame into the conn: its head of 9 bytes, and `length` of the bytes that wait. Returns what nghttp2 wants to hear. */
int h2_stream_write_data(struct h2_stream *stream, const uint8_t *head, size_t length, bool is_end);
/* Little enough waits that the owner may be asked for more. */
bool h2_stream_is_drained(const struct h2_stream *stream);

/* Verbs that are the same on both sides. */
void h2_stream_send_data(struct stream *stream, struct text bytes);
void h2_stream_send_trailers(struct stream *stream, const struct message_head *trailers);
void h2_stream_send_end(struct stream *stream);
bool h2_stream_is_congested(const struct stream *stream);
bool h2_stream_has_left(const struct stream *stream);

#endif
