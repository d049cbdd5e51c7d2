#include "net/resolver.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/machine.h"
#include "net/loop.h"
#include "net/poller.h"

/* A name server has so long for its first try; each further one takes twice as long. */
#define FIRST_TRY_MS 2000
#define TRIES 3

/*
 *   ASKING --c-ares answers--> ANSWERED --task--> on_resolved; in the grave
 *     |                           |
 *     | resolver_cancel           | resolver_cancel
 *     v                           v
 *   FORGOTTEN --c-ares answers--> in the grave
 */
enum request_state { REQUEST_ASKING, REQUEST_ANSWERED, REQUEST_FORGOTTEN };

struct resolver_request {
    struct list_node node; /* in the resolver's list */
    struct resolver *resolver;
    enum request_state state;
    resolver_on_resolved *on_resolved;
    void *owner;
    struct loop_task deliver;
    const char *reason;
    uint16_t port;
    unsigned ttl_s;
    size_t count;
    struct address addresses[RESOLVER_ADDRESSES_MAXIMUM];
};

/* A socket of c-ares. */
struct resolver_socket {
    struct list_node node; /* in the resolver's list */
    struct resolver *resolver;
    ares_socket_t fd;      /* ARES_SOCKET_BAD: in the grave */
    bool wants_to_write;
    struct watch readable;
    struct watch writable;
};

struct resolver {
    struct loop *loop;
    ares_channel channel; /* NULL until the first name */
    struct loop_timer timer; /* c-ares looks at its questions then */
    struct list requests;
    struct list sockets;
};

static const char *const state_names[] = {"asking", "answered", "forgotten"};

#define TO(state) MACHINE_TO(REQUEST_##state)
static const uint32_t moves[] = {
    [REQUEST_ASKING] = TO(ANSWERED) | TO(FORGOTTEN),
    [REQUEST_ANSWERED] = 0,
    [REQUEST_FORGOTTEN] = 0,
};
#undef TO

static const struct machine request_machine = {"resolver_request", state_names, moves};

/* The only writer of the state. */
static void enter(struct resolver_request *request, enum request_state next)
{
    machine_check(&request_machine, request->state, next);
    request->state = next;
}

/* ---- c-ares in the loop ---- */

static void set_timer(struct resolver *resolver)
{
    struct timeval left;
    if (ares_timeout(resolver->channel, NULL, &left) == NULL) {
        loop_timer_clear(resolver->loop, &resolver->timer);
        return;
    }
    uint64_t left_ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
    loop_timer_set(resolver->loop, &resolver->timer, loop_now_ms(resolver->loop) + left_ms);
}

/* Lets c-ares read or write, or look whose time is up. Its callbacks come from here. */
static void process(struct resolver *resolver, ares_socket_t to_read, ares_socket_t to_write)
{
    ares_process_fd(resolver->channel, to_read, to_write);
    set_timer(resolver);
}

