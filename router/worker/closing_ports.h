#ifndef SLUICE_WORKER_CLOSING_PORTS_H
#define SLUICE_WORKER_CLOSING_PORTS_H
/*
 * The ports whose listening sockets the workers still close (net/listener.h, listener_close_gracefully). Whoever finds such a port taken has found
 * Sluice itself: a reload may bring an address back that the one before has taken away.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reloads that close more than this within LISTENER_CLOSING_MAXIMUM_MS forget the oldest. */
#define CLOSING_PORTS_MAXIMUM 64

struct closing_ports {
    struct {
        uint16_t port;
        uint64_t until_ms;
    } items[CLOSING_PORTS_MAXIMUM];
    size_t next;
};

/* The workers are about to close what listens on this port; 0, as of a Unix-domain socket, is none. */
void closing_ports_add(struct closing_ports *ports, uint16_t port, uint64_t now_ms);
bool closing_ports_has(const struct closing_ports *ports, uint16_t port, uint64_t now_ms);

#endif
