#include "kernel/process.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "check/ledger.h"
#include "control/control.h"
#include "kernel/descriptor.h"
#include "kernel/fiber.h"
#include "kernel/files.h"
#include "kernel/memory.h"
#include "kernel/time.h"
#include "net/signals.h"
#include "topology/build.h"
#include "topology/findings.h"
#include "topology/topology.h"

static struct fiber *process;
static struct sim_timer end_timer;
static int exit_status;
static void (*on_end_now)(void *owner, int status);
static void *owner_now;

/* What `sluice serve` does behind its arguments. */
static int serve(void)
{
    static const char *const files[] = {SIM_CONFIGURATION};
    signals_hold();
    struct findings *findings = findings_create();
    struct topology *topology = findings == NULL ? NULL : topology_read(files, 1, TOPOLOGY_PURPOSE_SERVE, findings);
    if (topology == NULL && findings != NULL)
        findings_print(findings, stderr);
    findings_destroy(findings);
    if (topology == NULL)
        return 1;
    enum log_level level;
    if (topology->log_level != NULL && log_level_from_name(topology->log_level, &level))
        log_set_level(level);
    log_open();
    struct control_settings settings = {.files = files, .file_count = 1, .topology = topology};
    int status = control_run(&settings);
    topology_release(topology);
    return status;
}

static void run(void *owner)
{
    (void)owner;
    exit_status = serve();
    sim_timer_in(&end_timer, 0);
}

static void print_asker(void *owner, ptrdiff_t place, size_t bytes)
{
    (void)owner;
    printf("  %zu bytes were asked for at %#tx\n", bytes, place);
}

static void on_ended(void *owner)
{
    (void)owner;
    fiber_free(process);
    process = NULL;
    if (descriptor_count() > 0)
        ledger_violation("descriptors", "%zu are open after the end of the process", descriptor_count());
    descriptors_close_all();
    if (memory_blocks() > 0)
        ledger_violation("memory", "%zu blocks of %zu bytes are left after the end of the process", memory_blocks(), memory_bytes());
    memory_each_asker(print_asker, NULL);
    on_end_now(owner_now, exit_status);
}

void sim_sluice_start(void (*on_end)(void *owner, int status), void *owner)
{
    on_end_now = on_end;
    owner_now = owner;
    sim_timer_init(&end_timer, on_ended, NULL);
    process = fiber_start(run, NULL);
}

bool sim_sluice_is_running(void)
{
    return process != NULL;
}
