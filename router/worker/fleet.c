#include "worker/fleet.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/machine_memory.h"
#include "base/processors.h"
#include "base/text.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/tls_server.h"
#include "net/wakeup.h"
#include "observe/access_log.h"
#include "upstream/epoch.h"
#include "worker/bound_address.h"
#include "worker/closing_ports.h"
#include "worker/worker.h"

/* One of the process's listeners: it stays as long as epochs that come into force have its address. */
struct fleet_listener {
    struct bound_address bound;
    atomic_bool is_missing;       /* a worker had no memory for its socket: all get new ones with the next epoch */
    struct tls_server *tls;       /* NULL for clear text */
    struct topology *tls_owner;   /* owned reference: the topology whose texts `tls` uses */
    const struct tls_server_settings *tls_settings; /* ref: in tls_owner */
};

/* An epoch on its way into force. */
struct fleet_change {
    struct epoch *epoch;          /* owned reference */
    size_t count;                 /* of its listeners */
    struct fleet_listener **listeners;  /* by their index in the topology: kept ones of the fleet, or new ones */
    struct tls_server **new_tls;  /* by index: takes the place of a kept listener's; NULL: that one stays */
    struct listener_plan *plans;  /* [worker][listener] */
    struct worker_change *workers;/* by worker */
    atomic_size_t answers_left;
    atomic_bool has_failed;
    struct fleet *fleet;
    void (*on_applied)(void *owner, bool is_applied);
    void *owner;
};

struct fleet {
    struct loop *loop;                 /* ref: the control thread's */
    struct closing_ports closing;
    struct fleet_listener **listeners; /* of the epoch in force */
    size_t listener_count;
    struct connection_limit limit;
    struct wakeup *answered;           /* a worker has taken a change over */
    struct epoch *epoch;               /* owned reference: the one in force; NULL before the first */
    struct fleet_change *change;       /* under way, or NULL */
    size_t count;
    struct worker *workers[];
};

/*
 * limits.connections, or what the descriptors allow: each downstream connection may need one upstream, and dials and probes must never
 * find the last one taken.
 */
static size_t reserve_of(const struct topology *topology)
{
    return 64 + 4 * topology->node_count;
}

static size_t connections_maximum(const struct topology *topology)
{
    size_t wanted = topology->limits.connections;
    size_t reserve = reserve_of(topology);
    size_t descriptors = descriptors_limit();
    size_t possible = descriptors > reserve ? (descriptors - reserve) / 2 : 1;
    if (wanted <= possible)
        return wanted;
    log_line(LOG_LEVEL_WARNING, "event=connections_clamped connections=%zu wanted=%zu descriptors=%zu remedy=\"raise ulimit -n\"",
             possible, wanted, descriptors);
    return possible;
}

/* With fewer beside the reserve nobody can be served sensibly. */
#define DESCRIPTORS_LEAST 32

static bool has_descriptors(const struct topology *topology, char *reason, size_t capacity)
{
    size_t needed = reserve_of(topology) + DESCRIPTORS_LEAST;
    size_t descriptors = descriptors_limit();
    if (descriptors >= needed)
        return true;
    text_append(reason, capacity, 0, "the process may have %zu descriptors, and so many nodes need %zu at least; raise ulimit -n (LimitNOFILE= of a unit)",
                descriptors, needed);
    return false;
}

/* What the clients' connections and the reserve leave of the descriptors is for connections to nodes; and what traffic may take of the memory. */
static void set_limits(struct fleet *fleet, size_t workers, const struct epoch *epoch)
{
    size_t connections = connections_maximum(epoch->topology);
    size_t taken = connections + reserve_of(epoch->topology);
    size_t descriptors = descriptors_limit();
    atomic_store(&fleet->limit.maximum, connections);
    atomic_store(&epoch->roster->workers, (unsigned)workers);
    atomic_store(&epoch->roster->links.maximum, descriptors > taken ? descriptors - taken : 1);
    atomic_store(&epoch->roster->memory_maximum_bytes,
                 memory_limit_of_traffic(epoch->topology->limits.memory_bytes, machine_memory_bytes(), (unsigned)workers));
}

