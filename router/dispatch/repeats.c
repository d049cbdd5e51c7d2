#include "dispatch/repeats.h"

#include "observe/metrics.h"
#include "upstream/roster.h"

/* Requests that are told to the roster together, so that its word is written rarely. */
#define TOGETHER 64

void repeats_count_request(struct repeats *repeats)
{
    if (++repeats->uncounted < TOGETHER)
        return;
    roster_count_requests(repeats->roster, repeats->uncounted);
    repeats->uncounted = 0;
}

/* A token of the process; *wait_ms says when to ask again if there is none. */
static bool take(struct repeats *repeats, uint64_t *wait_ms)
{
    roster_count_requests(repeats->roster, repeats->uncounted);
    repeats->uncounted = 0;
    if (!roster_take_retry(repeats->roster, &repeats->rates, loop_now_ms(repeats->loop), wait_ms))
        return false;
    metrics_add(&repeats->metrics->retries_spent, 1);
    return true;
}

static void arm(struct repeats *repeats, uint64_t wait_ms)
{
    loop_timer_set(repeats->loop, &repeats->timer, loop_now_ms(repeats->loop) + wait_ms);
}

void repeats_cancel(struct repeat_ticket *ticket)
{
    struct repeats *repeats = ticket->waits_in;
    if (repeats == NULL)
        return;
    ticket->waits_in = NULL;
    list_remove(&repeats->waiting, &ticket->node);
    if (repeats->waiting.count == 0)
        loop_timer_clear(repeats->loop, &repeats->timer);
}

static void serve(void *owner)
{
    struct repeats *repeats = owner;
    uint64_t wait_ms;
    while (repeats->waiting.count > 0) {
        if (!take(repeats, &wait_ms)) {
            arm(repeats, wait_ms);
            return;
        }
        struct repeat_ticket *ticket = LIST_OWNER(list_first(&repeats->waiting), struct repeat_ticket, node);
        repeats_cancel(ticket);
        ticket->on_token(ticket->owner);
    }
}

bool repeats_try(struct repeats *repeats, const struct retry_budget_rates *rates)
{
    uint64_t wait_ms;
    repeats->rates = *rates;
    return repeats->waiting.count == 0 && take(repeats, &wait_ms);
}

bool repeats_take(struct repeats *repeats, struct repeat_ticket *ticket, const struct retry_budget_rates *rates)
{
    uint64_t wait_ms;
    repeats->rates = *rates;
    /* Who waits already comes first. */
    if (repeats->waiting.count == 0) {
        if (take(repeats, &wait_ms))
            return true;
        arm(repeats, wait_ms);
    }
    ticket->waits_in = repeats;
    list_node_init(&ticket->node);
    list_append(&repeats->waiting, &ticket->node);
    metrics_add(&repeats->metrics->retries_waited, 1);
    return false;
}

void repeats_init(struct repeats *repeats, struct loop *loop, struct roster *roster, struct metrics *metrics)
{
    *repeats = (struct repeats){.loop = loop, .roster = roster, .metrics = metrics};
    list_init(&repeats->waiting);
    loop_timer_init(&repeats->timer, serve, repeats);
}

void repeats_clear(struct repeats *repeats)
{
    loop_timer_clear(repeats->loop, &repeats->timer);
}
