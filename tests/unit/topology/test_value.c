#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "topology/value.h"

static int make_storage(void **state)
{
    *state = storage_create();
    return *state == NULL;
}

static int drop_storage(void **state)
{
    storage_destroy(*state);
    return 0;
}

static bool store(void **state, const char *path, const char *value, void *base)
{
    char problem[VALUE_PROBLEM_CAPACITY] = "";
    bool is_good = value_store(schema_find(text_of_string(path)), text_of_string(value), base, *state, problem);
    /* A refusal says what is wrong and, behind a semicolon, how to mend it. */
    if (!is_good)
        assert_non_null(strchr(problem, ';'));
    else
        assert_string_equal(problem, "");
    return is_good;
}

static void durations_and_sizes_reach_their_fields(void **state)
{
    struct topology topology = {0};
    assert_true(store(state, "timeouts.connect", "500ms", &topology));
    assert_int_equal(topology.timeouts.connect_ms, 500);
    assert_true(store(state, "timeouts.idle", "0", &topology));
    assert_true(store(state, "timeouts.response", "24h", &topology));
    assert_int_equal(topology.timeouts.response_ms, 86400000);
    assert_true(store(state, "limits.replay", "2MiB", &topology));
    assert_int_equal(topology.limits.replay_bytes, 2 << 20);
    assert_true(store(state, "limits.head", "65536", &topology));
    assert_int_equal(topology.limits.head_bytes, 65536);
}

static void a_refused_value_changes_nothing(void **state)
{
    struct topology topology = {.timeouts.connect_ms = 7, .workers = 3, .log_level = "info"};
    assert_false(store(state, "timeouts.connect", "9ms", &topology));
    assert_false(store(state, "timeouts.connect", "61s", &topology));
    assert_false(store(state, "timeouts.connect", "1", &topology));
    assert_false(store(state, "timeouts.connect", "0", &topology));
    assert_int_equal(topology.timeouts.connect_ms, 7);
    assert_false(store(state, "workers", "4294967297", &topology));
    assert_int_equal(topology.workers, 3);
    assert_false(store(state, "log_level", "loud", &topology));
    assert_string_equal(topology.log_level, "info");
}

static void limits_of_a_range_are_inside(void **state)
{
    struct topology topology = {0};
    assert_true(store(state, "timeouts.connect", "10ms", &topology));
    assert_true(store(state, "timeouts.connect", "1m", &topology));
    assert_true(store(state, "health.rise", "1", &topology));
    assert_true(store(state, "health.rise", "100", &topology));
    assert_false(store(state, "health.rise", "101", &topology));
}

static void words_become_enumerators(void **state)
{
    struct topology topology = {0};
    struct topology_route route = {0};
    assert_true(store(state, "unknown", "deny", &topology));
    assert_int_equal(topology.unknown, TOPOLOGY_UNKNOWN_DENY);
    assert_true(store(state, "log_level", "debug", &topology));
    assert_string_equal(topology.log_level, "debug");
    assert_true(store(state, "retry_after", "true", &topology));
    assert_true(topology.retry_after);
    assert_true(store(state, "retry_after", "false", &topology));
    assert_false(topology.retry_after);
    assert_true(store(state, "routes[].class", "compaction", &route));
    assert_int_equal(route.class, REQUEST_CLASS_COMPACTION);
    assert_false(store(state, "routes[].class", "system", &route));
}

static void access_log_none_is_unset(void **state)
{
    struct topology topology = {.access_log = "x"};
    assert_true(store(state, "access_log", "none", &topology));
    assert_null(topology.access_log);
    assert_true(store(state, "access_log", "-", &topology));
    assert_string_equal(topology.access_log, "-");
    /* Elsewhere "none" is a text like any other. */
    assert_true(store(state, "cluster_id", "none", &topology));
    assert_string_equal(topology.cluster_id, "none");
}

static void texts_are_copied(void **state)
{
    struct topology topology = {0};
    char value[] = "prod";
    assert_true(store(state, "cluster_id", value, &topology));
    value[0] = 'X';
    assert_string_equal(topology.cluster_id, "prod");
}

