/*
 * The rules themselves are tested by data in tests/lint. Here is what data cannot say: what `serve` refuses and `check`
 * only mentions, what the file system has to do with it, and rules across files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "topology/build.h"

#define TOP "cluster_id: prod\nlisten: [\"127.0.0.1:8181\"]\n"
#define NODES                                                                                                          \
    "nodes:\n"                                                                                                         \
    "  - {node_id: i, url: \"http://i\", mode: ingest}\n"                                                              \
    "  - {node_id: q, url: \"http://q\", mode: \"query,compact\"}\n"

static void write_temporary(char *path, const char *content)
{
    strcpy(path, "/tmp/sluice-lint-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
}

struct counts {
    bool is_good;
    size_t errors;
    size_t warnings;
    char text[4096];
};

static struct counts judge_files(const char *const *paths, size_t count, enum topology_purpose purpose)
{
    struct counts counts = {0};
    struct findings *findings = findings_create();
    struct topology *topology = topology_read(paths, count, purpose, findings);
    counts.is_good = topology != NULL;
    counts.errors = findings_count(findings, FINDING_ERROR);
    counts.warnings = findings_count(findings, FINDING_WARNING);
    FILE *stream = fmemopen(counts.text, sizeof counts.text, "w");
    findings_print(findings, stream);
    fclose(stream);
    topology_release(topology);
    findings_destroy(findings);
    return counts;
}

static struct counts judge(const char *content, enum topology_purpose purpose)
{
    char path[32];
    write_temporary(path, content);
    const char *const paths[] = {path};
    struct counts counts = judge_files(paths, 1, purpose);
    unlink(path);
    return counts;
}

static void what_is_missing_counts_more_for_serve(void **state)
{
    (void)state;
    static const char *const layouts[] = {"mode: ingest,compact\n", "mode: query,compact\n"};
    for (size_t i = 0; i < 2; i++) {
        struct counts check = judge(layouts[i], TOPOLOGY_PURPOSE_CHECK);
        assert_true(check.is_good);
        assert_int_equal(check.warnings, 1);
        struct counts serve = judge(layouts[i], TOPOLOGY_PURPOSE_SERVE);
        assert_false(serve.is_good);
        assert_non_null(strstr(serve.text, i == 0 ? "error: no node queries" : "error: no node ingests"));
    }
}

static void a_file_with_listeners_is_judged_as_serve_would(void **state)
{
    (void)state;
    static const char content[] = TOP "---\nmode: query\n";
    struct counts check = judge(content, TOPOLOGY_PURPOSE_CHECK);
    struct counts serve = judge(content, TOPOLOGY_PURPOSE_SERVE);
    assert_int_equal(check.errors, 2); /* no ingest, no url */
    assert_int_equal(serve.errors, check.errors);
    assert_int_equal(serve.warnings, check.warnings);
}

static void no_compactor_is_a_warning_for_both(void **state)
{
    (void)state;
    static const char content[] = TOP "---\nmode: ingest,query\nurl: http://a\n";
    assert_int_equal(judge(content, TOPOLOGY_PURPOSE_CHECK).warnings, 1);
    struct counts serve = judge(content, TOPOLOGY_PURPOSE_SERVE);
    assert_true(serve.is_good);
    assert_int_equal(serve.warnings, 1);
}

static void two_compactors_are_an_error_whatever_else_is_said(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "mode: compact\n---\nmode: compact\n",
        "mode: all\n---\nmode: compact\n",
        "mode: [compact]\ncount: 2\n",
        TOP NODES "  - {node_id: c, url: \"http://c\", mode: compact, frobnicate: 1}\n", /* beside another error */
        TOP NODES "  - {mode: compact}\n",
    };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        for (int purpose = TOPOLOGY_PURPOSE_CHECK; purpose <= TOPOLOGY_PURPOSE_SERVE; purpose++) {
            struct counts counts = judge(contents[i], (enum topology_purpose)purpose);
            assert_false(counts.is_good);
            if (strstr(counts.text, "error: a second compactor") == NULL)
                fail_msg("%zu: %s", i, counts.text);
        }
    }
}

static void a_second_compactor_in_another_file_is_named_with_it(void **state)
{
    (void)state;
    char first[32];
    char second[32];
    write_temporary(first, TOP NODES);
    write_temporary(second, "nodes:\n  - {node_id: c, url: \"http://c\", mode: compact}\n");
    const char *const paths[] = {first, second};
    struct counts counts = judge_files(paths, 2, TOPOLOGY_PURPOSE_SERVE);
    unlink(first);
    unlink(second);
    char expected[200];
    assert_false(counts.is_good);
    text_append(expected, sizeof expected, 0, "%s:2:41: error: a second compactor: \"c\"", second);
    assert_non_null(strstr(counts.text, expected));
    text_append(expected, sizeof expected, 0, "at %s:5;", first);
    assert_non_null(strstr(counts.text, expected));
}

