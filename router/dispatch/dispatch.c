#include "dispatch/dispatch.h"

#include "base/slab.h"
#include "dispatch/deadlines.h"
#include "dispatch/state.h"
#include "routing/retry.h"

static struct dispatch *dispatch_of(struct stream *stream)
{
    return (struct dispatch *)stream;
}

static const struct dispatch *reading_dispatch_of(const struct stream *stream)
{
    return (const struct dispatch *)(const void *)stream;
}

/* ---- deadlines ---- */

static void arm(struct dispatch *dispatch)
{
    struct loop *loop = dispatch->context->loop;
    uint64_t at_ms = dispatch_due_at_ms(dispatch);
    if (at_ms == 0)
        loop_timer_clear(loop, &dispatch->timer);
    else
        loop_timer_set(loop, &dispatch->timer, at_ms);
}

/* ---- failing ---- */

/* Nothing is under way any more. */
static void finish(struct dispatch *dispatch)
{
    if (dispatch->state != DISPATCH_DONE)
        dispatch_enter(dispatch, DISPATCH_DONE);
    loop_timer_clear(dispatch->context->loop, &dispatch->timer);
    loop_task_cancel(dispatch->context->loop, &dispatch->fail_task);
    body_check_cancel(&dispatch->context->checks, &dispatch->check);
}

static void run_fail(void *owner)
{
    struct dispatch *dispatch = owner;
    finish(dispatch);
    dispatch->stream.events->on_failed(dispatch->stream.owner, dispatch->fault);
}

static void fail(struct dispatch *dispatch, enum fault fault)
{
    dispatch->fault = fault;
    bool is_in_verb = dispatch->state == DISPATCH_BEGINNING;
    dispatch_enter(dispatch, DISPATCH_FAILING);
    if (is_in_verb)
        loop_defer(dispatch->context->loop, &dispatch->fail_task);
    else
        run_fail(dispatch);
}

/* ---- again or give up ---- */

static bool is_fan_out(const struct dispatch *dispatch)
{
    return dispatch->choice.target == CHOICE_FAN_OUT;
}

static bool has_untried(const struct dispatch *dispatch)
{
    return choice_has_untried(&dispatch->choice, dispatch->lease, &dispatch->tried);
}

/* Every node that could answer was asked, the present one included; or one of them is away and might know more. */
static bool is_last_of_all(const struct dispatch *dispatch)
{
    return dispatch->answered + 1 >= choice_count(&dispatch->choice, dispatch->lease);
}

/* Of the attempt that is under way, or of the one that is over. */
static bool request_has_left(const struct dispatch *dispatch)
{
    const struct attempt *attempt = &dispatch->attempt;
    return attempt->state == ATTEMPT_NONE ? attempt->progress == ATTEMPT_LEFT : attempt_has_left(attempt);
}

static unsigned facts_of(const struct dispatch *dispatch, bool is_timestamped)
{
    /* In a fan-out each node must answer for itself. */
    bool is_elsewhere_possible = !is_fan_out(dispatch) && has_untried(dispatch);
    return (dispatch->state == DISPATCH_RELAYING ? RETRY_COMMITTED : 0u) |
           (dispatch->request.body.state == BODY_KEPT ? RETRY_BODY_IS_KEPT : 0u) |
           (request_has_left(dispatch) ? RETRY_REQUEST_HAS_LEFT : 0u) | (is_timestamped ? RETRY_IS_TIMESTAMPED : 0u) |
           (dispatch->attempt.link_was_reused ? RETRY_LINK_WAS_REUSED : 0u) | (is_elsewhere_possible ? RETRY_OTHERS_USABLE : 0u);
}

