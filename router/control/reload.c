#include "control/reload.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text.h"
#include "control/admin_listener.h"
#include "control/state.h"
#include "net/loop.h"
#include "topology/build.h"
#include "topology/changes.h"
#include "topology/findings.h"
#include "upstream/epoch.h"
#include "upstream/names.h"
#include "upstream/probe.h"
#include "worker/fleet.h"

#define REASON_BYTES 512

/*
 *   IDLE --asked--> DUE --task--> APPLYING --every worker has answered, or a finding is in the way--> IDLE
 *
 * It is DUE again at once when it was asked for while one was applied.
 */
enum reloads_state { RELOADS_IDLE, RELOADS_DUE, RELOADS_APPLYING };

struct reloads {
    struct control *control;    /* ref */
    enum reloads_state state;
    struct list waiting;        /* of reload_waiter, for the next reload */
    struct list served;         /* of reload_waiter, for the present one */
    bool is_asked_again;        /* while one is applied */
    struct loop_task task;
    struct findings *findings;  /* of the present one */
    struct epoch *next;         /* owned reference, while it is applied */
};

static const char *const state_names[] = {"idle", "due", "applying"};

#define TO(state) MACHINE_TO(RELOADS_##state)
static const uint32_t moves[] = {
    [RELOADS_IDLE] = TO(DUE),
    [RELOADS_DUE] = TO(APPLYING),
    [RELOADS_APPLYING] = TO(IDLE),
};
#undef TO

static const struct machine reloads_machine = {"reload", state_names, moves};

/* The only writer of the state. */
static void enter(struct reloads *reloads, enum reloads_state next)
{
    machine_check(&reloads_machine, reloads->state, next);
    reloads->state = next;
}

/* ---- the end of a reload ---- */

static void move_all(struct list *from, struct list *to)
{
    struct list_node *node;
    while ((node = list_take_first(from)) != NULL) {
        LIST_OWNER(node, struct reload_waiter, node)->list = to;
        list_append(to, node);
    }
}

static void finish(struct reloads *reloads, bool is_applied)
{
    struct reload_result result = {
        .is_applied = is_applied,
        .epoch = reloads->control->epoch->number,
        .findings = reloads->findings,
    };
    struct list_node *node;
    while ((node = list_take_first(&reloads->served)) != NULL) {
        struct reload_waiter *waiter = LIST_OWNER(node, struct reload_waiter, node);
        waiter->list = NULL;
        waiter->on_done(waiter->owner, &result);
    }
    findings_destroy(reloads->findings);
    reloads->findings = NULL;
    enter(reloads, RELOADS_IDLE);
    if (reloads->is_asked_again)
        reload_ask(reloads, NULL);
}

/* The file is good, but the machine says no. */
static void refuse(struct reloads *reloads, const char *reason, const char *consequence)
{
    struct place place = {.file = reloads->control->files[0]};
    if (reloads->findings != NULL)
        findings_error(reloads->findings, place, "%s; %s", reason, consequence);
}

/* ---- applying ---- */

static void on_applied(void *owner, bool is_applied)
{
    struct reloads *reloads = owner;
    struct control *control = reloads->control;
    epoch_release(control->epoch);
    control->epoch = reloads->next;
    reloads->next = NULL;
    if (!is_applied)
        refuse(reloads, "a worker had no memory for the new configuration and goes on with the one before, beside others that have it",
               "reload again, or restart Sluice");
    log_line(is_applied ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "event=reload applied=%s epoch=%llu nodes=%zu", is_applied ? "yes" : "no",
             (unsigned long long)control->epoch->number, control->epoch->topology->node_count);
    finish(reloads, is_applied);
}

static void set_log_level(const struct topology *topology)
{
    enum log_level level;
    if (topology->log_level != NULL && log_level_from_name(topology->log_level, &level))
        log_set_level(level);
}

/* All that may fail comes before the first thing that changes. False with a finding. */
static bool bring_into_force(struct reloads *reloads, struct topology *topology)
{
    struct control *control = reloads->control;
    char reason[REASON_BYTES] = "";
    struct epoch *epoch = epoch_create(control->roster, topology, control->epoch->number + 1, reason, sizeof reason);
    struct fleet_change *change = epoch == NULL ? NULL : fleet_prepare(control->fleet, epoch, reason, sizeof reason);
    if (change == NULL || !admin_listener_apply(control->admin_listener, &topology->admin, reason, sizeof reason)) {
        refuse(reloads, reason, "nothing has changed");
        if (change != NULL)
            fleet_discard(control->fleet, change);
        epoch_release(epoch);
        return false;
    }
    reloads->next = epoch;
    set_log_level(topology);
    /* Addresses first: the workers may use the new nodes from the moment on in which they have the epoch. */
    if (!names_apply(control->names, epoch) || !prober_apply(control->prober, epoch))
        log_line(LOG_LEVEL_ERROR, "event=probe_missing reason=\"out of memory\"");
    fleet_apply(control->fleet, change, on_applied, reloads);
    return true;
}

