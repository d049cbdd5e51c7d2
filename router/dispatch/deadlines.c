#include "dispatch/deadlines.h"

#include "dispatch/hedge.h"
#include "dispatch/state.h"

/* ---- until when attempts begin ---- */

void dispatch_note_pace(struct dispatch *dispatch)
{
    uint64_t now_ms = dispatch_now_ms(dispatch);
    if (dispatch_policy(dispatch)->deadline != POLICY_DEADLINE_WRITE)
        return;
    if (dispatch->stopped_since_ms != 0)
        dispatch->stopped_ms += now_ms - dispatch->stopped_since_ms;
    bool may_send = dispatch->request.is_complete || dispatch->state == DISPATCH_BUFFERING;
    bool is_stopped = !may_send && attempt_is_congested(dispatch->attempt);
    dispatch->stopped_since_ms = is_stopped ? now_ms : 0;
}

void dispatch_move_deadline(struct dispatch *dispatch)
{
    if (dispatch_policy(dispatch)->deadline != POLICY_DEADLINE_WRITE)
        return;
    dispatch_note_pace(dispatch);
    uint64_t write_ms = dispatch_topology(dispatch)->timeouts.write_deadline_ms;
    uint64_t left_ms = write_ms > dispatch->stopped_ms ? write_ms - dispatch->stopped_ms : 0;
    dispatch->deadline_ms = dispatch_now_ms(dispatch) + left_ms;
}

/* ---- how long the present state may last ---- */

/* How long a node may think: planning a query is silent for as long as it takes, so a client's own limit goes before ours. */
static uint64_t thinking_limit_ms(const struct dispatch *dispatch)
{
    const struct topology_timeouts *timeouts = &dispatch_topology(dispatch)->timeouts;
    if (dispatch_policy(dispatch)->deadline == POLICY_DEADLINE_WRITE && !attempt_is_committed(dispatch->attempt))
        return timeouts->write_response_ms;
    return dispatch->request.call_deadline_ms != 0 ? 0 : timeouts->response_ms;
}

/* How long the attempt may go without a byte; 0: for ever. */
static uint64_t silence_limit_ms(const struct dispatch *dispatch)
{
    const struct topology_timeouts *timeouts = &dispatch_topology(dispatch)->timeouts;
    const struct attempt *attempt = dispatch->attempt;
    switch (attempt->state) {
    case ATTEMPT_WAITING:
        /* 0: nobody waits for a busy link; for one that is being dialled as long as that may take. */
        return timeouts->queue_ms != 0 ? timeouts->queue_ms : timeouts->connect_ms;
    case ATTEMPT_OPEN:
    case ATTEMPT_HOLDING:
        /* While the client's bytes are still to come, its own slowness is for the owner to judge; the node's is not to take them. */
        if (attempt->progress == ATTEMPT_SENDING)
            return attempt_is_congested(attempt) ? timeouts->idle_ms : 0;
        return thinking_limit_ms(dispatch);
    case ATTEMPT_BEGUN:
    case ATTEMPT_AWAITING_TRAILERS:
    case ATTEMPT_RELAYING:
        /* A client that takes nothing is for the owner to judge. */
        return dispatch->is_paused ? 0 : thinking_limit_ms(dispatch);
    case ATTEMPT_NONE:
        /* A write has its deadline for all. */
        return dispatch->state == DISPATCH_WAITING && dispatch_policy(dispatch)->deadline != POLICY_DEADLINE_WRITE ? thinking_limit_ms(dispatch) : 0;
    }
    return 0;
}

/*
 * Could an attempt still begin in this state? One that a node is working on goes on. The deadline of a gRPC call is the owner's to keep, to the
 * end of the answer: here it only says until when attempts begin.
 */
static bool may_begin(const struct dispatch *dispatch)
{
    enum attempt_state state = dispatch->attempt->state;
    return dispatch_policy(dispatch)->deadline == POLICY_DEADLINE_WRITE && (state == ATTEMPT_NONE || state == ATTEMPT_WAITING);
}

uint64_t dispatch_settles_at_ms(const struct dispatch *dispatch)
{
    const struct attempt *attempt = dispatch->attempt;
    bool is_kept = attempt->state == ATTEMPT_BEGUN && attempt->first.length > 0 && !dispatch->is_paused;
    return is_kept ? attempt->first.since_ms + FIRST_MESSAGE_MS : 0;
}

/* 0 is never. */
static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    if (a_ms == 0 || b_ms == 0)
        return a_ms + b_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

static uint64_t limit_at_ms(const struct dispatch *dispatch)
{
    /* The client's own slowness is its owner's. */
    if (dispatch->state == DISPATCH_BUFFERING)
        return 0;
    uint64_t limit_ms = silence_limit_ms(dispatch);
    uint64_t silent_at_ms = limit_ms == 0 ? 0 : dispatch->attempt->active_ms + limit_ms;
    return earlier(silent_at_ms, may_begin(dispatch) ? dispatch->deadline_ms : 0);
}

/* While a first message may come, somebody looks often enough to let it go in time. */
static uint64_t look_at_ms(const struct dispatch *dispatch)
{
    uint64_t settles_ms = dispatch_settles_at_ms(dispatch);
    bool may_come = dispatch->attempt->state == ATTEMPT_BEGUN && dispatch->attempt->first.length == 0;
    return may_come ? dispatch_now_ms(dispatch) + FIRST_MESSAGE_MS : settles_ms;
}

uint64_t dispatch_due_at_ms(const struct dispatch *dispatch)
{
    return earlier(earlier(limit_at_ms(dispatch), look_at_ms(dispatch)), hedge_at_ms(dispatch));
}
