/* The retry decision as a table of question and verdict; then what makes an answer fit for another try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "routing/policy.h"
#include "routing/retry.h"

#define HERE RETRY_AGAIN_HERE
#define ELSEWHERE RETRY_AGAIN_ELSEWHERE
#define GIVE_UP RETRY_GIVE_UP

/* Facts of a question that differ from the usual: uncommitted, body whole, fresh link, first attempt, others usable. */
enum fact {
    NOTHING = 0,
    COMMITTED = 1 << 0,
    BODY_GONE = 1 << 1,
    TIMESTAMPED = 1 << 2,
    REUSED = 1 << 3,
    ALONE = 1 << 4,
    LATE = 1 << 5,
    SECOND = 1 << 6,
    FOURTH = 1 << 7,
    UPLOADING = 1 << 8, /* the request's last byte has not left */
};

struct row {
    enum request_class class;
    enum route_repeat repeat;
    enum fault fault;
    unsigned facts;
    enum retry_decision verdict;
};

#define WRITE REQUEST_CLASS_WRITE, ROUTE_REPEAT_WRITE
#define WRITEBACK REQUEST_CLASS_WRITEBACK, ROUTE_REPEAT_UNSENT
#define QUERY REQUEST_CLASS_QUERY, ROUTE_REPEAT_SAFE
#define CREATE REQUEST_CLASS_CATALOG, ROUTE_REPEAT_UNSENT
#define ENGINE REQUEST_CLASS_ENGINE, ROUTE_REPEAT_UNSENT
#define FLIGHT REQUEST_CLASS_FLIGHT, ROUTE_REPEAT_SAFE
#define FLIGHT_EXCHANGE REQUEST_CLASS_FLIGHT, ROUTE_REPEAT_STREAMED
#define IMPORT REQUEST_CLASS_COMPACTION, ROUTE_REPEAT_STREAMED
#define UNKNOWN REQUEST_CLASS_UNKNOWN, ROUTE_REPEAT_STREAMED
#define BACKUP REQUEST_CLASS_COMPACTION, ROUTE_REPEAT_SAFE

