#ifndef SLUICE_CONTROL_ADMIN_H
#define SLUICE_CONTROL_ADMIN_H
/*
 * What the operator can ask and order, one row a route (admin.c). Reading is by GET; what changes something is by POST, needs the header
 * X-Sluice-Admin or the token, and leaves one line in the log. Whoever asks must name this machine in Host, and no answer may be read
 * by a web page of another origin.
 *
 *   GET /status, /metrics, /health     POST /reload     POST /nodes/{node_id}/drain, /ready, /maint     POST /log-level
 */
#include "downstream/session.h"

struct admin;
struct control;

/* NULL when memory is out. */
struct admin *admin_create(struct control *control /* ref */);
/* Requests that wait for something are forgotten; their sessions must not have been closed yet. */
void admin_destroy(struct admin *admin);

/* For the listener's sessions, with the struct admin as owner. */
extern const struct session_handler admin_handler;
/* The listener is about to close a session to make room: what waits for an answer on it is forgotten. `owner` is the struct admin. */
void admin_on_evict(void *owner, struct session *session);

#endif
