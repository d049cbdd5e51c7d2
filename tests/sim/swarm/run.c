#include "swarm/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "check/ledger.h"
#include "check/tally.h"
#include "kernel/files.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "peer/memory.h"
#include "world/certificates.h"
#include "world/client.h"
#include "world/node.h"
#include "world/operator.h"

/* From here on allocations may fail: a process that does not start has nothing to be looked at. */
#define STARTED_US (500 * SIM_MS)
/* Sluice may drain for as long as its configuration says, and then some. */
#define END_US (60 * SIM_S)

struct cast {
    struct node *nodes[PLAN_NODES_MAXIMUM];
    struct client **clients;
    struct operator *operator;
};

static void print_line(void *owner, struct text line)
{
    (void)owner;
    printf("%10.6f %.*s", (double)sim_now_us() / 1e6, (int)line.length, line.bytes);
}

/* A bug that the router itself has noticed, whatever else it does then. */
static void watch_line(void *owner, struct text line)
{
    const bool *is_traced = owner;
    if (*is_traced)
        print_line(NULL, line);
    if (text_find(line, TEXT(" event=bug ")) >= 0)
        ledger_violation("bug", "%.*s", (int)line.length, line.bytes);
}

static void enter_cast(struct cast *cast, const struct plan *plan)
{
    certificates_make(plan);
    node_forget_via();
    for (unsigned i = 0; i < plan->node_count; i++)
        cast->nodes[i] = node_create(plan, i);
    cast->operator = operator_create(plan);
    world_run(STARTED_US);
    memory_may_fail();
    cast->clients = calloc(plan->clients, sizeof(struct client *));
    if (cast->clients == NULL)
        abort();
    for (unsigned i = 0; i < plan->clients; i++)
        cast->clients[i] = client_create(plan, i);
}

static bool has_ended(void *owner)
{
    (void)owner;
    return !sim_sluice_is_running();
}

static void leave_cast(struct cast *cast, const struct plan *plan)
{
    for (unsigned i = 0; i < plan->clients; i++)
        client_destroy(cast->clients[i]);
    free(cast->clients);
    operator_finish(cast->operator);
    if (!world_run_until(has_ended, NULL, sim_now_us() + END_US))
        ledger_violation("no_end", "the process runs on %u s after it was told to end", (unsigned)(END_US / SIM_S));
    operator_destroy(cast->operator);
    for (unsigned i = 0; i < plan->node_count; i++)
        node_destroy(cast->nodes[i]);
    certificates_forget();
}

void run_plan(const struct plan *plan, bool is_traced, struct run_result *result)
{
    struct cast cast = {0};
    *result = (struct run_result){0};
    world_begin(plan);
    ledger_open();
    sim_files_on_log_line(watch_line, &is_traced);
    enter_cast(&cast, plan);
    world_run((plan->faulty_seconds + plan->quiet_seconds) * SIM_S);
    leave_cast(&cast, plan);
    if (peer_memory_users() > 0)
        ledger_violation("world", "%zu objects of far ends are left", peer_memory_users());
    if (plan->bounds != NULL)
        tally_judge(plan->bounds, plan->fixed.sick - 1);
    result->tries = ledger_count();
    result->served = ledger_count_of(TRY_DONE);
    ledger_close();
    result->fingerprint = world_fingerprint();
    result->simulated_us = sim_now_us();
    if (ledger_verdict() != NULL)
        snprintf(result->rule, sizeof result->rule, "%s", ledger_verdict());
    world_end();
}