static const struct row rows[] = {
    /* Provably nothing was processed: any request, elsewhere. */
    {QUERY, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE},
    {WRITE, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE},
    {WRITE, FAULT_CONNECT_TIMEOUT, NOTHING, ELSEWHERE},
    {WRITE, FAULT_CONNECT_FAILED, NOTHING, ELSEWHERE},
    {WRITE, FAULT_RESOLVE, NOTHING, ELSEWHERE},
    {WRITE, FAULT_QUEUE_FULL, NOTHING, ELSEWHERE},
    {WRITE, FAULT_QUEUE_TIMEOUT, NOTHING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_REFUSED_ROLE, NOTHING, ELSEWHERE},
    {CREATE, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE},
    {ENGINE, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE},
    {ENGINE, FAULT_UPSTREAM_REFUSED_ROLE, NOTHING, ELSEWHERE},
    {WRITEBACK, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE},
    {WRITEBACK, FAULT_UPSTREAM_REFUSED_ROLE, NOTHING, ELSEWHERE},
    {WRITEBACK, FAULT_QUEUE_FULL, NOTHING, ELSEWHERE},
    /* The same node would refuse again. */
    {QUERY, FAULT_CONNECT_REFUSED, ALONE, GIVE_UP},
    {BACKUP, FAULT_CONNECT_TIMEOUT, ALONE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_REFUSED_ROLE, ALONE, GIVE_UP},

    /* A stream that was refused: elsewhere first, else once more where the link was full. */
    {QUERY, FAULT_UPSTREAM_REFUSED_STREAM, NOTHING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_REFUSED_STREAM, REUSED, ELSEWHERE},
    {CREATE, FAULT_UPSTREAM_REFUSED_STREAM, ALONE, HERE},
    {WRITEBACK, FAULT_UPSTREAM_REFUSED_STREAM, ALONE, HERE},
    {WRITEBACK, FAULT_UPSTREAM_REFUSED_STREAM, ALONE | SECOND, GIVE_UP},
    {QUERY, FAULT_UPSTREAM_REFUSED_STREAM, ALONE | FOURTH, GIVE_UP},
    {QUERY, FAULT_UPSTREAM_REFUSED_STREAM, ALONE | COMMITTED, GIVE_UP},
    /* UNAVAILABLE of a gRPC call: elsewhere if that is harmless, never again here. */
    {FLIGHT, FAULT_UPSTREAM_UNAVAILABLE, NOTHING, ELSEWHERE},
    {FLIGHT, FAULT_UPSTREAM_UNAVAILABLE, ALONE | REUSED, GIVE_UP},
    {FLIGHT, FAULT_UPSTREAM_UNAVAILABLE, BODY_GONE, GIVE_UP},
    {FLIGHT, FAULT_UPSTREAM_UNAVAILABLE, LATE, GIVE_UP},
    {FLIGHT_EXCHANGE, FAULT_UPSTREAM_UNAVAILABLE, NOTHING, GIVE_UP},

    /* The node may have acted on it: only what is harmless twice. */
    {QUERY, FAULT_UPSTREAM_RESET, NOTHING, ELSEWHERE},
    {QUERY, FAULT_LINK_SILENT, NOTHING, ELSEWHERE},
    {QUERY, FAULT_LINK_SILENT, REUSED | ALONE, HERE},
    {QUERY, FAULT_LINK_SILENT, ALONE, GIVE_UP},
    {WRITE, FAULT_LINK_SILENT, REUSED, GIVE_UP},
    {WRITE, FAULT_LINK_SILENT, TIMESTAMPED, ELSEWHERE},
    {QUERY, FAULT_UPSTREAM_CLOSED, NOTHING, ELSEWHERE},
    {QUERY, FAULT_UPSTREAM_TIMEOUT, NOTHING, ELSEWHERE},
    {QUERY, FAULT_UPSTREAM_MALFORMED, NOTHING, ELSEWHERE},
    {QUERY, FAULT_UPSTREAM_TRUNCATED, NOTHING, ELSEWHERE},
    {QUERY, FAULT_UPSTREAM_STALLED, NOTHING, ELSEWHERE},
    {CREATE, FAULT_UPSTREAM_RESET, NOTHING, GIVE_UP},
    {CREATE, FAULT_UPSTREAM_TIMEOUT, NOTHING, GIVE_UP},
    {ENGINE, FAULT_UPSTREAM_CLOSED, NOTHING, GIVE_UP},
    {ENGINE, FAULT_UPSTREAM_CLOSED, TIMESTAMPED, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, NOTHING, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, TIMESTAMPED, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_TIMEOUT, TIMESTAMPED, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_TIMEOUT, NOTHING, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_MALFORMED, TIMESTAMPED, ELSEWHERE},
    /* A writeback's one hop is for connection errors, whatever its body. */
    {WRITEBACK, FAULT_UPSTREAM_RESET, TIMESTAMPED, GIVE_UP},
    {WRITEBACK, FAULT_UPSTREAM_TIMEOUT, TIMESTAMPED, GIVE_UP},
    {REQUEST_CLASS_WRITEBACK, ROUTE_REPEAT_WRITE, FAULT_UPSTREAM_RESET, TIMESTAMPED, GIVE_UP},
    {REQUEST_CLASS_WRITEBACK, ROUTE_REPEAT_SAFE, FAULT_UPSTREAM_RESET, NOTHING, GIVE_UP},

    /* A request that has not left to its last byte is none: elsewhere, whatever it is; but not where a body is acted on as it comes. */
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_CLOSED, UPLOADING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_TIMEOUT, UPLOADING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_TRUNCATED, UPLOADING, ELSEWHERE},
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING | ALONE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING | REUSED | ALONE, HERE},
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING | BODY_GONE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING | LATE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, UPLOADING | FOURTH, GIVE_UP},
    {WRITEBACK, FAULT_UPSTREAM_RESET, UPLOADING, ELSEWHERE},
    {WRITEBACK, FAULT_UPSTREAM_RESET, UPLOADING | SECOND, GIVE_UP},
    {CREATE, FAULT_UPSTREAM_CLOSED, UPLOADING, ELSEWHERE},
    {ENGINE, FAULT_UPSTREAM_CLOSED, UPLOADING, ELSEWHERE},
    {IMPORT, FAULT_UPSTREAM_RESET, UPLOADING | REUSED | ALONE, GIVE_UP},
    {IMPORT, FAULT_CONNECT_REFUSED, UPLOADING, ELSEWHERE},
    {FLIGHT_EXCHANGE, FAULT_UPSTREAM_RESET, UPLOADING, GIVE_UP},
    {UNKNOWN, FAULT_UPSTREAM_RESET, UPLOADING, GIVE_UP},

    /* A kept-alive link that died of age: the node is well, a fresh link to it comes first. */
    {QUERY, FAULT_LINK_CLOSED_UNREAD, REUSED, HERE},
    {WRITE, FAULT_LINK_CLOSED_UNREAD, REUSED, HERE},
    {CREATE, FAULT_LINK_CLOSED_UNREAD, REUSED, HERE},
    {WRITEBACK, FAULT_LINK_CLOSED_UNREAD, REUSED, HERE},
    {WRITE, FAULT_LINK_CLOSED_UNREAD, REUSED | ALONE, HERE},
    {WRITE, FAULT_LINK_CLOSED_UNREAD, NOTHING, ELSEWHERE},
    {WRITE, FAULT_LINK_CLOSED_UNREAD, ALONE, GIVE_UP},
    /* When it may have been more than age, another node comes first, and the same one when there is no other. */
    {QUERY, FAULT_UPSTREAM_RESET, REUSED, ELSEWHERE},
    {BACKUP, FAULT_UPSTREAM_RESET, REUSED | ALONE, HERE},
    {BACKUP, FAULT_UPSTREAM_CLOSED, REUSED | ALONE, HERE},
    {BACKUP, FAULT_UPSTREAM_CLOSED, ALONE, GIVE_UP},
    {BACKUP, FAULT_UPSTREAM_TIMEOUT, REUSED | ALONE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, REUSED, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_RESET, REUSED | ALONE | TIMESTAMPED, HERE},
    {CREATE, FAULT_UPSTREAM_RESET, REUSED | ALONE, GIVE_UP},

    /* Never after a byte has reached the client, nor without the body. */
    {QUERY, FAULT_CONNECT_REFUSED, COMMITTED, GIVE_UP},
    {QUERY, FAULT_UPSTREAM_TRUNCATED, COMMITTED, GIVE_UP},
    {QUERY, FAULT_LINK_CLOSED_UNREAD, COMMITTED | REUSED, GIVE_UP},
    {QUERY, FAULT_UPSTREAM_RESET, BODY_GONE, GIVE_UP},
    {WRITE, FAULT_UPSTREAM_REFUSED_ROLE, BODY_GONE, GIVE_UP},
    {WRITE, FAULT_LINK_CLOSED_UNREAD, BODY_GONE | REUSED, GIVE_UP},

    /* Never too late, nor too often. */
    {QUERY, FAULT_CONNECT_REFUSED, LATE, GIVE_UP},
    {WRITE, FAULT_CONNECT_REFUSED, LATE, GIVE_UP},
    {WRITE, FAULT_CONNECT_REFUSED, SECOND, ELSEWHERE},
    {WRITE, FAULT_CONNECT_REFUSED, FOURTH, GIVE_UP},
    {QUERY, FAULT_LINK_CLOSED_UNREAD, FOURTH | REUSED, GIVE_UP},
    {WRITEBACK, FAULT_CONNECT_REFUSED, SECOND, GIVE_UP},
    {WRITEBACK, FAULT_LINK_CLOSED_UNREAD, SECOND | REUSED, GIVE_UP},

    /* What another try would not mend. */
    {QUERY, FAULT_NONE, NOTHING, GIVE_UP},
    {QUERY, FAULT_REQUEST_MALFORMED, NOTHING, GIVE_UP},
    {QUERY, FAULT_DOWNSTREAM_GONE, NOTHING, GIVE_UP},
    {QUERY, FAULT_NO_NODE, NOTHING, GIVE_UP},
    {QUERY, FAULT_DRAINING, NOTHING, GIVE_UP},
    {QUERY, FAULT_UPSTREAM_HEAD_TOO_LARGE, NOTHING, GIVE_UP},
    {QUERY, FAULT_OUT_OF_MEMORY, NOTHING, GIVE_UP},
    {QUERY, FAULT_REPLAY_TOO_LARGE, NOTHING, GIVE_UP},
};

