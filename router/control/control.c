#include "control/control.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/machine.h"
#include "control/admin.h"
#include "control/admin_listener.h"
#include "control/reload.h"
#include "control/state.h"
#include "net/loop.h"
#include "net/signals.h"
#include "topology/topology.h"
#include "upstream/epoch.h"
#include "upstream/names.h"
#include "upstream/node_tls.h"
#include "upstream/probe.h"
#include "worker/fleet.h"

/* How often a drain looks whether the last session has gone. */
#define DRAIN_LOOK_MS 20
/* How often files with certificates are looked at. */
#define CERTIFICATES_LOOK_MS 1000
#define REASON_BYTES 512

/* SERVING --TERM or INT--> DRAINING --nobody is left, its time is over, or a second one--> STOPPED */
enum control_phase { CONTROL_SERVING, CONTROL_DRAINING, CONTROL_STOPPED };

struct main_control {
    struct control shared;
    enum control_phase phase;
    struct signals *signals;
    struct loop_timer certificates_timer;
    struct loop_timer drain_timer;
    uint64_t drain_until_ms;
};

static const char *const phase_names[] = {"serving", "draining", "stopped"};

#define TO(phase) MACHINE_TO(CONTROL_##phase)
static const uint32_t moves[] = {
    [CONTROL_SERVING] = TO(DRAINING),
    [CONTROL_DRAINING] = TO(STOPPED),
    [CONTROL_STOPPED] = 0,
};
#undef TO

static const struct machine control_machine = {"control", phase_names, moves};

/* The only writer of the phase. */
static void enter(struct main_control *own, enum control_phase next)
{
    machine_check(&control_machine, own->phase, next);
    own->phase = next;
}

static void on_drain_look(void *owner)
{
    struct main_control *own = owner;
    struct control *control = &own->shared;
    uint64_t now_ms = loop_now_ms(control->loop);
    size_t sessions = fleet_session_count(control->fleet);
    if (sessions > 0 && now_ms < own->drain_until_ms) {
        loop_timer_set(control->loop, &own->drain_timer, now_ms + DRAIN_LOOK_MS);
        return;
    }
    if (sessions > 0)
        log_line(LOG_LEVEL_WARNING, "event=drain_cut sessions=%zu", sessions);
    enter(own, CONTROL_STOPPED);
    fleet_stop(control->fleet);
    loop_stop(control->loop);
}

static void on_certificates_look(void *owner)
{
    struct main_control *own = owner;
    struct control *control = &own->shared;
    fleet_refresh_certificates(control->fleet);
    node_tls_refresh(control->epoch->tls);
    loop_timer_set(control->loop, &own->certificates_timer, loop_now_ms(control->loop) + CERTIFICATES_LOOK_MS);
}

static void on_terminate(void *owner, enum signal_kind kind)
{
    struct main_control *own = owner;
    struct control *control = &own->shared;
    uint64_t now_ms = loop_now_ms(control->loop);
    bool is_second = own->phase != CONTROL_SERVING;
    log_line(LOG_LEVEL_INFO, "event=%s signal=%s sessions=%zu", is_second ? "stop" : "drain", signal_kind_name(kind),
             fleet_session_count(control->fleet));
    own->drain_until_ms = is_second ? now_ms : now_ms + control->epoch->topology->timeouts.drain_ms;
    if (!is_second) {
        enter(own, CONTROL_DRAINING);
        atomic_store(&control->roster->draining, 1);
        fleet_drain(control->fleet);
    }
    loop_timer_set(control->loop, &own->drain_timer, now_ms);
}

static void on_hangup(void *owner, enum signal_kind kind)
{
    struct main_control *own = owner;
    bool is_serving = own->phase == CONTROL_SERVING;
    log_line(LOG_LEVEL_INFO, "event=signal signal=%s action=%s", signal_kind_name(kind), is_serving ? "reload" : "ignored");
    if (is_serving)
        reload_ask(own->shared.reloads, NULL);
}

