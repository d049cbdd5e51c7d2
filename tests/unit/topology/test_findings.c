#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "topology/findings.h"

/* What findings_print writes; the caller frees it. */
static char *print(struct findings *findings)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    findings_print(findings, stream);
    fclose(stream);
    return text;
}

static struct place place(const char *file, unsigned line, unsigned column)
{
    return (struct place){file, line, column};
}

static void empty_list_prints_nothing(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    char *text = print(findings);
    assert_string_equal(text, "");
    assert_int_equal(findings_count(findings, FINDING_ERROR), 0);
    free(text);
    findings_destroy(findings);
    findings_destroy(NULL);
}

static void findings_are_sorted_by_place(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    findings_error(findings, place("b", 1, 1), "five");
    findings_warning(findings, place("a", 10, 1), "four");
    findings_error(findings, place("a", 9, 20), "three");
    findings_error(findings, place("a", 9, 3), "two %d", 2);
    findings_warning(findings, place("a", 0, 0), "one");
    char *text = print(findings);
    assert_string_equal(text, "a: warning: one\n"
                              "a:9:3: error: two 2\n"
                              "a:9:20: error: three\n"
                              "a:10:1: warning: four\n"
                              "b:1:1: error: five\n");
    assert_int_equal(findings_count(findings, FINDING_ERROR), 3);
    assert_int_equal(findings_count(findings, FINDING_WARNING), 2);
    free(text);
    findings_destroy(findings);
}

static void findings_of_one_place_keep_their_order(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    for (int i = 0; i < 9; i++)
        findings_error(findings, place("a", 1, 1), "%d", i);
    char *text = print(findings);
    for (int i = 0; i < 9; i++)
        assert_int_equal(text[i * (int)strlen("a:1:1: error: 0\n") + (int)strlen("a:1:1: error: ")], '0' + i);
    free(text);
    findings_destroy(findings);
}

static void file_name_is_copied(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    char file[] = "first";
    findings_error(findings, place(file, 1, 2), "text");
    file[0] = 'X';
    char *text = print(findings);
    assert_string_equal(text, "first:1:2: error: text\n");
    free(text);
    findings_destroy(findings);
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    findings_error(findings, place("a", 1, 1), "clear %s screen\nsecond line", "\x1b[2J\x7f");
    char *text = print(findings);
    assert_string_equal(text, "a:1:1: error: clear ?[2J? screen?second line\n");
    free(text);
    findings_destroy(findings);
}

static void list_is_bounded_and_errors_beyond_it_count(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    for (unsigned i = 0; i < FINDINGS_MAXIMUM; i++)
        findings_warning(findings, place("a", i + 1, 1), "w");
    findings_error(findings, place("a", 1, 1), "never printed");
    findings_warning(findings, place("a", 1, 1), "nor this");
    assert_int_equal(findings_count(findings, FINDING_ERROR), 1);
    assert_int_equal(findings_count(findings, FINDING_WARNING), FINDINGS_MAXIMUM + 1);
    char *text = print(findings);
    assert_non_null(strstr(text, "a:200:1: warning: w\nand 2 more\n"));
    assert_null(strstr(text, "never printed"));
    free(text);
    findings_destroy(findings);
}

static void long_text_is_cut(void **state)
{
    (void)state;
    struct findings *findings = findings_create();
    findings_error(findings, place("a", 1, 1), "%05000d", 1);
    char *text = print(findings);
    assert_true(strlen(text) > 500 && strlen(text) < 1200);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    findings_destroy(findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_list_prints_nothing),
        cmocka_unit_test(findings_are_sorted_by_place),
        cmocka_unit_test(findings_of_one_place_keep_their_order),
        cmocka_unit_test(file_name_is_copied),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(list_is_bounded_and_errors_beyond_it_count),
        cmocka_unit_test(long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
