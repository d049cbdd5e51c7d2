#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

static void assert_text(struct text got, const char *expected)
{
    assert_int_equal(got.length, strlen(expected));
    if (got.length > 0)
        assert_memory_equal(got.bytes, expected, got.length);
}

static void texts_are_made(void **state)
{
    (void)state;
    assert_int_equal(TEXT("abc").length, 3);
    assert_int_equal(TEXT("").length, 0);
    assert_text(text_of("abcdef", 3), "abc");
    assert_text(text_of_string("abc"), "abc");
    assert_int_equal(text_of_string(NULL).length, 0);
    assert_null(text_of_string(NULL).bytes);
}

static void equality(void **state)
{
    (void)state;
    assert_true(text_equals(TEXT("a"), TEXT("a")));
    assert_true(text_equals(TEXT_EMPTY, TEXT("")));
    assert_false(text_equals(TEXT("a"), TEXT("A")));
    assert_false(text_equals(TEXT("a"), TEXT("ab")));
    assert_true(text_equals(text_of("a\0b", 3), text_of("a\0b", 3)));
    assert_false(text_equals(text_of("a\0b", 3), text_of("a\0c", 3)));
    assert_true(text_equals_ignoring_case(TEXT("Content-TYPE"), TEXT("content-type")));
    assert_false(text_equals_ignoring_case(TEXT("a"), TEXT("ab")));
    assert_false(text_equals_ignoring_case(TEXT("@"), TEXT("`"))); /* 0x40 and 0x60 differ by the case bit only */
    assert_false(text_equals_ignoring_case(TEXT("["), TEXT("{")));
    assert_false(text_equals_ignoring_case(TEXT("\xc4"), TEXT("\xe4"))); /* no letters of ASCII */
    assert_true(text_equals_ignoring_case(TEXT_EMPTY, TEXT_EMPTY));
}

/* Words of eight bytes are compared at once: each byte at each place must come out as it does by itself. */
static void case_of_each_byte_at_each_place(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char left[] = "0123456789a", right[] = "0123456789A";
            size_t at = (size_t)(a + b) % 11;
            left[at] = (char)a;
            right[at] = (char)b;
            assert_int_equal(text_equals_ignoring_case(text_of(left, 11), text_of(right, 11)),
                             text_lower((char)a) == text_lower((char)b));
        }
    }
}

static void prefixes(void **state)
{
    (void)state;
    assert_true(text_starts_with(TEXT("abc"), TEXT("ab")));
    assert_true(text_starts_with(TEXT("abc"), TEXT("abc")));
    assert_true(text_starts_with(TEXT_EMPTY, TEXT_EMPTY));
    assert_true(text_starts_with(TEXT("a"), TEXT("")));
    assert_false(text_starts_with(TEXT("ab"), TEXT("abc")));
    assert_false(text_starts_with(TEXT("abc"), TEXT("b")));
}

static void finding(void **state)
{
    (void)state;
    assert_int_equal(text_find(TEXT("abcabc"), TEXT("c")), 2);
    assert_int_equal(text_find(TEXT("abcabc"), TEXT("abc")), 0);
    assert_int_equal(text_find(TEXT("abcabc"), TEXT("ca")), 2);
    assert_int_equal(text_find(TEXT("abc"), TEXT("")), 0);
    assert_int_equal(text_find(TEXT("abc"), TEXT("d")), -1);
    assert_int_equal(text_find(TEXT("abc"), TEXT("abcd")), -1);
    assert_int_equal(text_find(TEXT_EMPTY, TEXT("a")), -1);
    assert_int_equal(text_find(TEXT_EMPTY, TEXT_EMPTY), 0);
    assert_int_equal(text_find(text_of("abc", 2), TEXT("c")), -1); /* what lies behind the length is not searched */
}

static void trimming(void **state)
{
    (void)state;
    assert_text(text_trim(TEXT(" \t a b\t ")), "a b");
    assert_text(text_trim(TEXT("ab")), "ab");
    assert_text(text_trim(TEXT(" \t ")), "");
    assert_text(text_trim(TEXT_EMPTY), "");
    assert_text(text_trim(TEXT("\na\n")), "\na\n"); /* OWS is SP and HTAB only */
}

static void cutting(void **state)
{
    (void)state;
    struct text rest = TEXT("a,,b");
    assert_text(text_cut(&rest, ','), "a");
    assert_text(text_cut(&rest, ','), "");
    assert_non_null(rest.bytes);
    assert_text(text_cut(&rest, ','), "b");
    assert_null(rest.bytes);
    rest = TEXT("a,");
    assert_text(text_cut(&rest, ','), "a");
    assert_non_null(rest.bytes);
    assert_text(text_cut(&rest, ','), "");
    assert_null(rest.bytes);
    rest = TEXT("");
    assert_text(text_cut(&rest, ','), "");
    assert_null(rest.bytes);
}

