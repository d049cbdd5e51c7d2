#include "dispatch/screen.h"

#include "http/grpc.h"

/* A trailers-only answer that says UNAVAILABLE, the first one of this call. */
static bool is_unavailable(const struct screen_question *question, const struct message_head *head)
{
    enum grpc_status status;
    return question->kind == SCREEN_CALL && head->body == BODY_NONE && grpc_read_status(head, &status) &&
           status == GRPC_STATUS_UNAVAILABLE;
}

static bool lacks_status(const struct screen_question *question, const struct message_head *head)
{
    enum grpc_status ignored;
    bool is_call = question->kind == SCREEN_CALL || question->kind == SCREEN_CALL_AGAIN;
    return is_call && head->status == 200 && head->body == BODY_NONE && !grpc_read_status(head, &ignored);
}

static bool is_fan_out(const struct screen_question *question)
{
    return question->kind == SCREEN_FAN_OUT || question->kind == SCREEN_FAN_OUT_LAST;
}

enum screen_head screen_head(const struct screen_question *question, const struct message_head *head)
{
    if (lacks_status(question, head))
        return SCREEN_MALFORMED;
    bool must_hold = is_fan_out(question) || retry_may_be_refusal(question->class, head->status) || is_unavailable(question, head);
    return must_hold ? SCREEN_HOLD : SCREEN_RELAY;
}

enum screen_result screen_complete(const struct screen_question *question, const struct message_head *head, struct text body)
{
    if (is_unavailable(question, head))
        return SCREEN_IS_UNAVAILABLE;
    if (is_fan_out(question))
        return head->status >= 200 && head->status < 300 ? SCREEN_IS_PART : SCREEN_IS_ANSWER;
    return retry_is_refusal(question->class, head->status, body) ? SCREEN_IS_REFUSAL : SCREEN_IS_ANSWER;
}
