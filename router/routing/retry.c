#include "routing/retry.h"

#include "routing/policy.h"

static bool has(const struct retry_question *question, enum retry_fact fact)
{
    return (question->facts & (unsigned)fact) != 0;
}

/* May the node get this request a second time, should it have acted on the first? */
static bool is_harmless_twice(const struct retry_question *question)
{
    if (question->class == REQUEST_CLASS_WRITEBACK)
        return false;
    switch (question->repeat) {
    case ROUTE_REPEAT_SAFE:
        return true;
    case ROUTE_REPEAT_WRITE:
        return has(question, RETRY_IS_TIMESTAMPED);
    case ROUTE_REPEAT_UNSENT:
    case ROUTE_REPEAT_STREAMED:
        break;
    }
    return false;
}

/*
 * A node reads the body of a request to its end before it acts, and treats a shorter one as no request at all (RFC 9112 section 8): while
 * its last byte had not left, nothing was processed. Where bodies are streams (gRPC, import), the first message may have done something.
 */
static bool is_never_applied(const struct retry_question *question)
{
    return !has(question, RETRY_REQUEST_HAS_LEFT) && question->repeat != ROUTE_REPEAT_STREAMED;
}

static bool may_repeat(const struct retry_question *question)
{
    if (has(question, RETRY_COMMITTED) || !has(question, RETRY_BODY_IS_KEPT))
        return false;
    if (question->attempts >= policy_of(question->class)->attempts_maximum)
        return false;
    if (question->deadline_ms != 0 && question->now_ms >= question->deadline_ms)
        return false;
    switch (fault_row(question->fault)->repeat) {
    case FAULT_REPEAT_NEVER:
        return false;
    case FAULT_REPEAT_UNSENT:
        return true;
    case FAULT_REPEAT_UNKNOWN:
        break;
    }
    return is_never_applied(question) || is_harmless_twice(question);
}

/*
 * A kept-alive link may have died of age: then the node itself is well, and a fresh link to it will do. So it will for a stream that a
 * link refused because it was full or is going away.
 */
static bool may_be_link_age(const struct retry_question *question)
{
    if (question->fault == FAULT_UPSTREAM_REFUSED_STREAM)
        return true;
    return has(question, RETRY_LINK_WAS_REUSED) &&
           (question->fault == FAULT_LINK_CLOSED_UNREAD || question->fault == FAULT_UPSTREAM_CLOSED ||
            question->fault == FAULT_UPSTREAM_RESET || question->fault == FAULT_LINK_SILENT);
}

bool retry_was_passed_over(const struct retry_question *question)
{
    bool is_unread = question->fault == FAULT_LINK_CLOSED_UNREAD || question->fault == FAULT_UPSTREAM_REFUSED_STREAM;
    return is_unread && has(question, RETRY_LINK_WAS_REUSED) && has(question, RETRY_LINK_IS_SPENT);
}

enum retry_decision retry_decide(const struct retry_question *question)
{
    if (!may_repeat(question))
        return RETRY_GIVE_UP;
    if (question->fault == FAULT_LINK_CLOSED_UNREAD && has(question, RETRY_LINK_WAS_REUSED))
        return RETRY_AGAIN_HERE;
    if (has(question, RETRY_OTHERS_USABLE))
        return RETRY_AGAIN_ELSEWHERE;
    return may_be_link_age(question) ? RETRY_AGAIN_HERE : RETRY_GIVE_UP;
}

bool retry_is_free(const struct retry_question *question)
{
    return fault_row(question->fault)->repeat == FAULT_REPEAT_UNSENT || !has(question, RETRY_REQUEST_HAS_LEFT);
}
