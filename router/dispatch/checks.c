#include "dispatch/checks.h"

/* Of a gzip body so much is looked at; more is doubt. */
#define INFLATED_MAXIMUM_BYTES (10u << 20)
/* Well below a millisecond of work: between two of them the clock is asked. */
#define STEP_BYTES 16384

static void finish(struct body_checks *checks, struct body_check *check, enum timestamp_result result)
{
    body_check_cancel(checks, check);
    check->on_checked(check->owner, result);
}

/* One slice: as many steps as its time allows. First come, first served: taken in turns, all bodies would be done when all of them are late. */
static void run_slice(void *owner)
{
    struct body_checks *checks = owner;
    while (checks->waiting.count > 0 && !loop_slice_is_over(checks->loop)) {
        struct body_check *check = LIST_OWNER(list_first(&checks->waiting), struct body_check, node);
        enum timestamp_result result = timestamp_check_step(check->check, STEP_BYTES);
        if (result != TIMESTAMP_MORE)
            finish(checks, check, result);
    }
    if (checks->waiting.count > 0)
        loop_post_next_turn(checks->loop, &checks->task);
}

bool body_check_start(struct body_checks *checks, struct body_check *check, struct text body, bool is_gzip)
{
    check->check = timestamp_check_begin(body, is_gzip, INFLATED_MAXIMUM_BYTES);
    if (check->check == NULL)
        return false;
    list_node_init(&check->node);
    list_append(&checks->waiting, &check->node);
    loop_post_next_turn(checks->loop, &checks->task);
    return true;
}

void body_check_cancel(struct body_checks *checks, struct body_check *check)
{
    if (check->check == NULL)
        return;
    list_remove(&checks->waiting, &check->node);
    timestamp_check_end(check->check);
    check->check = NULL;
}

void body_checks_init(struct body_checks *checks, struct loop *loop)
{
    checks->loop = loop;
    list_init(&checks->waiting);
    loop_task_init(&checks->task, run_slice, checks);
}

void body_checks_clear(struct body_checks *checks)
{
    loop_task_cancel(checks->loop, &checks->task);
}
