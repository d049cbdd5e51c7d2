#include "control/control.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/admin.h"
#include "net/loop.h"
#include "net/signals.h"
#include "topology/topology.h"
#include "upstream/cluster.h"
#include "upstream/node_tls.h"
#include "upstream/probe.h"
#include "worker/fleet.h"

/* How often a drain looks whether the last session has gone. */
#define DRAIN_LOOK_MS 20
/* How often files with certificates are looked at. */
#define CERTIFICATES_LOOK_MS 1000

struct control {
    const struct topology *topology;
    struct cluster *cluster;
    struct loop *loop;
    struct fleet *fleet;
    struct prober *prober;
    struct admin *admin;
    struct signals *signals;
    struct loop_timer certificates_timer;
    struct loop_timer drain_timer;
    uint64_t drain_until_ms;
    bool is_draining;
};

static void on_drain_look(void *owner)
{
    struct control *control = owner;
    uint64_t now_ms = loop_now_ms(control->loop);
    size_t sessions = fleet_session_count(control->fleet);
    if (sessions > 0 && now_ms < control->drain_until_ms) {
        loop_timer_set(control->loop, &control->drain_timer, now_ms + DRAIN_LOOK_MS);
        return;
    }
    if (sessions > 0)
        log_line(LOG_LEVEL_WARNING, "event=drain_cut sessions=%zu", sessions);
    fleet_stop(control->fleet);
    loop_stop(control->loop);
}

static void on_certificates_look(void *owner)
{
    struct control *control = owner;
    fleet_refresh_certificates(control->fleet);
    node_tls_refresh(control->cluster->tls);
    loop_timer_set(control->loop, &control->certificates_timer, loop_now_ms(control->loop) + CERTIFICATES_LOOK_MS);
}

static void on_terminate(void *owner, enum signal_kind kind)
{
    struct control *control = owner;
    uint64_t now_ms = loop_now_ms(control->loop);
    log_line(LOG_LEVEL_INFO, "event=%s signal=%s sessions=%zu", control->is_draining ? "stop" : "drain", signal_kind_name(kind),
             fleet_session_count(control->fleet));
    control->drain_until_ms = control->is_draining ? now_ms : now_ms + control->topology->timeouts.drain_ms;
    if (!control->is_draining) {
        control->is_draining = true;
        atomic_store(&control->cluster->draining, 1);
        fleet_drain(control->fleet);
    }
    loop_timer_set(control->loop, &control->drain_timer, now_ms);
}

static void on_hangup(void *owner, enum signal_kind kind)
{
    (void)owner;
    log_line(LOG_LEVEL_WARNING, "event=signal signal=%s action=ignored", signal_kind_name(kind));
}

static bool start(struct control *control, const struct classifier *classifier, char *reason, size_t capacity)
{
    text_append(reason, capacity, 0, "out of memory");
    control->loop = loop_create();
    if (control->loop == NULL)
        return false;
    /* First: none of them ends the process while it starts. */
    control->signals = signals_create(control->loop);
    if (control->signals == NULL)
        return false;
    signals_on(control->signals, SIGNAL_TERM, on_terminate, control);
    signals_on(control->signals, SIGNAL_INT, on_terminate, control);
    signals_on(control->signals, SIGNAL_HUP, on_hangup, control);
    control->cluster->started_ms = loop_now_ms(control->loop);
    control->cluster->tls = node_tls_create(control->topology, reason, capacity);
    if (control->cluster->tls == NULL)
        return false;
    control->fleet = fleet_create(control->topology, classifier, control->cluster, reason, capacity);
    if (control->fleet == NULL)
        return false;
    control->prober = prober_create(control->loop, control->cluster);
    if (control->prober == NULL)
        return false;
    struct admin_settings settings = {control->cluster, control->fleet, control->prober};
    if (control->topology->admin.address != NULL) {
        control->admin = admin_create(control->loop, &settings, reason, capacity);
        if (control->admin == NULL)
            return false;
    }
    loop_timer_set(control->loop, &control->certificates_timer, loop_now_ms(control->loop) + CERTIFICATES_LOOK_MS);
    return fleet_start(control->fleet);
}

static void stop(struct control *control)
{
    signals_destroy(control->signals);
    admin_destroy(control->admin);
    prober_destroy(control->prober);
    fleet_destroy(control->fleet);
    loop_destroy(control->loop);
    node_tls_destroy(control->cluster->tls);
    control->cluster->tls = NULL;
}

static void announce(const struct topology *topology, const struct fleet *fleet)
{
    for (size_t i = 0; i < topology->listener_count; i++)
        log_line(LOG_LEVEL_INFO, "event=listening address=%s%s%s workers=%zu", topology->listeners[i].address,
                 topology->listeners[i].is_tls ? " tls=yes" : "",
                 topology->listeners[i].has_class ? " class=writeback" : "", fleet_worker_count(fleet));
    if (topology->admin.address != NULL)
        log_line(LOG_LEVEL_INFO, "event=listening address=%s role=admin", topology->admin.address);
    log_line(LOG_LEVEL_INFO, "event=ready cluster_id=%s nodes=%zu", topology->cluster_id, topology->node_count);
}

int control_run(const struct topology *topology, const struct classifier *classifier, struct cluster *cluster)
{
    struct control control = {.topology = topology, .cluster = cluster};
    char reason[512] = "";
    loop_timer_init(&control.drain_timer, on_drain_look, &control);
    loop_timer_init(&control.certificates_timer, on_certificates_look, &control);
    bool started = start(&control, classifier, reason, sizeof reason);
    if (started) {
        announce(topology, control.fleet);
        loop_run(control.loop);
        fleet_join(control.fleet);
        log_line(LOG_LEVEL_INFO, "event=stopped");
    } else {
        log_line(LOG_LEVEL_ERROR, "event=start_failed reason=\"%s\"", reason);
    }
    stop(&control);
    return started ? 0 : 1;
}
