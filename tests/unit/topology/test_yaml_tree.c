#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "topology/yaml_tree.h"

struct parsed {
    struct findings *findings;
    struct yaml_tree *tree;
};

static struct parsed parse(const char *source)
{
    struct parsed parsed = {.findings = findings_create()};
    parsed.tree = yaml_tree_parse("f", text_of_string(source), parsed.findings);
    return parsed;
}

static void discard(struct parsed parsed)
{
    yaml_tree_destroy(parsed.tree);
    findings_destroy(parsed.findings);
}

static size_t errors(struct parsed parsed)
{
    return findings_count(parsed.findings, FINDING_ERROR);
}

/* The one finding's line, without its end; the caller frees it. */
static char *complaint(struct parsed parsed)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    findings_print(parsed.findings, stream);
    fclose(stream);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void assert_text(const struct yaml_node *node, const char *expected)
{
    assert_non_null(node);
    assert_int_equal(node->kind, YAML_SCALAR);
    assert_int_equal(node->text.length, strlen(expected));
    assert_string_equal(node->text.bytes, expected);
}

static void assert_place(const struct yaml_node *node, unsigned line, unsigned column)
{
    assert_string_equal(node->place.file, "f");
    assert_int_equal(node->place.line, line);
    assert_int_equal(node->place.column, column);
}

static void scalars_know_value_place_and_quotes(void **state)
{
    (void)state;
    struct parsed parsed = parse("a: 1\nlonger:   'two'\nü: \"x\\ty\"\n");
    assert_int_equal(errors(parsed), 0);
    const struct yaml_node *root = parsed.tree->first;
    assert_int_equal(root->kind, YAML_MAPPING);
    assert_int_equal(root->count, 3);
    const struct yaml_node *member = root->first;
    assert_text(member, "1");
    assert_text(member->key, "a");
    assert_true(member->is_plain);
    assert_place(member->key, 1, 1);
    assert_place(member, 1, 4);
    member = yaml_tree_member(root, TEXT("longer"));
    assert_text(member, "two");
    assert_false(member->is_plain);
    assert_place(member, 2, 11);
    member = member->next;
    assert_text(member, "x\ty");
    assert_place(member, 3, 4); /* columns count characters, not bytes */
    assert_null(member->next);
    assert_null(yaml_tree_member(root, TEXT("b")));
    discard(parsed);
}

static void sequences_and_mappings_nest(void **state)
{
    (void)state;
    struct parsed parsed = parse("list:\n  - one\n  - {k: v}\n  - []\n");
    const struct yaml_node *list = yaml_tree_member(parsed.tree->first, TEXT("list"));
    assert_int_equal(list->kind, YAML_SEQUENCE);
    assert_int_equal(list->count, 3);
    assert_place(list, 2, 3);
    assert_text(list->first, "one");
    assert_null(list->first->key);
    assert_text(yaml_tree_member(list->first->next, TEXT("k")), "v");
    assert_int_equal(list->first->next->next->kind, YAML_SEQUENCE);
    assert_int_equal(list->first->next->next->count, 0);
    assert_null(yaml_tree_member(list, TEXT("k")));
    discard(parsed);
}

static void documents_are_a_list_and_empty_ones_left_out(void **state)
{
    (void)state;
    struct parsed parsed = parse("a: 1\n---\n---\n- b\n---\n");
    assert_int_equal(errors(parsed), 0);
    assert_int_equal(parsed.tree->first->kind, YAML_MAPPING);
    assert_int_equal(parsed.tree->first->next->kind, YAML_SEQUENCE);
    assert_place(parsed.tree->first->next, 4, 1);
    assert_null(parsed.tree->first->next->next);
    discard(parsed);
    parsed = parse("");
    assert_non_null(parsed.tree);
    assert_null(parsed.tree->first);
    discard(parsed);
}

static void first_of_duplicate_keys_is_kept(void **state)
{
    (void)state;
    struct parsed parsed = parse("a: 1\nb: {x: 1}\na: {deep: [er]}\nc: 3\n");
    assert_int_equal(errors(parsed), 1);
    assert_non_null(parsed.tree);
    assert_int_equal(parsed.tree->first->count, 3);
    assert_text(yaml_tree_member(parsed.tree->first, TEXT("a")), "1");
    assert_text(yaml_tree_member(parsed.tree->first, TEXT("c")), "3");
    char *text = complaint(parsed);
    assert_string_equal(text, "f:3:1: error: the key \"a\" stands twice in this mapping, first on line 1; remove one");
    free(text);
    discard(parsed);
}

static void anchors_aliases_and_tags_are_refused_but_read_over(void **state)
{
    (void)state;
    struct parsed parsed = parse("a: &x 1\nb: *x\nc: !t 2\nd: !!map {e: 3}\n");
    assert_int_equal(errors(parsed), 4);
    assert_non_null(parsed.tree);
    assert_text(yaml_tree_member(parsed.tree->first, TEXT("a")), "1");
    assert_int_equal(yaml_tree_member(parsed.tree->first, TEXT("b"))->kind, YAML_REFUSED);
    assert_text(yaml_tree_member(parsed.tree->first, TEXT("c")), "2");
    discard(parsed);
}

static void a_billion_laughs_do_not_grow(void **state)
{
    (void)state;
    struct parsed parsed = parse("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n");
    assert_int_equal(errors(parsed), 9);
    discard(parsed);
}

