/* Names to addresses: all of them, from the loop only, and never to somebody who has asked no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/clock.h"
#include "fake/name_server.h"
#include "fake/rig.h"
#include "net/resolver.h"

struct asker {
    struct resolver_request *request;
    unsigned answers;
    size_t count;
    char words[256]; /* the addresses, with blanks between them, or the reason */
    bool asks_again;
};

static struct rig rig;
static struct name_server server;
static struct resolver *resolver;

static void on_resolved(void *owner, const struct resolver_answer *answer)
{
    struct asker *asker = owner;
    rig_expect_turning(&rig);
    asker->answers++;
    asker->request = NULL;
    asker->count = answer->count;
    asker->words[0] = '\0';
    assert_true((answer->count == 0) == (answer->reason != NULL));
    size_t used = answer->reason == NULL ? 0 : text_append(asker->words, sizeof asker->words, 0, "%s", answer->reason);
    for (size_t i = 0; i < answer->count; i++) {
        char buffer[ADDRESS_TEXT_BYTES];
        used = text_append(asker->words, sizeof asker->words, used, "%s%s", i == 0 ? "" : " ",
                           address_format(&answer->addresses[i], buffer, sizeof buffer));
    }
    if (asker->asks_again) {
        asker->asks_again = false;
        asker->request = resolver_start(resolver, "one.test", 80, on_resolved, asker);
    }
}

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig);
    name_server_start(&server);
    resolver = resolver_create(rig.loop);
    return resolver == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    rig_settle(&rig);
    rig_stop(&rig);
    name_server_stop(&server);
    return 0;
}

static void start(struct asker *asker, const char *host)
{
    asker->request = resolver_start(resolver, host, 8181, on_resolved, asker);
    assert_non_null(asker->request);
    assert_int_equal(asker->answers, 0);
}

#define answer_until(condition)                                                                                        \
    rig_until(&rig, (name_server_answer(&server), condition))

static void all_addresses_of_a_name_are_handed_over(void **state)
{
    (void)state;
    struct asker one = {0};
    struct asker four = {0};
    start(&one, "one.test");
    start(&four, "four.test");
    answer_until(one.answers == 1 && four.answers == 1);
    assert_string_equal(one.words, "10.0.0.1:8181");
    assert_string_equal(four.words, "10.0.0.1:8181 10.0.0.2:8181 10.0.0.3:8181 10.0.0.4:8181");
    rig_settle(&rig);
    assert_int_equal(one.answers + four.answers, 2);
}

/* Known at once, and told from the loop all the same; also when nothing else happens in it. */
static void what_is_known_at_once_is_told_later(void **state)
{
    (void)state;
    struct asker four = {0};
    struct asker six = {0};
    struct asker hosts = {0};
    start(&four, "192.0.2.7");
    start(&six, "2001:db8::7");
    start(&hosts, "hosts.test");
    rig_settle(&rig);
    assert_string_equal(four.words, "192.0.2.7:8181");
    assert_string_equal(six.words, "[2001:db8::7]:8181");
    assert_string_equal(hosts.words, "10.1.0.1:8181 10.1.0.2:8181");
    assert_int_equal(four.answers + six.answers + hosts.answers, 3);
    assert_int_equal(server.asked, 0);
}

static void a_name_without_addresses_has_a_reason(void **state)
{
    (void)state;
    struct asker none = {0};
    start(&none, "none.test");
    answer_until(none.answers == 1);
    assert_int_equal(none.count, 0);
    assert_true(strlen(none.words) > 0);
}

static void a_server_that_says_nothing_ends_in_a_reason_too(void **state)
{
    (void)state;
    struct asker silent = {0};
    start(&silent, "silent.test");
    for (unsigned i = 0; i < 60 && silent.answers == 0; i++) {
        rig_settle(&rig);
        clock_advance(1000);
    }
    assert_int_equal(silent.answers, 1);
    assert_int_equal(silent.count, 0);
}

static void who_asks_no_more_hears_nothing(void **state)
{
    (void)state;
    struct asker askers[4] = {{0}};
    start(&askers[0], "one.test");     /* asked, to be answered */
    start(&askers[1], "silent.test");  /* asked, never answered */
    start(&askers[2], "192.0.2.7");    /* known, not told yet */
    start(&askers[3], "one.test");
    for (unsigned i = 0; i < 3; i++)
        resolver_cancel(askers[i].request);
    resolver_cancel(NULL);
    answer_until(askers[3].answers == 1);
    rig_settle(&rig);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(askers[i].answers, 0);
}

static void who_was_told_may_ask_again(void **state)
{
    (void)state;
    struct asker asker = {.asks_again = true};
    start(&asker, "hosts.test");
    answer_until(asker.answers == 2);
    assert_string_equal(asker.words, "10.0.0.1:80");
}

static void nothing_is_told_after_the_end(void **state)
{
    (void)state;
    struct asker askers[3] = {{0}};
    start(&askers[0], "one.test");
    start(&askers[1], "silent.test");
    start(&askers[2], "hosts.test");
    rig_turn(&rig);
    assert_int_equal(askers[2].answers, 1);
    askers[2].answers = 0;
    start(&askers[2], "192.0.2.7");
    resolver_destroy(resolver);
    resolver = NULL;
    for (unsigned i = 0; i < 10; i++) {
        name_server_answer(&server);
        rig_turn(&rig);
    }
    assert_int_equal(askers[0].answers + askers[1].answers + askers[2].answers, 0);
    resolver_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(all_addresses_of_a_name_are_handed_over),
        TEST(what_is_known_at_once_is_told_later),
        TEST(a_name_without_addresses_has_a_reason),
        TEST(a_server_that_says_nothing_ends_in_a_reason_too),
        TEST(who_asks_no_more_hears_nothing),
        TEST(who_was_told_may_ask_again),
        TEST(nothing_is_told_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
