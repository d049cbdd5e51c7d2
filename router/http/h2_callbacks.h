#ifndef SLUICE_HTTP_H2_CALLBACKS_H
#define SLUICE_HTTP_H2_CALLBACKS_H
/* nghttp2's events, for h2_context.c: the session's owner is a struct h2_link, a stream's user data its struct h2_stream. */
#include "http/h2_link.h"

/* NULL when memory is out. */
nghttp2_session_callbacks *h2_callbacks_create(void);

#endif
