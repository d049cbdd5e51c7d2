#include "dispatch/again.h"

#include "dispatch/deadlines.h"
#include "dispatch/hedge.h"
#include "observe/metrics.h"
#include "routing/retry.h"

/* ---- deadlines ---- */

void dispatch_arm(struct dispatch *dispatch)
{
    struct loop *loop = dispatch->context->loop;
    uint64_t at_ms = dispatch_due_at_ms(dispatch);
    if (at_ms == 0)
        loop_timer_clear(loop, &dispatch->timer);
    else
        loop_timer_set(loop, &dispatch->timer, at_ms);
}

/* ---- the epoch ---- */

/* Nobody will be asked any more: what is kept of the epoch is the node's name. */
static void leave_epoch(struct dispatch *dispatch)
{
    dispatch->lease = NULL;
    dispatch->kept_node = dispatch->attempt->node;
    if (dispatch->kept_node != NULL)
        roster_node_retain(dispatch->kept_node);
}

void dispatch_settle_epoch(struct dispatch *dispatch)
{
    struct lease *lease = dispatch->own_lease;
    if (lease == NULL)
        return;
    leave_epoch(dispatch);
    dispatch->own_lease = NULL;
    lease_release(lease);
}

void dispatch_let_epoch_go(struct dispatch *dispatch)
{
    if (dispatch->lease == NULL || dispatch->own_lease != NULL)
        return;
    bool may_ask_again = dispatch->state != DISPATCH_RELAYING && dispatch->state != DISPATCH_DONE;
    if (!may_ask_again) {
        leave_epoch(dispatch);
        return;
    }
    lease_retain(dispatch->lease);
    dispatch->own_lease = dispatch->lease;
}

/* ---- failing ---- */

/* Nothing is under way any more. */
void dispatch_finish(struct dispatch *dispatch)
{
    if (dispatch->state != DISPATCH_DONE)
        dispatch_enter(dispatch, DISPATCH_DONE);
    hedge_cancel(dispatch);
    loop_timer_clear(dispatch->context->loop, &dispatch->timer);
    loop_task_cancel(dispatch->context->loop, &dispatch->fail_task);
    body_check_cancel(&dispatch->context->checks, &dispatch->check);
    repeats_cancel(&dispatch->repeat);
    dispatch_settle_epoch(dispatch);
}

void dispatch_run_fail(void *owner)
{
    struct dispatch *dispatch = owner;
    dispatch_finish(dispatch);
    dispatch->stream.events->on_failed(dispatch->stream.owner, dispatch->fault);
}

void dispatch_fail(struct dispatch *dispatch, enum fault fault)
{
    dispatch->fault = fault;
    bool is_in_verb = dispatch->state == DISPATCH_BEGINNING;
    dispatch_enter(dispatch, DISPATCH_FAILING);
    if (is_in_verb)
        loop_defer(dispatch->context->loop, &dispatch->fail_task);
    else
        dispatch_run_fail(dispatch);
}

/* ---- again or give up ---- */

static bool is_fan_out(const struct dispatch *dispatch)
{
    return dispatch->choice.target == CHOICE_FAN_OUT;
}

/* The choice as of now. */
static struct choice choice_of(const struct dispatch *dispatch)
{
    struct choice choice = dispatch->choice;
    choice.kind.now_ms = dispatch_now_ms(dispatch);
    return choice;
}

bool dispatch_has_untried(const struct dispatch *dispatch)
{
    struct choice choice = choice_of(dispatch);
    return choice_has_untried(&choice, dispatch->lease, &dispatch->tried);
}

/* Every node that could answer was asked, the present one included; or one of them is away and might know more. */
static bool is_last_of_all(const struct dispatch *dispatch)
{
    return dispatch->answered + 1 >= choice_count(&dispatch->choice, dispatch->lease);
}

/* Of the attempt that is under way, or of the one that is over. */
static bool request_has_left(const struct dispatch *dispatch)
{
    const struct attempt *attempt = dispatch->attempt;
    return attempt->state == ATTEMPT_NONE ? attempt->progress == ATTEMPT_LEFT : attempt_has_left(attempt);
}

