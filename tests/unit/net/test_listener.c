/* Listening sockets: bound early, paused, resting without descriptors, closed without losing who has already come. */
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "fake/clock.h"
#include "fake/descriptors.h"
#include "fake/rig.h"
#include "net/listener.h"

#define CLIENTS 200

static struct rig rig;
static struct listener *listener;
static struct address address;
static int clients[CLIENTS];
static size_t client_count;
static unsigned accepted;
static unsigned closes_at; /* the listener is closed in the event with this number */
static int last_flags;
static unsigned closed;

static void on_accept(void *owner, int fd)
{
    assert_ptr_equal(owner, &accepted);
    accepted++;
    last_flags = fcntl(fd, F_GETFL);
    close(fd);
    if (accepted == closes_at) {
        closes_at = 0;
        struct listener *closing = listener;
        listener = NULL;
        listener_close(closing);
    }
}

static void on_closed(void *owner)
{
    assert_ptr_equal(owner, &accepted);
    rig_expect_turning(&rig);
    listener = NULL;
    closed++;
}

static int bind_to(struct address *to)
{
    const char *reason = NULL;
    int fd = listener_bind(to, &reason);
    if (fd < 0)
        fail_msg("%s", reason);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig);
    log_set_level(LOG_LEVEL_ERROR);
    accepted = 0;
    closes_at = 0;
    closed = 0;
    client_count = 0;
    assert_true(address_parse("127.0.0.1", 0, &address));
    int fd = bind_to(&address);
    assert_int_equal(getsockname(fd, &address.socket.any, &address.length), 0);
    listener = listener_create(rig.loop, fd, on_accept, &accepted);
    return listener == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    listener_close(listener);
    while (client_count > 0)
        close(clients[--client_count]);
    rig_stop(&rig);
    return 0;
}

/* The kernel completes it, whether the listener accepts or not. */
static void connect_clients(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, &address.socket.any, address.length), 0);
        clients[client_count++] = fd;
    }
}

static void who_connects_is_accepted(void **state)
{
    (void)state;
    connect_clients(1);
    rig_until(&rig, accepted == 1);
    assert_true((last_flags & O_NONBLOCK) != 0);
    /* Established connections get their turn between two bursts. */
    connect_clients(150);
    rig_turn(&rig);
    assert_int_equal(accepted, 65);
    rig_until(&rig, accepted == 151);
    rig_settle(&rig);
    assert_int_equal(accepted, 151);
}

static void an_address_that_is_taken_is_told(void **state)
{
    (void)state;
    const char *reason = NULL;
    /* Several workers share an address; somebody else's socket does not. */
    struct address shared = address;
    int second = bind_to(&shared);
    close(second);
    struct address taken;
    int other = far_listen(&taken);
    assert_int_equal(listener_bind(&taken, &reason), -1);
    assert_string_equal(reason, strerror(EADDRINUSE));
    close(other);
    struct address impossible = {.length = 0};
    assert_int_equal(listener_bind(&impossible, &reason), -1);
    assert_non_null(reason);
}

/* Asked before the start: another process on the same address would silently share the connections with us. */
static void an_address_is_free_only_if_nobody_listens_there(void **state)
{
    (void)state;
    const char *reason = NULL;
    assert_false(listener_is_free(&address, &reason));
    assert_string_equal(reason, strerror(EADDRINUSE));
    struct address other;
    int taken = far_listen(&other);
    assert_false(listener_is_free(&other, &reason));
    close(taken);
    assert_true(listener_is_free(&other, &reason));
    /* Asking takes nothing away. */
    assert_true(listener_is_free(&other, &reason));
    close(bind_to(&other));
}

static void a_paused_listener_lets_them_wait(void **state)
{
    (void)state;
    listener_pause(listener);
    listener_pause(listener);
    connect_clients(3);
    rig_settle(&rig);
    assert_int_equal(accepted, 0);
    assert_int_equal(listener_waiting(listener), 3);
    listener_resume(listener);
    listener_resume(listener);
    rig_until(&rig, accepted == 3);
    assert_int_equal(listener_waiting(listener), 0);
}

static void without_descriptors_it_rests_and_comes_back(void **state)
{
    (void)state;
    connect_clients(2);
    struct rlimit before = descriptors_exhaust();
    rig_settle(&rig);
    assert_int_equal(accepted, 0);
    descriptors_give_back(before);
    /* It rests even though it could: accepting at once would spin while nothing is free. */
    rig_settle(&rig);
    assert_int_equal(accepted, 0);
    clock_advance(50 + LOOP_TICK_MS);
    rig_until(&rig, accepted == 2);
}

static void a_listener_that_was_paused_while_it_rested_stays_paused(void **state)
{
    (void)state;
    connect_clients(1);
    struct rlimit before = descriptors_exhaust();
    rig_settle(&rig);
    listener_pause(listener);
    descriptors_give_back(before);
    clock_advance(50 + LOOP_TICK_MS);
    rig_settle(&rig);
    assert_int_equal(accepted, 0);
    listener_resume(listener);
    rig_until(&rig, accepted == 1);
}

static void closing_takes_in_who_has_already_come(void **state)
{
    (void)state;
    connect_clients(100);
    listener_close(listener);
    listener = NULL;
    assert_int_equal(accepted, 100);
    rig_settle(&rig);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, &address.socket.any, address.length), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    listener_close(NULL);
}

