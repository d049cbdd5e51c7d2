/* A thread runs once, without signals, and is waited for. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"

struct seen {
    unsigned runs;
    bool is_blocked[NSIG];
};

static void look(void *owner)
{
    struct seen *seen = owner;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < NSIG; i++)
        seen->is_blocked[i] = sigismember(&mask, i) == 1;
    seen->runs++;
}

static void signals_are_blocked_in_it_alone(void **state)
{
    (void)state;
    static struct seen seen;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    struct thread *thread = thread_start(look, &seen);
    assert_non_null(thread);
    thread_join(thread);
    assert_int_equal(seen.runs, 1);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_true(seen.is_blocked[signals[i]]);
        assert_int_equal(sigismember(&mask, signals[i]), 0);
    }
    thread_join(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_blocked_in_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