static struct retry_question question_of(const struct row *row)
{
    return (struct retry_question){
        .fault = row->fault,
        .class = row->class,
        .repeat = row->repeat,
        .facts = ((row->facts & COMMITTED) != 0 ? RETRY_COMMITTED : 0u) | ((row->facts & BODY_GONE) == 0 ? RETRY_BODY_IS_KEPT : 0u) |
                 ((row->facts & UPLOADING) == 0 ? RETRY_REQUEST_HAS_LEFT : 0u) |
                 ((row->facts & TIMESTAMPED) != 0 ? RETRY_IS_TIMESTAMPED : 0u) |
                 ((row->facts & REUSED) != 0 ? RETRY_LINK_WAS_REUSED : 0u) | ((row->facts & ALONE) == 0 ? RETRY_OTHERS_USABLE : 0u),
        .attempts = (row->facts & FOURTH) != 0   ? 4
                    : (row->facts & SECOND) != 0 ? 2
                                                 : 1,
        .now_ms = (row->facts & LATE) != 0 ? 5000 : 4999,
        .deadline_ms = 5000,
    };
}

static void an_attempt_that_was_passed_over_is_none(void **state)
{
    (void)state;
    static const unsigned both = RETRY_LINK_WAS_REUSED | RETRY_LINK_IS_SPENT;
    for (int fault = FAULT_NONE; fault < FAULT_COUNT; fault++) {
        struct retry_question question = {.fault = (enum fault)fault, .facts = both};
        bool is_unread = fault == FAULT_LINK_CLOSED_UNREAD || fault == FAULT_UPSTREAM_REFUSED_STREAM;
        assert_int_equal(retry_was_passed_over(&question), is_unread);
        question.facts = both | RETRY_BODY_IS_KEPT | RETRY_REQUEST_HAS_LEFT | RETRY_OTHERS_USABLE;
        assert_int_equal(retry_was_passed_over(&question), is_unread);
        /* Nobody was served before it on this link, or the link lives: then the node refuses this one. */
        question.facts = RETRY_LINK_IS_SPENT;
        assert_false(retry_was_passed_over(&question));
        question.facts = RETRY_LINK_WAS_REUSED;
        assert_false(retry_was_passed_over(&question));
    }
}