/* ---- listeners ---- */

static void destroy_listener(struct fleet_listener *listener)
{
    if (listener == NULL)
        return;
    bound_address_close(&listener->bound);
    tls_server_release(listener->tls);
    topology_release(listener->tls_owner);
    free(listener);
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Tickets of sessions are good for one server only, so one whose settings are the same stays. */
static bool has_same_tls(const struct tls_server_settings *a, const struct tls_server_settings *b)
{
    if (a->pair_count != b->pair_count || !is_same(a->client_ca, b->client_ca) || a->client_certificate != b->client_certificate ||
        a->minimum_version != b->minimum_version || a->kernel != b->kernel || a->offers_http2 != b->offers_http2)
        return false;
    for (size_t i = 0; i < a->pair_count; i++) {
        if (!is_same(a->pairs[i].certificate, b->pairs[i].certificate) || !is_same(a->pairs[i].key, b->pairs[i].key))
            return false;
    }
    return true;
}

static void own_tls(struct fleet_listener *listener, struct tls_server *tls, struct topology *topology,
                    const struct tls_server_settings *settings)
{
    tls_server_release(listener->tls);
    topology_release(listener->tls_owner);
    listener->tls = tls;
    listener->tls_owner = tls == NULL ? NULL : topology;
    listener->tls_settings = tls == NULL ? NULL : settings;
    if (tls != NULL)
        topology_retain(topology);
}

static struct fleet_listener *find_listener(const struct fleet *fleet, const struct topology_listener *configured)
{
    for (size_t i = 0; i < fleet->listener_count; i++) {
        if (bound_address_is_for(&fleet->listeners[i]->bound, configured))
            return fleet->listeners[i];
    }
    return NULL;
}

static bool is_kept(const struct fleet *fleet, const struct fleet_listener *listener)
{
    for (size_t i = 0; i < fleet->listener_count; i++) {
        if (fleet->listeners[i] == listener)
            return true;
    }
    return false;
}

/* ---- preparing ---- */

static bool cannot_listen(const struct topology_listener *configured, const char *why, char *reason, size_t capacity)
{
    text_append(reason, capacity, 0, "cannot listen on %s: %s", configured->address, why);
    return false;
}

/* A socket for each worker. */
static bool give_sockets(struct fleet *fleet, struct fleet_change *change, size_t index, char *reason, size_t capacity)
{
    const char *why = "";
    for (size_t i = 0; i < fleet->count; i++) {
        int fd = bound_address_take(&change->listeners[index]->bound, &why);
        if (fd < 0)
            return cannot_listen(&change->epoch->topology->listeners[index], why, reason, capacity);
        change->plans[i * change->count + index].fd = fd;
    }
    return true;
}

/* A new address for all workers. */
static bool open_listener(struct fleet *fleet, struct fleet_change *change, size_t index, char *reason, size_t capacity)
{
    const struct topology_listener *configured = &change->epoch->topology->listeners[index];
    struct fleet_listener *listener = calloc(1, sizeof *listener);
    const char *why = "";
    if (listener == NULL)
        return false;
    bool is_ours = closing_ports_has(&fleet->closing, configured->port, loop_now_ms(fleet->loop));
    if (!bound_address_open(&listener->bound, configured, is_ours, &why)) {
        free(listener);
        return cannot_listen(configured, why, reason, capacity);
    }
    change->listeners[index] = listener;
    return give_sockets(fleet, change, index, reason, capacity);
}

static bool prepare_tls(struct fleet_change *change, size_t index, char *reason, size_t capacity)
{
    const struct topology_listener *configured = &change->epoch->topology->listeners[index];
    const struct fleet_listener *listener = change->listeners[index];
    if (!configured->is_tls || (listener->tls != NULL && has_same_tls(listener->tls_settings, &configured->tls)))
        return true;
    change->new_tls[index] = tls_server_create(&configured->tls, reason, capacity);
    return change->new_tls[index] != NULL;
}

static bool prepare_listener(struct fleet *fleet, struct fleet_change *change, size_t index, char *reason, size_t capacity)
{
    const struct topology_listener *configured = &change->epoch->topology->listeners[index];
    change->listeners[index] = find_listener(fleet, configured);
    if (change->listeners[index] == NULL && !open_listener(fleet, change, index, reason, capacity))
        return false;
    struct fleet_listener *listener = change->listeners[index];
    if (atomic_load(&listener->is_missing) && !give_sockets(fleet, change, index, reason, capacity))
        return false;
    if (!prepare_tls(change, index, reason, capacity))
        return false;
    struct tls_server *tls = change->new_tls[index] != NULL ? change->new_tls[index] : change->listeners[index]->tls;
    for (size_t i = 0; i < fleet->count; i++) {
        change->plans[i * change->count + index].tls = configured->is_tls ? tls : NULL;
        change->plans[i * change->count + index].is_missing = &listener->is_missing;
    }
    return true;
}

/* Each worker writes by a descriptor of its own. */
static bool prepare_access_logs(struct fleet *fleet, struct fleet_change *change, char *reason, size_t capacity)
{
    const char *path = change->epoch->topology->access_log;
    const char *why = "";
    if (is_same(fleet->epoch == NULL ? NULL : fleet->epoch->topology->access_log, path))
        return true;
    for (size_t i = 0; i < fleet->count; i++) {
        struct worker_change *own = &change->workers[i];
        own->changes_access_log = true;
        if (path != NULL && (own->access_log = access_log_open(path, &why)) == NULL) {
            text_append(reason, capacity, 0, "cannot open the access log %s: %s", path, why);
            return false;
        }
    }
    return true;
}

static void free_change(struct fleet_change *change)
{
    free(change->listeners);
    free(change->new_tls);
    free(change->plans);
    free(change->workers);
    epoch_release(change->epoch);
    free(change);
}

void fleet_discard(struct fleet *fleet, struct fleet_change *change)
{
    for (size_t i = 0; i < change->count * fleet->count; i++) {
        if (change->plans[i].fd >= 0)
            socket_close(change->plans[i].fd);
    }
    for (size_t i = 0; i < fleet->count; i++)
        access_log_close(change->workers[i].access_log);
    for (size_t i = 0; i < change->count; i++) {
        tls_server_release(change->new_tls[i]);
        if (!is_kept(fleet, change->listeners[i]))
            destroy_listener(change->listeners[i]);
    }
    free_change(change);
}

static void on_worker_answer(void *owner, bool is_applied)
{
    struct fleet_change *change = owner;
    if (!is_applied)
        atomic_store(&change->has_failed, true);
    struct wakeup *answered = change->fleet->answered;
    if (atomic_fetch_sub(&change->answers_left, 1) == 1)
        wakeup_send(answered);
}

static struct fleet_change *make_change(struct fleet *fleet, struct epoch *epoch)
{
    size_t count = epoch->topology->listener_count;
    struct fleet_change *change = calloc(1, sizeof *change);
    if (change == NULL)
        return NULL;
    epoch_retain(epoch);
    change->epoch = epoch;
    change->fleet = fleet;
    change->listeners = calloc(count + 1, sizeof(struct fleet_listener *));
    change->new_tls = calloc(count + 1, sizeof(struct tls_server *));
    change->plans = calloc(count * fleet->count + 1, sizeof *change->plans);
    change->workers = calloc(fleet->count + 1, sizeof *change->workers);
    if (change->listeners == NULL || change->new_tls == NULL || change->plans == NULL || change->workers == NULL) {
        free_change(change);
        return NULL;
    }
    change->count = count;
    for (size_t i = 0; i < count * fleet->count; i++)
        change->plans[i].fd = -1;
    for (size_t i = 0; i < fleet->count; i++)
        change->workers[i] = (struct worker_change){
            .epoch = epoch, .listeners = &change->plans[i * count], .on_applied = on_worker_answer, .owner = change};
    return change;
}

struct fleet_change *fleet_prepare(struct fleet *fleet, struct epoch *epoch, char *reason, size_t capacity)
{
    if (!has_descriptors(epoch->topology, reason, capacity))
        return NULL;
    text_append(reason, capacity, 0, "out of memory");
    struct fleet_change *change = make_change(fleet, epoch);
    if (change == NULL)
        return NULL;
    bool is_prepared = prepare_access_logs(fleet, change, reason, capacity);
    for (size_t i = 0; is_prepared && i < change->count; i++)
        is_prepared = prepare_listener(fleet, change, i, reason, capacity);
    if (is_prepared)
        return change;
    fleet_discard(fleet, change);
    return NULL;
}

/* ---- applying ---- */

static bool is_wanted(const struct fleet_change *change, const struct fleet_listener *listener)
{
    for (size_t i = 0; i < change->count; i++) {
        if (change->listeners[i] == listener)
            return true;
    }
    return false;
}

/*
 * Before the workers close what goes: its ports are noted, and the files of Unix-domain sockets are removed, so that nobody connects to a socket
 * that closes.
 */
static void let_addresses_go(struct fleet *fleet, const struct fleet_change *change)
{
    for (size_t i = 0; i < fleet->listener_count; i++) {
        struct bound_address *bound = &fleet->listeners[i]->bound;
        if (is_wanted(change, fleet->listeners[i]))
            continue;
        closing_ports_add(&fleet->closing, bound->port, loop_now_ms(fleet->loop));
        bound_address_close(bound);
    }
}

/* What the epoch does not have any more goes. */
static void close_removed(struct fleet *fleet, const struct fleet_change *change)
{
    for (size_t i = 0; i < fleet->listener_count; i++) {
        if (!is_wanted(change, fleet->listeners[i]))
            destroy_listener(fleet->listeners[i]);
    }
}

/* Workers keep servers that were replaced or removed as long as they need them. */
static void take_over(struct fleet *fleet, struct fleet_change *change)
{
    struct topology *topology = change->epoch->topology;
    close_removed(fleet, change);
    for (size_t i = 0; i < change->count; i++) {
        const struct topology_listener *configured = &topology->listeners[i];
        bound_address_set_mode(&change->listeners[i]->bound, configured);
        if (change->new_tls[i] != NULL || !configured->is_tls)
            own_tls(change->listeners[i], change->new_tls[i], topology, &configured->tls);
        change->new_tls[i] = NULL;
    }
    free(fleet->listeners);
    fleet->listeners = change->listeners;
    fleet->listener_count = change->count;
    change->listeners = NULL;
    epoch_retain(change->epoch);
    epoch_release(fleet->epoch);
    fleet->epoch = change->epoch;
}

static void on_answered(void *owner)
{
    struct fleet *fleet = owner;
    struct fleet_change *change = fleet->change;
    if (change == NULL || atomic_load(&change->answers_left) > 0)
        return;
    bool is_applied = !atomic_load(&change->has_failed);
    fleet->change = NULL;
    take_over(fleet, change);
    change->on_applied(change->owner, is_applied);
    free_change(change);
}

void fleet_apply(struct fleet *fleet, struct fleet_change *change, void (*on_applied)(void *owner, bool is_applied), void *owner)
{
    change->on_applied = on_applied;
    change->owner = owner;
    fleet->change = change;
    atomic_store(&change->answers_left, fleet->count);
    set_limits(fleet, fleet->count, change->epoch);
    let_addresses_go(fleet, change);
    for (size_t i = 0; i < change->count; i++)
        atomic_store(&change->listeners[i]->is_missing, false);
    for (size_t i = 0; i < fleet->count; i++)
        worker_apply(fleet->workers[i], &change->workers[i]);
}

/* ---- life ---- */

/* The workers take sockets and access logs over in any case; of a worker that was not made they are closed by fleet_create. */
static bool create_workers(struct fleet *fleet, struct fleet_change *change, size_t wanted, char *reason, size_t capacity)
{
    for (fleet->count = 0; fleet->count < wanted; fleet->count++) {
        struct worker_settings settings = {
            .index = (unsigned)fleet->count,
            .limit = &fleet->limit,
            .change = &change->workers[fleet->count],
        };
        const char *why = "";
        struct worker *worker = worker_create(&settings, &why);
        if (worker == NULL) {
            text_append(reason, capacity, 0, "cannot make a worker: %s", why);
            return false;
        }
        fleet->workers[fleet->count] = worker;
        for (size_t i = 0; i < change->count; i++)
            change->plans[fleet->count * change->count + i].fd = -1;
    }
    return true;
}

struct fleet *fleet_create(struct loop *loop, struct epoch *epoch, unsigned workers, char *reason, size_t capacity)
{
    size_t count = workers == 0 ? processors_usable() : workers;
    struct fleet *fleet = calloc(1, sizeof *fleet + count * sizeof fleet->workers[0]);
    text_append(reason, capacity, 0, "out of memory");
    if (fleet == NULL)
        return NULL;
    fleet->loop = loop;
    fleet->count = count; /* the sockets are for so many */
    fleet->answered = wakeup_create(loop, on_answered, fleet);
    struct fleet_change *change = fleet->answered == NULL ? NULL : fleet_prepare(fleet, epoch, reason, capacity);
    if (change == NULL) {
        fleet->count = 0;
        fleet_destroy(fleet);
        return NULL;
    }
    set_limits(fleet, count, epoch);
    bool is_made = create_workers(fleet, change, count, reason, capacity);
    for (size_t i = fleet->count + 1; !is_made && i < count; i++) {
        access_log_close(change->workers[i].access_log);
        for (size_t j = 0; j < change->count; j++)
            socket_close(change->plans[i * change->count + j].fd);
    }
    for (size_t i = 0; is_made && i < change->count; i++) {
        if (!atomic_load(&change->listeners[i]->is_missing))
            continue;
        is_made = cannot_listen(&epoch->topology->listeners[i], "out of memory", reason, capacity);
    }
    take_over(fleet, change);
    free_change(change);
    if (is_made)
        return fleet;
    fleet_destroy(fleet);
    return NULL;
}

bool fleet_start(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++) {
        if (!worker_start(fleet->workers[i]))
            return false;
    }
    return true;
}