static void an_error_silences_only_rules_about_what_is_missing(void **state)
{
    (void)state;
    struct counts counts = judge(TOP "nodes:\n"
                                     "  - {node_id: a, url: \"http://a\", mode: qurey}\n"
                                     "  - {node_id: a, url: \"http://a\", mode: process}\n",
                                 TOPOLOGY_PURPOSE_SERVE);
    assert_non_null(strstr(counts.text, "did you mean \"query\""));
    assert_non_null(strstr(counts.text, "node_id \"a\" is taken"));
    assert_non_null(strstr(counts.text, "has the address of \"a\""));
    assert_non_null(strstr(counts.text, "mode process without plugin_dir"));
    assert_null(strstr(counts.text, "no node"));
    assert_int_equal(counts.errors, 4);
}

static struct counts judge_token(const char *content, mode_t mode, enum topology_purpose purpose)
{
    char path[32];
    char configuration[512];
    write_temporary(path, content);
    assert_int_equal(chmod(path, mode), 0);
    text_append(configuration, sizeof configuration, 0, "%shealth: {token_file: %s}\n", TOP NODES, path);
    struct counts counts = judge(configuration, purpose);
    unlink(path);
    return counts;
}

static void a_private_token_file_is_good(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0400};
    for (size_t i = 0; i < 3; i++) {
        struct counts counts = judge_token("apiv3_token\n", modes[i], TOPOLOGY_PURPOSE_SERVE);
        assert_true(counts.is_good);
        assert_int_equal(counts.warnings, 0);
    }
}

static void a_token_file_for_everyone_is_an_error_everywhere(void **state)
{
    (void)state;
    for (int purpose = TOPOLOGY_PURPOSE_CHECK; purpose <= TOPOLOGY_PURPOSE_SERVE; purpose++) {
        struct counts counts = judge_token("apiv3_token\n", 0644, (enum topology_purpose)purpose);
        assert_false(counts.is_good);
        assert_non_null(strstr(counts.text, "can be read by every user"));
        assert_null(strstr(counts.text, "apiv3_token"));
    }
}

static void an_unusable_token_file_counts_more_for_serve(void **state)
{
    (void)state;
    struct counts check = judge_token("", 0600, TOPOLOGY_PURPOSE_CHECK);
    struct counts serve = judge_token("", 0600, TOPOLOGY_PURPOSE_SERVE);
    assert_true(check.is_good);
    assert_int_equal(check.warnings, 1);
    assert_false(serve.is_good);
    serve = judge(TOP NODES "health: {token_file: /nonexistent/token}\n", TOPOLOGY_PURPOSE_SERVE);
    assert_false(serve.is_good);
    assert_non_null(strstr(serve.text, "No such file"));
    serve = judge(TOP NODES "health: {token_file: /}\n", TOPOLOGY_PURPOSE_SERVE);
    assert_false(serve.is_good);
}

static void loopback_is_recognised_for_the_admin_listener(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_good;
    } rows[] = {
        {"127.0.0.1:1", true}, {"127.8.9.10:1", true},         {"[::1]:1", true},
        {"localhost:1", true}, {"LOCALHOST:1", true},          {"0.0.0.0:1", false},
        {"[::]:1", false},     {"10.0.0.1:1", false},          {"128.0.0.1:1", false},
        {"[::2]:1", false},    {"localhost.example:1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char content[512];
        text_append(content, sizeof content, 0, "%sadmin: {address: \"%s\"}\n", TOP NODES, rows[i].address);
        if (judge(content, TOPOLOGY_PURPOSE_SERVE).is_good != rows[i].is_good)
            fail_msg("%s", rows[i].address);
    }
}

static void listeners_overlap_by_family_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        bool is_good;
    } rows[] = {
        {"['127.0.0.1:1', '127.0.0.1:2']", true},
        {"['127.0.0.1:1', '127.0.0.1:1']", false},
        {"['127.0.0.1:1', '127.0.0.2:1']", true},
        {"['0.0.0.0:1', '127.0.0.1:1']", false},
        {"['0.0.0.0:1', '[::]:1']", true},
        {"['[::]:1', '[::1]:1']", false},
        {"['127.0.0.1:0', '127.0.0.1:0']", true},
        {"['localhost:1', '127.0.0.1:1']", false},
        {"['a.example:1', 'A.EXAMPLE:1']", false},
        {"['a.example:1', 'b.example:1']", true},
        {"['[2001:db8::1]:1', '[2001:DB8:0::1]:1']", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char content[512];
        text_append(content, sizeof content, 0, "cluster_id: prod\nlisten: %s\n%s", rows[i].listen, NODES);
        struct counts counts = judge(content, TOPOLOGY_PURPOSE_SERVE);
        if (counts.is_good != rows[i].is_good)
            fail_msg("%s: %s", rows[i].listen, counts.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_counts_more_for_serve),
        cmocka_unit_test(a_file_with_listeners_is_judged_as_serve_would),
        cmocka_unit_test(no_compactor_is_a_warning_for_both),
        cmocka_unit_test(two_compactors_are_an_error_whatever_else_is_said),
        cmocka_unit_test(a_second_compactor_in_another_file_is_named_with_it),
        cmocka_unit_test(an_error_silences_only_rules_about_what_is_missing),
        cmocka_unit_test(a_private_token_file_is_good),
        cmocka_unit_test(a_token_file_for_everyone_is_an_error_everywhere),
        cmocka_unit_test(an_unusable_token_file_counts_more_for_serve),
        cmocka_unit_test(loopback_is_recognised_for_the_admin_listener),
        cmocka_unit_test(listeners_overlap_by_family_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