/* ---- reading ---- */

static void log_findings(void *owner, enum finding_level level, struct place place, const char *text)
{
    (void)owner;
    char quoted[1200];
    log_line(level == FINDING_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "event=reload_finding file=%s line=%u column=%u text=%s",
             place.file, place.line, place.column, log_quote(quoted, sizeof quoted, text_of_string(text)));
}

/* A pipe would be waited for until somebody writes into it, and the admin listener and the probes with it. */
static bool are_regular(struct reloads *reloads)
{
    const struct control *control = reloads->control;
    struct file_facts facts;
    for (size_t i = 0; i < control->file_count; i++) {
        if (!file_examine(control->files[i], &facts) || facts.is_regular)
            continue;
        findings_error(reloads->findings, (struct place){.file = control->files[i]},
                       "this is no regular file, and a reload waits for nobody to write it; put a file there; nothing has changed");
        return false;
    }
    return true;
}

/* False with a finding, unless memory is out. */
static bool read_again(struct reloads *reloads)
{
    struct control *control = reloads->control;
    /* Listeners that have closed for good would be opened again. */
    if (atomic_load(&control->roster->draining) != 0) {
        refuse(reloads, "Sluice was told to end and drains", "nothing has changed");
        return false;
    }
    if (!are_regular(reloads))
        return false;
    struct topology *topology = topology_read(control->files, control->file_count, TOPOLOGY_PURPOSE_SERVE, reloads->findings);
    if (topology != NULL)
        topology_changes(control->started, topology, reloads->findings);
    bool is_under_way = topology != NULL && findings_count(reloads->findings, FINDING_ERROR) == 0 &&
                        bring_into_force(reloads, topology);
    topology_release(topology);
    return is_under_way;
}

static void run_reload(void *owner)
{
    struct reloads *reloads = owner;
    struct control *control = reloads->control;
    enter(reloads, RELOADS_APPLYING);
    reloads->is_asked_again = false;
    move_all(&reloads->waiting, &reloads->served);
    reloads->findings = findings_create();
    bool is_under_way = reloads->findings != NULL && read_again(reloads);
    if (reloads->findings != NULL)
        findings_visit(reloads->findings, log_findings, NULL);
    if (is_under_way)
        return;
    log_line(LOG_LEVEL_ERROR, "event=reload applied=no epoch=%llu remedy=\"mend what was found and reload again; nothing has changed\"",
             (unsigned long long)control->epoch->number);
    finish(reloads, false);
}

/* ---- asking ---- */

void reload_ask(struct reloads *reloads, struct reload_waiter *waiter)
{
    if (waiter != NULL) {
        list_node_init(&waiter->node);
        list_append(&reloads->waiting, &waiter->node);
        waiter->list = &reloads->waiting;
    }
    switch (reloads->state) {
    case RELOADS_IDLE:
        enter(reloads, RELOADS_DUE);
        loop_post_next_turn(reloads->control->loop, &reloads->task);
        break;
    case RELOADS_DUE:
        break;
    case RELOADS_APPLYING:
        reloads->is_asked_again = true;
        break;
    }
}

void reload_forget(struct reload_waiter *waiter)
{
    if (waiter->list != NULL)
        list_remove(waiter->list, &waiter->node);
    waiter->list = NULL;
}

struct reloads *reloads_create(struct control *control)
{
    struct reloads *reloads = calloc(1, sizeof *reloads);
    if (reloads == NULL)
        return NULL;
    reloads->control = control;
    list_init(&reloads->waiting);
    list_init(&reloads->served);
    loop_task_init(&reloads->task, run_reload, reloads);
    return reloads;
}

void reloads_destroy(struct reloads *reloads)
{
    if (reloads == NULL)
        return;
    loop_task_cancel(reloads->control->loop, &reloads->task);
    findings_destroy(reloads->findings);
    epoch_release(reloads->next);
    free(reloads);
}