static void modes_add_up(void **state)
{
    struct topology_node node = {0};
    assert_true(store(state, "nodes[].mode", "process, query", &node));
    assert_int_equal(node.modes, NODE_MODE_PROCESS | NODE_MODE_QUERY);
    assert_true(store(state, "nodes[].mode", "ingest", &node));
    assert_int_equal(node.modes, NODE_MODE_PROCESS | NODE_MODE_QUERY | NODE_MODE_INGEST);
    assert_false(store(state, "nodes[].mode", "compact,query", &node));
    assert_int_equal(node.modes, NODE_MODE_PROCESS | NODE_MODE_QUERY | NODE_MODE_INGEST);
    assert_false(store(state, "nodes[].mode", "all,", &node));
    assert_false(store(state, "nodes[].mode", " ", &node));
}

static void urls_are_taken_apart(void **state)
{
    static const struct {
        const char *url;
        const char *host; /* NULL: refused */
        uint16_t port;
        bool is_tls;
    } rows[] = {
        {"http://node-1:8282", "node-1", 8282, false},
        {"http://node-1", "node-1", 8181, false},
        {"https://node_1.example.org/", "node_1.example.org", 8181, true},
        {"http://10.1.2.3:1", "10.1.2.3", 1, false},
        {"http://[2001:db8::1]:65535", "2001:db8::1", 65535, false},
        {"https://[::1]", "::1", 8181, true},
        {"http://[::1]x:80", NULL, 0, false},
        {"http://[1.2.3.4]", NULL, 0, false},
        {"http://::1:80", NULL, 0, false},
        {"http://host:", NULL, 0, false},
        {"http://host:+80", NULL, 0, false},
        {"http://host:80 ", NULL, 0, false},
        {"http:///", NULL, 0, false},
        {"http://host#f", NULL, 0, false},
        {"http://a@host", NULL, 0, false},
        {"http://1.2.3.4.5", NULL, 0, false},
        {"https:/host", NULL, 0, false},
        {"http://ho\xc3\xbcst", NULL, 0, false},
        {"", NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct topology_node node = {0};
        bool is_good = store(state, "nodes[].url", rows[i].url, &node);
        if (is_good != (rows[i].host != NULL))
            fail_msg("%s", rows[i].url);
        if (!is_good)
            continue;
        assert_string_equal(node.url, rows[i].url);
        assert_string_equal(node.host, rows[i].host);
        assert_int_equal(node.port, rows[i].port);
        assert_int_equal(node.is_tls, rows[i].is_tls);
    }
}

static void a_password_is_never_shown(void **state)
{
    struct topology_node node = {0};
    const struct schema_row *row = schema_find(TEXT("nodes[].url"));
    static const char *const urls[] = {"http://u:secret@n", "htp://u:secret@n", "http://u:secret@n/path", "u:secret@n"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char problem[VALUE_PROBLEM_CAPACITY] = "";
        assert_false(value_store(row, text_of_string(urls[i]), &node, *state, problem));
        assert_null(strstr(problem, "secret"));
    }
}

static void addresses_are_taken_apart(void **state)
{
    struct topology_listener listener = {0};
    assert_true(store(state, "listen[].address", "[::1]:0", &listener));
    assert_string_equal(listener.address, "[::1]:0");
    assert_string_equal(listener.host, "::1");
    assert_int_equal(listener.port, 0);
    assert_true(store(state, "listen[].address", "localhost:8181", &listener));
    assert_string_equal(listener.host, "localhost");
    assert_int_equal(listener.port, 8181);
    struct text host;
    uint16_t port;
    assert_false(value_split_address(TEXT("1.2.3.4"), &host, &port));
    assert_false(value_split_address(TEXT("1.2.3.4:65536"), &host, &port));
    assert_false(value_split_address(TEXT("1.2.3.4:"), &host, &port));
    assert_false(value_split_address(TEXT(":80"), &host, &port));
    assert_false(value_split_address(TEXT("[::1]"), &host, &port));
    assert_false(value_split_address(TEXT("::1:80"), &host, &port));
    assert_false(value_split_address(TEXT(""), &host, &port));
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name + sizeof name - 3, ":80", 3);
    assert_false(value_split_address(text_of(name, sizeof name), &host, &port));
    assert_true(value_split_address(text_of(name + sizeof name - 3 - 253, 256), &host, &port));
}

