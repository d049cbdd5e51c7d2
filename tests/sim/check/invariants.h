#ifndef SLUICE_SIM_CHECK_INVARIANTS_H
#define SLUICE_SIM_CHECK_INVARIANTS_H
/*
 * The rules that are counted from the ledger's entries. Each function is called when its event has been written into the entry, and reports what it
 * finds by ledger_violation.
 *
 *   rule        what must hold
 *   lost        a write that was acknowledged is durable when the client hears so, and nothing durable is undone
 *   twice       a plain write, a write-back, and a call that may not be repeated are applied at most once
 *   wrong_node  whatever a client asks reaches only nodes that may be asked this
 *   drained     a node that the operator has taken out gets nothing that was begun since
 *   attempts    at most as many attempts of a try reach nodes as the class's policy allows
 *   smuggled    nothing of what the hostile hid in their bytes is applied, nor even asked; and nothing of what is no change is applied
 *   not_served  once the faults have been over for a while, what can be served is
 *   open_try    each try ends before the run does
 *   book        the entries fit each other: what is durable was applied, what ends was open
 */
#include <stdbool.h>
#include <stdint.h>

#include "check/ledger.h"

/* A try, in the book. Counts stop at 255. */
struct try_entry {
    uint64_t number;
    uint64_t begun_us;
    uint32_t client;
    uint16_t status;
    uint8_t kind;     /* enum try_kind */
    uint8_t end;      /* enum try_end */
    uint8_t attempts;
    uint8_t applied;
    uint8_t durable;
    uint8_t undone;
};

/* After the last fault everything has to work again within this time: nodes are probed, names resolved, queues drained. */
#define INVARIANT_RECOVERY_SECONDS 45

const char *try_kind_name(enum try_kind kind);
const char *try_end_name(enum try_end end);

/*
 * Attempts of one try that may reach nodes: those of routing/policy.c, a refusal like any other attempt. What sweeps over nodes has as many for each of
 * them (dispatch.c, attempts_before).
 */
unsigned invariant_attempts_maximum(enum try_kind kind);

/* What is begun from now on may not reach the node; and may again. */
void invariant_drain(unsigned node);
void invariant_ready(unsigned node);

void invariant_of_attempt(const struct try_entry *entry, unsigned node, bool has_role);
void invariant_of_applied(const struct try_entry *entry, unsigned node);
void invariant_of_durable(const struct try_entry *entry, unsigned node);
void invariant_of_undone(const struct try_entry *entry, unsigned node);
void invariant_of_end(const struct try_entry *entry);
void invariant_of_close(const struct try_entry *entry);

#endif
