#ifndef SLUICE_HTTP_H1_SERVER_SEND_H
#define SLUICE_HTTP_H1_SERVER_SEND_H
/* How the owner of a downstream HTTP/1 link's stream answers. For h1_server.c only. */
#include "http/h1_server_state.h"

extern const struct stream_verbs h1_server_stream_verbs;

#endif
