/* Signals as callbacks of a loop: told to who listens, else ignored with a line; none of them ends the process. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/log.h"
#include "fake/rig.h"
#include "net/signals.h"

static const int numbers[SIGNAL_KIND_COUNT] = {
    [SIGNAL_TERM] = SIGTERM, [SIGNAL_INT] = SIGINT,   [SIGNAL_HUP] = SIGHUP,
    [SIGNAL_USR1] = SIGUSR1, [SIGNAL_USR2] = SIGUSR2,
};

static struct rig rig;
static struct signals *signals;
static unsigned told[SIGNAL_KIND_COUNT];

static void on_signal(void *owner, enum signal_kind kind)
{
    assert_ptr_equal(owner, told);
    rig_expect_turning(&rig);
    told[kind]++;
}

static int set_up(void **state)
{
    (void)state;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    rig_start(&rig);
    log_set_level(LOG_LEVEL_ERROR);
    memset(told, 0, sizeof told);
    signals = signals_create(rig.loop);
    return signals == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    signals_destroy(signals);
    rig_stop(&rig);
    return 0;
}

static void each_signal_is_told_to_who_listens(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++)
        signals_on(signals, (enum signal_kind)kind, on_signal, told);
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++) {
        raise(numbers[kind]);
        assert_int_equal(told[kind], 0);
        rig_settle(&rig);
        for (unsigned other = 0; other < SIGNAL_KIND_COUNT; other++)
            assert_int_equal(told[other], other <= kind ? 1 : 0);
    }
}

static void what_comes_while_the_process_starts_is_kept(void **state)
{
    (void)state;
    static const enum signal_kind orders[] = {SIGNAL_HUP, SIGNAL_USR1, SIGNAL_USR2};
    signals_destroy(signals);
    rig_settle(&rig);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signals_hold();
    for (unsigned i = 0; i < 3; i++)
        raise(numbers[orders[i]]);
    signals = signals_create(rig.loop);
    assert_non_null(signals);
    for (unsigned i = 0; i < 3; i++)
        signals_on(signals, orders[i], on_signal, told);
    rig_settle(&rig);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(told[orders[i]], 1);
}

/* The lines that `run` writes to standard error. */
static void assert_logs(void (*run)(void), const char *expected)
{
    char lines[1024];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    run();
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size_t length = fread(lines, 1, sizeof lines - 1, file);
    lines[length] = '\0';
    fclose(file);
    if (strstr(lines, expected) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", expected, lines);
}

static void raise_user_signal(void)
{
    raise(SIGUSR1);
    rig_settle(&rig);
}

static void a_signal_that_nobody_listens_to_is_ignored_with_a_line(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_WARNING);
    assert_logs(raise_user_signal, " event=signal signal=USR1 action=ignored\n");
    signals_on(signals, SIGNAL_USR1, on_signal, told);
    raise_user_signal();
    assert_int_equal(told[SIGNAL_USR1], 1);
    signals_on(signals, SIGNAL_USR1, NULL, NULL);
    assert_logs(raise_user_signal, "action=ignored");
    assert_int_equal(told[SIGNAL_USR1], 1);
}

static void writing_to_a_closed_pipe_is_an_error_and_no_death(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
}

/* In a process of its own: the one that runs the tests keeps its mask. */
static void no_signal_turns_an_orderly_end_into_a_death(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        signals_destroy(signals);
        for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++)
            raise(numbers[kind]);
        _exit(7);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_signal_is_told_to_who_listens),
        TEST(what_comes_while_the_process_starts_is_kept),
        TEST(a_signal_that_nobody_listens_to_is_ignored_with_a_line),
        TEST(writing_to_a_closed_pipe_is_an_error_and_no_death),
        TEST(no_signal_turns_an_orderly_end_into_a_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