static void a_listener_may_be_closed_by_whom_it_tells(void **state)
{
    (void)state;
    closes_at = 2;
    connect_clients(5);
    rig_until(&rig, listener == NULL);
    rig_settle(&rig);
    assert_int_equal(accepted, 5);
}

/* ---- closing gracefully ---- */

/* A client that does not wait: 1 connected, 0 on its way, -1 refused. */
static int is_connected(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    poll(&look, 1, 0);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error != 0 ? -1 : (look.revents & POLLOUT) != 0 ? 1 : 0;
}

static int begin_to_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &address.socket.any, address.length), -1);
    return fd;
}

static void closing_gracefully_takes_in_all_that_have_come_in_bursts(void **state)
{
    (void)state;
    connect_clients(CLIENTS);
    listener_close_gracefully(listener, on_closed);
    listener_close_gracefully(listener, on_closed);
    assert_int_equal(accepted, 0);
    rig_turn(&rig);
    assert_in_range(accepted, 1, 64);
    rig_until(&rig, accepted == CLIENTS);
    assert_int_equal(closed, 0);
    clock_advance(LISTENER_CLOSING_MS + LOOP_TICK_MS);
    rig_until(&rig, closed == 1);
    rig_settle(&rig);
    assert_int_equal(closed, 1);
    int late = begin_to_connect();
    assert_int_equal(is_connected(late), -1);
    close(late);
    /* Whoever was accepted was closed in order by the test: nobody was reset. */
    for (size_t i = 0; i < client_count; i++) {
        char byte;
        assert_int_equal(recv(clients[i], &byte, 1, 0), 0);
    }
}

/* Some kernels let only root attach a filter. */
static bool kernel_takes_filters(void)
{
    struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    struct sock_fprog program = {.len = 1, .filter = &all};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_taken = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
    close(fd);
    return is_taken;
}

/* Its SYN is dropped: it is neither accepted nor refused, and asks again later. Without a filter it is taken in, as long as there is somebody. */
static void who_comes_while_it_closes_has_to_ask_again(void **state)
{
    (void)state;
    bool is_filtered = kernel_takes_filters();
    listener_close_gracefully(listener, on_closed);
    int late = begin_to_connect();
    rig_settle(&rig);
    assert_int_equal(is_connected(late), is_filtered ? 0 : 1);
    clock_advance(LISTENER_CLOSING_MS + LOOP_TICK_MS);
    rig_settle(&rig);
    assert_int_equal(accepted, is_filtered ? 0 : 1);
    close(late);
}

static void a_paused_listener_that_closes_takes_them_in(void **state)
{
    (void)state;
    listener_pause(listener);
    connect_clients(3);
    listener_close_gracefully(listener, NULL);
    listener_pause(listener);
    listener_resume(listener);
    rig_until(&rig, accepted == 3);
    clock_advance(LISTENER_CLOSING_MS + LOOP_TICK_MS);
    rig_settle(&rig);
    listener = NULL;
    int late = begin_to_connect();
    assert_int_equal(is_connected(late), -1);
    close(late);
}

static void without_descriptors_closing_waits_for_some(void **state)
{
    (void)state;
    connect_clients(2);
    struct rlimit before = descriptors_exhaust();
    listener_close_gracefully(listener, on_closed);
    for (unsigned i = 0; i < 5; i++) {
        clock_advance(LISTENER_CLOSING_MS);
        rig_settle(&rig);
    }
    assert_int_equal(accepted + closed, 0);
    descriptors_give_back(before);
    clock_advance(100);
    rig_until(&rig, closed == 1);
    assert_int_equal(accepted, 2);
}

static void without_descriptors_closing_does_not_wait_for_ever(void **state)
{
    (void)state;
    connect_clients(2);
    struct rlimit before = descriptors_exhaust();
    listener_close_gracefully(listener, on_closed);
    for (unsigned ms = 0; ms < LISTENER_CLOSING_MAXIMUM_MS; ms += 40) {
        assert_int_equal(closed, 0);
        clock_advance(40);
        rig_turn(&rig);
    }
    clock_advance(2 * LOOP_TICK_MS);
    rig_settle(&rig);
    descriptors_give_back(before);
    assert_int_equal(closed, 1);
    assert_int_equal(accepted, 0);
}

static void a_listener_that_closes_gracefully_may_be_closed_at_once(void **state)
{
    (void)state;
    connect_clients(100);
    closes_at = 2;
    listener_close_gracefully(listener, on_closed);
    rig_until(&rig, listener == NULL);
    clock_advance(LISTENER_CLOSING_MAXIMUM_MS);
    rig_settle(&rig);
    assert_int_equal(accepted, 100);
    assert_int_equal(closed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(who_connects_is_accepted),
        TEST(an_address_that_is_taken_is_told),
        TEST(an_address_is_free_only_if_nobody_listens_there),
        TEST(a_paused_listener_lets_them_wait),
        TEST(without_descriptors_it_rests_and_comes_back),
        TEST(a_listener_that_was_paused_while_it_rested_stays_paused),
        TEST(closing_takes_in_who_has_already_come),
        TEST(a_listener_may_be_closed_by_whom_it_tells),
        TEST(closing_gracefully_takes_in_all_that_have_come_in_bursts),
        TEST(who_comes_while_it_closes_has_to_ask_again),
        TEST(a_paused_listener_that_closes_takes_them_in),
        TEST(without_descriptors_closing_waits_for_some),
        TEST(without_descriptors_closing_does_not_wait_for_ever),
        TEST(a_listener_that_closes_gracefully_may_be_closed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
