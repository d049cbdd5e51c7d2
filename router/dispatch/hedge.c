#include "dispatch/hedge.h"

#include "base/machine.h"
#include "base/slab.h"
#include "dispatch/state.h"
#include "observe/metrics.h"
#include "upstream/standings.h"

/* However quick answers are: so long a query waits at least. */
#define WAIT_MINIMUM_MS 5

static const char *const state_names[] = {"possible", "out", "over"};

static const uint32_t moves[] = {
    [HEDGE_POSSIBLE] = MACHINE_TO(HEDGE_OUT) | MACHINE_TO(HEDGE_OVER),
    [HEDGE_OUT] = MACHINE_TO(HEDGE_OVER),
    [HEDGE_OVER] = 0,
};

static const struct machine hedge_machine = {"hedge", state_names, moves};

/* The only writer of the state. */
static void enter(struct dispatch *dispatch, enum hedge_state next)
{
    machine_check(&hedge_machine, dispatch->hedge, next);
    dispatch->hedge = next;
}

bool hedge_is_out(const struct dispatch *dispatch)
{
    return dispatch->hedge == HEDGE_OUT;
}

/* ---- when ---- */

static uint64_t wait_ms(const struct dispatch *dispatch, uint64_t configured_ms)
{
    if (configured_ms != TOPOLOGY_HEDGE_P95)
        return configured_ms;
    uint64_t p95_ms = latency_p95_ms(&dispatch->context->query_latency);
    return p95_ms == 0 || p95_ms > WAIT_MINIMUM_MS ? p95_ms : WAIT_MINIMUM_MS;
}

/* May the request be done twice, here? A named node is the one that is meant. */
static bool is_of_kind(const struct dispatch *dispatch)
{
    return dispatch_policy(dispatch)->hedge == POLICY_HEDGE_SLOW && dispatch->choice.kind.route->repeat == ROUTE_REPEAT_SAFE &&
           dispatch->choice.target == CHOICE_ONE && dispatch->request.body.state == BODY_KEPT;
}

uint64_t hedge_at_ms(const struct dispatch *dispatch)
{
    const struct attempt *attempt = dispatch->attempt;
    uint64_t configured_ms = dispatch_topology(dispatch)->queries_hedge_ms;
    if (configured_ms == TOPOLOGY_HEDGE_OFF || dispatch->hedge != HEDGE_POSSIBLE || attempt->state != ATTEMPT_OPEN ||
        attempt->progress != ATTEMPT_SENT || !is_of_kind(dispatch))
        return 0;
    uint64_t waits_ms = wait_ms(dispatch, configured_ms);
    return waits_ms == 0 ? 0 : attempt->active_ms + waits_ms;
}

/* ---- the second attempt ---- */

/* It is over without an answer: the first one goes on, and the request has made one attempt more. */
static void end_second(struct dispatch *dispatch)
{
    enter(dispatch, HEDGE_OVER);
    dispatch->attempt->number = dispatch->second->number;
}

static void on_head(void *owner, const struct message_head *head);

/* Its whole request is kept, so it needs nothing of the owner. */
static void on_drained(void *owner)
{
    (void)owner;
}

/* The first one may say the same, and the owner hears each word once. */
static void on_interim(void *owner, const struct message_head *head)
{
    (void)owner;
    (void)head;
}

/* Whatever is wrong there, the first one may do better. */
static enum attempt_verdict on_screened(void *owner, enum screen_result result, bool is_whole)
{
    (void)owner;
    (void)result;
    (void)is_whole;
    return ATTEMPT_DROP;
}

static void on_lost(void *owner)
{
    struct dispatch *dispatch = owner;
    enum fault fault = dispatch->second->state == ATTEMPT_WAITING ? FAULT_QUEUE_TIMEOUT : FAULT_UPSTREAM_TIMEOUT;
    attempt_end(dispatch->second, ATTEMPT_FAILED, fault);
    end_second(dispatch);
}

static void on_waiting(void *owner, uint64_t waited_ms)
{
    (void)owner;
    (void)waited_ms;
}

static void on_outcome(void *owner, enum attempt_outcome outcome, enum fault fault)
{
    (void)outcome;
    (void)fault;
    end_second(owner);
}

/* What follows a good head goes to the dispatch: these are never called for it. */
static const struct attempt_events second_events = {
    .on_drained = on_drained,
    .on_interim = on_interim,
    .on_head = on_head,
    .on_screened = on_screened,
    .on_lost = on_lost,
    .on_waiting = on_waiting,
    .on_outcome = on_outcome,
};

/* ---- one of them is left ---- */