static unsigned facts_of(const struct dispatch *dispatch, bool is_timestamped)
{
    /* In a fan-out each node must answer for itself. */
    bool is_elsewhere_possible = !is_fan_out(dispatch) && dispatch_has_untried(dispatch);
    return (dispatch->state == DISPATCH_RELAYING ? RETRY_COMMITTED : 0u) |
           (dispatch->request.body.state == BODY_KEPT ? RETRY_BODY_IS_KEPT : 0u) |
           (request_has_left(dispatch) ? RETRY_REQUEST_HAS_LEFT : 0u) | (is_timestamped ? RETRY_IS_TIMESTAMPED : 0u) |
           (dispatch->attempt->link_was_reused ? RETRY_LINK_WAS_REUSED : 0u) |
           (dispatch->attempt->link_is_spent ? RETRY_LINK_IS_SPENT : 0u) | (is_elsewhere_possible ? RETRY_OTHERS_USABLE : 0u);
}

static struct retry_question make_question(const struct dispatch *dispatch, enum fault fault, bool is_timestamped)
{
    return (struct retry_question){
        .fault = fault,
        .class = dispatch->choice.kind.class,
        .repeat = dispatch->choice.kind.route->repeat,
        .facts = facts_of(dispatch, is_timestamped),
        .attempts = dispatch->attempt->number - dispatch->attempts_before - dispatch->passed_over,
        .now_ms = dispatch_now_ms(dispatch),
        .deadline_ms = dispatch->deadline_ms,
    };
}

/* What the timestamps of the body's lines would change: they are looked at when that decides, and once for a body. */
static bool needs_check(const struct dispatch *dispatch, enum fault fault)
{
    if (dispatch->timestamps != TIMESTAMP_MORE || dispatch->choice.kind.route->repeat != ROUTE_REPEAT_WRITE ||
        dispatch->request.body.state == BODY_LOST || !dispatch->request.is_complete)
        return false;
    struct retry_question without = make_question(dispatch, fault, false);
    struct retry_question with = make_question(dispatch, fault, true);
    return retry_decide(&without) != retry_decide(&with);
}

static void try_node(struct dispatch *dispatch, unsigned index, bool wants_fresh_link)
{
    node_set_add(&dispatch->tried, index);
    if (is_fan_out(dispatch))
        dispatch->question.kind = is_last_of_all(dispatch) && !dispatch_has_untried(dispatch) ? SCREEN_FAN_OUT_LAST : SCREEN_FAN_OUT;
    if (dispatch->state == DISPATCH_CHECKING || dispatch->state == DISPATCH_WAITING)
        dispatch_enter(dispatch, DISPATCH_TRYING);
    enum fault fault = attempt_start(dispatch->attempt, dispatch->lease->epoch->nodes[index], wants_fresh_link);
    if (fault != FAULT_NONE) {
        dispatch_after_fault(dispatch, fault);
        return;
    }
    dispatch_arm(dispatch);
    dispatch_note_pace(dispatch);
    /* The owner may have stopped while there was nobody to take more. */
    if (dispatch->state == DISPATCH_TRYING && !attempt_is_congested(dispatch->attempt))
        dispatch->stream.events->on_drained(dispatch->stream.owner);
}

void dispatch_try_next(struct dispatch *dispatch)
{
    const struct node_set *tried = dispatch->attempt->number == 0 ? NULL : &dispatch->tried;
    struct choice choice = choice_of(dispatch);
    int on_trial = tried == NULL ? choice_pick_trial(&choice, dispatch->lease) : -1;
    if (on_trial >= 0) {
        dispatch->attempt->purpose = ATTEMPT_TRIAL;
        try_node(dispatch, (unsigned)on_trial, false);
        return;
    }
    int index = choice_pick(&choice, dispatch->lease, dispatch->context, dispatch->request.head->path, tried);
    if (index < 0)
        dispatch_fail(dispatch, dispatch->fault != FAULT_NONE ? dispatch->fault : FAULT_NO_NODE);
    else
        try_node(dispatch, (unsigned)index, false);
}

