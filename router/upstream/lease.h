#ifndef SLUICE_UPSTREAM_LEASE_H
#define SLUICE_UPSTREAM_LEASE_H
/*
 * One worker's hold on an epoch. Whoever needs the epoch beyond an event (an exchange that is not committed) retains the lease, which costs no
 * atomic; when the worker has a newer epoch and nobody of that worker uses the lease any more, it ends and lets the epoch go.
 *
 * A lease also has that worker's lists of who can serve what (balance views), built when they are first asked for and again when the roster
 * says that another set of nodes may be usable: so a request never looks at all nodes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "routing/balance.h"
#include "routing/classify.h"
#include "upstream/epoch.h"

struct lease_views;

struct lease {
    struct list_node node;        /* in its worker's list of leases, until it ends */
    struct list *leases;          /* ref: that list */
    struct epoch *epoch;          /* owned reference */
    unsigned users;               /* exchanges, and the worker while this is its newest */
    void (*on_ended)(void *owner, struct lease *lease);
    void *owner;
    struct lease_views *views;
};

/*
 * With one user, the caller, and a reference of its own to `epoch`. NULL when memory is out. `on_ended` (may be NULL) is called by the last
 * lease_release, when the lease is no longer in the list and before the epoch is let go.
 */
struct lease *lease_create(struct epoch *epoch, struct list *leases, void (*on_ended)(void *owner, struct lease *lease), void *owner);
static inline void lease_retain(struct lease *lease)
{
    lease->users++;
}
void lease_release(struct lease *lease);

/* What kind of nodes is asked for. */
struct lease_kind {
    enum request_class class;
    const struct route *route;
    bool needs_http2;             /* gRPC: not those that are known to speak HTTP/1 only */
    bool takes_unknown;           /* those that no probe has reached yet, and those that are set aside, as well, though there are others */
    uint64_t now_ms;              /* when it is asked */
};

/*
 * The nodes of this kind that are usable now. A node that has just come with a reload, and may be no node at all, gets nothing until it has
 * answered a probe, as long as others have: at the start, where none has, all are taken. So it is with nodes that their
 * own answers have set aside (upstream/standings.h); one that starts slowly again has a part of its share. Where none is usable, those that
 * only probes keep out are taken (health.all_down). Valid until the next call for this lease; never NULL (without memory it is empty).
 */
struct balance_view *lease_usable(struct lease *lease, const struct lease_kind *kind);
/*
 * The index of one that is set aside for its answers and may be tried now, or -1. It is in no list until one request has shown that it works again
 * (standings_begin_trial). Classes whose requests stay with one node have no trials: there it is in the list again.
 */
int lease_trial(struct lease *lease, const struct lease_kind *kind);
/* Of them those that the route prefers; the same view where it has no preference. */
struct balance_view *lease_preferred(struct lease *lease, const struct lease_kind *kind);

/* True when `address` belongs to a process-capable node and is no loopback address: the source of plugin write-back. */
bool lease_is_process_node(struct lease *lease, const struct address *address);

#endif
