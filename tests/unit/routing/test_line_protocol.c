/*
 * The timestamp scan. Each body is fed whole, byte by byte, and split at every point: the verdict must not change. A
 * wrong "yes" would store points twice, a wrong "no" only costs a retry; the rows say where doubt begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "routing/line_protocol.h"

static const struct {
    const char *body;
    bool verdict;
} rows[] = {
    /* The plain cases. */
    {"m f=1 5", true},
    {"m f=1 5\n", true},
    {"m f=1i,g=2u,h=t,i=-1.5e3 1700000000000000000\n", true},
    {"m,t=a,u=b f=1 5\nm,t=c f=2 6\n", true},
    {"m f=1", false},
    {"m f=1\n", false},
    {"m f=1 \n", false},
    {"m f=1 5\nm f=2\n", false},
    {"m f=1\nm f=2 5\n", false},
    {"m f=1 5\nm f=2\nm f=3 7\n", false},
    {"m f=1 -5\n", true},
    {"m f=1 0\n", true},

    /* Nothing that could be stored. */
    {"", true},
    {"\n\n", true},
    {"   \n", true},
    {"# only a comment", true},
    {"# only a comment\n", true},

    /* Between the lines. */
    {"\n\nm f=1 5\n\n# note\nm f=2 6\n\n", true},
    {"# note f=1\nm f=2\n", false},
    {"m f=1 5\r\nm f=2 6\r\n", true},
    {"m f=1\r\nm f=2 6\r\n", false},
    {"\r\nm f=1 5\r\n  \r\n", true},
    {"m f=1 5 \r\n", true},
    {"m f=1 5\r", false},
    {"m f=1 5\rm f=2 6\n", false},
    {"m f=1 5\r\r\n", false},
    {"m  f=1   5  \n", true},
    {"m f=1 5\n   \nm f=1 6", true},

    /* Strings: quotes count only behind an equals sign. */
    {"m f=\"a\" 5\n", true},
    {"m f=\"a\"\n", false},
    {"m f=\"\" 5\n", true},
    {"m f=\"a b, c=d\" 5\n", true},
    {"m f=\"a\nb\" 5\n", true},
    {"m f=\"a 5\nb\"\n", false},
    {"m f=\"say \\\"hi\\\"\" 5\n", true},
    {"m f=\"say \\\"hi\\\" 5\n", false},
    {"m f=\"back\\\\\" 5\n", true},
    {"m f=\"C:\\dir\" 5\n", true},
    {"m f=\"a\r\nb\" 5\n", true},
    {"m f=\"a\",g=\"b\" 5\n", true},
    {"m f=\"a\",g=1\n", false},
    {"m f=\"open 5\n", false},
    {"m f=\"open", false},
    {"m f=\"a\"5\n", false},
    {"m f=\"a\"b 5\n", false},

    /* Escapes in names. */
    {"my\\ table,my\\ tag=a\\ b f=1 5\n", true},
    {"my\\ table f=1\n", false},
    {"m\\,x,t=a\\=b f\\ g=1 5\n", true},
    {"m f\\ 5=1\n", false},
    {"m\\\\ f=1 5\n", false},
    {"m\\", false},
    {"m\\\nf=1 5\n", false},
    {"m f\\\\=1 5\n", false},
    {"m f=1\\ 5\n", false},

    /* Where two readers might differ: the database's line splitter sees quotes where the parser sees none. */
    {"m,t=\"a f=1 5\n", false},
    {"\"m\" f=1 5\n", false},
    {"m \"f\"=1 5\n", false},
    {"m f=a\"b 5\n", false},
    {"m f=a=b 5\n", false},
    {" m f=1 5\n", false},
    {"  # note\n", false},
    {"# a \"quoted\" note\nm f=1 5\n", false},
    {"# =\"\nm f=\"\nn g=1\n\" 5\n", false},
    {"# back\\\nm f=1 5\n", false},
    {"m\tf=1\t5\n", false},

    /* What is no timestamp. */
    {"m f=1 5x\n", false},
    {"m f=1 5.0\n", false},
    {"m f=1 5i\n", false},
    {"m f=1 +5\n", false},
    {"m f=1 -\n", false},
    {"m f=1 --5\n", false},
    {"m f=1 5 6\n", false},
    {"m f=1 now\n", false},
    {"m f=1 9223372036854775807\n", true},
    {"m f=1 -9223372036854775807\n", true},
    {"m f=1 92233720368547758070\n", false},

    /* No lines of line protocol. */
    {"m", false},
    {"m 5\n", false},
    {"m\n", false},
    {"m f 5\n", false},
    {"m f= 5\n", false},
    {"m f=,g=1 5\n", false},
    {",t=a f=1 5\n", false},
    {"{\"json\": 1}\n", false},
    {"\x1f\x8b\x08", false},
};

static bool judge_in_pieces(struct text body, size_t first, size_t step)
{
    struct line_protocol_scan scan = {0};
    line_protocol_feed(&scan, text_of(body.bytes, first));
    for (size_t at = first; at < body.length; at += step) {
        size_t length = body.length - at < step ? body.length - at : step;
        line_protocol_feed(&scan, text_of(body.bytes + at, length));
    }
    return line_protocol_finish(&scan);
}

static void each_body_has_its_verdict_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text body = text_of_string(rows[i].body);
        for (size_t first = 0; first <= body.length; first++) {
            if (judge_in_pieces(body, first, body.length + 1) != rows[i].verdict)
                fail_msg("cut at %zu: expected %s: %s", first, rows[i].verdict ? "yes" : "no", rows[i].body);
        }
        if (judge_in_pieces(body, 0, 1) != rows[i].verdict)
            fail_msg("byte by byte: expected %s: %s", rows[i].verdict ? "yes" : "no", rows[i].body);
    }
}

static void doubt_is_told_at_once_and_stays(void **state)
{
    (void)state;
    struct line_protocol_scan scan = {0};
    assert_true(line_protocol_feed(&scan, TEXT("m f=1 5\nm f=2")));
    assert_false(line_protocol_feed(&scan, TEXT("\n")));
    assert_false(line_protocol_feed(&scan, TEXT("m f=1 5\n")));
    assert_false(line_protocol_finish(&scan));
}

/* Any body that is judged "yes" is still a "yes" with a good line behind it, and a "no" with a bare one. */
static void verdicts_add_up(void **state)
{
    (void)state;
    static const char *const pieces[] = {"m f=1 5", "m f=\"", "\" 5", "\n",  "\n", "\n", "m,t=a f=1 6\n", " ", "5", "#",
                                         "m",       "\\",     "\r\n", "f=1", "=",  "-"};
    uint32_t random = 2024;
    unsigned accepted = 0;
    for (int round = 0; round < 300000; round++) {
        struct line_protocol_scan scan = {0};
        for (int i = 0; i < 12; i++) {
            random = random * 1664525 + 1013904223;
            const char *piece = pieces[(random >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
            line_protocol_feed(&scan, text_of_string(piece));
        }
        line_protocol_feed(&scan, TEXT("\n"));
        if (!line_protocol_finish(&scan))
            continue;
        accepted++;
        line_protocol_feed(&scan, TEXT("m f=1 5\n"));
        assert_true(line_protocol_finish(&scan));
        line_protocol_feed(&scan, TEXT("m f=1\n"));
        assert_false(line_protocol_finish(&scan));
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_body_has_its_verdict_however_it_is_cut),
        cmocka_unit_test(doubt_is_told_at_once_and_stays),
        cmocka_unit_test(verdicts_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
