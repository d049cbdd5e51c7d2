/* The files of Sluice's machine: what outlives the process, and what outlives the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sink.h"
#include "kernel/draw.h"
#include "kernel/files.h"
#include "kernel/world.h"

#define LOG "/var/log/sluice.log"

static int set_up(void **state)
{
    (void)state;
    files_begin();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_end();
    return 0;
}

static void what_is_written_outlives_the_process(void **state)
{
    (void)state;
    struct sink sink;
    const char *reason;
    assert_true(sink_open(&sink, LOG, &reason));
    assert_int_equal(sink_write(&sink, TEXT("one\ntwo\n")), 8);
    sink_close(&sink);
    assert_true(text_equals(sim_file_read(LOG), TEXT("one\ntwo\n")));
}

static void a_machine_that_loses_power_keeps_what_was_synced(void **state)
{
    (void)state;
    static const char lines[] = "one\ntwo\nthree\n";
    size_t shortest = sizeof lines;
    size_t longest = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random_source random = draw_source_of(seed, "power", 0);
        struct sink sink;
        const char *reason;
        files_end();
        files_begin();
        sim_file_write("/etc/sluice/sluice.yaml", TEXT("cluster_id: a\n"));
        assert_true(sink_open(&sink, LOG, &reason));
        sink_write(&sink, TEXT("one\ntwo\n"));
        sink_write(&sink, TEXT("three\n"));
        sim_files_lose_power(&random);
        assert_true(text_equals(sim_file_read("/etc/sluice/sluice.yaml"), TEXT("cluster_id: a\n")));
        struct text left = sim_file_read(LOG);
        assert_true(text_starts_with(text_of_string(lines), left));
        shortest = left.length < shortest ? left.length : shortest;
        longest = left.length > longest ? left.length : longest;
    }
    assert_int_equal(shortest, 0);
    assert_int_equal(longest, sizeof lines - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_is_written_outlives_the_process),
        TEST(a_machine_that_loses_power_keeps_what_was_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
