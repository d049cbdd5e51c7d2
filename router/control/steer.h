#ifndef SLUICE_CONTROL_STEER_H
#define SLUICE_CONTROL_STEER_H
/*
 * The operator's word on one node: it gets requests of a class (ready), gets no new ones (drain), or is away (maint). The state belongs to the
 * node, so it stays over reloads, and ends with the process.
 *
 * `write` stands for plugin write-back, too, and `query` for Flight: what an operator calls so.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "upstream/roster.h"

struct epoch;

struct steering_order {
    enum node_admin state;
    struct text node_id;      /* as it stands in the path, percent-encoded */
    struct text query;        /* class=..., wait=... */
    uint64_t wait_ms;         /* filled by steering_begin */
};

/* An order that was carried out, while somebody looks at what is still under way. */
struct steering {
    struct roster_node *node; /* owned reference, until steering_end; NULL when there is none */
    unsigned classes;         /* a bit for each enum request_class */
    enum node_admin state;
};

/* 200, or the status of the refusal and its words; then there is nothing to end. */
unsigned steering_begin(struct steering *steering, const struct epoch *epoch, struct steering_order *order, const char **error);
/* Attempts of the classes that are still under way on the node. */
unsigned steering_outstanding(const struct steering *steering);
/* Nothing is left to wait for. */
bool steering_is_done(const struct steering *steering);
/* Harmless when it was never begun, or a second time. */
void steering_end(struct steering *steering);

#endif