static void on_timer(void *owner)
{
    process(owner, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_readable(int fd, short what, void *owner)
{
    (void)what;
    struct resolver_socket *own = owner;
    struct resolver *resolver = own->resolver;
    if (own->fd == ARES_SOCKET_BAD)
        return;
    loop_enter(resolver->loop);
    process(resolver, fd, ARES_SOCKET_BAD);
    loop_leave(resolver->loop);
}

static void on_writable(int fd, short what, void *owner)
{
    (void)what;
    struct resolver_socket *own = owner;
    struct resolver *resolver = own->resolver;
    if (own->fd == ARES_SOCKET_BAD)
        return;
    loop_enter(resolver->loop);
    process(resolver, ARES_SOCKET_BAD, fd);
    /* A watch for room tells once. Without memory for it the question ends when its time is up. */
    if (own->fd != ARES_SOCKET_BAD && own->wants_to_write)
        watch_add(&own->writable);
    loop_leave(resolver->loop);
}

static struct resolver_socket *find_socket(const struct resolver *resolver, ares_socket_t fd)
{
    struct list_node *node = resolver->sockets.head.next;
    for (; node != &resolver->sockets.head; node = node->next) {
        struct resolver_socket *own = LIST_OWNER(node, struct resolver_socket, node);
        if (own->fd == fd)
            return own;
    }
    return NULL;
}

static struct resolver_socket *add_socket(struct resolver *resolver, ares_socket_t fd)
{
    struct resolver_socket *own = calloc(1, sizeof *own);
    if (own == NULL)
        return NULL;
    own->resolver = resolver;
    own->fd = fd;
    watch_init(&own->readable, loop_poller(resolver->loop), fd, WATCH_READABLE, on_readable, own);
    watch_init(&own->writable, loop_poller(resolver->loop), fd, WATCH_WRITABLE, on_writable, own);
    list_node_init(&own->node);
    list_append(&resolver->sockets, &own->node);
    return own;
}

static void remove_socket(struct resolver_socket *own)
{
    watch_remove(&own->readable);
    watch_remove(&own->writable);
    own->fd = ARES_SOCKET_BAD;
    list_remove(&own->resolver->sockets, &own->node);
    loop_bury(own->resolver->loop, own, free);
}

/* From c-ares: what it waits for at a socket has changed; for nothing at all, before it closes the socket. */
static void on_socket_state(void *owner, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = owner;
    struct resolver_socket *own = find_socket(resolver, fd);
    if (readable == 0 && writable == 0) {
        if (own != NULL)
            remove_socket(own);
        return;
    }
    if (own == NULL && (own = add_socket(resolver, fd)) == NULL)
        return;
    own->wants_to_write = writable != 0;
    /* What cannot be watched is not heard: the question ends when its time is up. */
    if (readable != 0)
        watch_add(&own->readable);
    else
        watch_remove(&own->readable);
    if (writable != 0)
        watch_add(&own->writable);
    else
        watch_remove(&own->writable);
}

/* ---- answers ---- */

static void end_request(struct resolver_request *request)
{
    struct resolver *resolver = request->resolver;
    list_remove(&resolver->requests, &request->node);
    loop_task_cancel(resolver->loop, &request->deliver);
    loop_bury(resolver->loop, request, free);
}

static void run_deliver(void *owner)
{
    struct resolver_request *request = owner;
    struct resolver_answer answer = {request->addresses, request->count, request->ttl_s, request->count > 0 ? NULL : request->reason};
    resolver_on_resolved *on_resolved = request->on_resolved;
    void *asker = request->owner;
    end_request(request);
    on_resolved(asker, &answer);
}

static void shorten_ttl(struct resolver_request *request, int ttl_s)
{
    if (ttl_s >= 0 && (unsigned)ttl_s < request->ttl_s)
        request->ttl_s = (unsigned)ttl_s;
}

static void keep_addresses(struct resolver_request *request, const struct ares_addrinfo *found)
{
    request->ttl_s = UINT32_MAX;
    for (const struct ares_addrinfo_cname *alias = found->cnames; alias != NULL; alias = alias->next)
        shorten_ttl(request, alias->ttl);
    for (const struct ares_addrinfo_node *node = found->nodes; node != NULL; node = node->ai_next) {
        struct address *address = &request->addresses[request->count];
        if (request->count == RESOLVER_ADDRESSES_MAXIMUM)
            break;
        if (node->ai_addrlen > sizeof address->socket)
            continue;
        memset(address, 0, sizeof *address);
        memcpy(&address->socket, node->ai_addr, node->ai_addrlen);
        address->length = node->ai_addrlen;
        shorten_ttl(request, node->ai_ttl);
        request->count++;
    }
}

/* From c-ares: later, or inside of ares_getaddrinfo when the hosts file has the name. Whoever asks hears of it from a task in either case. */
static void on_found(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    (void)timeouts;
    struct resolver_request *request = argument;
    if (request->state == REQUEST_FORGOTTEN) {
        end_request(request);
    } else {
        enter(request, REQUEST_ANSWERED);
        request->reason = status == ARES_SUCCESS ? "no usable address" : ares_strerror(status);
        if (status == ARES_SUCCESS)
            keep_addresses(request, found);
        /* A task of the turn's end is run also when it was asked for outside of any event. */
        loop_defer_to_turn_end(request->resolver->loop, &request->deliver);
    }
    if (found != NULL)
        ares_freeaddrinfo(found);
}

/* ---- questions ---- */

/* While nobody waits, the settings of the system are read again: they may be others than at the last question. */
static bool open_channel(struct resolver *resolver)
{
    if (resolver->channel != NULL && resolver->requests.count > 0)
        return true;
    if (resolver->channel != NULL)
        ares_destroy(resolver->channel);
    /* No flags: no EDNS, so that a name server behind an old middlebox answers, too; a long answer comes by TCP. */
    struct ares_options options = {.timeout = FIRST_TRY_MS, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = resolver};
    int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&resolver->channel, &options, given) != ARES_SUCCESS)
        resolver->channel = NULL;
    return resolver->channel != NULL;
}

struct resolver *resolver_create(struct loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        return NULL;
    }
    resolver->loop = loop;
    list_init(&resolver->requests);
    list_init(&resolver->sockets);
    loop_timer_init(&resolver->timer, on_timer, resolver);
    return resolver;
}

static void answer_literal(struct resolver_request *request)
{
    enter(request, REQUEST_ANSWERED);
    request->count = 1;
    loop_defer_to_turn_end(request->resolver->loop, &request->deliver);
}

static void ask(struct resolver_request *request, const char *host)
{
    char service[8];
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NUMERICSERV};
    snprintf(service, sizeof service, "%u", request->port);
    ares_getaddrinfo(request->resolver->channel, host, service, &hints, on_found, request);
    set_timer(request->resolver);
}

struct resolver_request *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                        resolver_on_resolved *on_resolved, void *owner)
{
    struct resolver_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    *request = (struct resolver_request){.resolver = resolver, .on_resolved = on_resolved, .owner = owner, .port = port};
    bool is_literal = host[0] != '\0' && strcmp(host, "*") != 0 && address_parse(host, port, &request->addresses[0]);
    if (!is_literal && !open_channel(resolver)) {
        free(request);
        return NULL;
    }
    loop_task_init(&request->deliver, run_deliver, request);
    list_node_init(&request->node);
    list_append(&resolver->requests, &request->node);
    if (is_literal)
        answer_literal(request);
    else
        ask(request, host);
    return request;
}

void resolver_cancel(struct resolver_request *request)
{
    if (request == NULL || request->state == REQUEST_FORGOTTEN)
        return;
    if (request->state == REQUEST_ANSWERED)
        end_request(request);
    else
        enter(request, REQUEST_FORGOTTEN);
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    struct list_node *node = resolver->requests.head.next;
    while (node != &resolver->requests.head) {
        struct resolver_request *request = LIST_OWNER(node, struct resolver_request, node);
        node = node->next;
        resolver_cancel(request);
    }
    /* c-ares answers what it was still asked for, and closes its sockets. */
    if (resolver->channel != NULL)
        ares_destroy(resolver->channel);
    loop_timer_clear(resolver->loop, &resolver->timer);
    ares_library_cleanup();
    loop_bury(resolver->loop, resolver, free);
}
