/* The header in front of a connection: read in any pieces, and not a byte of what follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/clock.h"
#include "fake/rig.h"
#include "net/proxy_reader.h"

#define HEADER "PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n"
#define BEHIND "POST /write HTTP/1.1\r\n\r\n"
#define DEADLINE_MS 5000

static const char v2_header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\2\7\xc0\0\2\1\x12\x34\1\xbb\4\0\1x";

static struct rig rig;
static struct list readers;
static struct proxy_reader *reader;
static int near_fd;
static int far_fd;
static int given_fd;
static struct address given_client;
static unsigned headers_read;
static unsigned failed;
static enum proxy_reader_end failed_end;

static void on_header_read(void *owner, int fd, const struct address *client)
{
    assert_ptr_equal(owner, &readers);
    rig_expect_turning(&rig);
    assert_int_equal(readers.count, 0);
    headers_read++;
    given_fd = fd;
    given_client = client == NULL ? (struct address){0} : *client;
}

static void on_failed(void *owner, const struct address *sender, enum proxy_reader_end end)
{
    assert_ptr_equal(owner, &readers);
    rig_expect_turning(&rig);
    assert_int_equal(sender->socket.any.sa_family, AF_UNIX);
    failed++;
    failed_end = end;
}

static const struct proxy_reader_events events = {.on_header_read = on_header_read, .on_failed = on_failed};

static void begin(void)
{
    far_fd = far_pair(&near_fd);
    headers_read = failed = 0;
    given_fd = -1;
    reader = proxy_reader_create(rig.loop, near_fd, loop_now_ms(rig.loop) + DEADLINE_MS, &events, &readers, &readers);
    assert_non_null(reader);
    assert_int_equal(readers.count, 1);
}

static void end(void)
{
    close(far_fd);
    if (given_fd >= 0)
        close(given_fd);
    assert_int_equal(readers.count, 0);
    rig_turn(&rig);
}

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig);
    list_init(&readers);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void assert_header_read(const char *client, const char *left)
{
    char bytes[256];
    char text[ADDRESS_TEXT_BYTES];
    size_t used = 0;
    assert_int_equal(headers_read, 1);
    assert_int_equal(failed, 0);
    assert_string_equal(address_format(&given_client, text, sizeof text), client);
    assert_int_equal(far_read(given_fd, bytes, &used, sizeof bytes), FAR_OPEN);
    assert_int_equal(used, strlen(left));
    assert_memory_equal(bytes, left, used);
}

static void assert_failed(enum proxy_reader_end end_wanted)
{
    assert_int_equal(headers_read, 0);
    assert_int_equal(failed, 1);
    assert_int_equal(failed_end, end_wanted);
    char bytes[16];
    size_t used = 0;
    /* Closed, and without a word. */
    assert_int_not_equal(far_read(far_fd, bytes, &used, sizeof bytes), FAR_OPEN);
    assert_int_equal(used, 0);
}

