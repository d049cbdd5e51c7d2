#include "topology/lint_rules.h"

/* Whoever may send the header may be any client: a process node, for one, whose writes are write-back. */
void lint_listeners_proxy_from_missing(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *listener = &topology->listeners[i];
        if (listener->proxy_protocol && listener->host != NULL &&
            !origins_has(lint->origins, listener, "listen[].proxy_from"))
            findings_error(lint->findings, lint_place(lint, listener, "listen[].proxy_protocol"),
                           "proxy_from is missing, and without it anyone could pose as any client; add the addresses of "
                           "your load balancers, as proxy_from: [10.0.0.0/24]");
    }
}

void lint_listeners_proxy_from_unused(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *listener = &topology->listeners[i];
        if (!origins_has(lint->origins, listener, "listen[].proxy_from"))
            continue;
        struct place place = lint_place(lint, listener, "listen[].proxy_from");
        if (listener->path != NULL)
            findings_error(lint->findings, place,
                           "proxy_from: nobody who connects to a Unix-domain socket has an address; remove it, and let "
                           "the file's permissions decide (mode)");
        else if (!listener->proxy_protocol)
            findings_error(lint->findings, place,
                           "proxy_from does nothing without proxy_protocol; add proxy_protocol: true, or remove it");
    }
}

void lint_listeners_proxy_from_anyone(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *listener = &topology->listeners[i];
        for (size_t j = 0; j < listener->proxy_from.count; j++) {
            char text[NETWORK_TEXT_BYTES];
            const struct network *network = &listener->proxy_from.items[j];
            if (network->prefix_bits == 0)
                findings_warning(lint->findings, lint_place(lint, listener, "listen[].proxy_from"),
                                 "proxy_from: %s lets everyone who reaches the port pose as any client; write the "
                                 "addresses of your load balancers",
                                 network_format(network, text, sizeof text));
        }
    }
}

static void judge_mode(const struct lint *lint, const struct topology_listener *listener, const void *base,
                       const char *path)
{
    if (listener->mode != 0 && listener->host != NULL)
        findings_error(lint->findings, lint_place(lint, base, path),
                       "mode is for a Unix-domain socket, and %s is none; remove it, or write address: unix:/path",
                       listener->address);
}

void lint_listeners_mode_without_file(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++)
        judge_mode(lint, &topology->listeners[i], &topology->listeners[i], "listen[].mode");
    judge_mode(lint, &topology->admin, topology, "admin.mode");
}