void fleet_drain(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->listener_count; i++)
        bound_address_close(&fleet->listeners[i]->bound);
    /* The workers take what is on its way to them first, and drain then. */
    for (size_t i = 0; fleet->change != NULL && i < fleet->change->count; i++)
        bound_address_close(&fleet->change->listeners[i]->bound);
    for (size_t i = 0; i < fleet->count; i++)
        worker_drain(fleet->workers[i]);
}

void fleet_stop(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++)
        worker_stop(fleet->workers[i]);
}

void fleet_join(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++)
        worker_join(fleet->workers[i]);
}

void fleet_destroy(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (size_t i = 0; i < fleet->listener_count; i++)
        bound_address_close(&fleet->listeners[i]->bound);
    for (size_t i = 0; i < fleet->count; i++)
        worker_destroy(fleet->workers[i]);
    if (fleet->change != NULL) {
        take_over(fleet, fleet->change);
        free_change(fleet->change);
    }
    for (size_t i = 0; i < fleet->listener_count; i++)
        destroy_listener(fleet->listeners[i]);
    free(fleet->listeners);
    epoch_release(fleet->epoch);
    wakeup_destroy(fleet->answered);
    free(fleet);
}

void fleet_refresh_certificates(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->listener_count; i++) {
        if (fleet->listeners[i]->tls != NULL)
            tls_server_refresh(fleet->listeners[i]->tls);
    }
}

size_t fleet_worker_count(const struct fleet *fleet)
{
    return fleet->count;
}

const struct metrics *fleet_metrics(const struct fleet *fleet, size_t worker)
{
    return worker_metrics(fleet->workers[worker]);
}

size_t fleet_session_count(const struct fleet *fleet)
{
    return atomic_load_explicit(&fleet->limit.open, memory_order_relaxed);
}
