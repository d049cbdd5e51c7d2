/* Which answers are kept back, and what they turn out to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch/screen.h"

/* "-": there is no grpc-status. */
struct row {
    enum screen_kind kind;
    enum screen_turn turn;
    enum request_class class;
    enum route_repeat repeat;
    unsigned status;
    const char *grpc_status;
    enum body_kind body_kind;
    const char *body;
    enum screen_head head;
    enum screen_result verdict; /* of what is kept back */
};

#define READ_ONLY "{\"error\":\"cannot write to a read-only server\"}"
#define NOT_FOUND "{error: \"not found\"}"
#define QUERY REQUEST_CLASS_QUERY, ROUTE_REPEAT_SAFE
#define WRITE REQUEST_CLASS_WRITE, ROUTE_REPEAT_WRITE
#define ENGINE REQUEST_CLASS_ENGINE, ROUTE_REPEAT_UNSENT
#define PLUGIN REQUEST_CLASS_PLUGIN, ROUTE_REPEAT_UNSENT
#define FLIGHT REQUEST_CLASS_FLIGHT, ROUTE_REPEAT_SAFE
#define STREAMED REQUEST_CLASS_FLIGHT, ROUTE_REPEAT_STREAMED

static const struct row rows[] = {
    /* Queries: what another node may do better, once. */
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 200, "-", BODY_STREAM, "", SCREEN_RELAY, 0},
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 400, "-", BODY_STREAM, READ_ONLY, SCREEN_RELAY, 0},
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 404, "-", BODY_STREAM, NOT_FOUND, SCREEN_RELAY, 0},
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 500, "-", BODY_STREAM, "no", SCREEN_HOLD, SCREEN_IS_ANSWER},
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 500, "-", BODY_STREAM, "Resources exhausted: no", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 503, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_ORDINARY, SCREEN_AGAIN, QUERY, 503, "-", BODY_NONE, "", SCREEN_RELAY, 0},
    {SCREEN_ORDINARY, SCREEN_FIRST, REQUEST_CLASS_CATALOG, ROUTE_REPEAT_UNSENT, 503, "-", BODY_STREAM, READ_ONLY, SCREEN_RELAY, 0},
    /* Writes: the words of the body say it. */
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 204, "-", BODY_NONE, "", SCREEN_RELAY, 0},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 400, "-", BODY_STREAM, READ_ONLY, SCREEN_HOLD, SCREEN_IS_REFUSAL},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 503, "-", BODY_LENGTH, READ_ONLY, SCREEN_HOLD, SCREEN_IS_REFUSAL},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 400, "-", BODY_STREAM, "unable to parse", SCREEN_HOLD, SCREEN_IS_ANSWER},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 500, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_ORDINARY, SCREEN_AGAIN, WRITE, 500, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 404, "-", BODY_STREAM, NOT_FOUND, SCREEN_HOLD, SCREEN_IS_REFUSAL},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 429, "-", BODY_STREAM, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_ORDINARY, SCREEN_FIRST, WRITE, 403, "-", BODY_STREAM, READ_ONLY, SCREEN_RELAY, 0},
    /* Engine routes: 405, or exactly that body. */
    {SCREEN_ORDINARY, SCREEN_FIRST, ENGINE, 405, "-", BODY_STREAM, "", SCREEN_HOLD, SCREEN_IS_REFUSAL},
    {SCREEN_ORDINARY, SCREEN_FIRST, ENGINE, 404, "-", BODY_STREAM, NOT_FOUND, SCREEN_HOLD, SCREEN_IS_REFUSAL},
    {SCREEN_ORDINARY, SCREEN_FIRST, ENGINE, 404, "-", BODY_STREAM, NOT_FOUND "\n", SCREEN_HOLD, SCREEN_IS_ANSWER},
    {SCREEN_ORDINARY, SCREEN_FIRST, ENGINE, 500, "-", BODY_STREAM, "", SCREEN_RELAY, 0},
    /* A fan-out keeps all: a good one is a part, any other is the client's. */
    {SCREEN_FAN_OUT, SCREEN_FIRST, PLUGIN, 200, "-", BODY_STREAM, "done", SCREEN_HOLD, SCREEN_IS_PART},
    {SCREEN_FAN_OUT, SCREEN_FIRST, PLUGIN, 299, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_PART},
    {SCREEN_FAN_OUT, SCREEN_FIRST, PLUGIN, 300, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_ANSWER},
    {SCREEN_FAN_OUT, SCREEN_FIRST, PLUGIN, 500, "-", BODY_STREAM, "no", SCREEN_HOLD, SCREEN_IS_ANSWER},
    {SCREEN_FAN_OUT_LAST, SCREEN_FIRST, PLUGIN, 200, "-", BODY_STREAM, "done", SCREEN_HOLD, SCREEN_IS_PART},
    {SCREEN_FAN_OUT_LAST, SCREEN_FIRST, PLUGIN, 404, "-", BODY_STREAM, "no", SCREEN_HOLD, SCREEN_IS_ANSWER},
    /* gRPC: a head that ends the answer needs a status; 14 and 8 are asked about, once. */
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "-", BODY_STREAM, "", SCREEN_RELAY, 0},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "0", BODY_NONE, "", SCREEN_RELAY, 0},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "-", BODY_NONE, "", SCREEN_MALFORMED, 0},
    {SCREEN_CALL, SCREEN_AGAIN, FLIGHT, 200, "-", BODY_NONE, "", SCREEN_MALFORMED, 0},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 503, "-", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_CALL, SCREEN_FIRST, STREAMED, 503, "-", BODY_NONE, "", SCREEN_RELAY, 0},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "14", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "14", BODY_STREAM, "", SCREEN_RELAY, 0},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "8", BODY_NONE, "", SCREEN_HOLD, SCREEN_IS_FAILURE},
    {SCREEN_CALL, SCREEN_FIRST, FLIGHT, 200, "5", BODY_NONE, "", SCREEN_RELAY, 0},
    {SCREEN_CALL, SCREEN_AGAIN, FLIGHT, 200, "14", BODY_NONE, "", SCREEN_RELAY, 0},
    /* Whoever is no call may say what it likes. */
    {SCREEN_ORDINARY, SCREEN_FIRST, QUERY, 200, "14", BODY_NONE, "", SCREEN_RELAY, 0},
};

static void each_answer_is_what_its_row_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct header_field field = {TEXT("grpc-status"), text_of_string(row->grpc_status), HEADER_GRPC_STATUS};
        struct message_head head = {.status = row->status,
                                    .body = row->body_kind,
                                    .fields = &field,
                                    .field_count = strcmp(row->grpc_status, "-") != 0};
        struct screen_question question = {.class = row->class, .kind = row->kind, .repeat = row->repeat, .turn = row->turn};
        if (screen_head(&question, &head) != row->head)
            fail_msg("row %zu: the head is %d", i, screen_head(&question, &head));
        if (row->head != SCREEN_HOLD)
            continue;
        enum answer_cause cause;
        enum screen_result verdict = screen_judge(&question, &head, text_of_string(row->body), &cause);
        if (verdict != row->verdict)
            fail_msg("row %zu: the answer is %d", i, verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_what_its_row_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
