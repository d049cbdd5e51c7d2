#include "dispatch/attempt.h"

#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/slab.h"
#include "dispatch/dispatch.h"
#include "dispatch/outcome.h"
#include "http/grpc.h"
#include "http/link.h"
#include "net/loop.h"
#include "observe/metrics.h"
#include "upstream/roster.h"

/* The body is pulled in pieces of this size, as long as the node takes them. */
#define PIECE_BYTES 65536

/* An answer that is kept back until its body has shown what it means. */
struct held_answer {
    struct message_head *head;     /* owned copy */
    struct message_head *trailers; /* owned copy, or NULL */
    bool is_cut;                   /* more came than fits, and was dropped: it must not be relayed */
    size_t length;
    char body[ANSWER_WORDS_BYTES];
};

static uint64_t now_ms(const struct attempt *attempt)
{
    return loop_now_ms(attempt->context->loop);
}

static const char *const state_names[] = {"none", "waiting", "open", "holding", "begun", "awaiting_trailers", "relaying"};

#define TO(state) MACHINE_TO(ATTEMPT_##state)
static const uint32_t moves[] = {
    [ATTEMPT_NONE] = TO(WAITING),
    [ATTEMPT_WAITING] = TO(OPEN) | TO(NONE),
    [ATTEMPT_OPEN] = TO(HOLDING) | TO(BEGUN) | TO(AWAITING_TRAILERS) | TO(RELAYING) | TO(NONE),
    [ATTEMPT_HOLDING] = TO(RELAYING) | TO(NONE),
    [ATTEMPT_BEGUN] = TO(AWAITING_TRAILERS) | TO(NONE),
    [ATTEMPT_AWAITING_TRAILERS] = TO(RELAYING) | TO(NONE),
    [ATTEMPT_RELAYING] = TO(NONE),
};
#undef TO

static const struct machine attempt_machine = {"attempt", state_names, moves};

