/* The downstream HTTP/2 link: how answers go out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

/* A socket that tells one write from two. */
static void a_small_answer_goes_out_in_one_write(void **state)
{
    (void)state;
    all_go();
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    link_up(true, pair[0], pair[1]);
    far_greets(true);
    say();
    hear();
    far_forget(&stage.far);
    stage.far.is_quiet = stage.is_terse = true;
    struct h2_actor *actor = get(1);
    answer_with(actor, TEXT("hello"), true);
    let_go(actor);
    /* Nothing is written before the turn's end: then it is all there at once. */
    char packet[1000];
    assert_int_equal(recv(stage.far.fd, packet, sizeof packet, 0), -1);
    rig_turn(&stage.rig);
    ssize_t length = recv(stage.far.fd, packet, sizeof packet, 0);
    assert_true(length > 14);
    assert_memory_equal(packet + length - 14, "\0\0\5\0\1\0\0\0\1hello", 14);
    assert_int_equal(recv(stage.far.fd, packet, sizeof packet, 0), -1);
}

static void answers_come_in_the_order_in_which_they_are_ready(void **state)
{
    (void)state;
    stage.is_terse = false;
    get(1);
    get(3);
    answer(&stage.actors[1], 201);
    rig_settle(&stage.rig);
    answer(&stage.actors[0], 202);
    assert_heard("3{:status=201}. 1{:status=202}. ");
    assert_transcript("A=GET / A. B=GET / B. idle ");
    get(5);
    answer(&stage.actors[2], 204);
    rig_settle(&stage.rig);
    assert_transcript("C=GET / C. idle ");
}

static void a_body_without_a_length_ends_when_it_is_said(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("abc"));
    assert_heard("1{:status=200} 1[abc] ");
    stream_send_data(actor->stream, TEXT_EMPTY);
    assert_heard("");
    stream_send_data(actor->stream, TEXT("def"));
    stream_send_data(actor->stream, TEXT("ghi"));
    assert_heard("1[defghi] ");
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1[]. ");
}

static void a_body_with_a_length_ends_with_its_last_byte(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 6};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("abc"));
    assert_heard("1{:status=200 content-length=6} 1[abc] ");
    stream_send_data(actor->stream, TEXT("def"));
    assert_heard("1[def]. ");
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("");
}

static void trailers_follow_the_body(void **state)
{
    (void)state;
    struct header_field field = {TEXT("Grpc-Status"), TEXT("0"), HEADER_OTHER};
    struct message_head trailers = {.fields = &field, .field_count = 1};
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    struct h2_actor *actor = get(1);
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("abc"));
    stream_send_trailers(actor->stream, &trailers);
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1{:status=200} 1[abc] 1{grpc-status=0}. ");
    actor = get(3);
    stream_send_head(actor->stream, &head);
    rig_settle(&stage.rig);
    stream_send_trailers(actor->stream, &trailers);
    assert_heard("3{:status=200} ");
    stream_send_end(actor->stream);
    let_go(actor);
    hear();
    if (strcmp(stage.far.words, "3{grpc-status=0}. ") != 0)
        assert_string_equal(stage.far.words, "3[] 3{grpc-status=0}. ");
}

static void trailers_wait_behind_a_body_that_has_no_window(void **state)
{
    (void)state;
    struct header_field field = {TEXT("a"), TEXT("b"), HEADER_OTHER};
    struct message_head trailers = {.fields = &field, .field_count = 1};
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    struct h2_actor *actor = get(1);
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, long_text(65536));
    stream_send_trailers(actor->stream, &trailers);
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1{:status=200} 1[#16384] 1[#16384] 1[#16384] 1[#16383] ");
    far_window(&stage.far, 1, 1000);
    far_window(&stage.far, 0, 1000);
    say();
    assert_heard("1[p] 1{a=b}. ");
}

static void an_answer_to_head_has_no_body(void **state)
{
    (void)state;
    far_head(&stage.far, 1, ":method: HEAD\n:scheme: http\n:authority: h\n:path: /\n", true);
    say();
    answer_with(&stage.actors[0], long_text(5000), true);
    let_go(&stage.actors[0]);
    assert_heard("1{:status=200 content-length=5000}. ");
    far_head(&stage.far, 3, ":method: HEAD\n:scheme: http\n:authority: h\n:path: /\n", true);
    say();
    answer_with(&stage.actors[1], TEXT("abc"), false);
    let_go(&stage.actors[1]);
    assert_heard("3{:status=200}. ");
}