static bool make_parts(struct main_control *own, const struct control_settings *settings, char *reason, size_t capacity)
{
    struct control *control = &own->shared;
    text_append(reason, capacity, 0, "out of memory");
    control->loop = loop_create();
    control->roster = roster_create();
    if (control->loop == NULL || control->roster == NULL)
        return false;
    control->roster->started_ms = loop_now_ms(control->loop);
    control->epoch = epoch_create(control->roster, settings->topology, 1, reason, capacity);
    if (control->epoch == NULL)
        return false;
    control->names = names_create(control->loop);
    if (control->names == NULL)
        return false;
    control->prober = prober_create(control->loop, control->names);
    control->reloads = reloads_create(control);
    control->admin = admin_create(control);
    if (control->prober == NULL || control->reloads == NULL || control->admin == NULL)
        return false;
    control->admin_listener = admin_listener_create(control->loop, &admin_handler, admin_on_evict, control->admin);
    own->signals = signals_create(control->loop);
    return control->admin_listener != NULL && own->signals != NULL;
}

static bool start(struct main_control *own, const struct control_settings *settings, char *reason, size_t capacity)
{
    struct control *control = &own->shared;
    if (!make_parts(own, settings, reason, capacity) || !names_apply(control->names, control->epoch))
        return false;
    control->fleet = fleet_create(control->loop, control->epoch, settings->topology->workers, reason, capacity);
    if (control->fleet == NULL ||
        !admin_listener_apply(control->admin_listener, &settings->topology->admin, reason, capacity) ||
        !prober_apply(control->prober, control->epoch))
        return false;
    signals_on(own->signals, SIGNAL_TERM, on_terminate, own);
    signals_on(own->signals, SIGNAL_INT, on_terminate, own);
    signals_on(own->signals, SIGNAL_HUP, on_hangup, own);
    loop_timer_set(control->loop, &own->certificates_timer, loop_now_ms(control->loop) + CERTIFICATES_LOOK_MS);
    return fleet_start(control->fleet);
}

static void stop(struct main_control *own)
{
    struct control *control = &own->shared;
    signals_destroy(own->signals);
    admin_destroy(control->admin);
    admin_listener_destroy(control->admin_listener);
    reloads_destroy(control->reloads);
    prober_destroy(control->prober);
    names_destroy(control->names);
    fleet_destroy(control->fleet);
    loop_destroy(control->loop);
    epoch_release(control->epoch);
    roster_destroy(control->roster);
    topology_release(control->started);
}

static void announce(const struct topology *topology, const struct fleet *fleet)
{
    for (size_t i = 0; i < topology->listener_count; i++)
        log_line(LOG_LEVEL_INFO, "event=listening address=%s%s%s workers=%zu", topology->listeners[i].address,
                 topology->listeners[i].is_tls ? " tls=yes" : "",
                 topology->listeners[i].class == REQUEST_CLASS_WRITEBACK ? " class=writeback" : "", fleet_worker_count(fleet));
    if (topology->admin.address != NULL)
        log_line(LOG_LEVEL_INFO, "event=listening address=%s role=admin", topology->admin.address);
    log_line(LOG_LEVEL_INFO, "event=ready cluster_id=%s nodes=%zu", topology->cluster_id, topology->node_count);
}

int control_run(const struct control_settings *settings)
{
    struct main_control own = {
        .shared = {.files = settings->files, .file_count = settings->file_count, .started = settings->topology}};
    char reason[REASON_BYTES] = "";
    topology_retain(settings->topology);
    loop_timer_init(&own.drain_timer, on_drain_look, &own);
    loop_timer_init(&own.certificates_timer, on_certificates_look, &own);
    bool started = start(&own, settings, reason, sizeof reason);
    if (started) {
        announce(settings->topology, own.shared.fleet);
        loop_run(own.shared.loop);
        fleet_join(own.shared.fleet);
        log_line(LOG_LEVEL_INFO, "event=stopped");
    } else {
        log_line(LOG_LEVEL_ERROR, "event=start_failed reason=\"%s\"", reason);
    }
    stop(&own);
    return started ? 0 : 1;
}
