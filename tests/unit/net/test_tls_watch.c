#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/tls_watch.h"

static char path[] = "/tmp/test_tls_watch.XXXXXX";

static void write_file(const char *words)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(words, file);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void what_is_old_is_looked_at_once(void **state)
{
    (void)state;
    const char *paths[] = {"/bin/sh", NULL, "/nowhere/at/all"};
    struct tls_watch *watch = tls_watch_create(paths, 3);
    assert_true(tls_watch_look(watch));
    assert_false(tls_watch_look(watch));
    assert_false(tls_watch_look(watch));
    tls_watch_destroy(watch);
}

/* Two writes within one tick of the file system's clock look the same from outside: young files are looked at again. */
static void what_is_young_may_change_unseen(void **state)
{
    (void)state;
    const char *paths[] = {path};
    write_file("one");
    struct tls_watch *watch = tls_watch_create(paths, 1);
    assert_true(tls_watch_look(watch));
    write_file("two");
    assert_true(tls_watch_look(watch));
    assert_true(tls_watch_look(watch));
    tls_watch_destroy(watch);
}

static void a_file_that_comes_or_goes_is_noticed(void **state)
{
    (void)state;
    const char *paths[] = {"/bin/sh", path};
    char moved[sizeof path + 4];
    snprintf(moved, sizeof moved, "%s.off", path);
    assert_int_equal(rename(path, moved), 0);
    struct tls_watch *watch = tls_watch_create(paths, 2);
    assert_true(tls_watch_look(watch));
    assert_false(tls_watch_look(watch));
    assert_int_equal(rename(moved, path), 0);
    assert_true(tls_watch_look(watch));
    assert_int_equal(rename(path, moved), 0);
    assert_true(tls_watch_look(watch));
    assert_int_equal(rename(moved, path), 0);
    tls_watch_destroy(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_old_is_looked_at_once),
        cmocka_unit_test(what_is_young_may_change_unseen),
        cmocka_unit_test(a_file_that_comes_or_goes_is_noticed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
