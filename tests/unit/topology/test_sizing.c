#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "topology/sizing.h"

#define GIGABYTE UINT64_C(1000000000)

/* InfluxData's own numbers, "Configure specialized cluster nodes". */
static void documented_sizes_come_out(void **state)
{
    (void)state;
    static const struct {
        unsigned modes;
        unsigned cores;
        unsigned io_threads;
        unsigned datafusion_threads;
        unsigned memory_percent;
    } rows[] = {
        {NODE_MODE_INGEST, 32, 12, 20, 60},
        {NODE_MODE_INGEST, 48, 16, 32, 60},
        {NODE_MODE_INGEST, 96, 20, 76, 60},
        {NODE_MODE_QUERY, 64, 4, 60, 90},
        {NODE_MODE_QUERY, 48, 4, 44, 90},
        {NODE_MODE_COMPACT, 32, 2, 30, 0},
        {NODE_MODE_PROCESS, 32, 4, 28, 0},
        {NODE_MODE_PROCESS | NODE_MODE_QUERY, 16, 4, 12, 0},
        {NODE_MODE_INGEST | NODE_MODE_QUERY, 48, 12, 36, 75},
        {NODE_MODE_QUERY | NODE_MODE_COMPACT, 32, 4, 28, 0},
        {NODE_MODE_INGEST | NODE_MODE_QUERY | NODE_MODE_COMPACT, 32, 8, 24, 75},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sizing sizing = sizing_of(STORAGE_ENGINE_PARQUET, rows[i].modes, rows[i].cores, 0);
        if (sizing.io_threads != rows[i].io_threads || sizing.datafusion_threads != rows[i].datafusion_threads ||
            sizing.memory_percent != rows[i].memory_percent)
            fail_msg("row %zu: %u + %u, %u%%", i, sizing.io_threads, sizing.datafusion_threads, sizing.memory_percent);
    }
}

static void threads_always_share_all_cores(void **state)
{
    (void)state;
    for (unsigned modes = 1; modes < 1u << NODE_MODE_COUNT; modes++) {
        unsigned previous = 0;
        for (unsigned cores = 2; cores <= 512; cores++) {
            struct sizing sizing = sizing_of(STORAGE_ENGINE_PARQUET, modes, cores, 0);
            assert_true(sizing.io_threads >= 1 && sizing.datafusion_threads >= 1);
            assert_int_equal(sizing.io_threads + sizing.datafusion_threads, cores);
            assert_true(sizing.io_threads >= previous); /* more cores never mean fewer threads for writes */
            assert_true(cores < 4 || sizing.io_threads >= 2);
            assert_non_null(sizing.io_reason);
            assert_non_null(sizing.datafusion_reason);
            assert_int_equal(sizing.memory_reason == NULL, sizing.memory_percent == 0);
            previous = sizing.io_threads;
        }
    }
}

static void small_machines_get_the_databases_defaults(void **state)
{
    (void)state;
    assert_int_equal(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_INGEST, 2, 0).io_threads, 1);
    assert_int_equal(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_INGEST, 3, 0).io_threads, 1);
    assert_int_equal(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_INGEST, 4, 0).io_threads, 2);
    assert_int_equal(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 4, 0).io_threads, 2);
}

static void the_file_cache_fits_beside_the_pool(void **state)
{
    (void)state;
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 64, 0).file_cache_bytes == 8 * GIGABYTE);
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 32, 0).file_cache_bytes == 4 * GIGABYTE);
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 64, 256 * GIGABYTE).file_cache_bytes == 8 * GIGABYTE);
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 64, 39 * GIGABYTE).file_cache_bytes == 3 * GIGABYTE);
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_QUERY, 64, 8 * GIGABYTE).file_cache_bytes == 0);
    assert_true(sizing_of(STORAGE_ENGINE_PARQUET, NODE_MODE_INGEST, 64, 0).file_cache_bytes == 0);
}

static void the_upgraded_engine_chooses_its_own_threads(void **state)
{
    (void)state;
    for (unsigned modes = 1; modes < 1u << NODE_MODE_COUNT; modes++) {
        struct sizing sizing = sizing_of(STORAGE_ENGINE_UPGRADED, modes, 48, 0);
        assert_int_equal(sizing.io_threads + sizing.datafusion_threads, 0);
        assert_int_equal(sizing.memory_percent, 0);
        assert_true(sizing.file_cache_bytes == 0 && sizing.replica_bytes == 0);
        assert_int_equal(sizing.has_no_file_cache, modes == NODE_MODE_INGEST || modes == (NODE_MODE_INGEST | NODE_MODE_PROCESS));
        assert_int_equal(sizing.has_replica_buffer, (modes & NODE_MODE_QUERY) != 0);
    }
    assert_true(sizing_of(STORAGE_ENGINE_UPGRADED, NODE_MODE_QUERY, 8, 8 * GIGABYTE).replica_bytes == 4 * GIGABYTE);
    assert_true(sizing_of(STORAGE_ENGINE_UPGRADED, NODE_MODE_QUERY, 8, 64 * GIGABYTE).replica_bytes == 16 * GIGABYTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_sizes_come_out),
        cmocka_unit_test(threads_always_share_all_cores),
        cmocka_unit_test(small_machines_get_the_databases_defaults),
        cmocka_unit_test(the_file_cache_fits_beside_the_pool),
        cmocka_unit_test(the_upgraded_engine_chooses_its_own_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
