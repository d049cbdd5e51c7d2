#include "worker/bound_address.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/listener.h"
#include "net/socket.h"

static const char no_address[] = "the host is not an IP address of this machine";

static void forget(struct bound_address *bound)
{
    free(bound->address);
    free(bound->host);
    free(bound->path);
    *bound = (struct bound_address){.shared_fd = -1};
}

static bool bind_file(struct bound_address *bound, const struct topology_listener *listener, const char **reason)
{
    bound->path = strdup(listener->path);
    if (bound->path != NULL)
        bound->shared_fd = unix_socket_listen(bound->path, listener->mode, &bound->file, reason);
    return bound->shared_fd >= 0;
}

bool bound_address_open(struct bound_address *bound, const struct topology_listener *listener, bool is_ours, const char **reason)
{
    *bound = (struct bound_address){
        .address = strdup(listener->address),
        .host = listener->path != NULL ? NULL : strdup(listener->host),
        .port = listener->port,
        .mode = listener->mode,
        .shared_fd = -1,
    };
    struct address address;
    bool is_open = false;
    *reason = "out of memory";
    if (bound->address != NULL && listener->path != NULL) {
        is_open = bind_file(bound, listener, reason);
    } else if (bound->address != NULL && bound->host != NULL) {
        *reason = no_address;
        is_open = address_parse(bound->host, bound->port, &address) && (is_ours || listener_is_free(&address, reason));
    }
    if (!is_open)
        forget(bound);
    return is_open;
}

int bound_address_take(const struct bound_address *bound, const char **reason)
{
    struct address address;
    if (bound->host == NULL)
        return socket_share(bound->shared_fd, reason);
    *reason = no_address;
    return address_parse(bound->host, bound->port, &address) ? listener_bind(&address, reason) : -1;
}

bool bound_address_is_for(const struct bound_address *bound, const struct topology_listener *listener)
{
    return bound->address != NULL && strcmp(bound->address, listener->address) == 0 &&
           (bound->path == NULL || unix_socket_is_there(&bound->file));
}

void bound_address_set_mode(struct bound_address *bound, const struct topology_listener *listener)
{
    const char *reason;
    if (bound->mode != listener->mode && bound->path != NULL && !unix_socket_set_mode(&bound->file, listener->mode, &reason))
        log_line(LOG_LEVEL_ERROR, "event=socket_mode_not_set address=%s reason=\"%s\"", bound->address, reason);
    bound->mode = listener->mode;
}

void bound_address_close(struct bound_address *bound)
{
    if (bound->shared_fd >= 0) {
        unix_socket_remove(&bound->file);
        socket_close(bound->shared_fd);
    }
    forget(bound);
}