static void numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(text_to_u64(TEXT("0"), &value));
    assert_int_equal(value, 0);
    assert_true(text_to_u64(TEXT("007"), &value));
    assert_int_equal(value, 7);
    assert_true(text_to_u64(TEXT("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "a",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "184467440737095516150"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(text_to_u64(text_of_string(bad[i]), &value));
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0}, {"0s", 0}, {"500ms", 500}, {"2s", 2000}, {"5m", 300000}, {"1h", 3600000}, {"010s", 10000}};
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(text_to_duration_ms(text_of_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {
        "", "1", "ms", "-1s", "1.5s", "1 s", "s1", "1S", "1d", "1us", "1sms", "99999999999999h", "9007199254740993ms"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (text_to_duration_ms(text_of_string(bad[i]), &value))
            fail_msg("%s", bad[i]);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},           {"4096", 4096},      {"1B", 1},
                {"64KiB", 65536},   {"10MiB", 10485760}, {"1GiB", 1073741824},
                {"10MB", 10000000}, {"3kB", 3000},       {"3KB", 3000},
                {"2GB", 2000000000}};
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(text_to_size_bytes(text_of_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"", "KiB", "-1", "1.5MiB", "1 KiB", "1kib", "1TiB", "99999999999GiB"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (text_to_size_bytes(text_of_string(bad[i]), &value))
            fail_msg("%s", bad[i]);
    }
}

static void copies(void **state)
{
    (void)state;
    char *copy = text_duplicate(text_of("abcdef", 3));
    assert_string_equal(copy, "abc");
    free(copy);
    copy = text_duplicate(TEXT_EMPTY);
    assert_string_equal(copy, "");
    free(copy);
}

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"abc", "abd", 1},
        {"abc", "ab", 1},
        {"abc", "xabc", 1},
        {"abc", "acb", 1},
        {"abcd", "badc", 2},
        {"kitten", "sitting", 3},
        {"listen", "silent", 4},
        {"listen", "lisen", 1},
        {"workers", "workres", 1},
        {"a", "b", 1},
        {"ab", "ba", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text a = text_of_string(rows[i].a);
        struct text b = text_of_string(rows[i].b);
        if (text_distance(a, b) != rows[i].distance || text_distance(b, a) != rows[i].distance)
            fail_msg("%s, %s: %zu and %zu", rows[i].a, rows[i].b, text_distance(a, b), text_distance(b, a));
    }
    char long_text[65];
    memset(long_text, 'a', sizeof long_text);
    assert_true(text_distance(text_of(long_text, 65), TEXT("a")) == SIZE_MAX);
    assert_true(text_distance(TEXT("a"), text_of(long_text, 65)) == SIZE_MAX);
    assert_int_equal(text_distance(text_of(long_text, 64), TEXT("a")), 63);
}

static void appending(void **state)
{
    (void)state;
    char buffer[8];
    size_t used = text_append(buffer, sizeof buffer, 0, "%s", "abc");
    assert_int_equal(used, 3);
    used = text_append(buffer, sizeof buffer, used, "%d", 45);
    assert_int_equal(used, 5);
    assert_string_equal(buffer, "abc45");
    used = text_append(buffer, sizeof buffer, used, "xyz");
    assert_int_equal(used, 7);
    assert_string_equal(buffer, "abc45xy");
    used = text_append(buffer, sizeof buffer, used, "more");
    assert_int_equal(used, 7);
    assert_string_equal(buffer, "abc45xy");
    assert_int_equal(text_append(buffer, 0, 0, "x"), 0);
    assert_int_equal(text_append(buffer, sizeof buffer, 8, "x"), 8);
    assert_string_equal(buffer, "abc45xy");
}

static void a_value_is_found_by_its_key(void **state)
{
    (void)state;
    struct text query = TEXT("class=write&wait=30s&class=query&flag&=x&level=a=b");
    assert_true(text_equals(text_query_value(query, TEXT("class")), TEXT("write")));
    assert_true(text_equals(text_query_value(query, TEXT("wait")), TEXT("30s")));
    assert_true(text_equals(text_query_value(query, TEXT("level")), TEXT("a=b")));
    assert_int_equal(text_query_value(query, TEXT("flag")).length, 0);
    assert_int_equal(text_query_value(query, TEXT("lev")).length, 0);
    assert_int_equal(text_query_value(query, TEXT("levels")).length, 0);
    assert_int_equal(text_query_value(TEXT_EMPTY, TEXT("class")).length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_made), cmocka_unit_test(equality),
        cmocka_unit_test(case_of_each_byte_at_each_place),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(finding),        cmocka_unit_test(trimming),  cmocka_unit_test(cutting),
        cmocka_unit_test(numbers),        cmocka_unit_test(durations), cmocka_unit_test(sizes),
        cmocka_unit_test(copies),         cmocka_unit_test(distances), cmocka_unit_test(appending),
        cmocka_unit_test(a_value_is_found_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
