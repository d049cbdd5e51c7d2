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

static void a_whole_file_is_read_or_known_to_be_larger(void **state)
{
    (void)state;
    size_t length = 0;
    FILE *file = fopen(path, "w");
    fputs("0123456789", file);
    fclose(file);
    char *bytes = file_read_whole(path, 10, &length);
    assert_int_equal(length, 10);
    assert_memory_equal(bytes, "0123456789", 10);
    free(bytes);
    bytes = file_read_whole(path, 9, &length);
    assert_int_equal(length, 10);
    free(bytes);
    bytes = file_read_whole(path, 4, &length);
    assert_int_equal(length, 5);
    free(bytes);
    assert_null(file_read_whole(folder, 10, &length));
    assert_int_equal(errno, EISDIR);
    unlink(path);
    assert_null(file_read_whole(path, 10, &length));
    assert_int_equal(errno, ENOENT);
}

static void what_a_file_is_is_told(void **state)
{
    (void)state;
    struct file_facts facts;
    assert_false(file_examine(path, &facts));
    assert_int_equal(errno, ENOENT);
    FILE *file = fopen(path, "w");
    fputs("abc", file);
    fclose(file);
    assert_int_equal(chmod(path, 0640), 0);
    assert_true(file_examine(path, &facts));
    assert_true(facts.is_regular && !facts.is_open_to_all && facts.size_bytes == 3);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(file_examine(path, &facts));
    assert_true(facts.is_open_to_all);
    assert_true(file_examine(folder, &facts));
    assert_false(facts.is_regular);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(file_examine(path, &facts));
    assert_false(facts.is_regular);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_file_is_read_up_to_the_capacity),
        TEST(what_cannot_be_read_says_why),
        TEST(a_fifo_is_not_waited_for),
        TEST(a_whole_file_is_read_or_known_to_be_larger),
        TEST(what_a_file_is_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
