#ifndef SLUICE_DISPATCH_CHECKS_H
#define SLUICE_DISPATCH_CHECKS_H
/*
 * Bodies whose lines are looked at for timestamps (routing/timestamp_check.h), in slices: a node that dies fails many writes at once, and
 * each of their bodies may take longer than a client waits for anything else. In one turn of the loop all of them together get one slice, first come,
 * first served, so no event of the loop is held up.
 */
#include "base/list.h"
#include "base/text.h"
#include "net/loop.h"
#include "routing/timestamp_check.h"

/* Of one worker. */
struct body_checks {
    struct loop *loop;
    struct list waiting;      /* of struct body_check */
    struct loop_task task;
};

/* Embedded in whoever asks; zero it before first use. */
struct body_check {
    struct list_node node;
    struct timestamp_check *check; /* NULL: none is under way */
    void (*on_checked)(void *owner, enum timestamp_result result);
    void *owner;
};

void body_checks_init(struct body_checks *checks, struct loop *loop);
/* No check may be left. */
void body_checks_clear(struct body_checks *checks);

/* on_checked comes later, from the loop. False when memory is out: then it does not come. `body` must stay until it came, or body_check_cancel. */
bool body_check_start(struct body_checks *checks, struct body_check *check, struct text body, bool is_gzip);
static inline bool body_check_is_under_way(const struct body_check *check)
{
    return check->check != NULL;
}
/* Harmless when none is under way. */
void body_check_cancel(struct body_checks *checks, struct body_check *check);

#endif
