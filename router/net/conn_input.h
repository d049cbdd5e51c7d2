#ifndef SLUICE_NET_CONN_INPUT_H
#define SLUICE_NET_CONN_INPUT_H
/* The direction in which a conn reads; for conn.c. */
#include "net/conn_state.h"

/* Task: offers the kept input again. */
void conn_run_input(void *owner);
/* Of the watch `ended`. */
void conn_on_peer_end(void *owner, bool is_reset);
void conn_on_readable(int fd, short what, void *argument);

#endif
