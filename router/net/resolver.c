#include "net/resolver.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/machine.h"
#include "net/loop.h"
#include "net/poller.h"

/*
 *   ASKING --libevent answers--> ANSWERED --task--> on_resolved; in the grave
 *     |                             |
 *     | resolver_cancel             | resolver_cancel
 *     v                             v
 *   FORGOTTEN --libevent answers--> in the grave
 */
enum request_state { REQUEST_ASKING, REQUEST_ANSWERED, REQUEST_FORGOTTEN };

struct resolver_request {
    struct list_node node; /* in the resolver's list */
    struct resolver *resolver;
    enum request_state state;
    resolver_on_resolved *on_resolved;
    void *owner;
    struct evdns_getaddrinfo_request *query; /* libevent's, while ASKING; NULL for a literal */
    struct loop_task deliver;
    const char *reason;
    size_t count;
    struct address addresses[RESOLVER_ADDRESSES_MAXIMUM];
};

struct resolver {
    struct loop *loop;
    struct evdns_base *dns; /* made for the first name */
    struct list requests;
    bool is_destroyed;      /* goes to the grave with its last request */
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

static void destroy_resolver(void *object)
{
    struct resolver *resolver = object;
    if (resolver->dns != NULL)
        evdns_base_free(resolver->dns, 0);
    free(resolver);
}

/* libevent's base may only go when no answer of it is on its way: those look into it. */
static void bury_if_over(struct resolver *resolver)
{
    if (resolver->is_destroyed && resolver->requests.count == 0)
        loop_bury(resolver->loop, resolver, destroy_resolver);
}

static void end_request(struct resolver_request *request)
{
    struct resolver *resolver = request->resolver;
    list_remove(&resolver->requests, &request->node);
    loop_task_cancel(resolver->loop, &request->deliver);
    loop_bury(resolver->loop, request, free);
    bury_if_over(resolver);
}

static void run_deliver(void *owner)
{
    struct resolver_request *request = owner;
    struct resolver_answer answer = {request->addresses, request->count, request->count > 0 ? NULL : request->reason};
    resolver_on_resolved *on_resolved = request->on_resolved;
    void *asker = request->owner;
    end_request(request);
    on_resolved(asker, &answer);
}

static void keep_addresses(struct resolver_request *request, const struct evutil_addrinfo *found)
{
    for (; found != NULL && request->count < RESOLVER_ADDRESSES_MAXIMUM; found = found->ai_next) {
        struct address *address = &request->addresses[request->count];
        if ((size_t)found->ai_addrlen > sizeof address->socket)
            continue;
        memset(address, 0, sizeof *address);
        memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
        address->length = found->ai_addrlen;
        request->count++;
    }
}

/* From libevent: later, or inside of evdns_getaddrinfo when it knows the answer. The caller of resolver_start never hears it before it has returned. */
static void on_found(int error, struct evutil_addrinfo *found, void *argument)
{
    struct resolver_request *request = argument;
    struct loop *loop = request->resolver->loop;
    bool is_from_loop = request->query != NULL;
    request->query = NULL;
    if (is_from_loop)
        loop_enter(loop);
    if (request->state == REQUEST_FORGOTTEN) {
        end_request(request);
    } else {
        enter(request, REQUEST_ANSWERED);
        request->reason = error == 0 ? "no usable address" : evutil_gai_strerror(error);
        keep_addresses(request, found);
        /* A task of the turn's end is run also when it was asked for outside of any event. */
        loop_defer_to_turn_end(loop, &request->deliver);
    }
    if (found != NULL)
        evutil_freeaddrinfo(found);
    if (is_from_loop)
        loop_leave(loop);
}

struct resolver *resolver_create(struct loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return NULL;
    resolver->loop = loop;
    list_init(&resolver->requests);
    return resolver;
}

static bool has_dns(struct resolver *resolver)
{
    if (resolver->dns == NULL)
        resolver->dns = evdns_base_new(poller_base(loop_poller(resolver->loop)),
                                       EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    return resolver->dns != NULL;
}

struct resolver_request *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                        resolver_on_resolved *on_resolved, void *owner)
{
    struct resolver_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    *request = (struct resolver_request){.resolver = resolver, .on_resolved = on_resolved, .owner = owner};
    bool is_literal = host[0] != '\0' && strcmp(host, "*") != 0 && address_parse(host, port, &request->addresses[0]);
    if (!is_literal && !has_dns(resolver)) {
        free(request);
        return NULL;
    }
    loop_task_init(&request->deliver, run_deliver, request);
    list_node_init(&request->node);
    list_append(&resolver->requests, &request->node);
    if (is_literal) {
        enter(request, REQUEST_ANSWERED);
        request->count = 1;
        loop_defer_to_turn_end(resolver->loop, &request->deliver);
        return request;
    }
    char service[8];
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG};
    snprintf(service, sizeof service, "%u", port);
    struct evdns_getaddrinfo_request *query = evdns_getaddrinfo(resolver->dns, host, service, &hints, on_found, request);
    /* NULL: on_found has come already. */
    request->query = query;
    return request;
}

void resolver_cancel(struct resolver_request *request)
{
    if (request == NULL || request->state == REQUEST_FORGOTTEN)
        return;
    if (request->state == REQUEST_ANSWERED) {
        end_request(request);
        return;
    }
    /* on_found follows, from the loop. */
    enter(request, REQUEST_FORGOTTEN);
    evdns_getaddrinfo_cancel(request->query);
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    resolver->is_destroyed = true;
    bool was_idle = resolver->requests.count == 0;
    struct list_node *node = resolver->requests.head.next;
    while (node != &resolver->requests.head) {
        struct resolver_request *request = LIST_OWNER(node, struct resolver_request, node);
        node = node->next;
        resolver_cancel(request);
    }
    if (was_idle)
        bury_if_over(resolver);
}
