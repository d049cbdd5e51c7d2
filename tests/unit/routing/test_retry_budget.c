/* The budget of repeats: what requests and time bring, what is kept, and when there is a token again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/retry_budget.h"

static const struct retry_budget_rates rates = {.share_thousandths = 200, .floor = 10};

static unsigned take_all(struct retry_budget *budget)
{
    unsigned count = 0;
    while (retry_budget_take(budget))
        count++;
    return count;
}

static void it_begins_with_ten_seconds_of_the_floor(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &rates, 0, 5000);
    assert_int_equal(take_all(&budget), 100);
}

static void time_brings_the_floor(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &rates, 0, 5000);
    take_all(&budget);
    assert_int_equal(retry_budget_wait_ms(&budget, &rates), 100);
    retry_budget_fill(&budget, &rates, 0, 5099);
    assert_false(retry_budget_take(&budget));
    assert_int_equal(retry_budget_wait_ms(&budget, &rates), 1);
    retry_budget_fill(&budget, &rates, 0, 5100);
    assert_true(retry_budget_take(&budget));
    retry_budget_fill(&budget, &rates, 0, 6100);
    assert_int_equal(take_all(&budget), 10);
}

static void requests_bring_their_share(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &rates, 0, 5000);
    take_all(&budget);
    retry_budget_fill(&budget, &rates, 4, 5000);
    assert_false(retry_budget_take(&budget));
    retry_budget_fill(&budget, &rates, 1, 5000);
    assert_int_equal(take_all(&budget), 1);
}

/* However long it was quiet, and however much came in a long time. */
static void no_more_than_ten_seconds_are_kept(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &rates, 0, 5000);
    for (unsigned second = 1; second <= 100; second++)
        retry_budget_fill(&budget, &rates, 100, 5000 + 1000 * second);
    /* 20 a second by requests, 10 by time; a window that has just ended counts whole beside the present one. */
    assert_in_range(take_all(&budget), 300, 320);
    retry_budget_fill(&budget, &rates, 0, 5000 + 1000 * 1000);
    assert_int_equal(take_all(&budget), 100);
}

/* A thousand requests a second, all of which fail and want to be repeated without end, for a minute. */
static void a_storm_makes_no_more_repeats_than_share_and_floor(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    unsigned repeats = 0;
    retry_budget_fill(&budget, &rates, 0, 1000);
    for (unsigned ms = 1; ms <= 60000; ms++) {
        retry_budget_fill(&budget, &rates, 1, 1000 + ms);
        repeats += take_all(&budget);
    }
    assert_in_range(repeats, 60 * (200 + 10), 60 * (200 + 10) + 100);
}

static void without_a_floor_only_requests_help(void **state)
{
    (void)state;
    static const struct retry_budget_rates shared = {.share_thousandths = 1000};
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &shared, 0, 1000);
    assert_false(retry_budget_take(&budget));
    retry_budget_fill(&budget, &shared, 0, 100000);
    assert_false(retry_budget_take(&budget));
    assert_true(retry_budget_wait_ms(&budget, &shared) > 1000);
    retry_budget_fill(&budget, &shared, 2, 100000);
    assert_int_equal(take_all(&budget), 2);
}

/* Workers' clocks differ by some milliseconds. */
static void a_clock_that_goes_back_a_little_takes_nothing_away(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    retry_budget_fill(&budget, &rates, 0, 5000);
    take_all(&budget);
    retry_budget_fill(&budget, &rates, 0, 5200);
    retry_budget_fill(&budget, &rates, 0, 5150);
    assert_int_equal(take_all(&budget), 2);
    retry_budget_fill(&budget, &rates, 0, 5200);
    assert_int_equal(take_all(&budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_ten_seconds_of_the_floor),
        cmocka_unit_test(time_brings_the_floor),
        cmocka_unit_test(requests_bring_their_share),
        cmocka_unit_test(no_more_than_ten_seconds_are_kept),
        cmocka_unit_test(a_storm_makes_no_more_repeats_than_share_and_floor),
        cmocka_unit_test(without_a_floor_only_requests_help),
        cmocka_unit_test(a_clock_that_goes_back_a_little_takes_nothing_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
