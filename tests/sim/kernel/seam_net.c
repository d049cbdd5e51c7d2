/* net/{wakeup,signals,resolver,unix_socket}.h in the world. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "check/ledger.h"
#include "kernel/draw.h"
#include "kernel/fiber.h"
#include "kernel/names.h"
#include "kernel/poller.h"
#include "kernel/signals.h"
#include "kernel/socket.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/unix_socket.h"
#include "net/wakeup.h"
#include "world/plan.h"

/* ---- wakeups ---- */

struct wakeup {
    struct loop *loop;
    struct post post;
    void (*on_wakeup)(void *owner);
    void *owner;
};

static void run_wakeup(void *owner)
{
    struct wakeup *wakeup = owner;
    loop_enter(wakeup->loop);
    wakeup->on_wakeup(wakeup->owner);
    loop_leave(wakeup->loop);
}

struct wakeup *wakeup_create(struct loop *loop, void (*on_wakeup)(void *owner), void *owner)
{
    struct wakeup *wakeup = calloc(1, sizeof *wakeup);
    if (wakeup == NULL)
        return NULL;
    *wakeup = (struct wakeup){.loop = loop, .on_wakeup = on_wakeup, .owner = owner};
    post_init(&wakeup->post, loop_poller(loop), run_wakeup, wakeup);
    return wakeup;
}

void wakeup_send(struct wakeup *wakeup)
{
    fiber_may_be_preempted();
    post_send(&wakeup->post);
    fiber_may_be_preempted();
}

void wakeup_destroy(struct wakeup *wakeup)
{
    if (wakeup == NULL)
        return;
    post_cancel(&wakeup->post);
    loop_bury(wakeup->loop, wakeup, free);
}

/* ---- signals ---- */

struct signals {
    struct loop *loop;
    struct post posts[SIGNAL_KIND_COUNT];
    signals_callback *callbacks[SIGNAL_KIND_COUNT];
    void *owners[SIGNAL_KIND_COUNT];
};

static struct signals *the_signals;

const char *signal_kind_name(enum signal_kind kind)
{
    static const char *const names[SIGNAL_KIND_COUNT] = {"TERM", "INT", "HUP", "USR1", "USR2"};
    return names[kind];
}

void signals_hold(void)
{
}

static void run_signal(enum signal_kind kind)
{
    struct signals *signals = the_signals;
    loop_enter(signals->loop);
    if (signals->callbacks[kind] != NULL)
        signals->callbacks[kind](signals->owners[kind], kind);
    loop_leave(signals->loop);
}

static void run_posted(void *owner)
{
    struct post *post = owner;
    run_signal((enum signal_kind)(post - the_signals->posts));
}

struct signals *signals_create(struct loop *loop)
{
    struct signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL)
        return NULL;
    signals->loop = loop;
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++)
        post_init(&signals->posts[kind], loop_poller(loop), run_posted, &signals->posts[kind]);
    the_signals = signals;
    return signals;
}

void signals_on(struct signals *signals, enum signal_kind kind, signals_callback *callback, void *owner)
{
    signals->callbacks[kind] = callback;
    signals->owners[kind] = owner;
}

void signals_destroy(struct signals *signals)
{
    if (signals == NULL)
        return;
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++)
        post_cancel(&signals->posts[kind]);
    the_signals = NULL;
    loop_bury(signals->loop, signals, free);
}

void sim_signal(enum signal_kind kind)
{
    if (the_signals != NULL)
        post_send(&the_signals->posts[kind]);
}

/* ---- names ---- */

#define NAMES_MAXIMUM 32

static struct {
    char name[64];
    unsigned host; /* 0: it does not exist */
} names[NAMES_MAXIMUM];
static size_t name_count;
static uint64_t failing_until_us;
static struct random_source name_draws;

static struct random_source failure_draws;
static struct sim_timer failure_timer;

/* Once a second. */
static void on_failure_time(void *owner)
{
    (void)owner;
    if (draw_chance(&failure_draws, plan_rate(the_plan, FAULT_KIND_NAME_FAILS))) {
        reached("names: the name server fails");
        sim_names_fail(draw_between(&failure_draws, 1, 10) * SIM_S);
    }
    sim_timer_in(&failure_timer, SIM_S);
}

void names_begin(const struct plan *plan)
{
    name_count = 0;
    failing_until_us = 0;
    name_draws = draw_source_of(plan->seed, "names", 0);
    failure_draws = draw_source_of(plan->seed, "name server", 0);
    sim_timer_init(&failure_timer, on_failure_time, NULL);
    sim_timer_in(&failure_timer, SIM_S);
    the_signals = NULL;
}

