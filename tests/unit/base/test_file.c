/* The beginning of a file, without waiting for anybody. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char folder[] = "/tmp/sluice-file-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sluice-file-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void a_file_is_read_up_to_the_capacity(void **state)
{
    (void)state;
    char buffer[16];
    FILE *file = fopen(path, "w");
    fputs("0123456789", file);
    fclose(file);
    assert_int_equal(file_read_beginning(path, buffer, sizeof buffer), 10);
    assert_memory_equal(buffer, "0123456789", 10);
    memset(buffer, '#', sizeof buffer);
    assert_int_equal(file_read_beginning(path, buffer, 4), 4);
    assert_memory_equal(buffer, "0123#", 5);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(file_read_beginning(path, buffer, sizeof buffer), 0);
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    char buffer[16];
    assert_int_equal(file_read_beginning(path, buffer, sizeof buffer), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(file_read_beginning(folder, buffer, sizeof buffer), -1);
    assert_int_equal(errno, EISDIR);
}

static void a_fifo_is_not_waited_for(void **state)
{
    (void)state;
    char buffer[16];
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_true(file_read_beginning(path, buffer, sizeof buffer) <= 0);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_file_is_read_up_to_the_capacity),
        TEST(what_cannot_be_read_says_why),
        TEST(a_fifo_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
