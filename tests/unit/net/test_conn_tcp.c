/* What only TCP shows: connecting, resets, and what the kernel knows of bytes that nobody read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/conn_owner.h"
#include "fake/descriptors.h"
#include "fake/rig.h"
#include "net/conn.h"

static struct rig rig;
static struct owner owner;
static struct address address;
static int listening;
static int far;

static int set_up(void **state)
{
    (void)state;
    memset(&owner, 0, sizeof owner);
    owner.rig = &rig;
    owner.consumes = SIZE_MAX;
    rig_start(&rig);
    listening = far_listen(&address);
    far = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    conn_close(owner.conn);
    if (far >= 0)
        close(far);
    close(listening);
    rig_stop(&rig);
    return 0;
}

static enum conn_end dial(void)
{
    struct conn_settings settings = {
        .events = &events,
        .owner = &owner,
        .pool = &rig.buffers,
        .high_water_bytes = 65536,
        .input_maximum_bytes = 100000,
    };
    enum conn_end end;
    owner.conn = conn_connect(rig.loop, &address, &settings, &end);
    return end;
}

static void be_connected(void)
{
    dial();
    assert_non_null(owner.conn);
    assert_int_equal(owner.connected, 0);
    rig_until(&rig, owner.connected == 1);
    rig_until(&rig, (far = far_accept(listening)) >= 0);
}

static enum far_state hear(char *heard, size_t *length, size_t capacity)
{
    enum far_state result;
    rig_until(&rig, (result = far_read(far, heard, length, capacity)) != FAR_OPEN);
    return result;
}

static void a_connection_comes_about_once(void **state)
{
    (void)state;
    be_connected();
    rig_settle(&rig);
    assert_int_equal(owner.connected, 1);
    assert_int_equal(address_port(conn_remote_address(owner.conn)), address_port(&address));
    assert_int_equal(far_send(far, TEXT("hello")), 5);
    rig_until(&rig, owner.got_length == 5);
    close(far);
    far = -1;
    rig_until(&rig, owner.ended == 1);
    assert_int_equal(owner.end, CONN_END_CLOSED);
}

static void an_accepted_conn_knows_who_came(void **state)
{
    (void)state;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct address own = {.length = sizeof own.socket};
    assert_int_equal(connect(client, &address.socket.any, address.length), 0);
    assert_int_equal(getsockname(client, &own.socket.any, &own.length), 0);
    rig_until(&rig, (far = far_accept(listening)) >= 0);
    struct conn_settings settings = {.events = &events, .owner = &owner, .pool = &rig.buffers};
    owner.conn = conn_accept(rig.loop, far, &settings);
    far = client;
    const struct address *remote = conn_remote_address(owner.conn);
    assert_true(address_same_host(remote, &own));
    assert_int_equal(address_port(remote), address_port(&own));
    assert_int_equal(remote->length, own.length);
}

/* Bytes that are written while it connects wait for the connection. */
static void what_is_written_early_goes_out_when_connected(void **state)
{
    (void)state;
    dial();
    assert_true(conn_write(owner.conn, TEXT("early")));
    rig_until(&rig, (far = far_accept(listening)) >= 0);
    char heard[16];
    size_t length = 0;
    rig_until(&rig, far_read(far, heard, &length, sizeof heard) == FAR_OPEN && length == 5);
    assert_memory_equal(heard, "early", 5);
}

static void a_refused_connection_is_told_as_such(void **state)
{
    (void)state;
    close(listening);
    enum conn_end end = dial();
    if (owner.conn != NULL) {
        rig_until(&rig, owner.ended == 1);
        end = owner.end;
    }
    assert_int_equal(end, CONN_END_CONNECT_REFUSED);
    assert_int_equal(owner.connected, 0);
    listening = far_listen(&address);
}

static void an_address_that_cannot_be_is_refused_at_once(void **state)
{
    (void)state;
    assert_true(address_parse("255.255.255.255", 80, &address));
    assert_int_equal(dial(), CONN_END_CONNECT_FAILED);
    assert_null(owner.conn);
}

/* That is our own trouble and says nothing about the node. */
static void a_lack_of_descriptors_is_told_from_a_failure_to_connect(void **state)
{
    (void)state;
    struct rlimit before = descriptors_exhaust();
    enum conn_end end = dial();
    descriptors_give_back(before);
    assert_int_equal(end, CONN_END_NO_RESOURCES);
    assert_null(owner.conn);
}

static void a_dial_can_be_given_up(void **state)
{
    (void)state;
    dial();
    conn_close(owner.conn);
    owner.conn = NULL;
    rig_settle(&rig);
    assert_int_equal(owner.connected + owner.ended, 0);
}

static void an_owner_may_close_when_connected(void **state)
{
    (void)state;
    owner.closes_with = close_conn;
    dial();
    rig_until(&rig, owner.connected == 1);
    owner.conn = NULL;
    rig_settle(&rig);
    assert_int_equal(owner.offers + owner.ended, 0);
}

static void an_abort_is_seen_as_a_reset(void **state)
{
    (void)state;
    be_connected();
    assert_true(conn_write(owner.conn, TEXT("half an answer")));
    rig_turn(&rig);
    conn_abort(owner.conn);
    owner.conn = NULL;
    char heard[64];
    size_t length = 0;
    assert_int_equal(hear(heard, &length, sizeof heard), FAR_RESET);
}

