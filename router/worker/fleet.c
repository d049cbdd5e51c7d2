#include "worker/fleet.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/text.h"
#include "net/socket.h"
#include "net/tls_server.h"
#include "topology/topology.h"
#include "worker/opening.h"
#include "worker/worker.h"

struct fleet {
    struct opening *openings; /* one for each of the topology's listeners */
    size_t opening_count;
    size_t tls_count;
    struct tls_server **tls; /* by listener; NULL for clear text */
    size_t count;
    struct worker *workers[];
};

/* As many as the cores that this process may use. */
static size_t default_worker_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (size_t)count;
}

/*
 * limits.connections, or what the descriptors allow: each downstream connection may need one upstream, and dials and probes must never
 * find the last one taken.
 */
static size_t connections_per_worker(const struct topology *topology, size_t workers)
{
    struct rlimit limit;
    size_t wanted = topology->limits.connections;
    size_t reserve = 64 + 4 * topology->node_count;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    size_t possible = limit.rlim_cur > reserve ? (limit.rlim_cur - reserve) / 2 / workers : 1;
    if (wanted <= possible)
        return wanted;
    log_line(LOG_LEVEL_WARNING, "event=connections_clamped per_worker=%zu wanted=%zu descriptors=%llu remedy=\"raise ulimit -n\"",
             possible, wanted, (unsigned long long)limit.rlim_cur);
    return possible < 1 ? 1 : possible;
}

static bool cannot_listen(const struct topology_listener *listener, const char *why, char *reason, size_t capacity)
{
    text_append(reason, capacity, 0, "cannot listen on %s: %s", listener->address, why);
    return false;
}

static bool open_all(struct fleet *fleet, const struct topology *topology, char *reason, size_t capacity)
{
    fleet->openings = calloc(topology->listener_count, sizeof *fleet->openings);
    if (fleet->openings == NULL)
        return false;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const char *why = "";
        if (!opening_open(&fleet->openings[i], &topology->listeners[i], &why))
            return cannot_listen(&topology->listeners[i], why, reason, capacity);
        fleet->opening_count++;
    }
    return true;
}

/* One socket of each listener, for one worker. */
static bool take_all(const struct fleet *fleet, int *fds, char *reason, size_t capacity)
{
    for (size_t i = 0; i < fleet->opening_count; i++) {
        const char *why = "";
        fds[i] = opening_take(&fleet->openings[i], &why);
        if (fds[i] >= 0)
            continue;
        for (size_t j = 0; j < i; j++)
            socket_close(fds[j]);
        return cannot_listen(fleet->openings[i].listener, why, reason, capacity);
    }
    return true;
}

static bool create_tls(struct fleet *fleet, const struct topology *topology, char *reason, size_t capacity)
{
    fleet->tls = calloc(topology->listener_count, sizeof *fleet->tls);
    if (fleet->tls == NULL)
        return false;
    fleet->tls_count = topology->listener_count;
    for (size_t i = 0; i < topology->listener_count; i++) {
        if (!topology->listeners[i].is_tls)
            continue;
        fleet->tls[i] = tls_server_create(&topology->listeners[i].tls, reason, capacity);
        if (fleet->tls[i] == NULL)
            return false;
    }
    return true;
}

static void close_openings(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->opening_count; i++)
        opening_close(&fleet->openings[i]);
}

struct fleet *fleet_create(const struct topology *topology, const struct classifier *classifier,
                           struct cluster *cluster, char *reason, size_t capacity)
{
    size_t count = topology->workers == 0 ? default_worker_count() : topology->workers;
    struct fleet *fleet = calloc(1, sizeof *fleet + count * sizeof fleet->workers[0]);
    int *fds = calloc(topology->listener_count, sizeof *fds);
    text_append(reason, capacity, 0, "out of memory");
    if (fleet == NULL || fds == NULL || !open_all(fleet, topology, reason, capacity) ||
        !create_tls(fleet, topology, reason, capacity))
        goto fail;
    for (; fleet->count < count; fleet->count++) {
        struct worker_settings settings = {
            .topology = topology,
            .classifier = classifier,
            .cluster = cluster,
            .index = (unsigned)fleet->count,
            .tls = fleet->tls,
            .fds = fds,
            .connections_maximum = connections_per_worker(topology, count),
        };
        const char *why = "";
        if (!take_all(fleet, fds, reason, capacity))
            goto fail;
        fleet->workers[fleet->count] = worker_create(&settings, &why);
        if (fleet->workers[fleet->count] == NULL) {
            text_append(reason, capacity, 0, "cannot make a worker: %s", why);
            goto fail;
        }
    }
    free(fds);
    return fleet;
fail:
    free(fds);
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
    close_openings(fleet);
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
    close_openings(fleet);
    for (size_t i = 0; i < fleet->count; i++)
        worker_destroy(fleet->workers[i]);
    free(fleet->openings);
    for (size_t i = 0; i < fleet->tls_count; i++)
        tls_server_destroy(fleet->tls[i]);
    free(fleet->tls);
    free(fleet);
}

void fleet_refresh_certificates(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->tls_count; i++) {
        if (fleet->tls[i] != NULL)
            tls_server_refresh(fleet->tls[i]);
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
    size_t sum = 0;
    for (size_t i = 0; i < fleet->count; i++)
        sum += worker_session_count(fleet->workers[i]);
    return sum;
}
