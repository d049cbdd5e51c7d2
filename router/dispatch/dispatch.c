#include "dispatch/dispatch.h"

#include "base/slab.h"
#include "dispatch/again.h"
#include "dispatch/deadlines.h"
#include "dispatch/hedge.h"
#include "observe/metrics.h"
#include "routing/policy.h"

/* The call that reads. */
#define DO_GET "/arrow.flight.protocol.FlightService/DoGet"

static struct dispatch *dispatch_of(struct stream *stream)
{
    return (struct dispatch *)stream;
}

static const struct dispatch *reading_dispatch_of(const struct stream *stream)
{
    return (const struct dispatch *)(const void *)stream;
}

/* ---- the attempt's events ---- */

static void on_attempt_drained(void *owner)
{
    struct dispatch *dispatch = owner;
    dispatch_note_pace(dispatch);
    dispatch_arm(dispatch);
    dispatch->stream.events->on_drained(dispatch->stream.owner);
}

static void on_attempt_interim(void *owner, const struct message_head *head)
{
    struct dispatch *dispatch = owner;
    dispatch->stream.events->on_interim(dispatch->stream.owner, head);
}

/* Nothing is repeated from here on. */
static void commit(struct dispatch *dispatch)
{
    dispatch_enter(dispatch, DISPATCH_RELAYING);
    body_check_cancel(&dispatch->context->checks, &dispatch->check);
    dispatch_settle_epoch(dispatch);
    dispatch_arm(dispatch);
}

/* The owner has a head of an attempt before: this one only goes on with it. */
static void join(struct dispatch *dispatch, const struct message_head *head)
{
    if (head->status != 200) {
        attempt_end(dispatch->attempt, ATTEMPT_FAILED, FAULT_UPSTREAM_FAILED);
        dispatch_fail(dispatch, FAULT_UPSTREAM_FAILED);
    } else if (head->body == BODY_NONE) {
        dispatch->stream.events->on_trailers(dispatch->stream.owner, head);
    }
}

static void on_attempt_head(void *owner, const struct message_head *head)
{
    struct dispatch *dispatch = owner;
    bool is_first = !dispatch->is_begun;
    dispatch->is_begun = true;
    hedge_settle(dispatch);
    if (head->status < 500)
        choice_remember(&dispatch->choice, dispatch->context, dispatch->request.head->path, dispatch->attempt->node);
    if (attempt_is_committed(dispatch->attempt))
        commit(dispatch);
    else
        dispatch_arm(dispatch);
    if (is_first)
        dispatch->stream.events->on_head(dispatch->stream.owner, head);
    else
        join(dispatch, head);
}