/* The only writer of the state. */
static void enter(struct attempt *attempt, enum attempt_state next)
{
    machine_check(&attempt_machine, attempt->state, next);
    if (log_is_enabled(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "event=attempt id=%.*s class=%s node=%s number=%u from=%s to=%s",
                 (int)attempt->request->origin.request_id.length, attempt->request->origin.request_id.bytes,
                 request_class_name(attempt->class), attempt->node->node_id, attempt->number,
                 state_names[attempt->state], state_names[next]);
    attempt->state = next;
}

/* ---- the end ---- */

static void drop_held(struct attempt *attempt)
{
    struct slab *slab = loop_slab(attempt->context->loop);
    if (attempt->held == NULL)
        return;
    slab_give(slab, attempt->held->head);
    slab_give(slab, attempt->held->trailers);
    slab_give(slab, attempt->held);
    attempt->held = NULL;
}

void attempt_end(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    struct dispatch_context *context = attempt->context;
    if (attempt->state == ATTEMPT_NONE)
        return;
    if (attempt_has_left(attempt))
        attempt->progress = ATTEMPT_LEFT;
    attempt->link_is_spent = outcome == ATTEMPT_FAILED && attempt->link != NULL && link_is_spent(attempt->link);
    outcome_count(attempt, outcome, fault);
    attempt->purpose = ATTEMPT_FOR_ITSELF;
    enter(attempt, ATTEMPT_NONE);
    vigil_end(&context->vigils, &attempt->vigil);
    context->pool_verbs->cancel(context->pool, &attempt->ticket);
    if (attempt->stream != NULL)
        stream_release(attempt->stream);
    attempt->stream = NULL;
    if (attempt->link != NULL)
        context->pool_verbs->give(context->pool, attempt->link, &attempt->ticket);
    attempt->link = NULL;
    drop_held(attempt);
    first_message_drop(&attempt->first, loop_slab(context->loop));
    /* The link that it was on has gone with it, or asks by itself; the others may lead into the same silence. */
    if (fault == FAULT_UPSTREAM_TIMEOUT || fault == FAULT_LINK_SILENT)
        context->pool_verbs->suspect(context->pool, attempt->node);
}

/* The attempt is over by itself: the owner hears of it. */
static void end_with(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    attempt_end(attempt, outcome, fault);
    attempt->events->on_outcome(attempt->owner, outcome, fault);
}

/* ---- the request's way to the node ---- */

/* Everything that has come has been given to the stream. */
static bool is_in_step(const struct attempt *attempt)
{
    return attempt->sent_bytes == attempt->request->body.total_bytes;
}

static void send_end(struct attempt *attempt)
{
    if (attempt->progress == ATTEMPT_SENT || !attempt->request->is_complete || !is_in_step(attempt))
        return;
    attempt->progress = ATTEMPT_SENT;
    request_send_trailers(attempt->request, attempt->context->fields, attempt->stream);
    stream_send_end(attempt->stream);
}

/* A committed answer is not repeated: what has been sent need not be kept. */
static void drop_sent_body(struct attempt *attempt)
{
    if (attempt_is_committed(attempt) && is_in_step(attempt))
        body_drop(&attempt->request->body, &attempt->context->roster->kept_body_bytes);
}

/* Pulls what is kept of the body, as far as the node takes it now. */
static void pull(struct attempt *attempt)
{
    struct body *body = &attempt->request->body;
    while (attempt->sent_bytes < body->length && !stream_is_congested(attempt->stream)) {
        struct text piece = body_read(body, attempt->sent_bytes, PIECE_BYTES);
        attempt->sent_bytes += piece.length;
        stream_send_data(attempt->stream, piece);
    }
    drop_sent_body(attempt);
    send_end(attempt);
}

void attempt_feed(struct attempt *attempt, struct text piece)
{
    if (attempt->stream == NULL)
        return;
    attempt->active_ms = now_ms(attempt);
    /* The body is ahead of the node: the rest is pulled in its turn. */
    if (attempt->sent_bytes + piece.length != attempt->request->body.total_bytes)
        return;
    if (piece.length > 0) {
        attempt->sent_bytes += piece.length;
        stream_send_data(attempt->stream, piece);
        drop_sent_body(attempt);
    }
    send_end(attempt);
}

bool attempt_is_behind(const struct attempt *attempt)
{
    return attempt->state != ATTEMPT_NONE && (attempt->stream == NULL || !is_in_step(attempt));
}

bool attempt_is_congested(const struct attempt *attempt)
{
    return attempt->stream == NULL || !is_in_step(attempt) || stream_is_congested(attempt->stream);
}

bool attempt_has_left(const struct attempt *attempt)
{
    return attempt->stream == NULL || stream_has_left(attempt->stream);
}

/* ---- the answer ---- */

void attempt_pause(struct attempt *attempt)
{
    if (attempt->stream != NULL)
        stream_pause(attempt->stream);
}

void attempt_resume(struct attempt *attempt)
{
    attempt->active_ms = now_ms(attempt);
    if (attempt->stream != NULL)
        stream_resume(attempt->stream);
}

/* A node that gives a status is alive: not even UNAVAILABLE counts against it, for that may mean a lack of permission. */
static void note_status(struct attempt *attempt, const struct message_head *head)
{
    enum grpc_status status;
    if (!attempt->request->is_grpc || !grpc_read_status(head, &status))
        return;
    attempt->cause = screen_cause_of_head(attempt->question, head);
    attempt->status = 500; /* should it be an error, of the kind that a status tells */
    roster_node_note_connect(attempt->node, false);
}

/* A gRPC answer whose body just stops would pass for a whole one: its status stands in the trailers. */
static bool must_have_trailers(const struct attempt *attempt, const struct message_head *head)
{
    return attempt->request->is_grpc && head->status == 200 && head->body == BODY_STREAM;
}

static void relay_head(struct attempt *attempt, const struct message_head *head)
{
    enter(attempt, must_have_trailers(attempt, head) ? ATTEMPT_AWAITING_TRAILERS : ATTEMPT_RELAYING);
    if (head->body == BODY_NONE)
        note_status(attempt, head);
    drop_sent_body(attempt);
    attempt->events->on_head(attempt->owner, head);
}

/* The head goes to the owner, what follows is kept for a moment. */
static void begin(struct attempt *attempt, const struct message_head *head)
{
    enter(attempt, ATTEMPT_BEGUN);
    attempt->events->on_head(attempt->owner, head);
}

void attempt_settle(struct attempt *attempt)
{
    struct slab *slab = loop_slab(attempt->context->loop);
    struct first_message first = attempt->first;
    attempt->first = (struct first_message){0};
    enter(attempt, ATTEMPT_AWAITING_TRAILERS);
    drop_sent_body(attempt);
    attempt->events->on_settled(attempt->owner);
    if (attempt_is_committed(attempt) && first.length > 0)
        attempt->events->on_data(attempt->owner, first_message_text(&first));
    first_message_drop(&first, slab);
}

static void keep_first(struct attempt *attempt, struct text bytes)
{
    if (first_message_keep(&attempt->first, bytes, loop_slab(attempt->context->loop), now_ms(attempt)))
        return;
    attempt_settle(attempt);
    if (attempt_is_committed(attempt))
        attempt->events->on_data(attempt->owner, bytes);
}

static bool hold(struct attempt *attempt, const struct message_head *head)
{
    struct slab *slab = loop_slab(attempt->context->loop);
    struct held_answer *held = slab_take(slab, sizeof *held);
    if (held == NULL)
        return false;
    *held = (struct held_answer){.head = message_head_copy(head, slab)};
    if (held->head == NULL) {
        slab_give(slab, held);
        return false;
    }
    attempt->held = held;
    enter(attempt, ATTEMPT_HOLDING);
    return true;
}

/* What was kept back goes to the owner. */
static void relay_held(struct attempt *attempt)
{
    struct held_answer *held = attempt->held;
    struct slab *slab = loop_slab(attempt->context->loop);
    attempt->held = NULL;
    relay_head(attempt, held->head);
    if (attempt_is_committed(attempt) && held->length > 0)
        attempt->events->on_data(attempt->owner, text_of(held->body, held->length));
    if (attempt_is_committed(attempt) && held->trailers != NULL)
        attempt->events->on_trailers(attempt->owner, held->trailers);
    slab_give(slab, held->head);
    slab_give(slab, held->trailers);
    slab_give(slab, held);
}

void attempt_relay_held(struct attempt *attempt)
{
    relay_held(attempt);
    if (attempt_is_committed(attempt))
        end_with(attempt, ATTEMPT_ANSWERED, FAULT_NONE);
}

/* The fault that an answer which is dropped stands for. */
static enum fault fault_of(const struct attempt *attempt, enum screen_result result)
{
    if (result == SCREEN_IS_REFUSAL)
        return FAULT_UPSTREAM_REFUSED_ROLE;
    if (result != SCREEN_IS_FAILURE)
        return FAULT_NONE;
    return attempt->cause == ANSWER_CAUSE_UNAVAILABLE ? FAULT_UPSTREAM_UNAVAILABLE : FAULT_UPSTREAM_FAILED;
}

/* The owner decides about a kept answer; `body` is what it is judged by. */
static enum attempt_verdict judge_held(struct attempt *attempt, struct text body, bool is_whole)
{
    static const enum attempt_outcome outcomes[] = {
        [SCREEN_IS_ANSWER] = ATTEMPT_ANSWERED,
        [SCREEN_IS_REFUSAL] = ATTEMPT_REFUSED,
        [SCREEN_IS_FAILURE] = ATTEMPT_ERRED,
        [SCREEN_IS_PART] = ATTEMPT_PART,
    };
    enum screen_result result = screen_judge(attempt->question, attempt->held->head, body, &attempt->cause);
    if (result == SCREEN_IS_ANSWER)
        return ATTEMPT_RELAY;
    enum attempt_verdict verdict = attempt->events->on_screened(attempt->owner, result, is_whole);
    if (verdict == ATTEMPT_DROP)
        end_with(attempt, outcomes[result], fault_of(attempt, result));
    return verdict;
}

static void hold_data(struct attempt *attempt, struct text bytes)
{
    struct held_answer *held = attempt->held;
    size_t room = sizeof held->body - held->length;
    size_t kept = bytes.length < room ? bytes.length : room;
    memcpy(held->body + held->length, bytes.bytes, kept);
    held->length += kept;
    if (kept == bytes.length)
        return;
    /* Of a fan-out only the last answer is anybody's; the others may be as long as they like. */
    if (attempt->question->kind == SCREEN_FAN_OUT && held->head->status >= 200 && held->head->status < 300) {
        held->is_cut = true;
        return;
    }
    bool is_fan_out = attempt->question->kind == SCREEN_FAN_OUT || attempt->question->kind == SCREEN_FAN_OUT_LAST;
    if (!is_fan_out && judge_held(attempt, text_of(held->body, held->length), false) == ATTEMPT_DROP)
        return;
    relay_held(attempt);
    if (attempt_is_committed(attempt))
        attempt->events->on_data(attempt->owner, text_of(bytes.bytes + kept, bytes.length - kept));
}

static void end_held(struct attempt *attempt)
{
    struct held_answer *held = attempt->held;
    if (judge_held(attempt, text_of(held->body, held->length), !held->is_cut) == ATTEMPT_RELAY)
        attempt_relay_held(attempt);
}

static void hear(struct attempt *attempt)
{
    attempt->active_ms = now_ms(attempt);
    roster_node_note_heard(attempt->node, attempt->active_ms);
}

static void on_head(void *owner, const struct message_head *head)
{
    struct attempt *attempt = owner;
    if (policy_of(attempt->class)->deadline == POLICY_DEADLINE_WRITE && head->status / 100 == 2)
        roster_node_note_write(attempt->node, now_ms(attempt) - attempt->active_ms);
    if (attempt->topology->queries_hedge_ms == TOPOLOGY_HEDGE_P95 && attempt->class == REQUEST_CLASS_QUERY && head->status / 100 == 2)
        latency_add(&attempt->context->query_latency, now_ms(attempt) - attempt->active_ms);
    hear(attempt);
    vigils_note(&attempt->context->vigils, attempt->node, attempt->active_ms);
    attempt->status = head->status;
    switch (screen_head(attempt->question, head)) {
    case SCREEN_MALFORMED:
        end_with(attempt, ATTEMPT_FAILED, FAULT_UPSTREAM_MALFORMED);
        return;
    case SCREEN_HOLD:
        if (hold(attempt, head))
            return;
        break;
    case SCREEN_HOLD_FIRST:
        /* While the client still sends, nothing can be sent again. */
        if (attempt->request->is_complete && attempt->request->body.state == BODY_KEPT) {
            begin(attempt, head);
            return;
        }
        break;
    case SCREEN_RELAY:
        break;
    }
    attempt->cause = screen_cause_of_head(attempt->question, head);
    relay_head(attempt, head);
}

static void on_interim(void *owner, const struct message_head *head)
{
    struct attempt *attempt = owner;
    attempt->events->on_interim(attempt->owner, head);
}

static void on_data(void *owner, struct text bytes)
{
    struct attempt *attempt = owner;
    hear(attempt);
    if (attempt->state == ATTEMPT_HOLDING)
        hold_data(attempt, bytes);
    else if (attempt->state == ATTEMPT_BEGUN)
        keep_first(attempt, bytes);
    else
        attempt->events->on_data(attempt->owner, bytes);
}

/* A call that is over behind its first message: false when another node is asked instead. */
static bool settle_at_end(struct attempt *attempt, const struct message_head *trailers)
{
    if (screen_is_failed_call(attempt->question, trailers, &attempt->cause) &&
        attempt->events->on_screened(attempt->owner, SCREEN_IS_FAILURE, false) == ATTEMPT_DROP) {
        end_with(attempt, ATTEMPT_ERRED, fault_of(attempt, SCREEN_IS_FAILURE));
        return false;
    }
    attempt_settle(attempt);
    return attempt_is_committed(attempt);
}

static void on_trailers(void *owner, const struct message_head *trailers)
{
    struct attempt *attempt = owner;
    hear(attempt);
    note_status(attempt, trailers);
    if (attempt->state == ATTEMPT_BEGUN && !settle_at_end(attempt, trailers))
        return;
    if (attempt->state == ATTEMPT_AWAITING_TRAILERS)
        enter(attempt, ATTEMPT_RELAYING);
    if (attempt->state != ATTEMPT_HOLDING) {
        attempt->events->on_trailers(attempt->owner, trailers);
        return;
    }
    attempt->held->trailers = message_head_copy(trailers, loop_slab(attempt->context->loop));
    if (attempt->held->trailers == NULL)
        end_with(attempt, ATTEMPT_FAILED, FAULT_OUT_OF_MEMORY);
}

static void on_end(void *owner)
{
    struct attempt *attempt = owner;
    if (attempt->state == ATTEMPT_HOLDING)
        end_held(attempt);
    else if (attempt->state == ATTEMPT_BEGUN || attempt->state == ATTEMPT_AWAITING_TRAILERS)
        end_with(attempt, ATTEMPT_FAILED, FAULT_UPSTREAM_MALFORMED);
    else
        end_with(attempt, ATTEMPT_ANSWERED, FAULT_NONE);
}

static void on_drained(void *owner)
{
    struct attempt *attempt = owner;
    attempt->active_ms = now_ms(attempt);
    pull(attempt);
    if (!attempt_is_congested(attempt))
        attempt->events->on_drained(attempt->owner);
}

static void on_failed(void *owner, enum fault fault)
{
    end_with(owner, ATTEMPT_FAILED, fault);
}

static const struct stream_events node_stream_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

/* ---- while the node says nothing ---- */

/* A client that sends slowly is not the node's silence. */
static uint64_t silent_since_ms(const void *owner)
{
    const struct attempt *attempt = owner;
    bool owes = attempt->state == ATTEMPT_OPEN && (attempt->progress == ATTEMPT_SENT || attempt_is_congested(attempt));
    if (!owes)
        return UINT64_MAX;
    return attempt->active_ms > attempt->link->heard_ms ? attempt->active_ms : attempt->link->heard_ms;
}

static void on_lost(void *owner)
{
    struct attempt *attempt = owner;
    if (attempt->state == ATTEMPT_WAITING || attempt->state == ATTEMPT_OPEN)
        attempt->events->on_lost(attempt->owner);
}

static void on_look(void *owner)
{
    struct attempt *attempt = owner;
    if (attempt->state == ATTEMPT_OPEN && attempt->progress == ATTEMPT_SENT)
        attempt->events->on_waiting(attempt->owner, now_ms(attempt) - attempt->active_ms);
}

static const struct vigil_events vigil_events = {
    .on_look = on_look,
    .silent_since_ms = silent_since_ms,
    .on_lost = on_lost,
};

/* ---- the beginning ---- */

/* There is a stream: the request goes out. */
static enum fault open_on(struct attempt *attempt, struct link *link, struct stream *stream)
{
    attempt->link = link;
    attempt->stream = stream;
    attempt->link_was_reused = link->used > 1;
    attempt->active_ms = now_ms(attempt);
    stream_set_owner(stream, &node_stream_events, attempt);
    enter(attempt, ATTEMPT_OPEN);
    enum fault fault = request_send_head(attempt->request, attempt->context->roster, attempt->topology, now_ms(attempt),
                                         attempt->context->fields, stream);
    if (fault == FAULT_NONE)
        pull(attempt);
    return fault;
}

static void on_stream(void *owner, struct link *link, struct stream *stream)
{
    struct attempt *attempt = owner;
    enum fault fault = open_on(attempt, link, stream);
    if (fault != FAULT_NONE)
        end_with(attempt, ATTEMPT_FAILED, fault);
    else if (!attempt_is_congested(attempt))
        attempt->events->on_drained(attempt->owner);
}

static void on_pool_fault(void *owner, enum fault fault)
{
    end_with(owner, ATTEMPT_FAILED, fault);
}

static const struct pool_events ticket_events = {
    .on_stream = on_stream,
    .on_fault = on_pool_fault,
};

static void count_begin(struct attempt *attempt)
{
    struct roster_node *node = attempt->node;
    if (atomic_fetch_add_explicit(&node->outstanding, 1, memory_order_relaxed) == 0)
        roster_node_note_heard(node, attempt->begun_ms);
    atomic_fetch_add_explicit(&node->outstanding_of[attempt->class], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->requests, 1, memory_order_relaxed);
    if (++attempt->number > 1)
        metrics_add(&attempt->context->metrics->retries, 1);
}

enum fault attempt_start(struct attempt *attempt, struct roster_node *node, bool wants_fresh_link)
{
    struct dispatch_context *context = attempt->context;
    struct link *link;
    enum fault fault;
    attempt->node = node;
    attempt->sent_bytes = 0;
    attempt->progress = ATTEMPT_SENDING;
    attempt->cause = ANSWER_CAUSE_NONE;
    attempt->begun_ms = attempt->active_ms = now_ms(attempt);
    attempt->ticket.events = &ticket_events;
    attempt->ticket.owner = attempt;
    attempt->ticket.class = attempt->class;
    attempt->ticket.entry.client = attempt->request->origin.client_key;
    attempt->ticket.needs_http2 = attempt->request->is_grpc;
    attempt->ticket.wants_fresh = wants_fresh_link;
    attempt->vigil.events = &vigil_events;
    attempt->vigil.owner = attempt;
    count_begin(attempt);
    enter(attempt, ATTEMPT_WAITING);
    vigil_begin(&context->vigils, &attempt->vigil, node);
    struct stream *stream = context->pool_verbs->take(context->pool, node, &attempt->ticket, &link, &fault);
    if (stream != NULL)
        fault = open_on(attempt, link, stream);
    if (fault != FAULT_NONE)
        attempt_end(attempt, ATTEMPT_FAILED, fault);
    return fault;
}
