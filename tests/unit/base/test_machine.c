/* A move that the table does not have is logged, and nothing else is. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/machine.h"

static const char *const names[] = {"shut", "open", "broken"};
static const uint32_t moves[] = {MACHINE_TO(1) | MACHINE_TO(2), MACHINE_TO(0) | MACHINE_TO(2), 0};
static const struct machine door = {"door", names, moves};

/* What the move writes to standard error, behind the time. */
static const char *logged(unsigned from, unsigned to)
{
    static char line[256];
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    machine_check(&door, from, to);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t length = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    close(ends[1]);
    line[length > 0 ? length : 0] = '\0';
    char *event = strstr(line, "error ");
    return event == NULL ? line : event;
}

static void only_a_move_that_the_table_does_not_have_is_logged(void **state)
{
    (void)state;
    assert_string_equal(logged(0, 1), "");
    assert_string_equal(logged(1, 0), "");
    assert_string_equal(logged(1, 2), "");
    assert_string_equal(logged(2, 1), "error event=bug what=door from=broken to=open\n");
    assert_string_equal(logged(0, 0), "error event=bug what=door from=shut to=shut\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_move_that_the_table_does_not_have_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