static const char *const decision_names[] = {"again here", "again elsewhere", "give up"};

static void each_question_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct retry_question question = question_of(&rows[i]);
        enum retry_decision verdict = retry_decide(&question);
        if (verdict != rows[i].verdict)
            fail_msg("row %zu (%s, %s, facts 0x%x): %s", i, request_class_name(rows[i].class),
                     fault_row(rows[i].fault)->name, rows[i].facts, decision_names[verdict]);
    }
}

static void without_a_deadline_it_is_never_late(void **state)
{
    (void)state;
    const struct row row = {QUERY, FAULT_CONNECT_REFUSED, NOTHING, ELSEWHERE};
    struct retry_question question = question_of(&row);
    question.deadline_ms = 0;
    question.now_ms = UINT64_MAX;
    assert_int_equal(retry_decide(&question), RETRY_AGAIN_ELSEWHERE);
}

/* Whatever the facts: after the policy's attempts it ends, and nothing that was committed is ever repeated. */
static void it_always_ends(void **state)
{
    (void)state;
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
            for (unsigned facts = 0; facts < 64; facts++) {
                const struct row row = {(enum request_class) class, ROUTE_REPEAT_SAFE, (enum fault)fault, facts,
                                        GIVE_UP};
                struct retry_question question = question_of(&row);
                if ((question.facts & RETRY_COMMITTED) != 0)
                    assert_int_equal(retry_decide(&question), RETRY_GIVE_UP);
                question.attempts = policy_of(question.class)->attempts_maximum;
                assert_in_range(question.attempts, 2, 4);
                assert_int_equal(retry_decide(&question), RETRY_GIVE_UP);
            }
        }
    }
}

static void what_was_not_read_is_repeated_for_nothing(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        unsigned facts;
        bool is_free;
    } costs[] = {
        {FAULT_CONNECT_REFUSED, 0, true},
        {FAULT_UPSTREAM_REFUSED_STREAM, RETRY_REQUEST_HAS_LEFT, true},
        {FAULT_UPSTREAM_REFUSED_ROLE, RETRY_REQUEST_HAS_LEFT, true},
        {FAULT_LINK_CLOSED_UNREAD, RETRY_REQUEST_HAS_LEFT, true},
        {FAULT_UPSTREAM_RESET, 0, true},
        {FAULT_UPSTREAM_RESET, RETRY_REQUEST_HAS_LEFT, false},
        {FAULT_UPSTREAM_TIMEOUT, RETRY_REQUEST_HAS_LEFT, false},
        {FAULT_UPSTREAM_FAILED, RETRY_REQUEST_HAS_LEFT, false},
        {FAULT_UPSTREAM_UNAVAILABLE, RETRY_REQUEST_HAS_LEFT, false},
    };
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        struct retry_question question = {.fault = costs[i].fault, .facts = costs[i].facts};
        if (retry_is_free(&question) != costs[i].is_free)
            fail_msg("%s", fault_row(costs[i].fault)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_has_its_verdict),
        cmocka_unit_test(an_attempt_that_was_passed_over_is_none),
        cmocka_unit_test(without_a_deadline_it_is_never_late),
        cmocka_unit_test(it_always_ends),
        cmocka_unit_test(what_was_not_read_is_repeated_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
