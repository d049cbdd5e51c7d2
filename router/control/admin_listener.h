#ifndef SLUICE_CONTROL_ADMIN_LISTENER_H
#define SLUICE_CONTROL_ADMIN_LISTENER_H
/*
 * The operator's listener: a socket of the control thread, whose sessions are like any other's and whose requests go to a handler. A reload may
 * give it another address, take it away, or bring it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "downstream/session.h"
#include "topology/topology.h"

struct admin_listener;

/*
 * Without an address. `handler` and `owner` as of any session; `on_evict` comes before a session is closed to make room for another one, so that
 * its streams are let go of. NULL when memory is out.
 */
struct admin_listener *admin_listener_create(struct loop *loop, const struct session_handler *handler,
                                             void (*on_evict)(void *owner, struct session *session), void *owner);
void admin_listener_destroy(struct admin_listener *listener);

/*
 * Listens where `configured` says (its address may be NULL: nowhere), and no longer where it did before. False with a sentence in `reason`: then
 * nothing has changed.
 */
bool admin_listener_apply(struct admin_listener *listener, const struct topology_listener *configured, char *reason, size_t capacity);

#endif
