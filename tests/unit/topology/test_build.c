#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "topology/build.h"

/* Up to two files with the given contents; the names go into `paths`. */
struct files {
    char paths[2][32];
    const char *list[2];
    size_t count;
};

static void write_file(struct files *files, const char *content)
{
    char *path = files->paths[files->count];
    strcpy(path, "/tmp/sluice-build-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
    files->list[files->count++] = path;
}

struct result {
    struct topology *topology;
    size_t errors;
    size_t warnings;
    char *text; /* all findings, as printed */
};

static struct result read_files(struct files *files, enum topology_purpose purpose)
{
    struct findings *findings = findings_create();
    struct result result = {.topology = topology_read(files->list, files->count, purpose, findings)};
    size_t length = 0;
    FILE *stream = open_memstream(&result.text, &length);
    findings_print(findings, stream);
    fclose(stream);
    result.errors = findings_count(findings, FINDING_ERROR);
    result.warnings = findings_count(findings, FINDING_WARNING);
    findings_destroy(findings);
    for (size_t i = 0; i < files->count; i++)
        unlink(files->list[i]);
    return result;
}

static struct result read_text(const char *content, enum topology_purpose purpose)
{
    struct files files = {.count = 0};
    write_file(&files, content);
    return read_files(&files, purpose);
}

static void discard(struct result result)
{
    topology_release(result.topology);
    free(result.text);
}

static void assert_good(struct result result)
{
    if (result.topology == NULL || result.errors > 0 || result.warnings > 0)
        fail_msg("%s", result.text);
}

#define CLUSTER "cluster_id: prod\nlisten: [\"127.0.0.1:8181\"]\n"
#define NODES                                                                                                          \
    "nodes:\n"                                                                                                         \
    "  - {node_id: n1, url: \"http://h1\", mode: \"ingest,query\"}\n"                                                  \
    "  - {node_id: n2, url: \"https://h2:9\", mode: compact}\n"

static void what_is_not_written_has_its_default(void **state)
{
    (void)state;
    struct result result = read_text(CLUSTER NODES, TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    const struct topology *t = result.topology;
    assert_null(t->admin.host);
    assert_null(t->access_log);
    assert_null(t->health.token_file);
    assert_int_equal(t->route_count, 0);
    assert_int_equal(t->unknown, TOPOLOGY_UNKNOWN_CATALOG);
    assert_int_equal(t->storage_engine, STORAGE_ENGINE_UPGRADED);
    assert_false(t->retry_after || t->trust_forwarded);
    assert_int_equal(t->workers, 0);
    assert_string_equal(t->log_level, "info");
    assert_int_equal(t->timeouts.connect_ms, 1000);
    assert_int_equal(t->timeouts.write_deadline_ms, 4000);
    assert_int_equal(t->timeouts.write_response_ms, 30000);
    assert_int_equal(t->timeouts.response_ms, 600000);
    assert_int_equal(t->timeouts.idle_ms, 60000);
    assert_int_equal(t->timeouts.request_head_ms, 10000);
    assert_int_equal(t->timeouts.keep_alive_ms, 310000);
    assert_int_equal(t->timeouts.upstream_idle_ms, 55000);
    assert_int_equal(t->timeouts.queue_ms, 2000);
    assert_int_equal(t->timeouts.drain_ms, 30000);
    assert_int_equal(t->timeouts.linger_ms, 2000);
    assert_int_equal(t->limits.head_bytes, 81920);
    assert_int_equal(t->limits.target_bytes, 65536);
    assert_int_equal(t->limits.fields, 100);
    assert_int_equal(t->limits.body_bytes, 0);
    assert_int_equal(t->limits.replay_bytes, 10 * 1024 * 1024);
    assert_int_equal(t->limits.replay_total_bytes, 128 << 20);
    assert_int_equal(t->limits.buffer_bytes, 65536);
    assert_int_equal(t->limits.connections, 20000);
    assert_int_equal(t->limits.upstream_links, 4096);
    assert_int_equal(t->limits.queue, 16384);
    assert_string_equal(t->health.path, "/ready");
    assert_int_equal(t->health.interval_ms, 2000);
    assert_int_equal(t->health.timeout_ms, 1000);
    assert_int_equal(t->health.rise, 2);
    assert_int_equal(t->health.fall, 3);
    discard(result);
}

static void assert_node(const struct topology *t)
{
    const struct topology_node *n = &t->nodes[0];
    assert_int_equal(t->node_count, 1);
    assert_string_equal(n->node_id, "n1");
    assert_string_equal(n->host, "h1");
    assert_int_equal(n->port, 4);
    assert_string_equal(n->plugin_dir, "/p");
    assert_int_equal(n->cores, 8);
    assert_int_equal(n->io_threads, 4);
    assert_int_equal(n->datafusion_threads, 3);
    assert_int_equal(n->maximum_links, 7);
    assert_int_equal(n->weight, 4);
    assert_int_equal(n->line, 8);
}

static void assert_routes(const struct topology *t)
{
    assert_int_equal(t->route_count, 2);
    assert_string_equal(t->routes[0].method, "GET");
    assert_string_equal(t->routes[0].path, "/a");
    assert_false(t->routes[0].is_prefix);
    assert_int_equal(t->routes[0].class, REQUEST_CLASS_QUERY);
    assert_string_equal(t->routes[1].method, "*");
    assert_string_equal(t->routes[1].path, "/b/");
    assert_true(t->routes[1].is_prefix);
    assert_int_equal(t->routes[1].class, REQUEST_CLASS_UNKNOWN);
    assert_int_equal(t->routes[1].line, 12);
}

static void assert_sections(const struct topology *t)
{
    const uint64_t timeouts[] = {t->timeouts.connect_ms,       t->timeouts.write_deadline_ms, t->timeouts.response_ms,
                                 t->timeouts.idle_ms,          t->timeouts.request_head_ms,   t->timeouts.keep_alive_ms,
                                 t->timeouts.upstream_idle_ms, t->timeouts.queue_ms,          t->timeouts.drain_ms,
                                 t->timeouts.linger_ms,        t->timeouts.write_response_ms};
    const uint64_t expected_timeouts[] = {11, 3000, 103, 104, 105, 106, 107, 108, 109, 110, 11000};
    assert_memory_equal(timeouts, expected_timeouts, sizeof timeouts);
    const uint64_t limits[] = {t->limits.head_bytes,   t->limits.target_bytes, t->limits.fields,
                               t->limits.body_bytes,   t->limits.replay_bytes, t->limits.replay_total_bytes,
                               t->limits.buffer_bytes, t->limits.connections,  t->limits.upstream_links,
                               t->limits.queue};
    const uint64_t expected_limits[] = {5120, 257, 9, 1025, 1026, 1027, 4097, 2, 3, 4};
    assert_memory_equal(limits, expected_limits, sizeof limits);
    assert_string_equal(t->health.path, "/health");
    assert_int_equal(t->health.interval_ms, 101);
    assert_int_equal(t->health.timeout_ms, 12);
    assert_int_equal(t->health.rise, 5);
    assert_int_equal(t->health.fall, 6);
}

static void every_key_reaches_its_field(void **state)
{
    (void)state;
    struct result result = read_text(
        "cluster_id: c\nstorage_engine: parquet\n"
        "listen:\n  - 127.0.0.1:1\n  - {address: '127.0.0.1:2', class: writeback}\n"
        "admin: {address: '127.0.0.1:3'}\n"
        "nodes:\n"
        "  - {node_id: n1, url: 'http://h1:4', mode: [ingest, query, compact], plugin_dir: /p, cores: 8,\n"
        "     io_threads: 4, datafusion_threads: 3, maximum_links: 7}\n"
        "routes:\n  - {method: GET, path: /a, class: query}\n  - {path: '/b/*', class: unknown}\n"
        "unknown: deny\nworkers: 2\naccess_log: '-'\nlog_level: debug\nretry_after: true\ntrust_forwarded: true\n"
        "timeouts: {connect: 11ms, write_deadline: 3s, response: 103ms, idle: 104ms, request_head: 105ms,\n"
        "  keep_alive: 106ms, upstream_idle: 107ms, queue: 108ms, drain: 109ms, linger: 110ms, write_response: 11s}\n"
        "limits: {head: 5KiB, target: 257, fields: 9, body: 1025, replay: 1026, replay_total: 1027, buffer: 4097,\n"
        "  connections: 2, upstream_links: 3, queue: 4}\n"
        "health: {path: /health, interval: 101ms, timeout: 12ms, rise: 5, fall: 6}\n",
        TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    const struct topology *t = result.topology;
    assert_string_equal(t->cluster_id, "c");
    assert_int_equal(t->listener_count, 2);
    assert_int_equal(t->listeners[0].class, REQUEST_CLASS_WRITE);
    assert_int_equal(t->listeners[0].port, 1);
    assert_int_equal(t->storage_engine, STORAGE_ENGINE_PARQUET);
    assert_int_equal(t->listeners[0].line, 4);
    assert_int_equal(t->listeners[1].class, REQUEST_CLASS_WRITEBACK);
    assert_int_equal(t->listeners[1].port, 2);
    assert_string_equal(t->listeners[1].address, "127.0.0.1:2");
    assert_string_equal(t->admin.host, "127.0.0.1");
    assert_int_equal(t->admin.port, 3);
    assert_node(t);
    assert_routes(t);
    assert_int_equal(t->unknown, TOPOLOGY_UNKNOWN_DENY);
    assert_int_equal(t->workers, 2);
    assert_string_equal(t->access_log, "-");
    assert_string_equal(t->log_level, "debug");
    assert_true(t->retry_after && t->trust_forwarded);
    assert_sections(t);
    discard(result);
}

static void what_follows_is_derived(void **state)
{
    (void)state;
    struct result result = read_text(CLUSTER "limits: {upstream_links: 9}\n"
                                             "nodes:\n"
                                             "  - {node_id: a, url: 'http://a', mode: all}\n",
                                     TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    const struct topology_node *node = &result.topology->nodes[0];
    assert_int_equal(node->modes, NODE_MODE_ALL);
    assert_int_equal(node->capabilities, NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY | NODE_CAPABILITY_COMPACT |
                                             NODE_CAPABILITY_PROCESS);
    assert_int_equal(node->weight, 1);
    assert_int_equal(node->maximum_links, 9);
    discard(result);
    result = read_text("mode: ingest\nplugin-dir: /p\nio_threads: 6\n---\nmode: [query, compact]\nplugin-dir: /p\n---\n"
                       "mode: query,webui\nplugin-dir: /p\n",
                       TOPOLOGY_PURPOSE_CHECK);
    assert_good(result);
    const struct topology_node *nodes = result.topology->nodes;
    assert_int_equal(nodes[0].capabilities, NODE_CAPABILITY_INGEST | NODE_CAPABILITY_PROCESS);
    assert_int_equal(nodes[0].weight, 6);
    assert_int_equal(nodes[1].capabilities, NODE_CAPABILITY_QUERY | NODE_CAPABILITY_COMPACT | NODE_CAPABILITY_PROCESS);
    assert_int_equal(nodes[2].capabilities, NODE_CAPABILITY_QUERY | NODE_CAPABILITY_PROCESS);
    discard(result);
}

static void weights_follow_the_storage_engine(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        const char *keys;
        unsigned weight;
    } rows[] = {
        {"upgraded", ", cores: 8, io_threads: 3", 8}, {"upgraded", ", cores: 8", 8}, {"upgraded", ", io_threads: 3", 3},
        {"upgraded", "", 1},                          {"upgraded", ", cores: 8, weight: 5", 5},
        {"parquet", ", cores: 8, io_threads: 3", 3},  {"parquet", ", cores: 8", 1},  {"parquet", ", io_threads: 3", 3},
        {"parquet", "", 1},                           {"parquet", ", io_threads: 3, weight: 5", 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char content[256];
        snprintf(content, sizeof content, "storage_engine: %s\nnodes:\n  - {node_id: a, url: 'http://a', mode: all%s}\n",
                 rows[i].engine, rows[i].keys);
        struct result result = read_text(content, TOPOLOGY_PURPOSE_CHECK);
        if (result.topology == NULL || result.topology->nodes[0].weight != rows[i].weight)
            fail_msg("row %zu: %s", i, result.text);
        discard(result);
    }
}

static void a_layout_makes_numbered_nodes(void **state)
{
    (void)state;
    struct result result = read_text("mode: ingest,query\ncount: 2\ncores: 32\nio_threads: 8\n"
                                     "---\nmode: query\nnode-id: reader\ncount: 2\n"
                                     "---\nmode: compact\nnode_id: packer\ncluster-id: c\n",
                                     TOPOLOGY_PURPOSE_CHECK);
    assert_good(result);
    static const char *const names[] = {"node-1", "node-2", "reader-1", "reader-2", "packer"};
    assert_int_equal(result.topology->node_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(result.topology->nodes[i].node_id, names[i]);
        assert_null(result.topology->nodes[i].url);
    }
    assert_int_equal(result.topology->nodes[1].io_threads, 8);
    assert_string_equal(result.topology->cluster_id, "c");
    assert_int_equal(result.topology->listener_count, 0);
    discard(result);
}

static void a_layout_cannot_be_served(void **state)
{
    (void)state;
    struct result result = read_text("mode: all\n", TOPOLOGY_PURPOSE_SERVE);
    assert_null(result.topology);
    assert_non_null(strstr(result.text, "cluster_id is missing"));
    assert_non_null(strstr(result.text, "listen is missing"));
    assert_non_null(strstr(result.text, "\"node-1\" has no url"));
    assert_int_equal(result.errors, 3);
    discard(result);
}

static void a_layout_with_urls_can_be_served(void **state)
{
    (void)state;
    struct result result = read_text(CLUSTER "---\nmode: all\nurl: http://h\n", TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    assert_string_equal(result.topology->nodes[0].node_id, "node-1");
    discard(result);
}

static void several_files_make_one_topology(void **state)
{
    (void)state;
    struct files files = {.count = 0};
    write_file(&files, CLUSTER);
    write_file(&files, NODES "listen: ['127.0.0.1:9']\n");
    struct result result = read_files(&files, TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    assert_int_equal(result.topology->node_count, 2);
    assert_int_equal(result.topology->listener_count, 2);
    discard(result);
}

static void a_key_in_two_files_names_the_other_one(void **state)
{
    (void)state;
    struct files files = {.count = 0};
    write_file(&files, CLUSTER NODES "workers: 1\n");
    write_file(&files, "workers: 2\n");
    struct result result = read_files(&files, TOPOLOGY_PURPOSE_SERVE);
    char expected[200];
    assert_null(result.topology);
    text_append(expected, sizeof expected, 0, "%s:1:10: error: workers is given twice, first at %s:6; remove one\n",
                files.paths[1], files.paths[0]);
    assert_string_equal(result.text, expected);
    discard(result);
}

static void one_unreadable_file_of_several_is_an_error(void **state)
{
    (void)state;
    struct files files = {.count = 0};
    write_file(&files, CLUSTER NODES);
    files.list[files.count++] = "/nonexistent/sluice.yaml";
    struct result result = read_files(&files, TOPOLOGY_PURPOSE_CHECK);
    assert_null(result.topology);
    assert_int_equal(result.errors, 1);
    discard(result);
}

static void no_file_is_an_error(void **state)
{
    (void)state;
    struct files files = {.count = 0};
    struct result result = read_files(&files, TOPOLOGY_PURPOSE_CHECK);
    assert_null(result.topology);
    assert_int_equal(result.errors, 1);
    discard(result);
}

static void earlier_findings_do_not_matter(void **state)
{
    (void)state;
    struct files files = {.count = 0};
    write_file(&files, CLUSTER NODES);
    struct findings *findings = findings_create();
    findings_error(findings, (struct place){"other", 1, 1}, "something else");
    struct topology *topology = topology_read(files.list, files.count, TOPOLOGY_PURPOSE_SERVE, findings);
    assert_non_null(topology);
    topology_release(topology);
    findings_destroy(findings);
    unlink(files.list[0]);
}

static void a_topology_lives_as_long_as_its_last_reference(void **state)
{
    (void)state;
    struct result result = read_text(CLUSTER NODES, TOPOLOGY_PURPOSE_SERVE);
    assert_good(result);
    topology_retain(result.topology);
    topology_release(result.topology);
    assert_string_equal(result.topology->nodes[1].host, "h2");
    assert_true(result.topology->nodes[1].is_tls);
    assert_int_equal(atomic_load(&result.topology->references), 1);
    topology_release(NULL);
    discard(result); /* the sanitizer's leak check sees that this was the last one */
}

static void names_of_classes_and_modes_go_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REQUEST_CLASS_COUNT; i++) {
        enum request_class class;
        const char *name = request_class_name((enum request_class)i);
        assert_true(request_class_from_name(name, strlen(name), &class));
        assert_int_equal(class, i);
        assert_false(request_class_from_name(name, strlen(name) - 1, &class));
    }
    for (unsigned i = 0; i < NODE_MODE_COUNT; i++) {
        enum node_mode mode;
        const char *name = node_mode_name((enum node_mode)(1u << i));
        assert_true(node_mode_from_name(name, strlen(name), &mode));
        assert_int_equal(mode, 1u << i);
    }
    char buffer[64];
    assert_string_equal(node_modes_describe(NODE_MODE_PROCESS | NODE_MODE_QUERY, buffer, sizeof buffer),
                        "query,process");
    assert_string_equal(node_modes_describe(0, buffer, sizeof buffer), "");
    assert_string_equal(node_modes_describe(NODE_MODE_PROCESS | NODE_MODE_QUERY, buffer, 6), "query");
}

/* Cutting a good configuration anywhere, or breaking bytes of it, ends in a topology or in findings. */
static void damaged_configurations_are_survived(void **state)
{
    (void)state;
    static const char source[] = CLUSTER NODES "routes: [{path: '/a*', class: query}]\ntimeouts: {connect: 1s}\n---\n"
                                               "mode: query\ncount: 2\nnum-cores: 4\n";
    uint32_t seed = 1;
    for (size_t round = 0; round < 2 * sizeof source; round++) {
        char copy[sizeof source];
        memcpy(copy, source, sizeof source);
        if (round < sizeof source) {
            copy[round] = '\0';
        } else {
            for (int i = 0; i < 2; i++) {
                seed = seed * 1664525u + 1013904223u;
                copy[(seed >> 8) % (sizeof source - 1)] = " :-[]{},'&*!|>#\n\t\x80~0"[(seed >> 24) % 21];
            }
        }
        struct result result = read_text(copy, TOPOLOGY_PURPOSE_SERVE);
        assert_true((result.topology != NULL) == (result.errors == 0));
        discard(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(every_key_reaches_its_field),
        cmocka_unit_test(what_follows_is_derived),
        cmocka_unit_test(weights_follow_the_storage_engine),
        cmocka_unit_test(a_layout_makes_numbered_nodes),
        cmocka_unit_test(a_layout_cannot_be_served),
        cmocka_unit_test(a_layout_with_urls_can_be_served),
        cmocka_unit_test(several_files_make_one_topology),
        cmocka_unit_test(a_key_in_two_files_names_the_other_one),
        cmocka_unit_test(one_unreadable_file_of_several_is_an_error),
        cmocka_unit_test(no_file_is_an_error),
        cmocka_unit_test(earlier_findings_do_not_matter),
        cmocka_unit_test(a_topology_lives_as_long_as_its_last_reference),
        cmocka_unit_test(names_of_classes_and_modes_go_both_ways),
        cmocka_unit_test(damaged_configurations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
