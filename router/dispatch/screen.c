#include "dispatch/screen.h"

#include "http/grpc.h"

static bool is_fan_out(const struct screen_question *question)
{
    return question->kind == SCREEN_FAN_OUT || question->kind == SCREEN_FAN_OUT_LAST;
}

static bool is_call(const struct screen_question *question)
{
    return question->kind == SCREEN_CALL || question->kind == SCREEN_CALL_READS;
}

/* A call's status, in a head that ends the answer or in trailers. */
static bool reads_status(const struct screen_question *question, const struct message_head *head, enum grpc_status *status)
{
    return is_call(question) && head->body == BODY_NONE && grpc_read_status(head, status);
}

static bool lacks_status(const struct screen_question *question, const struct message_head *head)
{
    enum grpc_status ignored;
    return is_call(question) && head->status == 200 && head->body == BODY_NONE && !grpc_read_status(head, &ignored);
}

/* What stands in grpc-message; nothing else asks for it. */
static struct text find_message(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_equals(head->fields[i].name, TEXT("grpc-message")))
            return head->fields[i].value;
    }
    return TEXT_EMPTY;
}

enum answer_cause screen_cause_of_head(const struct screen_question *question, const struct message_head *head)
{
    enum grpc_status status;
    if (!reads_status(question, head, &status))
        return head->status == 0 ? ANSWER_CAUSE_NONE : answer_cause_of(question->class, head->status, TEXT_EMPTY);
    return answer_cause_of_call(status, status == GRPC_STATUS_RESOURCE_EXHAUSTED ? find_message(head) : TEXT_EMPTY);
}

/* Twice does no harm, and another node was asked for such an error before: this one's is the client's. */
static bool is_last_turn(const struct screen_question *question)
{
    return question->repeat == ROUTE_REPEAT_SAFE && question->turn == SCREEN_AGAIN;
}

bool screen_is_failed_call(const struct screen_question *question, const struct message_head *trailers, enum answer_cause *cause)
{
    enum grpc_status ignored;
    *cause = screen_cause_of_head(question, trailers);
    return !is_last_turn(question) && reads_status(question, trailers, &ignored) && answer_meaning_of_call(*cause) == ANSWER_FAILS;
}

enum screen_head screen_head(const struct screen_question *question, const struct message_head *head)
{
    if (lacks_status(question, head))
        return SCREEN_MALFORMED;
    if (is_fan_out(question))
        return SCREEN_HOLD;
    if (is_last_turn(question))
        return SCREEN_RELAY;
    if (is_call(question) && head->status == 200) {
        enum answer_cause ignored;
        if (question->kind == SCREEN_CALL_READS && head->body == BODY_STREAM)
            return SCREEN_HOLD_FIRST;
        return screen_is_failed_call(question, head, &ignored) ? SCREEN_HOLD : SCREEN_RELAY;
    }
    return answer_needs_words(question->class, question->repeat, head->status) ? SCREEN_HOLD : SCREEN_RELAY;
}

enum screen_result screen_judge(const struct screen_question *question, const struct message_head *head, struct text body,
                                enum answer_cause *cause)
{
    static const enum screen_result results[] = {
        [ANSWER_IS_THE_CLIENTS] = SCREEN_IS_ANSWER,
        [ANSWER_REFUSES] = SCREEN_IS_REFUSAL,
        [ANSWER_FAILS] = SCREEN_IS_FAILURE,
    };
    enum grpc_status ignored;
    bool has_status = reads_status(question, head, &ignored);
    *cause = has_status ? screen_cause_of_head(question, head) : answer_cause_of(question->class, head->status, body);
    if (is_fan_out(question))
        return head->status >= 200 && head->status < 300 ? SCREEN_IS_PART : SCREEN_IS_ANSWER;
    if (has_status)
        return results[answer_meaning_of_call(*cause)];
    return results[answer_meaning_of(question->class, question->repeat, head->status, *cause)];
}