void names_end(void)
{
    sim_timer_clear(&failure_timer);
}

static size_t place_of(const char *name)
{
    size_t place = 0;
    while (place < name_count && strcmp(names[place].name, name) != 0)
        place++;
    return place;
}

void sim_name_set(const char *name, unsigned host)
{
    size_t place = place_of(name);
    if (place == NAMES_MAXIMUM || strlen(name) >= sizeof names[0].name)
        abort();
    if (place == name_count) {
        memcpy(names[place].name, name, strlen(name) + 1);
        name_count++;
    }
    names[place].host = host;
}

void sim_names_fail(uint64_t duration_us)
{
    failing_until_us = sim_now_us() + duration_us;
}

/* Of each name. */
#define NAME_TTL_S 3

struct resolver {
    struct loop *loop;
    struct list requests;
};

struct resolver_request {
    struct list_node node;
    struct resolver *resolver;
    struct sim_timer answer_timer;
    struct post post;
    resolver_on_resolved *on_resolved;
    void *owner;
    struct address address;
    size_t count;
    const char *reason;
    uint16_t port;
    char name[64];
};

static void end_request(struct resolver_request *request)
{
    sim_timer_clear(&request->answer_timer);
    post_cancel(&request->post);
    list_remove(&request->resolver->requests, &request->node);
    loop_bury(request->resolver->loop, request, free);
}

static void run_answer(void *owner)
{
    struct resolver_request *request = owner;
    struct loop *loop = request->resolver->loop;
    struct resolver_answer answer = {&request->address, request->count, NAME_TTL_S, request->count > 0 ? NULL : request->reason};
    resolver_on_resolved *on_resolved = request->on_resolved;
    void *asker = request->owner;
    loop_enter(loop);
    end_request(request);
    on_resolved(asker, &answer);
    loop_leave(loop);
}

static void on_answer_time(void *owner)
{
    struct resolver_request *request = owner;
    size_t place = place_of(request->name);
    if (failing_until_us > sim_now_us()) {
        request->reason = "temporary failure in name resolution";
    } else if (place == name_count || names[place].host == 0) {
        request->reason = "nodename nor servname provided, or not known";
    } else {
        request->address = sim_address(names[place].host, request->port);
        request->count = 1;
    }
    post_send(&request->post);
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

struct resolver_request *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                        resolver_on_resolved *on_resolved, void *owner)
{
    struct resolver_request *request = calloc(1, sizeof *request);
    if (request == NULL || strlen(host) >= sizeof request->name) {
        free(request);
        return NULL;
    }
    request->resolver = resolver;
    request->on_resolved = on_resolved;
    request->owner = owner;
    request->port = port;
    memcpy(request->name, host, strlen(host) + 1);
    list_node_init(&request->node);
    list_append(&resolver->requests, &request->node);
    post_init(&request->post, loop_poller(resolver->loop), run_answer, request);
    sim_timer_init(&request->answer_timer, on_answer_time, request);
    if (address_parse(host, port, &request->address)) {
        request->count = 1;
        post_send(&request->post);
    } else {
        bool is_failing = failing_until_us > sim_now_us();
        sim_timer_in(&request->answer_timer, is_failing ? 15 * SIM_S : draw_between(&name_draws, 100, 20000));
    }
    return request;
}

void resolver_cancel(struct resolver_request *request)
{
    if (request != NULL)
        end_request(request);
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    struct list_node *node;
    while ((node = list_first(&resolver->requests)) != NULL)
        end_request(LIST_OWNER(node, struct resolver_request, node));
    loop_bury(resolver->loop, resolver, free);
}

/* ---- no sockets in the file system ---- */

int unix_socket_listen(const char *path, unsigned mode, struct unix_socket *made, const char **reason)
{
    (void)path;
    (void)mode;
    *made = (struct unix_socket){0};
    *reason = "this world has no Unix-domain sockets";
    return -1;
}

bool unix_socket_is_there(const struct unix_socket *made)
{
    (void)made;
    return false;
}

bool unix_socket_set_mode(const struct unix_socket *made, unsigned mode, const char **reason)
{
    (void)made;
    (void)mode;
    *reason = "this world has no Unix-domain sockets";
    return false;
}

void unix_socket_remove(struct unix_socket *made)
{
    (void)made;
}