static void on_attempt_settled(void *owner)
{
    commit(owner);
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

/* Why a fan-out ends before its last node. All requests together may have kept too much for this one: then it is not the one that is too large. */
static enum fault fault_of_sweep(const struct dispatch *dispatch)
{
    const struct body *body = &dispatch->request.body;
    if (body->state != BODY_LOST)
        return FAULT_FAN_OUT_INCOMPLETE;
    return body->total_bytes > dispatch_topology(dispatch)->limits.replay_bytes ? FAULT_REPLAY_TOO_LARGE : FAULT_OUT_OF_MEMORY;
}

static void on_attempt_outcome(void *owner, enum attempt_outcome outcome, enum fault fault)
{
    struct dispatch *dispatch = owner;
    loop_timer_clear(dispatch->context->loop, &dispatch->timer);
    switch (outcome) {
    case ATTEMPT_ANSWERED:
        dispatch_finish(dispatch);
        dispatch->stream.events->on_end(dispatch->stream.owner);
        break;
    case ATTEMPT_PART:
        if (!dispatch_sweep_on(dispatch))
            dispatch_fail(dispatch, fault_of_sweep(dispatch));
        break;
    case ATTEMPT_REFUSED:
        if (hedge_take_over(dispatch))
            dispatch_arm(dispatch);
        else if (dispatch_policy(dispatch)->refusal != POLICY_REFUSAL_ENGINE || !dispatch_sweep_on(dispatch))
            dispatch_after_fault(dispatch, fault);
        break;
    case ATTEMPT_ERRED:
    case ATTEMPT_FAILED:
        if (dispatch->state == DISPATCH_RELAYING)
            dispatch_fail(dispatch, fault);
        else if (hedge_take_over(dispatch))
            dispatch_arm(dispatch);
        else
            dispatch_after_fault(dispatch, fault);
        break;
    case ATTEMPT_CANCELLED:
        break;
    }
}

/* Nothing is to be expected of the node. */
static void on_attempt_lost(void *owner)
{
    struct dispatch *dispatch = owner;
    dispatch_leave_node(dispatch, dispatch->attempt->state == ATTEMPT_WAITING ? FAULT_QUEUE_TIMEOUT : FAULT_UPSTREAM_TIMEOUT);
}

/* A write that its node keeps for longer than another one would have taken. */
static void on_attempt_waiting(void *owner, uint64_t waited_ms)
{
    struct dispatch *dispatch = owner;
    if (dispatch_policy(dispatch)->deadline != POLICY_DEADLINE_WRITE || waited_ms < SLOW_WRITE_MINIMUM_MS || dispatch->lease == NULL)
        return;
    struct slow_write_question question = {
        .waited_ms = waited_ms,
        .own = atomic_load_explicit(&dispatch->attempt->node->write_average, memory_order_relaxed),
        .other = choice_quickest_write(&dispatch->choice, dispatch->lease, &dispatch->tried),
    };
    if (slow_write_is_late(&question))
        dispatch_leave_node(dispatch, FAULT_UPSTREAM_TIMEOUT);
}

static const struct attempt_events attempt_events = {
    .on_drained = on_attempt_drained,
    .on_interim = on_attempt_interim,
    .on_head = on_attempt_head,
    .on_settled = on_attempt_settled,
    .on_data = on_attempt_data,
    .on_trailers = on_attempt_trailers,
    .on_screened = dispatch_judge,
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
        [ATTEMPT_BEGUN] = FAULT_UPSTREAM_STALLED,
        [ATTEMPT_AWAITING_TRAILERS] = FAULT_UPSTREAM_STALLED,
        [ATTEMPT_RELAYING] = FAULT_UPSTREAM_STALLED,
    };
    struct dispatch *dispatch = owner;
    uint64_t at_ms = dispatch_due_at_ms(dispatch);
    if (at_ms == 0 || dispatch_now_ms(dispatch) < at_ms) {
        dispatch_arm(dispatch);
        return;
    }
    uint64_t hedge_ms = hedge_at_ms(dispatch);
    if (hedge_ms != 0 && dispatch_now_ms(dispatch) >= hedge_ms) {
        hedge_begin(dispatch);
        dispatch_arm(dispatch);
        return;
    }
    uint64_t settles_ms = dispatch_settles_at_ms(dispatch);
    if (settles_ms != 0 && dispatch_now_ms(dispatch) >= settles_ms) {
        attempt_settle(dispatch->attempt);
        return;
    }
    enum attempt_state state = dispatch->attempt->state;
    if (state == ATTEMPT_NONE || dispatch->state == DISPATCH_CHECKING) {
        if (dispatch->state == DISPATCH_WAITING)
            metrics_add(&dispatch->context->metrics->retries_expired, 1);
        attempt_end(dispatch->attempt, ATTEMPT_ERRED, dispatch->fault);
        dispatch_fail(dispatch, dispatch->fault);
        return;
    }
    attempt_end(dispatch->attempt, ATTEMPT_FAILED, faults[state]);
    on_attempt_outcome(dispatch, ATTEMPT_FAILED, faults[state]);
}

/* ---- the owner's verbs ---- */

/* Within a verb. */
static void begin(struct dispatch *dispatch)
{
    dispatch_enter(dispatch, DISPATCH_BEGINNING);
    dispatch_try_next(dispatch);
    if (dispatch->state == DISPATCH_BEGINNING)
        dispatch_enter(dispatch, DISPATCH_TRYING);
}

static void send_head(struct stream *stream, const struct message_head *head)
{
    (void)head; /* the one that the dispatch was opened with */
    struct dispatch *dispatch = dispatch_of(stream);
    /* Where there is no node the client hears so before it sends what nobody takes. */
    bool is_read_first = !dispatch->request.is_complete && !dispatch->request.is_grpc &&
                         dispatch_topology(dispatch)->limits.request_buffer_bytes > 0 && dispatch_has_untried(dispatch);
    if (is_read_first)
        dispatch_enter(dispatch, DISPATCH_BUFFERING);
    else
        begin(dispatch);
}

static void send_nothing(struct stream *stream, const struct message_head *head)
{
    (void)stream;
    (void)head;
}

/* Within a verb: what the attempt needs could not be kept. */
static void fail_for_memory(struct dispatch *dispatch)
{
    attempt_end(dispatch->attempt, ATTEMPT_CANCELLED, FAULT_OUT_OF_MEMORY);
    dispatch_enter(dispatch, DISPATCH_FAILING);
    dispatch->fault = FAULT_OUT_OF_MEMORY;
    loop_defer(dispatch->context->loop, &dispatch->fail_task);
}

/* May so much more be kept, of this request and of all? */
static bool may_keep(const struct dispatch *dispatch, const struct body_limits *limits, size_t bytes)
{
    return dispatch->request.body.length + bytes <= limits->each_bytes &&
           atomic_load_explicit(limits->kept_bytes, memory_order_relaxed) + bytes <= limits->all_bytes;
}