static void interim_answers_come_first(void **state)
{
    (void)state;
    struct header_field field = {TEXT("Link"), TEXT("</a>"), HEADER_OTHER};
    struct message_head interim = {.status = 103, .fields = &field, .field_count = 1, .body = BODY_LENGTH, .content_length = 3};
    struct h2_actor *actor = get(1);
    stream_send_interim(actor->stream, &interim);
    assert_heard("1{:status=103 link=</a>} ");
    stream_send_interim(actor->stream, &interim);
    answer(actor, 204);
    assert_heard("1{:status=103 link=</a>} 1{:status=204}. ");
}

static void a_large_piece_goes_out_before_the_turn_ends(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, long_text(20000));
    assert_in_range(conn_output_bytes(stage.link->conn), 20000, 20100);
    stream_send_data(actor->stream, TEXT("small"));
    assert_heard("1{:status=200} 1[#16384] 1[#3616] 1[small] ");
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1[]. ");
}

/* A piece from inside of an event must not write: nghttp2 is reading then. */
static void what_is_sent_waits_behind_what_waits_already(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 5010};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("0123456789"));
    stream_send_data(actor->stream, long_text(5000));
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1{:status=200 content-length=5010} 1[#5010]. ");
}

/* The head's texts are the caller's: they are gone when the turn ends. */
static void a_head_behind_an_interim_answer_is_written_at_once(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    char value[] = "good-value";
    struct header_field field = {TEXT("x-a"), text_of(value, 10), HEADER_OTHER};
    struct message_head interim = {.status = 103};
    struct message_head head = {.status = 200, .fields = &field, .field_count = 1};
    stream_send_interim(actor->stream, &interim);
    stream_send_interim(actor->stream, &interim);
    stream_send_head(actor->stream, &head);
    memcpy(value, "STALE-STUF", 10);
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("1{:status=103} 1{:status=103} 1{:status=200 x-a=good-value}. ");
}

/* The next stream's interim answer and head take the same room in memory, within the turn. */
static void heads_behind_interim_answers_do_not_cross(void **state)
{
    (void)state;
    char value[2] = "";
    struct header_field field = {TEXT("x-of"), text_of(value, 1), HEADER_OTHER};
    struct message_head interim = {.status = 103};
    struct message_head head = {.fields = &field, .field_count = 1};
    for (int i = 0; i < 3; i++)
        far_head(&stage.far, 2 * i + 1, H2_GET, true);
    say();
    for (unsigned i = 0; i < 3; i++) {
        value[0] = (char)('a' + i);
        head.status = 200 + i;
        stream_send_interim(stage.actors[i].stream, &interim);
        stream_send_head(stage.actors[i].stream, &head);
        stream_send_end(stage.actors[i].stream);
        let_go(&stage.actors[i]);
    }
    assert_heard("1{:status=103} 1{:status=200 x-of=a}. 3{:status=103} 3{:status=201 x-of=b}. "
                 "5{:status=103} 5{:status=202 x-of=c}. ");
}

/* A node that spoke HTTP/2 itself may say more behind the last byte. */
static void trailers_follow_a_body_with_a_length(void **state)
{
    (void)state;
    struct header_field field = {TEXT("grpc-status"), TEXT("0"), HEADER_OTHER};
    struct message_head trailers = {.fields = &field, .field_count = 1};
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 3, .version = MESSAGE_HTTP_2};
    struct h2_actor *actor = get(1);
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("abc"));
    assert_heard("1{:status=200 content-length=3} 1[abc] ");
    stream_send_trailers(actor->stream, &trailers);
    stream_send_end(actor->stream);
    let_go(actor);
    hear();
    if (strcmp(stage.far.words, "1{grpc-status=0}. ") != 0)
        assert_string_equal(stage.far.words, "1[] 1{grpc-status=0}. ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(a_small_answer_goes_out_in_one_write),
        TEST(answers_come_in_the_order_in_which_they_are_ready),
        TEST(a_body_without_a_length_ends_when_it_is_said),
        TEST(a_body_with_a_length_ends_with_its_last_byte),
        TEST(trailers_follow_the_body),
        TEST(trailers_wait_behind_a_body_that_has_no_window),
        TEST(an_answer_to_head_has_no_body),
        TEST(interim_answers_come_first),
        TEST(a_large_piece_goes_out_before_the_turn_ends),
        TEST(what_is_sent_waits_behind_what_waits_already),
        TEST(a_head_behind_an_interim_answer_is_written_at_once),
        TEST(heads_behind_interim_answers_do_not_cross),
        TEST(trailers_follow_a_body_with_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
