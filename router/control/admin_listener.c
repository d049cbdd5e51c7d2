#include "control/admin_listener.h"

#include <stdlib.h>

#include "base/text.h"
#include "http/h1.h"
#include "net/listener.h"
#include "worker/bound_address.h"

/* Few people read a status page at a time; a flood of them must not take the router's descriptors. */
#define SESSIONS_MAXIMUM 64
/* The status of a thousand nodes, in one piece. */
#define OUTPUT_BYTES (1u << 20)

struct admin_listener {
    struct loop *loop;
    struct bound_address bound;
    struct listener *listener;  /* NULL: there is no address */
    struct list sessions;
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct session_settings session;
    void (*on_evict)(void *owner, struct session *session);
};

static void on_accept(void *owner, int fd)
{
    struct admin_listener *listener = owner;
    if (listener->sessions.count >= SESSIONS_MAXIMUM) {
        struct session *oldest = LIST_OWNER(list_first(&listener->sessions), struct session, node);
        listener->on_evict(listener->session.owner, oldest);
        session_close(oldest);
    }
    session_create(listener->loop, fd, NULL, &listener->session, &listener->sessions);
}

static void close_socket(struct admin_listener *listener)
{
    bound_address_close(&listener->bound);
    listener_close(listener->listener);
    listener->listener = NULL;
}

/* An operator's file is his own, unless the configuration says otherwise. */
static struct topology_listener with_mode(const struct topology_listener *configured)
{
    struct topology_listener result = *configured;
    if (result.path != NULL && result.mode == 0)
        result.mode = 0600;
    return result;
}

bool admin_listener_apply(struct admin_listener *listener, const struct topology_listener *configured, char *reason, size_t capacity)
{
    if (configured->address == NULL) {
        close_socket(listener);
        return true;
    }
    struct topology_listener wanted = with_mode(configured);
    if (listener->listener != NULL && bound_address_is_for(&listener->bound, &wanted)) {
        bound_address_set_mode(&listener->bound, &wanted);
        return true;
    }
    struct bound_address bound;
    const char *why = "";
    bool is_open = bound_address_open(&bound, &wanted, false, &why);
    int fd = is_open ? bound_address_take(&bound, &why) : -1;
    struct listener *fresh = fd < 0 ? NULL : listener_create(listener->loop, fd, on_accept, listener);
    if (fresh == NULL) {
        if (is_open)
            bound_address_close(&bound);
        text_append(reason, capacity, 0, "cannot listen on %s: %s", wanted.address, fd < 0 ? why : "out of memory");
        return false;
    }
    close_socket(listener);
    listener->bound = bound;
    listener->listener = fresh;
    return true;
}

struct admin_listener *admin_listener_create(struct loop *loop, const struct session_handler *handler,
                                             void (*on_evict)(void *owner, struct session *session), void *owner)
{
    struct admin_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return NULL;
    listener->loop = loop;
    listener->on_evict = on_evict;
    listener->bound.shared_fd = -1;
    list_init(&listener->sessions);
    listener->h1 = (struct h1_settings){
        .limits = {16384, 4096, 100},
        .body_limit_bytes = 1,
        .linger_ms = 1000,
        .fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field)),
    };
    listener->session = (struct session_settings){
        .handler = handler,
        .owner = owner,
        .h1 = &listener->h1,
        .buffers = &listener->buffers,
        .request_head_ms = 10000,
        .keep_alive_ms = 60000,
        .buffer_bytes = OUTPUT_BYTES,
    };
    if (listener->h1.fields == NULL) {
        free(listener);
        return NULL;
    }
    return listener;
}

static void destroy(void *object)
{
    struct admin_listener *listener = object;
    buffer_pool_clear(&listener->buffers);
    free(listener->h1.fields);
    free(listener);
}

void admin_listener_destroy(struct admin_listener *listener)
{
    if (listener == NULL)
        return;
    close_socket(listener);
    struct list_node *node;
    while ((node = list_first(&listener->sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    /* After the conns, which were buried before and give their blocks back. */
    loop_bury(listener->loop, listener, destroy);
}
