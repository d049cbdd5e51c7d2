#ifndef SLUICE_HTTP_H2_CONNECTION_H
#define SLUICE_HTTP_H2_CONNECTION_H
/*
 * The life of an HTTP/2 link between its conn and its streams: how it begins, input and the events that are owed, how it ends. For h2_server
 * and h2_client.
 */
#include "http/h2_stream_send.h"

/* Fills what is common; false when memory is out (the caller frees its memory and closes the conn). */
bool h2_connection_start(struct h2_link *link, struct h2_context *context, const struct h2_role *role, struct conn *conn);

/* The conn's events. */
size_t h2_connection_bytes(void *owner, struct text bytes);
void h2_connection_drained(void *owner);
void h2_connection_finished(void *owner);

/* Gives input to nghttp2; below 0 when it reads no further. */
ssize_t h2_connection_receive(struct h2_link *link, struct text bytes);
/* Gives the events that are owed. Only from the loop. */
void h2_connection_settle(struct h2_link *link);

/* Ends the link at once: each owned stream fails, with a fault of its own if it has one. Only from the loop. */
void h2_connection_fail(struct h2_link *link, enum fault fault);
/* The same, but what is written goes out first and the other side gets time to read it. */
void h2_connection_finish(struct h2_link *link, enum fault fault);
/* The same as failing, by the owner, who hears nothing more, and neither do the owners of its streams. */
void h2_connection_close(struct h2_link *link);

#endif