static void syntax_errors_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *place;
    } rows[] = {
        {"a: [1\nb: 2\n", "f:2:2: error: "},
        {"a: 'x\n", "f:2:1: error: "},
        {"a: 1\n  b: 2\n", "f:2:4: error: "},
        {"a:\n\t- x\n", "f:2:1: error: "},
        {"\xfe\x41", "f: error: "},
        {"a: \xc3\x28\n", "f: error: "},
        {"a: \x01\n", "f: error: "},
        {"[a]: b\n", "f:1:1: error: "},
        {"%YAML 3.0\n---\na: 1\n", "f:1:1: error: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct parsed parsed = parse(rows[i].source);
        if (parsed.tree != NULL || errors(parsed) != 1)
            fail_msg("row %zu: a tree, or %zu findings", i, errors(parsed));
        char *text = complaint(parsed);
        if (strncmp(text, rows[i].place, strlen(rows[i].place)) != 0)
            fail_msg("row %zu: %s", i, text);
        free(text);
        discard(parsed);
    }
}

/* `count` times `piece`, between `head` and `tail`; the caller frees it. */
static char *repeat(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t length = strlen(piece);
    char *text = malloc(strlen(head) + length * count + strlen(tail) + 1);
    assert_non_null(text);
    char *end = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, piece);
    stpcpy(end, tail);
    return text;
}

static void bounds_hold(void **state)
{
    (void)state;
    struct {
        char *source;
        bool is_good;
    } rows[] = {
        {repeat("", "[", YAML_TREE_DEPTH_MAXIMUM, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), true},
        {repeat("", "[", YAML_TREE_DEPTH_MAXIMUM + 1, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), false},
        {repeat("[", "1,", YAML_TREE_NODES_MAXIMUM - 1, "]"), true},
        {repeat("[", "1,", YAML_TREE_NODES_MAXIMUM, "]"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct parsed parsed = parse(rows[i].source);
        assert_int_equal(parsed.tree != NULL, rows[i].is_good);
        assert_int_equal(errors(parsed), rows[i].is_good ? 0 : 1);
        discard(parsed);
        free(rows[i].source);
    }
}

static void keys_of_one_mapping_are_bounded(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        char source[YAML_TREE_KEYS_MAXIMUM * 16] = "";
        size_t used = 0;
        for (int i = 0; i < YAML_TREE_KEYS_MAXIMUM + over; i++)
            used = text_append(source, sizeof source, used, "k%d: 1\n", i);
        struct parsed parsed = parse(source);
        assert_int_equal(parsed.tree != NULL, over == 0);
        discard(parsed);
    }
}

static void files_that_cannot_be_read_are_findings(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    assert_null(yaml_tree_read("/nonexistent/file.yaml", findings));
    assert_null(yaml_tree_read("/", findings));
    assert_int_equal(findings_count(findings, FINDING_ERROR), 2);
    findings_destroy(findings);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-yaml-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    struct findings *findings = findings_create();
    struct yaml_tree *tree = yaml_tree_read(path, findings);
    assert_non_null(tree);
    assert_string_equal(tree->file, path);
    yaml_tree_destroy(tree);
    assert_int_equal(ftruncate(fd, (off_t)YAML_TREE_FILE_BYTES_MAXIMUM + 1), 0);
    assert_null(yaml_tree_read(path, findings));
    assert_int_equal(findings_count(findings, FINDING_ERROR), 1);
    close(fd);
    unlink(path);
    findings_destroy(findings);
}

/* Cutting a file anywhere, or breaking any byte of it, gives a tree or a finding, never both missing. */
static void damaged_input_is_survived(void **state)
{
    (void)state;
    static const char source[] =
        "a: &x [1, {b: 'c'}, \"\\u00e9\"]\n? k\n: *x\n--- !t\n- |\n  block\n- >-\n  folded\n...\n";
    char copy[sizeof source];
    for (size_t i = 0; i < sizeof source; i++) {
        struct parsed parsed = {.findings = findings_create()};
        parsed.tree = yaml_tree_parse("f", text_of(source, i), parsed.findings);
        assert_true(parsed.tree != NULL || errors(parsed) > 0);
        discard(parsed);
    }
    uint32_t seed = 1; /* always the same bytes, so that a failure can be looked at again */
    for (int round = 0; round < 4000; round++) {
        memcpy(copy, source, sizeof source);
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % (sizeof source - 1)] = (char)(seed >> 24);
        }
        struct parsed parsed = {.findings = findings_create()};
        parsed.tree = yaml_tree_parse("f", text_of(copy, sizeof source - 1), parsed.findings);
        assert_true(parsed.tree != NULL || errors(parsed) > 0);
        discard(parsed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_know_value_place_and_quotes),
        cmocka_unit_test(sequences_and_mappings_nest),
        cmocka_unit_test(documents_are_a_list_and_empty_ones_left_out),
        cmocka_unit_test(first_of_duplicate_keys_is_kept),
        cmocka_unit_test(anchors_aliases_and_tags_are_refused_but_read_over),
        cmocka_unit_test(a_billion_laughs_do_not_grow),
        cmocka_unit_test(syntax_errors_name_the_place),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(keys_of_one_mapping_are_bounded),
        cmocka_unit_test(files_that_cannot_be_read_are_findings),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(damaged_input_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
