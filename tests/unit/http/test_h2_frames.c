/* Frames are found in whatever pieces they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/h2.h"
#include "http/h2_frames.h"

static const char bytes[] = H2_PREFACE
    "\0\0\0\4\0\0\0\0\0"                    /* SETTINGS */
    "\0\0\5\0\1\0\0\1\2" "hello"            /* DATA */
    "\0\0\5\2\0\0\0\0\3" "\x80\0\0\7\20"  /* PRIORITY: exclusive, depends on stream 7 */
    "\0\0\3\2\0\0\0\0\5" "\0\0\0"          /* and one that is too short to */
    "\0\1\x2c\1\4\xff\xff\xff\xff";         /* HEADERS of 300 bytes, and the reserved bit */
#define LENGTH (sizeof bytes - 1 + 300)

static const char expected[] = "4:0:0:0 0:258:5:0 2:3:5:7 2:5:3:0 1:2147483647:300:0 ";

static void each_frame_is_found_in_any_pieces(void **state)
{
    (void)state;
    char input[LENGTH];
    memset(input, 0, sizeof input);
    memcpy(input, bytes, sizeof bytes - 1);
    for (size_t piece = 1; piece <= LENGTH; piece++) {
        char words[100];
        size_t used = 0;
        struct h2_frames frames;
        struct h2_frame_head head;
        h2_frames_start(&frames);
        for (size_t at = 0; at < LENGTH; at += piece) {
            struct text rest = text_of(input + at, LENGTH - at < piece ? LENGTH - at : piece);
            while (h2_frames_next(&frames, &rest, &head))
                used = text_append(words, sizeof words, used, "%u:%d:%u:%d ", head.type, head.stream_id, head.length, head.depends_on);
            assert_int_equal(rest.length, 0);
        }
        if (strcmp(words, expected) != 0)
            fail_msg("in pieces of %zu: %s", piece, words);
        assert_int_equal(frames.skip_bytes, 0);
    }
}

static void behind_a_head_the_rest_begins_with_its_payload(void **state)
{
    (void)state;
    struct h2_frames frames;
    struct h2_frame_head head;
    struct text rest = text_of(bytes, sizeof bytes - 1);
    h2_frames_start(&frames);
    assert_true(h2_frames_next(&frames, &rest, &head));
    assert_true(h2_frames_next(&frames, &rest, &head));
    assert_memory_equal(rest.bytes, "hello", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_is_found_in_any_pieces),
        cmocka_unit_test(behind_a_head_the_rest_begins_with_its_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
