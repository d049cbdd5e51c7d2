#include "dispatch/state.h"

#include "base/machine.h"

static const char *const names[] = {"opened", "buffering", "beginning", "trying", "checking", "waiting", "relaying", "failing", "done"};

#define TO(state) MACHINE_TO(DISPATCH_##state)
static const uint32_t moves[] = {
    [DISPATCH_OPENED] = TO(BUFFERING) | TO(BEGINNING) | TO(DONE),
    [DISPATCH_BUFFERING] = TO(BEGINNING) | TO(FAILING) | TO(DONE),
    [DISPATCH_BEGINNING] = TO(TRYING) | TO(FAILING),
    [DISPATCH_TRYING] = TO(CHECKING) | TO(WAITING) | TO(RELAYING) | TO(FAILING) | TO(DONE),
    [DISPATCH_CHECKING] = TO(TRYING) | TO(WAITING) | TO(FAILING) | TO(DONE),
    [DISPATCH_WAITING] = TO(TRYING) | TO(FAILING) | TO(DONE),
    [DISPATCH_RELAYING] = TO(FAILING) | TO(DONE),
    [DISPATCH_FAILING] = TO(FAILING) | TO(DONE),
    [DISPATCH_DONE] = 0,
};
#undef TO

static const struct machine dispatch_machine = {"dispatch", names, moves};

void dispatch_enter(struct dispatch *dispatch, enum dispatch_state next)
{
    machine_check(&dispatch_machine, dispatch->state, next);
    dispatch->state = next;
}

/* ---- for the record ---- */

static const struct dispatch *reading(const struct stream *stream)
{
    return (const struct dispatch *)(const void *)stream;
}

unsigned dispatch_attempts(const struct stream *stream)
{
    return reading(stream)->attempt->number;
}

const char *dispatch_node_id(const struct stream *stream)
{
    const struct roster_node *node = reading(stream)->attempt->node;
    return node == NULL ? "" : node->node_id;
}