static struct retry_question make_question(const struct dispatch *dispatch, enum fault fault, bool is_timestamped)
{
    return (struct retry_question){
        .fault = fault,
        .class = dispatch->choice.kind.class,
        .repeat = dispatch->choice.kind.route->repeat,
        .facts = facts_of(dispatch, is_timestamped),
        .attempts = dispatch->attempt.number - dispatch->attempts_before,
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

static void after_fault(struct dispatch *dispatch, enum fault fault);

static void try_node(struct dispatch *dispatch, unsigned index, bool wants_fresh_link)
{
    node_set_add(&dispatch->tried, index);
    if (is_fan_out(dispatch))
        dispatch->question.kind = is_last_of_all(dispatch) && !has_untried(dispatch) ? SCREEN_FAN_OUT_LAST : SCREEN_FAN_OUT;
    if (dispatch->state == DISPATCH_CHECKING)
        dispatch_enter(dispatch, DISPATCH_TRYING);
    enum fault fault = attempt_start(&dispatch->attempt, dispatch->lease->epoch->nodes[index], wants_fresh_link);
    if (fault != FAULT_NONE) {
        after_fault(dispatch, fault);
        return;
    }
    arm(dispatch);
    dispatch_note_pace(dispatch);
    /* The owner may have stopped while there was nobody to take more. */
    if (dispatch->state == DISPATCH_TRYING && !attempt_is_congested(&dispatch->attempt))
        dispatch->stream.events->on_drained(dispatch->stream.owner);
}

static void try_next(struct dispatch *dispatch)
{
    const struct node_set *tried = dispatch->attempt.number == 0 ? NULL : &dispatch->tried;
    int index = choice_pick(&dispatch->choice, dispatch->lease, dispatch->context, dispatch->request.head->path, tried);
    if (index < 0)
        fail(dispatch, dispatch->fault != FAULT_NONE ? dispatch->fault : FAULT_NO_NODE);
    else
        try_node(dispatch, (unsigned)index, false);
}

static void decide(struct dispatch *dispatch, enum fault fault)
{
    struct retry_question question = make_question(dispatch, fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    switch (retry_decide(&question)) {
    case RETRY_AGAIN_HERE:
        try_node(dispatch, (unsigned)epoch_find(dispatch->lease->epoch, dispatch->attempt.node), true);
        break;
    case RETRY_AGAIN_ELSEWHERE:
        try_next(dispatch);
        break;
    case RETRY_GIVE_UP:
        fail(dispatch, is_fan_out(dispatch) ? FAULT_FAN_OUT_INCOMPLETE : fault);
        break;
    }
}

/* One may be under way, since the node was lost that the attempt was on. */
static bool start_check(struct dispatch *dispatch)
{
    return body_check_is_under_way(&dispatch->check) ||
           body_check_start(&dispatch->context->checks, &dispatch->check, body_text(&dispatch->request.body),
                            request_is_gzip(&dispatch->request));
}

static void begin_check(struct dispatch *dispatch)
{
    if (start_check(dispatch)) {
        dispatch_enter(dispatch, DISPATCH_CHECKING);
        arm(dispatch);
        return;
    }
    dispatch->timestamps = TIMESTAMP_DOUBT;
    decide(dispatch, dispatch->fault);
}

static void on_checked(void *owner, enum timestamp_result result)
{
    struct dispatch *dispatch = owner;
    dispatch->timestamps = result;
    if (dispatch->state == DISPATCH_CHECKING)
        decide(dispatch, dispatch->fault);
}

/* The attempt is over with a fault, and nothing has gone to the owner. */
static void after_fault(struct dispatch *dispatch, enum fault fault)
{
    dispatch->fault = fault;
    if (needs_check(dispatch, fault))
        begin_check(dispatch);
    else
        decide(dispatch, fault);
}

/* ---- the attempt's events ---- */

static void on_attempt_drained(void *owner)
{
    struct dispatch *dispatch = owner;
    dispatch_note_pace(dispatch);
    arm(dispatch);
    dispatch->stream.events->on_drained(dispatch->stream.owner);
}

static void on_attempt_interim(void *owner, const struct message_head *head)
{
    struct dispatch *dispatch = owner;
    dispatch->stream.events->on_interim(dispatch->stream.owner, head);
}

static void on_attempt_head(void *owner, const struct message_head *head)
{
    struct dispatch *dispatch = owner;
    dispatch_enter(dispatch, DISPATCH_RELAYING);
    body_check_cancel(&dispatch->context->checks, &dispatch->check);
    if (head->status < 500)
        choice_remember(&dispatch->choice, dispatch->context, dispatch->request.head->path, dispatch->attempt.node);
    arm(dispatch);
    dispatch->stream.events->on_head(dispatch->stream.owner, head);
}

static void on_attempt_data(void *owner, struct text bytes)
{
    struct dispatch *dispatch = owner;
    dispatch->stream.events->on_data(dispatch->stream.owner, bytes);
}

static void on_attempt_trailers(void *owner, const struct message_head *trailers)
{
    struct dispatch *dispatch = owner;
    dispatch->stream.events->on_trailers(dispatch->stream.owner, trailers);
}

static bool can_sweep_on(const struct dispatch *dispatch)
{
    return dispatch->request.body.state == BODY_KEPT && has_untried(dispatch);
}

static bool on_attempt_screened(void *owner, enum screen_result verdict, bool is_cut)
{
    struct dispatch *dispatch = owner;
    struct retry_question question;
    switch (verdict) {
    case SCREEN_IS_UNAVAILABLE:
        dispatch->question.kind = SCREEN_CALL_AGAIN;
        question = make_question(dispatch, FAULT_UPSTREAM_UNAVAILABLE, false);
        return retry_decide(&question) != RETRY_AGAIN_ELSEWHERE;
    case SCREEN_IS_PART:
        /* A node that is down has missed it: the caller must know. */
        return !can_sweep_on(dispatch) && !is_cut && is_last_of_all(dispatch);
    case SCREEN_IS_REFUSAL:
        return dispatch_policy(dispatch)->refusal == POLICY_REFUSAL_ENGINE && !can_sweep_on(dispatch) && is_last_of_all(dispatch);
    case SCREEN_IS_ANSWER:
        break;
    }
    return true;
}

/* The node has given an answer that is not the client's: the next one of the sweep. False: none is left. */
static bool sweep_on(struct dispatch *dispatch)
{
    dispatch->answered++;
    if (!can_sweep_on(dispatch))
        return false;
    dispatch->fault = FAULT_NONE;
    dispatch->attempts_before = dispatch->attempt.number;
    try_next(dispatch);
    return true;
}

static void on_attempt_outcome(void *owner, enum attempt_outcome outcome, enum fault fault)
{
    struct dispatch *dispatch = owner;
    loop_timer_clear(dispatch->context->loop, &dispatch->timer);
    switch (outcome) {
    case ATTEMPT_ANSWERED:
        finish(dispatch);
        dispatch->stream.events->on_end(dispatch->stream.owner);
        break;
    case ATTEMPT_PART:
        if (!sweep_on(dispatch))
            fail(dispatch, dispatch->request.body.state == BODY_LOST ? FAULT_REPLAY_TOO_LARGE : FAULT_FAN_OUT_INCOMPLETE);
        break;
    case ATTEMPT_REFUSED:
        if (dispatch_policy(dispatch)->refusal != POLICY_REFUSAL_ENGINE || !sweep_on(dispatch))
            after_fault(dispatch, fault);
        break;
    case ATTEMPT_UNAVAILABLE:
        dispatch->fault = fault;
        try_next(dispatch);
        break;
    case ATTEMPT_FAILED:
        if (dispatch->state == DISPATCH_RELAYING)
            fail(dispatch, fault);
        else
            after_fault(dispatch, fault);
        break;
    case ATTEMPT_CANCELLED:
        break;
    }
}

/*
 * What may be repeated goes elsewhere now, for all the time that its own limit would still give it. What may not goes on, since its node may have
 * an answer after all. A write's timestamps are looked at meanwhile; then this comes again.
 */
static void leave_node(struct dispatch *dispatch, enum fault fault)
{
    if (dispatch->state != DISPATCH_TRYING)
        return;
    if (needs_check(dispatch, fault)) {
        if (!start_check(dispatch))
            dispatch->timestamps = TIMESTAMP_DOUBT;
        return;
    }
    struct retry_question question = make_question(dispatch, fault, dispatch->timestamps == TIMESTAMP_EACH_LINE);
    if (retry_decide(&question) != RETRY_AGAIN_ELSEWHERE)
        return;
    attempt_end(&dispatch->attempt, ATTEMPT_FAILED, fault);
    on_attempt_outcome(dispatch, ATTEMPT_FAILED, fault);
}

/* Nothing is to be expected of the node. */
static void on_attempt_lost(void *owner)
{
    struct dispatch *dispatch = owner;
    leave_node(dispatch, dispatch->attempt.state == ATTEMPT_WAITING ? FAULT_QUEUE_TIMEOUT : FAULT_UPSTREAM_TIMEOUT);
}

/* A write that its node keeps for longer than another one would have taken. */
static void on_attempt_waiting(void *owner, uint64_t waited_ms)
{
    struct dispatch *dispatch = owner;
    if (dispatch_policy(dispatch)->deadline != POLICY_DEADLINE_WRITE || waited_ms < SLOW_WRITE_MINIMUM_MS || dispatch->lease == NULL)
        return;
    struct slow_write_question question = {
        .waited_ms = waited_ms,
        .own = atomic_load_explicit(&dispatch->attempt.node->write_average, memory_order_relaxed),
        .other = choice_quickest_write(&dispatch->choice, dispatch->lease, &dispatch->tried),
    };
    if (slow_write_is_late(&question))
        leave_node(dispatch, FAULT_UPSTREAM_TIMEOUT);
}

static const struct attempt_events attempt_events = {
    .on_drained = on_attempt_drained,
    .on_interim = on_attempt_interim,
    .on_head = on_attempt_head,
    .on_data = on_attempt_data,
    .on_trailers = on_attempt_trailers,
    .on_screened = on_attempt_screened,
    .on_lost = on_attempt_lost,
    .on_waiting = on_attempt_waiting,
    .on_outcome = on_attempt_outcome,
};

/* Bytes move the limit without touching the timer: it looks again. */
static void on_deadline(void *owner)
{
    static const enum fault faults[] = {
        [ATTEMPT_NONE] = FAULT_NONE,
        [ATTEMPT_WAITING] = FAULT_QUEUE_TIMEOUT,
        [ATTEMPT_OPEN] = FAULT_UPSTREAM_TIMEOUT,
        [ATTEMPT_HOLDING] = FAULT_UPSTREAM_TIMEOUT,
        [ATTEMPT_AWAITING_TRAILERS] = FAULT_UPSTREAM_STALLED,
        [ATTEMPT_RELAYING] = FAULT_UPSTREAM_STALLED,
    };
    struct dispatch *dispatch = owner;
    uint64_t at_ms = dispatch_due_at_ms(dispatch);
    if (at_ms == 0 || dispatch_now_ms(dispatch) < at_ms) {
        arm(dispatch);
        return;
    }
    enum attempt_state state = dispatch->attempt.state;
    if (state == ATTEMPT_NONE) {
        fail(dispatch, dispatch->fault);
        return;
    }
    attempt_end(&dispatch->attempt, ATTEMPT_FAILED, faults[state]);
    on_attempt_outcome(dispatch, ATTEMPT_FAILED, faults[state]);
}

/* ---- the owner's verbs ---- */

static void send_head(struct stream *stream, const struct message_head *head)
{
    (void)head; /* the one that the dispatch was opened with */
    struct dispatch *dispatch = dispatch_of(stream);
    dispatch_enter(dispatch, DISPATCH_BEGINNING);
    try_next(dispatch);
    if (dispatch->state == DISPATCH_BEGINNING)
        dispatch_enter(dispatch, DISPATCH_TRYING);
}

static void send_nothing(struct stream *stream, const struct message_head *head)
{
    (void)stream;
    (void)head;
}

/* Within a verb: what the attempt needs could not be kept. */
static void fail_for_memory(struct dispatch *dispatch)
{
    attempt_end(&dispatch->attempt, ATTEMPT_CANCELLED, FAULT_OUT_OF_MEMORY);
    dispatch_enter(dispatch, DISPATCH_FAILING);
    dispatch->fault = FAULT_OUT_OF_MEMORY;
    loop_defer(dispatch->context->loop, &dispatch->fail_task);
}

static void send_data(struct stream *stream, struct text bytes)
{
    struct dispatch *dispatch = dispatch_of(stream);
    const struct topology_limits *limits = &dispatch_topology(dispatch)->limits;
    struct body_limits body_limits = {
        .each_bytes = limits->replay_bytes,
        .all_bytes = limits->replay_total_bytes,
        .kept_bytes = &dispatch->context->roster->kept_body_bytes,
    };
    dispatch_move_deadline(dispatch);
    if (!body_append(&dispatch->request.body, bytes, &body_limits, attempt_is_behind(&dispatch->attempt))) {
        fail_for_memory(dispatch);
        return;
    }
    attempt_feed(&dispatch->attempt, bytes);
    dispatch_note_pace(dispatch);
    if (attempt_is_congested(&dispatch->attempt))
        arm(dispatch);
}

static void send_trailers(struct stream *stream, const struct message_head *trailers)
{
    struct dispatch *dispatch = dispatch_of(stream);
    dispatch->request.trailers = message_head_copy(trailers, loop_slab(dispatch->context->loop));
    if (dispatch->request.trailers == NULL && dispatch->state != DISPATCH_DONE)
        fail_for_memory(dispatch);
}

static void send_end(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    dispatch->request.is_complete = true;
    dispatch_move_deadline(dispatch);
    attempt_feed(&dispatch->attempt, TEXT_EMPTY);
    if (dispatch->state == DISPATCH_TRYING)
        arm(dispatch);
}

static void pause_answer(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    if (dispatch->is_paused)
        return;
    dispatch->is_paused = true;
    attempt_pause(&dispatch->attempt);
    arm(dispatch);
}

static void resume_answer(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    if (!dispatch->is_paused)
        return;
    dispatch->is_paused = false;
    if (dispatch->attempt.state == ATTEMPT_NONE)
        return;
    attempt_resume(&dispatch->attempt);
    arm(dispatch);
}

static bool is_congested(const struct stream *stream)
{
    const struct dispatch *dispatch = reading_dispatch_of(stream);
    bool is_over = dispatch->state == DISPATCH_DONE || dispatch->state == DISPATCH_FAILING;
    return !is_over && attempt_is_congested(&dispatch->attempt);
}

static bool has_left(const struct stream *stream)
{
    return attempt_has_left(&reading_dispatch_of(stream)->attempt);
}

static void reset(struct stream *stream, enum fault fault)
{
    struct dispatch *dispatch = dispatch_of(stream);
    attempt_end(&dispatch->attempt, ATTEMPT_CANCELLED, fault);
    finish(dispatch);
}

static void destroy_dispatch(void *object)
{
    struct dispatch *dispatch = object;
    struct slab *slab = loop_slab(dispatch->context->loop);
    if (dispatch->kept_node != NULL)
        roster_node_release(dispatch->kept_node);
    slab_give(slab, dispatch->request.trailers);
    slab_give(slab, dispatch);
}

static void release(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    reset(stream, FAULT_NONE);
    body_drop(&dispatch->request.body, &dispatch->context->roster->kept_body_bytes);
    loop_bury(dispatch->context->loop, dispatch, destroy_dispatch);
}

static const struct stream_verbs dispatch_verbs = {
    .send_head = send_head,
    .send_interim = send_nothing,
    .send_data = send_data,
    .send_trailers = send_trailers,
    .send_end = send_end,
    .pause = pause_answer,
    .resume = resume_answer,
    .is_congested = is_congested,
    .has_left = has_left,
    .reset = reset,
    .release = release,
};

/* ---- opening ---- */

static void fill(struct dispatch *dispatch, struct dispatch_context *context, const struct dispatch_request *request)
{
    dispatch->stream.verbs = &dispatch_verbs;
    dispatch->context = context;
    dispatch->lease = request->lease;
    dispatch->choice.kind = (struct lease_kind){.class = request->class, .route = request->route, .needs_http2 = request->is_grpc};
    dispatch->request = (struct request){
        .head = request->head,
        .origin = request->origin,
        .is_grpc = request->is_grpc,
        .is_complete = request->head->body == BODY_NONE,
        .started_ms = request->started_ms,
        .call_deadline_ms = request->call_deadline_ms,
    };
    dispatch->deadline_ms = request->call_deadline_ms;
    if (dispatch_policy(dispatch)->deadline == POLICY_DEADLINE_WRITE)
        dispatch->deadline_ms = request->started_ms + dispatch_topology(dispatch)->timeouts.write_deadline_ms;
    dispatch->attempt.context = context;
    dispatch->attempt.topology = request->lease->epoch->topology;
    dispatch->attempt.request = &dispatch->request;
    dispatch->attempt.question = &dispatch->question;
    dispatch->attempt.class = request->class;
    dispatch->attempt.events = &attempt_events;
    dispatch->attempt.owner = dispatch;
    dispatch->check.on_checked = on_checked;
    dispatch->check.owner = dispatch;
    loop_timer_init(&dispatch->timer, on_deadline, dispatch);
    loop_task_init(&dispatch->fail_task, run_fail, dispatch);
}

struct stream *dispatch_open(struct dispatch_context *context, const struct dispatch_request *request, enum fault *fault)
{
    struct slab *slab = loop_slab(context->loop);
    struct dispatch *dispatch = slab_take_zeroed(slab, sizeof *dispatch);
    *fault = FAULT_OUT_OF_MEMORY;
    if (dispatch == NULL)
        return NULL;
    fill(dispatch, context, request);
    *fault = choice_begin(&dispatch->choice, request->lease, request->head);
    if (*fault != FAULT_NONE) {
        slab_give(slab, dispatch);
        return NULL;
    }
    enum screen_kind kind = request->is_grpc ? SCREEN_CALL : SCREEN_ORDINARY;
    dispatch->question = (struct screen_question){.class = request->class, .kind = is_fan_out(dispatch) ? SCREEN_FAN_OUT : kind};
    return &dispatch->stream;
}

bool dispatch_has_node(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    return has_untried(dispatch);
}

void dispatch_leave_epoch(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    if (dispatch->lease == NULL)
        return;
    dispatch->lease = NULL;
    dispatch->kept_node = dispatch->attempt.node;
    if (dispatch->kept_node != NULL)
        roster_node_retain(dispatch->kept_node);
}
