#ifndef SLUICE_SIM_PEER_PEER_H1_WRITE_H
#define SLUICE_SIM_PEER_PEER_H1_WRITE_H
/* What a far end writes as HTTP/1.1. */
#include "peer/state.h"

/* How a body goes out, and what else the head says of the connection. */
enum h1_announced { H1_ANNOUNCES_NOTHING, H1_ANNOUNCES_LENGTH, H1_ANNOUNCES_CHUNKS };

void far_h1_write_request(struct bytes *out, const struct peer_head *head, enum h1_announced announced);
/* `is_last`: it says `connection: close`. */
void far_h1_write_response(struct bytes *out, const struct peer_head *head, enum h1_announced announced, bool is_last);
void far_h1_write_chunk(struct bytes *out, struct text piece);
/* The last chunk and the trailers; NULL: none. */
void far_h1_write_last_chunk(struct bytes *out, const struct peer_head *trailers);

#endif