/* Nothing that was seen is left in the socket, so a level-triggered event has no reason to fire: no spinning. */
static void assert_quiet(void)
{
    char byte;
    assert_int_equal(recv(near_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void what_follows_the_header_stays_in_the_socket(void **state)
{
    (void)state;
    begin();
    far_send(far_fd, TEXT(HEADER BEHIND));
    rig_until(&rig, headers_read == 1);
    assert_header_read("192.0.2.7:4660", BEHIND);
    end();
}

static void split_at(struct text bytes, size_t header_length, size_t cut)
{
    begin();
    far_send(far_fd, text_of(bytes.bytes, cut));
    rig_settle(&rig);
    if (cut < header_length) {
        assert_int_equal(headers_read, 0);
        assert_quiet();
    }
    far_send(far_fd, text_of(bytes.bytes + cut, bytes.length - cut));
    rig_until(&rig, headers_read == 1);
    assert_header_read("192.0.2.7:4660", BEHIND);
    end();
}

static void the_header_may_be_split_anywhere(void **state)
{
    (void)state;
    char bytes[128];
    size_t v2_length = sizeof v2_header - 1;
    memcpy(bytes, v2_header, v2_length);
    memcpy(bytes + v2_length, BEHIND, strlen(BEHIND));
    for (size_t cut = 1; cut < strlen(HEADER); cut++)
        split_at(TEXT(HEADER BEHIND), strlen(HEADER), cut);
    for (size_t cut = 1; cut < v2_length; cut++)
        split_at(text_of(bytes, v2_length + strlen(BEHIND)), v2_length, cut);
}

static void the_header_may_come_byte_by_byte(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i + 1 < strlen(HEADER); i++) {
        far_send(far_fd, text_of(&HEADER[i], 1));
        rig_settle(&rig);
        assert_quiet();
    }
    assert_int_equal(headers_read, 0);
    far_send(far_fd, TEXT("\n" BEHIND));
    rig_until(&rig, headers_read == 1);
    assert_header_read("192.0.2.7:4660", BEHIND);
    end();
}

static void without_an_announced_client_there_is_none(void **state)
{
    (void)state;
    begin();
    far_send(far_fd, TEXT("PROXY UNKNOWN\r\n"));
    rig_until(&rig, headers_read == 1);
    assert_int_equal(given_client.length, 0);
    end();
}

static void anything_else_ends_it_without_an_answer(void **state)
{
    (void)state;
    begin();
    far_send(far_fd, TEXT(BEHIND));
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_MALFORMED);
    end();
    begin();
    far_send(far_fd, TEXT("PROXY TCP4"));
    rig_settle(&rig);
    assert_int_equal(failed, 0);
    far_send(far_fd, TEXT("\n"));
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_MALFORMED);
    end();
}

static void closing_without_a_byte_differs_from_closing_inside(void **state)
{
    (void)state;
    begin();
    shutdown(far_fd, SHUT_WR);
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_SILENT);
    end();
    begin();
    rig_settle(&rig);
    far_send(far_fd, TEXT("PRO"));
    shutdown(far_fd, SHUT_WR);
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_TRUNCATED);
    end();
}

static void the_deadline_is_for_the_whole_header(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < 5; i++) {
        rig_settle(&rig);
        assert_int_equal(failed, 0);
        clock_advance(DEADLINE_MS / 5 - (i == 4 ? 10 : 0));
        far_send(far_fd, text_of(&HEADER[i], 1));
    }
    rig_settle(&rig);
    assert_int_equal(failed, 0);
    clock_advance(10 + LOOP_TICK_MS);
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_TIMEOUT);
    end();
}

static void a_hurry_only_shortens_the_wait(void **state)
{
    (void)state;
    begin();
    proxy_reader_hurry(reader, loop_now_ms(rig.loop) + 100);
    proxy_reader_hurry(reader, loop_now_ms(rig.loop) + 100000);
    rig_settle(&rig);
    assert_int_equal(failed, 0);
    clock_advance(100 + LOOP_TICK_MS);
    rig_until(&rig, failed == 1);
    assert_failed(PROXY_READER_END_TIMEOUT);
    end();
}

static void the_owner_may_close_it_at_any_time(void **state)
{
    (void)state;
    begin();
    assert_ptr_equal(proxy_reader_of_node(list_first(&readers)), reader);
    proxy_reader_close(reader);
    proxy_reader_close(reader);
    end();
    begin();
    far_send(far_fd, TEXT("PROXY"));
    rig_settle(&rig);
    far_send(far_fd, TEXT(" "));
    proxy_reader_close(reader);
    rig_settle(&rig);
    assert_int_equal(headers_read + failed, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST_OF(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST_OF(what_follows_the_header_stays_in_the_socket),
        TEST_OF(the_header_may_be_split_anywhere),
        TEST_OF(the_header_may_come_byte_by_byte),
        TEST_OF(without_an_announced_client_there_is_none),
        TEST_OF(anything_else_ends_it_without_an_answer),
        TEST_OF(closing_without_a_byte_differs_from_closing_inside),
        TEST_OF(the_deadline_is_for_the_whole_header),
        TEST_OF(a_hurry_only_shortens_the_wait),
        TEST_OF(the_owner_may_close_it_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
