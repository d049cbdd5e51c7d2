#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "fake/topology_text.h"
#include "topology/changes.h"
#include "topology/schema.h"

#define NODES "nodes: [{node_id: a, url: 'http://a', mode: all}]\n"
#define CLUSTER "cluster_id: prod\nlisten: ['127.0.0.1:8181']\n"

/* The findings of a reload from one to the other must read exactly so. */
static void assert_changes(const char *before, const char *after, const char *expected, size_t errors)
{
    struct topology *started = topology_of_text("sluice-changes.yaml", before);
    struct topology *next = topology_of_text("sluice-changes.yaml", after);
    struct findings *findings = findings_create();
    topology_changes(started, next, findings);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    findings_print(findings, stream);
    fclose(stream);
    assert_string_equal(text, expected);
    assert_int_equal(findings_count(findings, FINDING_ERROR), errors);
    free(text);
    findings_destroy(findings);
    topology_release(started);
    topology_release(next);
}

static void the_same_file_changes_nothing(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES "workers: 2\n", CLUSTER NODES "workers: 2\n", "", 0);
}

static void another_number_of_workers_waits_for_a_restart(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES "workers: 2\n", CLUSTER NODES "log_level: debug\nworkers: 4\n",
                   "sluice-changes.yaml:5:10: warning: workers changes from 2 to 4; this needs a restart, the running value "
                   "stays in force\n",
                   0);
}

static void a_key_that_is_gone_changes_to_its_default(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES "workers: 2\n", CLUSTER NODES,
                   "sluice-changes.yaml: warning: workers changes from 2 to 0 (one for each core); this needs a restart, the "
                   "running value stays in force\n",
                   0);
    assert_changes(CLUSTER NODES, CLUSTER NODES "workers: 0\n", "", 0);
}

static void another_cluster_is_refused(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES, "listen: ['127.0.0.1:8181']\ncluster_id: test\n" NODES,
                   "sluice-changes.yaml:2:13: error: cluster_id changes from \"prod\" to \"test\", so this is the file of "
                   "another cluster; name the right file, or restart Sluice to serve that cluster\n",
                   1);
}

static void all_are_told_at_once(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES "workers: 2\n", "cluster_id: p\nworkers: 3\nlisten: ['127.0.0.1:8181']\n" NODES,
                   "sluice-changes.yaml:1:13: error: cluster_id changes from \"prod\" to \"p\", so this is the file of "
                   "another cluster; name the right file, or restart Sluice to serve that cluster\n"
                   "sluice-changes.yaml:2:10: warning: workers changes from 2 to 3; this needs a restart, the running value "
                   "stays in force\n",
                   1);
}

static void all_else_changes_by_a_reload(void **state)
{
    (void)state;
    assert_changes(CLUSTER NODES,
                   "cluster_id: prod\nstorage_engine: parquet\nlisten: ['127.0.0.1:1']\nadmin: {address: '127.0.0.1:2'}\n"
                   "nodes: [{node_id: b, url: 'http://b', mode: all, cores: 4}]\nroutes: [{path: /a, class: query}]\n"
                   "unknown: deny\naccess_log: '-'\nlog_level: debug\nretry_after: true\ntrust_forwarded: true\n"
                   "timeouts: {connect: 11ms}\nlimits: {fields: 9}\nhealth: {path: /health}\ntls: {verify: false}\n",
                   "", 0);
}

/* A row of another kind would need more in changes.c before it may say that it needs a restart. */
static void keys_that_need_a_restart_can_be_compared(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        assert_non_null(schema_change_name(row->change));
        if (row->change == SCHEMA_CHANGE_RELOAD)
            continue;
        bool is_text = row->type == SCHEMA_TEXT && row->maximum < 140; /* described whole, so compared whole */
        bool is_number = row->type == SCHEMA_INTEGER || row->type == SCHEMA_SIZE || row->type == SCHEMA_DURATION;
        assert_true(row->scope == SCHEMA_SCOPE_TOPOLOGY && (is_text || is_number));
        count++;
    }
    assert_int_equal(count, 2);
    assert_int_equal(schema_find(TEXT("workers"))->change, SCHEMA_CHANGE_RESTART);
    assert_int_equal(schema_find(TEXT("cluster_id"))->change, SCHEMA_CHANGE_REFUSED);
}

int main(void)
{
    char folder[] = "/tmp/sluice-changes-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_file_changes_nothing),
        cmocka_unit_test(another_number_of_workers_waits_for_a_restart),
        cmocka_unit_test(a_key_that_is_gone_changes_to_its_default),
        cmocka_unit_test(another_cluster_is_refused),
        cmocka_unit_test(all_are_told_at_once),
        cmocka_unit_test(all_else_changes_by_a_reload),
        cmocka_unit_test(keys_that_need_a_restart_can_be_compared),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