/* The other one was quicker. How long this node would have taken nobody knows: it goes on counting as its load for as long as its answers take. */
static void give_up_loser(struct dispatch *dispatch, struct attempt *loser, bool had_more_time)
{
    struct dispatch_context *context = dispatch->context;
    uint64_t now_ms = dispatch_now_ms(dispatch);
    uint64_t waited_ms = now_ms - loser->begun_ms;
    /* How long the first attempt has waited is the least that it would have taken. The second one's wait was cut short, and says nothing. */
    if (had_more_time && dispatch_topology(dispatch)->queries_hedge_ms == TOPOLOGY_HEDGE_P95)
        latency_add(&context->query_latency, now_ms - loser->active_ms);
    if (had_more_time)
        standings_outrun(loser->node, loser->class, waited_ms);
    debts_add_until(&context->debts, loser->node, loser->begun_ms + standings_took_ms(loser->node, loser->class));
    attempt_end(loser, ATTEMPT_CANCELLED, FAULT_NONE);
}

static void put_in_place(struct dispatch *dispatch)
{
    enter(dispatch, HEDGE_OVER);
    dispatch->attempt = dispatch->second;
    dispatch->attempt->events = dispatch->first.events;
    if (dispatch->is_paused)
        attempt_pause(dispatch->attempt);
}

/* An error may be this node's alone; an answer is the client's. */
static void on_head(void *owner, const struct message_head *head)
{
    struct dispatch *dispatch = owner;
    if (head->status >= 400) {
        attempt_end(dispatch->second, ATTEMPT_CANCELLED, FAULT_NONE);
        end_second(dispatch);
        return;
    }
    metrics_add(&dispatch->context->metrics->hedges_won, 1);
    give_up_loser(dispatch, &dispatch->first, true);
    put_in_place(dispatch);
    dispatch->attempt->events->on_head(dispatch, head);
}

void hedge_settle(struct dispatch *dispatch)
{
    if (dispatch->hedge != HEDGE_OUT)
        return;
    give_up_loser(dispatch, dispatch->second, false);
    end_second(dispatch);
}

bool hedge_take_over(struct dispatch *dispatch)
{
    if (dispatch->hedge != HEDGE_OUT)
        return false;
    put_in_place(dispatch);
    return true;
}

void hedge_cancel(struct dispatch *dispatch)
{
    if (dispatch->hedge != HEDGE_OUT)
        return;
    attempt_end(dispatch->second, ATTEMPT_CANCELLED, FAULT_NONE);
    end_second(dispatch);
}

/* ---- the beginning ---- */

static struct attempt *make_second(struct dispatch *dispatch)
{
    struct attempt *second = slab_take_zeroed(loop_slab(dispatch->context->loop), sizeof *second);
    if (second == NULL)
        return NULL;
    const struct attempt *first = &dispatch->first;
    second->context = first->context;
    second->topology = first->topology;
    second->request = first->request;
    second->question = first->question;
    second->class = first->class;
    second->capabilities = first->capabilities;
    second->events = &second_events;
    second->owner = dispatch;
    second->number = first->number;
    return second;
}

/* The budget of repeats pays: without a token there is no second attempt, and nobody waits for one. */
static bool has_token(struct dispatch *dispatch)
{
    const struct topology_retries *retries = &dispatch_topology(dispatch)->retries;
    struct retry_budget_rates rates = {.share_thousandths = retries->share, .floor = retries->floor};
    return repeats_try(&dispatch->context->repeats, &rates);
}

static int pick_other(struct dispatch *dispatch)
{
    struct choice choice = dispatch->choice;
    choice.kind.now_ms = dispatch_now_ms(dispatch);
    unsigned made = dispatch->first.number - dispatch->attempts_before - dispatch->passed_over;
    if (dispatch->lease == NULL || made >= dispatch_policy(dispatch)->attempts_maximum)
        return -1;
    return choice_pick_beside(&choice, dispatch->lease, dispatch->context, &dispatch->tried);
}

void hedge_begin(struct dispatch *dispatch)
{
    int index = pick_other(dispatch);
    struct attempt *second = index >= 0 && has_token(dispatch) ? make_second(dispatch) : NULL;
    if (second == NULL) {
        enter(dispatch, HEDGE_OVER);
        return;
    }
    dispatch->second = second;
    enter(dispatch, HEDGE_OUT);
    node_set_add(&dispatch->tried, (unsigned)index);
    metrics_add(&dispatch->context->metrics->hedges, 1);
    if (attempt_start(second, dispatch->lease->epoch->nodes[index], false) != FAULT_NONE)
        end_second(dispatch);
}