static void paths_of_sockets_are_absolute_and_short(void **state)
{
    struct topology_listener listener = {0};
    assert_true(store(state, "listen[].address", "unix:/run/sluice.sock", &listener));
    assert_string_equal(listener.address, "unix:/run/sluice.sock");
    assert_string_equal(listener.path, "/run/sluice.sock");
    assert_null(listener.host);
    char longest[5 + 107 + 2] = "unix:/";
    memset(longest + 6, 'a', 106);
    assert_true(store(state, "listen[].address", longest, &listener));
    longest[112] = 'a';
    assert_false(store(state, "listen[].address", longest, &listener));
    static const char *const bad[] = {"unix:", "unix:a", "unix:./a", "unix:@a", "unix:/", "unix:/a/", "unix:/a b", "unix://a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (store(state, "listen[].address", bad[i], &listener))
            fail_msg("%s", bad[i]);
}

static void file_modes_are_octal(void **state)
{
    struct topology_listener listener = {0};
    assert_true(store(state, "listen[].mode", "0660", &listener));
    assert_int_equal(listener.mode, 0660);
    assert_true(store(state, "listen[].mode", "622", &listener));
    assert_int_equal(listener.mode, 0622);
    static const char *const bad[] = {"", "0", "66", "0888", "1660", "00660", "0x60", "u+w", "0444", "0000", "-660"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (store(state, "listen[].mode", bad[i], &listener))
            fail_msg("%s", bad[i]);
    assert_int_equal(listener.mode, 0622);
}

static void networks_add_up(void **state)
{
    struct topology_listener listener = {0};
    assert_true(store(state, "listen[].proxy_from", "10.0.0.0/8, ::1", &listener));
    assert_true(store(state, "listen[].proxy_from", "192.0.2.7", &listener));
    assert_int_equal(listener.proxy_from.count, 3);
    assert_int_equal(listener.proxy_from.items[1].prefix_bits, 128);
    /* All or nothing, and none of them twice. */
    static const char *const bad[] = {"", " ", ",", "192.0.2.8,", "192.0.2.8,,192.0.2.9", "192.0.2.8 192.0.2.9",
                                      "192.0.2.8,10.0.0.1/8", "192.0.2.8,nobody", "192.0.2.8,192.0.2.7", "::1/128"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (store(state, "listen[].proxy_from", bad[i], &listener) || listener.proxy_from.count != 3)
            fail_msg("%s", bad[i]);
    char one[16];
    for (unsigned i = 3; i < TOPOLOGY_NETWORKS_MAXIMUM; i++) {
        snprintf(one, sizeof one, "10.0.0.%u", i);
        assert_true(store(state, "listen[].proxy_from", one, &listener));
    }
    assert_false(store(state, "listen[].proxy_from", "10.0.1.0", &listener));
}

static void sections_take_no_value(void **state)
{
    struct topology topology = {0};
    assert_false(store(state, "timeouts", "5s", &topology));
    assert_false(store(state, "nodes", "a", &topology));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_and_sizes_reach_their_fields),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(limits_of_a_range_are_inside),
        cmocka_unit_test(words_become_enumerators),
        cmocka_unit_test(access_log_none_is_unset),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(modes_add_up),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(a_password_is_never_shown),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(paths_of_sockets_are_absolute_and_short),
        cmocka_unit_test(file_modes_are_octal),
        cmocka_unit_test(networks_add_up),
        cmocka_unit_test(sections_take_no_value),
    };
    return cmocka_run_group_tests(tests, make_storage, drop_storage);
}
