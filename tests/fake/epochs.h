#ifndef SLUICE_FAKE_EPOCHS_H
#define SLUICE_FAKE_EPOCHS_H
/* Epochs without files: the topology is the test's own, which counts one reference for itself, so that it is never freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/epoch.h"

/* With one reference. `topology` may be changed by the test as long as nothing was derived from what it changes. */
static inline struct epoch *make_epoch(struct roster *roster, struct topology *topology, uint64_t number)
{
    char reason[256] = "";
    if (atomic_load(&topology->references) == 0)
        atomic_store(&topology->references, 1);
    struct epoch *epoch = epoch_create(roster, topology, number, reason, sizeof reason);
    if (epoch == NULL)
        fail_msg("no epoch: %s", reason);
    return epoch;
}

/* Nodes that somebody still holds. */
static inline size_t count_roster(const struct roster *roster)
{
    size_t count = 0;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++)
        count += roster->slots[i] != NULL;
    return count;
}

#endif
