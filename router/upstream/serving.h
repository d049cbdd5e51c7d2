#ifndef SLUICE_UPSTREAM_SERVING_H
#define SLUICE_UPSTREAM_SERVING_H
/*
 * What a cluster can be asked for at the moment, for those who look at all nodes: health answers, the status page, the log. Requests have the
 * lists of their worker's lease (upstream/lease.h), which follow the same rule: who is usable serves; where nobody of a kind is, those serve that
 * only probes keep out, unless health.all_down says refuse.
 */
#include <stdbool.h>

#include "base/text.h"
#include "upstream/epoch.h"

/* The classes that people ask about, and whoever can serve each. */
struct serving_kind {
    struct text name;
    enum request_class class;
    unsigned capability;
};
#define SERVING_KINDS 4
extern const struct serving_kind serving_kinds[SERVING_KINDS];

/* Do nodes serve this kind that probes call down, because there are no others? */
bool serving_is_all_down(const struct epoch *epoch, enum request_class class, unsigned capabilities);
/* May this node get requests of the class? `is_all_down` is the answer of the above for its kind. */
bool serving_takes(const struct roster_node *node, enum request_class class, bool is_all_down);

/* Can anybody serve it? */
bool serving_any(const struct epoch *epoch, const struct serving_kind *kind);
/* The kinds (bits, by their place in the table) that nodes serve which probes call down. */
unsigned serving_all_down(const struct epoch *epoch);
/* Logs each kind for which that has changed, and returns it. `before`: what it was when this was called last. */
unsigned serving_tell_changes(const struct epoch *epoch, unsigned before);
/* May the node get requests of some kind that its modes serve? `all_down` is the answer of the above. */
bool serving_takes_any(const struct epoch *epoch, unsigned index, unsigned all_down);

#endif