static void a_close_that_loses_output_is_seen_as_a_reset(void **state)
{
    (void)state;
    be_connected();
    assert_true(conn_write(owner.conn, TEXT("half an answer")));
    conn_close(owner.conn);
    owner.conn = NULL;
    char heard[64];
    size_t length = 0;
    assert_int_equal(hear(heard, &length, sizeof heard), FAR_RESET);
    assert_int_equal(length, 0);
}

static void a_close_without_output_is_orderly(void **state)
{
    (void)state;
    be_connected();
    assert_true(conn_write(owner.conn, TEXT("whole")));
    rig_turn(&rig);
    conn_close(owner.conn);
    owner.conn = NULL;
    char heard[64];
    size_t length = 0;
    assert_int_equal(hear(heard, &length, sizeof heard), FAR_ENDED);
    assert_int_equal(length, 5);
}

static void a_reset_from_the_other_side_is_told(void **state)
{
    (void)state;
    be_connected();
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(far);
    far = -1;
    rig_until(&rig, owner.ended == 1);
    assert_int_equal(owner.end, CONN_END_RESET);
}

/* ---- was it read? ---- */

static enum conn_reading reading;

/* Asks at the moment of the end, as a link does. */
static void ask_and_note(void *argument, enum conn_end end)
{
    struct owner *asking = argument;
    asking->ended++;
    asking->end = end;
}

static const struct conn_events asking_events = {
    .on_bytes = on_bytes, .on_drained = on_drained, .on_ended = ask_and_note};

static void what_was_not_sent_was_not_read(void **state)
{
    (void)state;
    be_connected();
    assert_int_equal(conn_may_be_read(owner.conn, 0), CONN_READING_RULED_OUT);
    assert_true(conn_write(owner.conn, TEXT("first request")));
    rig_turn(&rig);
    assert_int_equal(conn_may_be_read(owner.conn, conn_sent_bytes(owner.conn)), CONN_READING_RULED_OUT);
}

static void what_was_acknowledged_may_have_been_read(void **state)
{
    (void)state;
    be_connected();
    assert_true(conn_write(owner.conn, TEXT("request")));
    rig_turn(&rig);
    char heard[16];
    size_t length = 0;
    rig_until(&rig, far_read(far, heard, &length, sizeof heard) == FAR_OPEN && length == 7);
    conn_set_owner(owner.conn, &asking_events, &owner);
    close(far);
    far = -1;
    rig_until(&rig, owner.ended == 1);
    assert_int_equal(owner.end, CONN_END_CLOSED);
    assert_int_equal(conn_may_be_read(owner.conn, 0), CONN_READING_POSSIBLE);
    assert_int_equal(conn_may_be_read(owner.conn, 7), CONN_READING_RULED_OUT);
    assert_int_equal(conn_acknowledged_bytes(owner.conn), conn_sent_bytes(owner.conn));
}

/* The node closed its idle connection; the request was on its way. Its kernel answers with a reset, which proves it. */
static void what_came_after_the_close_was_not_read(void **state)
{
    (void)state;
    be_connected();
    conn_set_owner(owner.conn, &asking_events, &owner);
    close(far);
    far = -1;
    assert_true(conn_write(owner.conn, TEXT("request")));
    rig_until(&rig, owner.ended == 1);
    rig_until(&rig, (reading = conn_may_be_read(owner.conn, 0)) != CONN_READING_UNKNOWN);
    assert_int_equal(reading, CONN_READING_RULED_OUT);
}

/* A FIN alone proves nothing: this side still reads. */
static void a_side_that_only_stopped_sending_may_read(void **state)
{
    (void)state;
    be_connected();
    conn_set_owner(owner.conn, &asking_events, &owner);
    shutdown(far, SHUT_WR);
    assert_true(conn_write(owner.conn, TEXT("request")));
    rig_until(&rig, owner.ended == 1);
    rig_until(&rig, conn_may_be_read(owner.conn, 0) != CONN_READING_UNKNOWN);
    assert_int_equal(conn_may_be_read(owner.conn, 0), CONN_READING_POSSIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_connection_comes_about_once),
        TEST(an_accepted_conn_knows_who_came),
        TEST(what_is_written_early_goes_out_when_connected),
        TEST(a_refused_connection_is_told_as_such),
        TEST(an_address_that_cannot_be_is_refused_at_once),
        TEST(a_lack_of_descriptors_is_told_from_a_failure_to_connect),
        TEST(a_dial_can_be_given_up),
        TEST(an_owner_may_close_when_connected),
        TEST(an_abort_is_seen_as_a_reset),
        TEST(a_close_that_loses_output_is_seen_as_a_reset),
        TEST(a_close_without_output_is_orderly),
        TEST(a_reset_from_the_other_side_is_told),
        TEST(what_was_not_sent_was_not_read),
        TEST(what_was_acknowledged_may_have_been_read),
        TEST(what_came_after_the_close_was_not_read),
        TEST(a_side_that_only_stopped_sending_may_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
