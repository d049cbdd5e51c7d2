/* Log lines: one event, one line, one write; and text from outside that stays inside its quotes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* ---- quoting ---- */

static void assert_quoted(struct text value, const char *expected)
{
    char buffer[256];
    memset(buffer, '#', sizeof buffer);
    assert_ptr_equal(log_quote(buffer, sizeof buffer, value), buffer);
    assert_string_equal(buffer, expected);
}

static void text_from_outside_is_quoted(void **state)
{
    (void)state;
    assert_quoted(TEXT_EMPTY, "\"\"");
    assert_quoted(TEXT("plain text"), "\"plain text\"");
    assert_quoted(TEXT("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_quoted(TEXT("a\r\nb\tc"), "\"a\\x0d\\x0ab\\x09c\"");
    assert_quoted(TEXT("\0\x1f\x7f\x80\xff"), "\"\\x00\\x1f\\x7f\\x80\\xff\"");
    assert_quoted(TEXT("%s %n"), "\"%s %n\"");
}

/* Each byte comes out as itself or escaped, and what stands between the quotes has no quote of its own. */
static void each_byte_is_harmless(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char value = (char)c;
        char buffer[16];
        log_quote(buffer, sizeof buffer, text_of(&value, 1));
        bool is_plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
        assert_int_equal(strlen(buffer), is_plain ? 3 : c == '"' || c == '\\' ? 4 : 6);
        for (const char *at = buffer; *at != '\0'; at++)
            assert_in_range(*at, ' ', '~');
    }
}

/* Whatever the capacity: terminated, closed, and nothing written behind it. */
static void a_quote_is_cut_at_its_capacity(void **state)
{
    (void)state;
    char buffer[64];
    for (size_t capacity = 1; capacity < 40; capacity++) {
        memset(buffer, '#', sizeof buffer);
        assert_ptr_equal(log_quote(buffer, capacity, TEXT("abc\x01\x02\x03\"\"\"\\\\defghijklmnopqrstuvwxyz")), buffer);
        size_t length = strlen(buffer);
        assert_true(length < capacity);
        for (size_t i = capacity; i < sizeof buffer; i++)
            assert_int_equal(buffer[i], '#');
        if (capacity >= 8) {
            assert_int_equal(buffer[0], '"');
            assert_int_equal(buffer[length - 1], '"');
        }
    }
    log_quote(buffer, 0, TEXT("abc"));
}

/* ---- lines ---- */

/* What log_line writes to standard error while `level` rules. */
static const char *written(enum log_level level, enum log_level line_level, const char *words)
{
    static char line[8192];
    int pipes[2];
    int standard_error = dup(STDERR_FILENO);
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_set_level(level);
    log_line(line_level, "event=test words=%s", words);
    dup2(standard_error, STDERR_FILENO);
    ssize_t length = read(pipes[0], line, sizeof line - 1);
    close(standard_error);
    close(pipes[0]);
    close(pipes[1]);
    line[length < 0 ? 0 : length] = '\0';
    return line;
}

static void a_line_is_a_time_a_level_and_words(void **state)
{
    (void)state;
    int year, month, day, hour, minute, second, millisecond, end = 0;
    const char *line = written(LOG_LEVEL_INFO, LOG_LEVEL_WARNING, "x");
    assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second,
                            &millisecond, &end),
                     7);
    assert_int_equal(end, 24);
    struct tm broken = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute,
                        .tm_sec = second};
    assert_in_range(timegm(&broken), time(NULL) - 60, time(NULL) + 1);
    assert_string_equal(line + end, " warning event=test words=x\n");
}

static void levels_below_the_ruling_one_are_silent(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int ruling = 0; ruling < 4; ruling++) {
        for (int level = 0; level < 4; level++) {
            const char *line = written((enum log_level)ruling, (enum log_level)level, "x");
            assert_int_equal(line[0] != '\0', level <= ruling);
            assert_int_equal(log_is_enabled((enum log_level)level), level <= ruling);
            if (level <= ruling)
                assert_non_null(strstr(line, names[level]));
        }
    }
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    static char words[5000];
    memset(words, 'w', sizeof words - 1);
    const char *line = written(LOG_LEVEL_INFO, LOG_LEVEL_INFO, words);
    size_t length = strlen(line);
    assert_in_range(length, 2000, 2048);
    assert_int_equal(line[length - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    assert_int_equal(line[length - 2], 'w');
    /* At every length around the bound it is whole or cut, with nothing in between. */
    for (size_t count = 1900; count < 2100; count++) {
        words[count] = '\0';
        line = written(LOG_LEVEL_INFO, LOG_LEVEL_INFO, words);
        words[count] = 'w';
        const char *first = strstr(line, "words=") + 6;
        size_t shown = strspn(first, "w");
        assert_string_equal(first + shown, "\n");
        assert_true(shown == count || strlen(line) >= 2040);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        enum log_level level = LOG_LEVEL_ERROR;
        assert_true(log_level_from_name(names[i], &level));
        assert_int_equal(level, i);
    }
    enum log_level level = LOG_LEVEL_DEBUG;
    assert_false(log_level_from_name("trace", &level));
    assert_false(log_level_from_name("", &level));
    assert_false(log_level_from_name("Info", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* For good: this test is the last one. */
static void a_log_that_nobody_reads_holds_nothing_up(void **state)
{
    (void)state;
    static char lines[4 * 1048576];
    char words[200];
    int pipes[2];
    int standard_error = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    log_open();
    alarm(60); /* who waits is ended */
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    const unsigned count = 10000;
    for (unsigned i = 0; i < count; i++)
        log_line(LOG_LEVEL_INFO, "event=test words=%s", words);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    ssize_t length = read(pipes[0], lines, sizeof lines - 1);
    log_line(LOG_LEVEL_INFO, "event=room");
    ssize_t more = read(pipes[0], lines + length, sizeof lines - 1 - (size_t)length);
    log_line(LOG_LEVEL_INFO, "event=last");
    more += read(pipes[0], lines + length + more, sizeof lines - 1 - (size_t)(length + more));
    alarm(0);
    dup2(standard_error, STDERR_FILENO);
    assert_true(length > 0 && more > 0);
    lines[length + more] = '\0';
    unsigned written_count = 0;
    for (const char *at = lines; (at = strstr(at, "event=test")) != NULL; at++)
        written_count++;
    char expected[64];
    snprintf(expected, sizeof expected, "warning event=log_lost lines=%u\n", count - written_count);
    assert_in_range(written_count, 1, count - 1);
    /* Once, behind the line that found room. */
    const char *told = strstr(lines, expected);
    assert_non_null(told);
    assert_true(told > strstr(lines, "event=room"));
    assert_true(told < strstr(lines, "event=last"));
    assert_null(strstr(told + strlen(expected), "event=log_lost"));
    close(standard_error);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_from_outside_is_quoted),
        cmocka_unit_test(each_byte_is_harmless),
        cmocka_unit_test(a_quote_is_cut_at_its_capacity),
        cmocka_unit_test(a_line_is_a_time_a_level_and_words),
        cmocka_unit_test(levels_below_the_ruling_one_are_silent),
        cmocka_unit_test(a_long_line_is_cut_and_still_ends),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(a_log_that_nobody_reads_holds_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