static void repeat(struct dispatch *dispatch, const struct retry_question *question)
{
    switch (retry_decide(question)) {
    case RETRY_AGAIN_HERE:
        try_node(dispatch, (unsigned)epoch_find(dispatch->lease->epoch, dispatch->attempt->node), true);
        break;
    case RETRY_AGAIN_ELSEWHERE:
        dispatch_try_next(dispatch);
        break;
    case RETRY_GIVE_UP:
        dispatch_fail(dispatch, is_fan_out(dispatch) ? FAULT_FAN_OUT_INCOMPLETE : question->fault);
        break;
    }
}

/* A token has come for who waited: what else has changed meanwhile counts, too. */
void dispatch_on_token(void *owner)
{
    struct dispatch *dispatch = owner;
    struct retry_question question = make_question(dispatch, dispatch->fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    repeat(dispatch, &question);
}

static void decide(struct dispatch *dispatch, enum fault fault)
{
    struct retry_question question = make_question(dispatch, fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    bool is_free = retry_decide(&question) == RETRY_GIVE_UP || retry_is_free(&question);
    const struct topology_retries *retries = &dispatch_topology(dispatch)->retries;
    struct retry_budget_rates rates = {.share_thousandths = retries->share, .floor = retries->floor};
    if (is_free || repeats_take(&dispatch->context->repeats, &dispatch->repeat, &rates)) {
        repeat(dispatch, &question);
        return;
    }
    dispatch_enter(dispatch, DISPATCH_WAITING);
    dispatch_arm(dispatch);
}

/* False when memory is out: then nobody will know. One may be under way, since its node was to be left. */
static bool start_check(struct dispatch *dispatch)
{
    struct body_checks *checks = &dispatch->context->checks;
    if (body_check_is_under_way(&dispatch->check) ||
        body_check_start(checks, &dispatch->check, body_text(&dispatch->request.body), request_is_gzip(&dispatch->request)))
        return true;
    dispatch->timestamps = TIMESTAMP_DOUBT;
    return false;
}

static bool begin_check(struct dispatch *dispatch)
{
    if (!start_check(dispatch))
        return false;
    dispatch_enter(dispatch, DISPATCH_CHECKING);
    dispatch_arm(dispatch);
    return true;
}

/* A whole answer is kept that tells of a failure: once more, or is it the client's? */
static void decide_held(struct dispatch *dispatch)
{
    struct retry_question question = make_question(dispatch, dispatch->fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    bool is_hidden = answer_is_hidden(dispatch->choice.kind.class, dispatch->attempt->cause);
    dispatch_enter(dispatch, DISPATCH_TRYING);
    if (retry_decide(&question) == RETRY_GIVE_UP && !is_hidden) {
        attempt_relay_held(dispatch->attempt);
        return;
    }
    attempt_end(dispatch->attempt, ATTEMPT_ERRED, dispatch->fault);
    decide(dispatch, dispatch->fault);
}

void dispatch_on_checked(void *owner, enum timestamp_result result)
{
    struct dispatch *dispatch = owner;
    dispatch->timestamps = result;
    if (dispatch->state != DISPATCH_CHECKING)
        return;
    if (dispatch->attempt->state == ATTEMPT_HOLDING)
        decide_held(dispatch);
    else
        decide(dispatch, dispatch->fault);
}

/* A request that is passed over again and again must end somewhere: where it has no deadline, after the time that it may wait for a link. */
static bool may_be_passed_over(const struct dispatch *dispatch)
{
    const struct topology_timeouts *timeouts = &dispatch_topology(dispatch)->timeouts;
    return dispatch->deadline_ms != 0 ||
           dispatch_now_ms(dispatch) < dispatch->request.started_ms + timeouts->connect_ms + timeouts->queue_ms;
}

/* The attempt is over with a fault, and nothing has gone to the owner. */
void dispatch_after_fault(struct dispatch *dispatch, enum fault fault)
{
    struct retry_question question = make_question(dispatch, fault, false);
    dispatch->passed_over += retry_was_passed_over(&question) && may_be_passed_over(dispatch);
    dispatch->fault = fault;
    /* Its answer was kept while the lines were looked at: what they say decides all the same. */
    if (dispatch->state == DISPATCH_CHECKING)
        dispatch_arm(dispatch);
    else if (!needs_check(dispatch, fault) || !begin_check(dispatch))
        decide(dispatch, fault);
}

static bool has_token(struct dispatch *dispatch, const struct retry_question *question)
{
    const struct topology_retries *retries = &dispatch_topology(dispatch)->retries;
    struct retry_budget_rates rates = {.share_thousandths = retries->share, .floor = retries->floor};
    return retry_is_free(question) || repeats_try(&dispatch->context->repeats, &rates);
}

void dispatch_leave_node(struct dispatch *dispatch, enum fault fault)
{
    if (dispatch->state != DISPATCH_TRYING)
        return;
    if (hedge_is_out(dispatch)) {
        attempt_end(dispatch->attempt, ATTEMPT_FAILED, fault);
        hedge_take_over(dispatch);
        dispatch_arm(dispatch);
        return;
    }
    if (needs_check(dispatch, fault)) {
        start_check(dispatch);
        return;
    }
    struct retry_question question = make_question(dispatch, fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    if (retry_decide(&question) != RETRY_AGAIN_ELSEWHERE || !has_token(dispatch, &question))
        return;
    loop_timer_clear(dispatch->context->loop, &dispatch->timer);
    attempt_end(dispatch->attempt, ATTEMPT_FAILED, fault);
    dispatch->fault = fault;
    repeat(dispatch, &question);
}

/* ---- kept answers ---- */

static bool can_sweep_on(const struct dispatch *dispatch)
{
    return dispatch->request.body.state == BODY_KEPT && dispatch_has_untried(dispatch);
}

/* An error that another node may not have: asked there, where that is allowed, else the client's own or, of a write, a 503 of ours. */
static enum attempt_verdict judge_failure(struct dispatch *dispatch, bool is_whole)
{
    enum answer_cause cause = dispatch->attempt->cause;
    enum fault fault = cause == ANSWER_CAUSE_UNAVAILABLE ? FAULT_UPSTREAM_UNAVAILABLE : FAULT_UPSTREAM_FAILED;
    struct retry_question question = make_question(dispatch, fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    dispatch->question.turn = SCREEN_AGAIN;
    if (hedge_is_out(dispatch) || retry_decide(&question) != RETRY_GIVE_UP)
        return ATTEMPT_DROP;
    dispatch->fault = fault;
    if (is_whole && needs_check(dispatch, fault) && begin_check(dispatch))
        return ATTEMPT_LATER;
    return answer_is_hidden(dispatch->choice.kind.class, cause) ? ATTEMPT_DROP : ATTEMPT_RELAY;
}

enum attempt_verdict dispatch_judge(void *owner, enum screen_result result, bool is_whole)
{
    struct dispatch *dispatch = owner;
    bool is_last = is_whole && !can_sweep_on(dispatch) && is_last_of_all(dispatch);
    switch (result) {
    case SCREEN_IS_FAILURE:
        return judge_failure(dispatch, is_whole);
    case SCREEN_IS_PART:
        /* A node that is down has missed it: the caller must know. */
        return is_last ? ATTEMPT_RELAY : ATTEMPT_DROP;
    case SCREEN_IS_REFUSAL:
        if (dispatch_policy(dispatch)->refusal != POLICY_REFUSAL_ENGINE)
            return ATTEMPT_DROP;
        return is_last || !is_whole ? ATTEMPT_RELAY : ATTEMPT_DROP;
    case SCREEN_IS_ANSWER:
        break;
    }
    return ATTEMPT_RELAY;
}

/* The node has given an answer that is not the client's: the next one of the sweep. False: none is left. */
bool dispatch_sweep_on(struct dispatch *dispatch)
{
    dispatch->answered++;
    if (!can_sweep_on(dispatch))
        return false;
    dispatch->fault = FAULT_NONE;
    dispatch->attempts_before = dispatch->attempt->number;
    dispatch->passed_over = 0;
    dispatch_try_next(dispatch);
    return true;
}

