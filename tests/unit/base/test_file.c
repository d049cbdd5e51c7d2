/* Files: their beginning, the whole of them, what they are, and whether they have changed; without waiting for anybody. */
#include <errno.h>
#include <fcntl.h>
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

static void write_file(const char *words)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(words, file);
    fclose(file);
}

static void a_regular_file_is_read_and_judged_at_once(void **state)
{
    (void)state;
    size_t length = 0;
    struct file_facts facts;
    write_file("0123456789");
    assert_int_equal(chmod(path, 0644), 0);
    char *bytes = file_read_regular(path, 10, &length, &facts);
    assert_int_equal(length, 10);
    assert_memory_equal(bytes, "0123456789", 10);
    assert_true(facts.is_regular && facts.is_open_to_all && facts.size_bytes == 10);
    free(bytes);
    assert_int_equal(chmod(path, 0600), 0);
    bytes = file_read_regular(path, 4, &length, &facts);
    assert_int_equal(length, 5);
    assert_true(facts.is_regular && !facts.is_open_to_all);
    free(bytes);
}

static void what_is_no_regular_file_is_not_read(void **state)
{
    (void)state;
    size_t length;
    struct file_facts facts;
    alarm(20);
    assert_null(file_read_regular(path, 10, &length, &facts));
    assert_int_equal(errno, ENOENT);
    assert_false(facts.is_regular);
    assert_null(file_read_regular(folder, 10, &length, &facts));
    assert_int_equal(errno, ENXIO);
    assert_false(facts.is_regular);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(file_read_regular(path, 10, &length, &facts));
    assert_int_equal(errno, ENXIO);
    assert_false(facts.is_regular);
    alarm(0);
}

static bool stamps_differ(const struct file_stamp *a, const struct file_stamp *b)
{
    return memcmp(a, b, sizeof *a) != 0;
}

static void a_stamp_tells_that_a_file_has_changed(void **state)
{
    (void)state;
    const struct timespec times[2] = {{1000, 0}, {1000, 5}};
    const struct file_stamp none = {0};
    struct file_stamp first = file_stamp_of(path);
    assert_false(stamps_differ(&first, &none));
    write_file("abc");
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    first = file_stamp_of(path);
    assert_true(first.inode != 0 && first.size_bytes == 3 && first.changed_ns > first.modified_ns);
    assert_true(first.modified_ns == INT64_C(1000000000005));
    struct file_stamp second = file_stamp_of(path);
    assert_false(stamps_differ(&first, &second));
    write_file("abcd");
    second = file_stamp_of(path);
    assert_true(stamps_differ(&first, &second));
    assert_int_equal(second.size_bytes, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_file_is_read_up_to_the_capacity),
        TEST(a_regular_file_is_read_and_judged_at_once),
        TEST(what_is_no_regular_file_is_not_read),
        TEST(a_stamp_tells_that_a_file_has_changed),
        TEST(what_cannot_be_read_says_why),
        TEST(a_fifo_is_not_waited_for),
        TEST(a_whole_file_is_read_or_known_to_be_larger),
        TEST(what_a_file_is_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
