#ifndef SLUICE_NET_CONN_OUTPUT_H
#define SLUICE_NET_CONN_OUTPUT_H
/* The direction in which a conn writes, and how it becomes open; for conn.c and conn_input.c. */
#include "net/conn_state.h"

/* Task: writes what the socket takes. */
void conn_run_flush(void *owner);
void conn_on_writable(int fd, short what, void *argument);
/* A TLS alert, close_notify among them (RFC 8446 section 6): sent if the socket takes it now, because there is no later. */
void conn_send_alert(struct conn *conn);
/* TLS: as far as what has arrived allows; tells the owner when that is the end of it. */
void conn_step_handshake(struct conn *conn);

#endif
