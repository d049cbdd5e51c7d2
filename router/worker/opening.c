#include "worker/opening.h"

#include "net/listener.h"
#include "net/socket.h"

static const char no_address[] = "the host is not an IP address of this machine";

bool opening_open(struct opening *opening, const struct topology_listener *listener, const char **reason)
{
    *opening = (struct opening){.listener = listener, .shared_fd = -1};
    if (listener->path != NULL) {
        opening->shared_fd = unix_socket_listen(listener->path, listener->mode, &opening->file, reason);
        return opening->shared_fd >= 0;
    }
    struct address address;
    *reason = no_address;
    return address_parse(listener->host, listener->port, &address) && listener_is_free(&address, reason);
}

int opening_take(const struct opening *opening, const char **reason)
{
    if (opening->listener->path != NULL)
        return socket_share(opening->shared_fd, reason);
    struct address address;
    *reason = no_address;
    if (!address_parse(opening->listener->host, opening->listener->port, &address))
        return -1;
    return listener_bind(&address, reason);
}

void opening_close(struct opening *opening)
{
    if (opening->shared_fd < 0)
        return;
    unix_socket_remove(&opening->file);
    socket_close(opening->shared_fd);
    opening->shared_fd = -1;
}
