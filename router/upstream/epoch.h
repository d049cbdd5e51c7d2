#ifndef SLUICE_UPSTREAM_EPOCH_H
#define SLUICE_UPSTREAM_EPOCH_H
/*
 * One configuration in force: the topology, its classifier, TLS to its nodes, and which node of the roster each entry is. Immutable, and
 * counted over all threads. Each worker holds it through a lease (upstream/lease.h); the control thread and pools that still have links to a
 * node of it hold it, too. The last one to let go frees it and releases its nodes.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology/topology.h"
#include "upstream/roster.h"

struct classifier;
struct node_tls;

#define EPOCH_NO_INDEX UINT16_MAX

struct epoch {
    uint64_t number;                       /* 1 is the start; each reload that is applied adds 1 */
    struct topology *topology;             /* owned reference */
    struct classifier *classifier;
    struct node_tls *tls;
    struct roster *roster;                 /* ref */
    atomic_uint references;
    uint16_t index_of_slot[ROSTER_SLOTS];  /* of a node in the topology, or EPOCH_NO_INDEX */
    struct roster_node *nodes[];           /* by index; owned references */
};

/*
 * With one reference, and one of its own to the topology. NULL with a sentence in `reason`: certificates that cannot be read, no memory, no
 * slot for so many nodes. Nothing changes for the workers. Control only.
 */
struct epoch *epoch_create(struct roster *roster, struct topology *topology, uint64_t number, char *reason, size_t capacity);
void epoch_retain(struct epoch *epoch);
/* From any thread; NULL is allowed. */
void epoch_release(struct epoch *epoch);

/* The index of a node in this epoch's topology, or -1 when the epoch has it not. */
int epoch_find(const struct epoch *epoch, const struct roster_node *node);
/* The same by handle, which may be that of a node that is gone. */
int epoch_find_handle(const struct epoch *epoch, roster_handle handle);

/* Would a link that was made for one be as good for the other? Entries of one node in two epochs. */
bool epoch_is_same_place(const struct topology_node *a, const struct topology_node *b);

/* Is there another node, known to be up, that can do something of what the one at `index` does? */
bool epoch_has_other_up(const struct epoch *epoch, unsigned index);

#endif