static void send_data(struct stream *stream, struct text bytes)
{
    struct dispatch *dispatch = dispatch_of(stream);
    const struct topology_limits *limits = &dispatch_topology(dispatch)->limits;
    struct body_limits body_limits = {
        .each_bytes = limits->replay_bytes,
        .all_bytes = roster_kept_body_maximum(dispatch->context->roster, limits->replay_total_bytes),
        .kept_bytes = &dispatch->context->roster->kept_body_bytes,
    };
    dispatch_move_deadline(dispatch);
    if (dispatch->state == DISPATCH_BUFFERING && !may_keep(dispatch, &body_limits, bytes.length))
        begin(dispatch);
    bool is_needed = dispatch->state == DISPATCH_BUFFERING || attempt_is_behind(dispatch->attempt);
    if (!body_append(&dispatch->request.body, bytes, &body_limits, is_needed)) {
        fail_for_memory(dispatch);
        return;
    }
    if (dispatch->state == DISPATCH_BUFFERING) {
        if (dispatch->request.body.length >= limits->request_buffer_bytes)
            begin(dispatch);
        return;
    }
    attempt_feed(dispatch->attempt, bytes);
    dispatch_note_pace(dispatch);
    if (attempt_is_congested(dispatch->attempt))
        dispatch_arm(dispatch);
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
    if (dispatch->state == DISPATCH_BUFFERING) {
        begin(dispatch);
        return;
    }
    attempt_feed(dispatch->attempt, TEXT_EMPTY);
    if (dispatch->state == DISPATCH_TRYING)
        dispatch_arm(dispatch);
}

static void pause_answer(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    if (dispatch->is_paused)
        return;
    dispatch->is_paused = true;
    attempt_pause(dispatch->attempt);
    dispatch_arm(dispatch);
}

static void resume_answer(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    if (!dispatch->is_paused)
        return;
    dispatch->is_paused = false;
    if (dispatch->attempt->state == ATTEMPT_NONE)
        return;
    attempt_resume(dispatch->attempt);
    dispatch_arm(dispatch);
}

static bool is_congested(const struct stream *stream)
{
    const struct dispatch *dispatch = reading_dispatch_of(stream);
    bool takes_all = dispatch->state == DISPATCH_BUFFERING || dispatch->state == DISPATCH_DONE || dispatch->state == DISPATCH_FAILING;
    return !takes_all && attempt_is_congested(dispatch->attempt);
}

static bool has_left(const struct stream *stream)
{
    return attempt_has_left(reading_dispatch_of(stream)->attempt);
}

static void reset(struct stream *stream, enum fault fault)
{
    struct dispatch *dispatch = dispatch_of(stream);
    attempt_end(dispatch->attempt, ATTEMPT_CANCELLED, fault);
    dispatch_finish(dispatch);
}

static void destroy_dispatch(void *object)
{
    struct dispatch *dispatch = object;
    struct slab *slab = loop_slab(dispatch->context->loop);
    if (dispatch->kept_node != NULL)
        roster_node_release(dispatch->kept_node);
    slab_give(slab, dispatch->request.trailers);
    slab_give(slab, dispatch->second);
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
    dispatch->choice.kind = (struct lease_kind){.class = request->class, .route = request->route, .needs_http2 = request->is_grpc,
                                              .now_ms = loop_now_ms(context->loop)};
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
    dispatch->attempt = &dispatch->first;
    dispatch->first.context = context;
    dispatch->first.topology = request->lease->epoch->topology;
    dispatch->first.request = &dispatch->request;
    dispatch->first.question = &dispatch->question;
    dispatch->first.class = request->class;
    dispatch->first.capabilities = request->route->capabilities;
    dispatch->first.events = &attempt_events;
    dispatch->first.owner = dispatch;
    dispatch->check.on_checked = dispatch_on_checked;
    dispatch->check.owner = dispatch;
    dispatch->repeat.on_token = dispatch_on_token;
    dispatch->repeat.owner = dispatch;
    loop_timer_init(&dispatch->timer, on_deadline, dispatch);
    loop_task_init(&dispatch->fail_task, dispatch_run_fail, dispatch);
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
    enum screen_kind call = text_equals(request->head->path, TEXT(DO_GET)) ? SCREEN_CALL_READS : SCREEN_CALL;
    enum screen_kind kind = request->is_grpc ? call : SCREEN_ORDINARY;
    dispatch->question = (struct screen_question){.class = request->class, .repeat = request->route->repeat,
                                                .kind = dispatch->choice.target == CHOICE_FAN_OUT ? SCREEN_FAN_OUT : kind};
    repeats_count_request(&context->repeats);
    return &dispatch->stream;
}

bool dispatch_has_node(struct stream *stream)
{
    struct dispatch *dispatch = dispatch_of(stream);
    return dispatch_has_untried(dispatch);
}

void dispatch_leave_epoch(struct stream *stream)
{
    dispatch_let_epoch_go(dispatch_of(stream));
}
