#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "topology/layout.h"

static void every_spelling_of_an_option_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum layout_key found;
        const char *name;
    } rows[] = {
        {"mode", LAYOUT_KEY_NODE, "mode"},
        {"node-id", LAYOUT_KEY_NODE, "node_id"},
        {"--node-id", LAYOUT_KEY_NODE, "node_id"},
        {"cores", LAYOUT_KEY_NODE, "cores"},
        {"num-cores", LAYOUT_KEY_NODE, "cores"},
        {"--num_io_threads", LAYOUT_KEY_NODE, "io_threads"},
        {"datafusion-num-threads", LAYOUT_KEY_NODE, "datafusion_threads"},
        {"num-datafusion-threads", LAYOUT_KEY_NODE, "datafusion_threads"},
        {"plugin-dir", LAYOUT_KEY_NODE, "plugin_dir"},
        {"cluster-id", LAYOUT_KEY_CLUSTER, "cluster_id"},
        {"storage-engine", LAYOUT_KEY_CLUSTER, "storage_engine"},
        {"count", LAYOUT_KEY_COUNT, "count"},
        {"exec-mem-pool-bytes", LAYOUT_KEY_SERVE, "exec_mem_pool_bytes"},
        {"--wal-flush-interval", LAYOUT_KEY_SERVE, "wal_flush_interval"},
        {"disable-authz", LAYOUT_KEY_SERVE, "disable_authz"},
        {"internode-bind-addr", LAYOUT_KEY_SERVE, "internode_bind_addr"},
        {"listen", LAYOUT_KEY_UNKNOWN, "listen"},
        {"Mode", LAYOUT_KEY_UNKNOWN, "Mode"},
        {"", LAYOUT_KEY_UNKNOWN, ""},
        {"--", LAYOUT_KEY_UNKNOWN, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[LAYOUT_NAME_CAPACITY];
        assert_int_equal(layout_key_find(text_of_string(rows[i].key), name), rows[i].found);
        assert_string_equal(name, rows[i].name);
    }
}

static void a_long_key_is_cut_and_unknown(void **state)
{
    (void)state;
    char name[LAYOUT_NAME_CAPACITY];
    char key[1000];
    memset(key, 'm', sizeof key);
    assert_int_equal(layout_key_find(text_of(key, sizeof key), name), LAYOUT_KEY_UNKNOWN);
    assert_int_equal(strlen(name), LAYOUT_NAME_CAPACITY - 1);
}

static void documents_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bool is_node;
    } rows[] = {
        {"mode: query", true},
        {"--mode: query\nworkers: 2", true}, /* a mode at the top decides: nothing else has one */
        {"cores: 4", true},
        {"http-bind: 0.0.0.0:8181", true},
        {"cluster-id: c\nnode-id: n", true},
        {"cluster_id: c", false},
        {"cluster_id: c\nworkers: 2", false},
        {"cores: 4\nworkers: 2", false},
        {"nodes: [{mode: query}]", false},
        {"frobnicate: 1", false},
        {"[mode, query]", false},
        {"mode", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct findings *findings = findings_create();
        struct yaml_tree *tree = yaml_tree_parse("f", text_of_string(rows[i].source), findings);
        assert_non_null(tree);
        if (layout_is_node(tree->first) != rows[i].is_node)
            fail_msg("%s", rows[i].source);
        yaml_tree_destroy(tree);
        findings_destroy(findings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_an_option_is_known),
        cmocka_unit_test(a_long_key_is_cut_and_unknown),
        cmocka_unit_test(documents_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
