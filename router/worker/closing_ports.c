#include "worker/closing_ports.h"

#include "net/listener.h"

void closing_ports_add(struct closing_ports *ports, uint16_t port, uint64_t now_ms)
{
    if (port == 0)
        return;
    ports->items[ports->next].port = port;
    ports->items[ports->next].until_ms = now_ms + LISTENER_CLOSING_MAXIMUM_MS;
    ports->next = (ports->next + 1) % CLOSING_PORTS_MAXIMUM;
}

bool closing_ports_has(const struct closing_ports *ports, uint16_t port, uint64_t now_ms)
{
    for (size_t i = 0; i < CLOSING_PORTS_MAXIMUM; i++) {
        if (port != 0 && ports->items[i].port == port && now_ms < ports->items[i].until_ms)
            return true;
    }
    return false;
}
