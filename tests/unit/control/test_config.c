/* What GET /config prints: each key of the schema, and so that it can be read again to the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/config.h"
#include "fake/topology_text.h"
#include "topology/schema.h"

/* Each key that there is, with a value that is not its default. */
static const char everything[] =
    "cluster_id: prod\n"
    "storage_engine: parquet\n"
    "listen:\n"
    "  - {address: '127.0.0.1:8181', proxy_protocol: true, proxy_from: [10.0.0.0/8, '2001:db8::/32']}\n"
    "  - {address: 'unix:/run/sluice.sock', mode: '0660', class: writeback}\n"
    "  - address: '[::1]:8443'\n"
    "    tls:\n"
    "      certificate: /etc/a.pem\n"
    "      key: /etc/a.key\n"
    "      certificates: [{certificate: /etc/b.pem, key: /etc/b.key}]\n"
    "      minimum_version: '1.3'\n"
    "      kernel: true\n"
    "      client_certificate: required\n"
    "      client_ca: /etc/clients.pem\n"
    "admin: {address: 'unix:/run/admin.sock', mode: '0600', hosts: 'a.example,b.example', token_file: /etc/token}\n"
    "nodes:\n"
    "  - {node_id: a, url: 'http://a:8181', mode: 'ingest,process', plugin_dir: /plugins, cores: 16, io_threads: 4,\n"
    "     datafusion_threads: 12, weight: 5, maximum_links: 9, http: 2}\n"
    "  - {node_id: b, url: 'https://b:8181', mode: [query, process], plugin_dir: /plugins,\n"
    "     tls: {ca: /etc/ca.pem, certificate: /etc/n.pem, key: /etc/n.key, verify: true, server_name: b.example}}\n"
    "  - {node_id: c, url: 'https://c:8181', mode: compact}\n"
    "tls: {ca: /etc/all.pem, certificate: /etc/s.pem, key: /etc/s.key, verify: false, minimum_version: '1.3'}\n"
    "routes:\n"
    "  - {method: GET, path: /mine/*, class: query}\n"
    "  - {path: /other, class: plugin}\n"
    "unknown: deny\n"
    "workers: 3\n"
    "access_log: /var/log/sluice.log\n"
    "log_level: debug\n"
    "retry_after: true\n"
    "trust_forwarded: true\n"
    "timeouts: {connect: 1500ms, write_deadline: 5s, write_response: 29s, response: 1h, idle: 61s, request_head: 11s, tls_handshake: 6s, keep_alive: 6m,\n"
    "  upstream_idle: 56s, queue: 0, drain: 31s, linger: 3s}\n"
    "limits: {head: 81KiB, target: 1000B, fields: 101, body: 1GiB, replay: 2MiB, replay_total: 129MiB, buffer: 128KiB,\n"
    "  connections: 20001, streams: 101, upstream_links: 4097, queue: 0}\n"
    "health: {path: /health, token_file: /etc/probe, interval: 3s, timeout: 900ms, rise: 3, fall: 4}\n";

static json_t *config_of(const char *content)
{
    struct topology *topology = topology_of_text("sluice-config.yaml", content);
    json_t *config = config_format(topology);
    assert_non_null(config);
    topology_release(topology);
    return config;
}

/* The first value of a row's path; of a list, the first item that has it. NULL: nobody has it. */
static json_t *find(json_t *section, const char *path)
{
    char key[64];
    size_t length = strcspn(path, ".");
    bool is_list = length > 2 && path[length - 1] == ']';
    snprintf(key, sizeof key, "%.*s", (int)(is_list ? length - 2 : length), path);
    json_t *value = json_object_get(section, key);
    if (path[length] == '\0' || value == NULL)
        return value;
    if (!is_list)
        return find(value, path + length + 1);
    size_t index;
    json_t *item;
    json_array_foreach(value, index, item)
    {
        json_t *found = find(item, path + length + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static void each_key_of_the_schema_is_there(void **state)
{
    (void)state;
    json_t *config = config_of(everything);
    for (size_t i = 0; i < schema_row_count; i++) {
        if (find(config, schema_rows[i].path) == NULL)
            fail_msg("%s is not printed", schema_rows[i].path);
    }
    json_decref(config);
}

static void assert_is_read_to_the_same_end(const char *content)
{
    json_t *config = config_of(content);
    char *text = json_dumps(config, JSON_INDENT(1));
    assert_non_null(text);
    json_t *again = config_of(text);
    if (!json_equal(config, again))
        fail_msg("%s\nis read as\n%s", text, json_dumps(again, JSON_INDENT(1)));
    json_decref(again);
    json_decref(config);
    free(text);
}

static void what_is_printed_can_be_read_to_the_same_end(void **state)
{
    (void)state;
    assert_is_read_to_the_same_end(everything);
    assert_is_read_to_the_same_end("cluster_id: prod\nlisten: ['127.0.0.1:8181']\nnodes: [{node_id: a, url: 'http://a', mode: all}]\n");
}

static void assert_text(json_t *config, const char *path, const char *expected)
{
    json_t *value = find(config, path);
    assert_true(json_is_string(value));
    assert_string_equal(json_string_value(value), expected);
}

static void defaults_are_printed_and_what_has_none_is_not(void **state)
{
    (void)state;
    json_t *config = config_of("cluster_id: prod\nlisten: ['127.0.0.1:8181']\nnodes: [{node_id: a, url: 'http://a', mode: all}]\n");
    assert_text(config, "timeouts.connect", "1s");
    assert_text(config, "limits.replay_total", "128MiB");
    assert_text(config, "access_log", "none");
    assert_text(config, "unknown", "catalog");
    assert_text(config, "nodes[].mode", "all");
    assert_int_equal(json_integer_value(find(config, "nodes[].maximum_links")), 4096);
    assert_int_equal(json_integer_value(find(config, "workers")), 0);
    static const char *const absent[] = {"admin", "routes", "listen[].tls", "listen[].class", "listen[].mode", "nodes[].cores", "nodes[].tls", "tls.ca"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_null(find(config, absent[i]));
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_of_the_schema_is_there),
        cmocka_unit_test(what_is_printed_can_be_read_to_the_same_end),
        cmocka_unit_test(defaults_are_printed_and_what_has_none_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
