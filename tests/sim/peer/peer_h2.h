#ifndef SLUICE_SIM_PEER_PEER_H2_H
#define SLUICE_SIM_PEER_PEER_H2_H
/* What the files of HTTP/2 know of each other: peer_h2.c is the session, peer_h2_receive.c what comes, peer_h2_send.c what leaves. */
#include <nghttp2/nghttp2.h>

#include "peer/state.h"

/* nghttp2 has no memory for the stream any more: it is another's, or nobody's. */
void far_h2_forget(struct peer_stream *stream);
/* Off the list; freed, because nobody owns it. */
void far_h2_let_go(struct peer_stream *stream);
/* A fault that is found while something is sent is told later. */
void far_h2_owe_fault(struct peer *peer, const char *fault);
/* No streams and no more to come: it is over. */
void far_h2_check_end(struct peer *peer);

/* What a paused stream holds back is forgotten, and its window given back to the connection. */
void far_h2_drop_held(struct peer_stream *stream);
/* Tells what was held back or owed. */
void far_h2_go_on(struct peer *peer);
/* Those for receiving. */
void far_h2_set_callbacks(nghttp2_session_callbacks *callbacks);

/* nghttp2's, for sending. */
ssize_t far_h2_send_bytes(nghttp2_session *session, const uint8_t *data, size_t length, int flags, void *owner);
int far_h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length, nghttp2_data_source *source, void *owner);
int far_h2_on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner);

bool far_h2_produce(struct peer *peer);
bool far_h2_request(struct peer_stream *stream, const struct peer_head *head);
void far_h2_respond(struct peer_stream *stream, const struct peer_head *head);
size_t far_h2_send_body(struct peer_stream *stream, struct text piece);
void far_h2_send_end(struct peer_stream *stream, const struct peer_head *trailers);
bool far_h2_has_room(const struct peer_stream *stream);

#endif
