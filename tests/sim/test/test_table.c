/* What a swarm must reach: when a row of the table is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/table.h"

static struct table *table;
static char path[] = "/tmp/sluice-reached-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    table = table_create();
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return table == NULL || fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    table_free(table);
    return 0;
}

static bool expects(const char *words)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(words, file);
    fclose(file);
    return table_expect(table, path);
}

static void a_row_that_must_be_reached_is_missed_only_by_a_swarm_of_that_size(void **state)
{
    (void)state;
    assert_true(expects("# comment\n\n1000 client: leaves\n"));
    table_add(table, "exists client: leaves");
    assert_int_equal(table_print(table, 999, false), 0);
    assert_int_equal(table_print(table, 1000, false), 1);
    table_add(table, "reached client: leaves");
    assert_int_equal(table_print(table, 1000, false), 0);
}

static void a_large_swarm_reaches_every_row_without_an_exception(void **state)
{
    (void)state;
    assert_true(expects("never move: a -> b # memory at one exact place\n"));
    table_add(table, "exists move: a -> b");
    table_add(table, "exists move: b -> c");
    assert_int_equal(table_print(table, TABLE_ALL_SEEDS - 1, false), 0);
    assert_int_equal(table_print(table, TABLE_ALL_SEEDS, false), 1);
    table_add(table, "reached move: b -> c");
    assert_int_equal(table_print(table, TABLE_ALL_SEEDS, false), 0);
}

static void an_exception_for_what_is_reached_is_wrong(void **state)
{
    (void)state;
    assert_true(expects("never fault: x # it is only the name of an attempt\n"));
    for (unsigned i = 0; i < TABLE_OFTEN - 1; i++)
        table_add(table, "reached fault: x");
    assert_int_equal(table_print(table, 100, false), 0);
    table_add(table, "reached fault: x");
    assert_int_equal(table_print(table, 100, false), 1);
}

static void a_line_that_means_nothing_is_refused(void **state)
{
    (void)state;
    assert_false(expects("never fault: x\n"));
    assert_false(expects("soon fault: x\n"));
    assert_false(expects("0 fault: x\n"));
    assert_false(table_expect(table, "/tmp/there/is/no/such/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_row_that_must_be_reached_is_missed_only_by_a_swarm_of_that_size),
        TEST(a_large_swarm_reaches_every_row_without_an_exception),
        TEST(an_exception_for_what_is_reached_is_wrong),
        TEST(a_line_that_means_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
