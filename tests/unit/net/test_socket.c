/* Calls on sockets: connections and listeners over the loopback, a second handle of a socket, and the end of one. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/descriptors.h"
#include "fake/rig.h"
#include "net/socket.h"

/* Waits until something has come (POLLIN) or there is room (POLLOUT). */
static void await(int fd, short what)
{
    struct pollfd look = {.fd = fd, .events = what};
    assert_int_equal(poll(&look, 1, 60000), 1);
}

/* A listening socket on a free port of the loopback, made as Sluice makes them. */
static int bound(struct address *address)
{
    assert_true(address_parse("127.0.0.1", 0, address));
    int fd = socket_bind(address, true);
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, &address->socket.any, &address->length), 0);
    return fd;
}

/* Both ends of a connection over TCP, each as Sluice has them. */
static int connected(int *accepted)
{
    struct address address;
    int listening = bound(&address);
    assert_int_equal(socket_listen(listening, 16), 0);
    int fd = socket_open(AF_INET);
    assert_true(fd >= 0);
    assert_int_equal(socket_connect(fd, &address), 0);
    await(fd, POLLOUT);
    assert_int_equal(socket_error(fd), 0);
    await(listening, POLLIN);
    *accepted = socket_accept(listening);
    assert_true(*accepted >= 0);
    assert_int_equal(socket_accept(listening), -1);
    assert_int_equal(errno, EAGAIN);
    socket_close(listening);
    return fd;
}

static ptrdiff_t send_text(int fd, const char *first, const char *second)
{
    char both[2][16];
    struct iovec pieces[2] = {{both[0], strlen(first)}, {both[1], strlen(second)}};
    memcpy(both[0], first, strlen(first));
    memcpy(both[1], second, strlen(second));
    return socket_send(fd, pieces, 2);
}

static void assert_is_ours(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void bytes_go_and_come_without_waiting(void **state)
{
    (void)state;
    char bytes[32];
    int far;
    int near = connected(&far);
    assert_is_ours(near);
    assert_is_ours(far);
    assert_int_equal(socket_receive(far, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(send_text(near, "one", "two"), 6);
    await(far, POLLIN);
    assert_int_equal(socket_peek(far, bytes, 4), 4);
    assert_memory_equal(bytes, "onet", 4);
    assert_int_equal(socket_receive(far, bytes, sizeof bytes), 6);
    assert_memory_equal(bytes, "onetwo", 6);
    socket_shut_down_sending(near);
    await(far, POLLIN);
    assert_int_equal(socket_receive(far, bytes, sizeof bytes), 0);
    socket_close(near);
    socket_close(far);
}

static void what_was_not_received_is_counted(void **state)
{
    (void)state;
    char bytes[4];
    int far;
    int near = connected(&far);
    assert_int_equal(socket_unread(far), 0);
    assert_int_equal(send_text(near, "one", "two"), 6);
    await(far, POLLIN);
    assert_int_equal(socket_unread(far), 6);
    assert_int_equal(socket_receive(far, bytes, 4), 4);
    assert_int_equal(socket_unread(far), 2);
    socket_close(near);
    socket_close(far);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

static void a_sign_of_life_is_asked_for(void **state)
{
    (void)state;
    int fd = socket_open(AF_INET);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    socket_expect_life(fd, 4100, 60000);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 5);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
    socket_expect_life(fd, 1000, UINT64_MAX);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), INT32_MAX);
    socket_close(fd);
}

static void a_full_socket_takes_no_more_and_says_so(void **state)
{
    (void)state;
    static char many[1 << 16];
    int near;
    int far = far_pair(&near);
    ptrdiff_t written;
    do {
        struct iovec piece = {many, sizeof many};
        written = socket_send(near, &piece, 1);
    } while (written > 0);
    assert_int_equal(errno, EAGAIN);
    socket_close(far);
    assert_int_equal(send_text(near, "x", ""), -1);
    assert_int_equal(errno, EPIPE);
    socket_close(near);
}

static void a_refused_connect_is_told_once(void **state)
{
    (void)state;
    struct address address;
    int listening = bound(&address); /* it never listens */
    int fd = socket_open(AF_INET);
    int error = socket_connect(fd, &address);
    if (error == 0) {
        await(fd, POLLOUT);
        error = socket_error(fd);
    }
    assert_int_equal(error, ECONNREFUSED);
    assert_int_equal(socket_error(fd), 0);
    socket_close(fd);
    socket_close(listening);
    assert_int_equal(socket_connect(fd, &address), EBADF);
}

static void a_reset_is_seen_by_the_other_side(void **state)
{
    (void)state;
    char byte;
    int far;
    int near = connected(&far);
    socket_reset_on_close(near);
    socket_close(near);
    await(far, POLLIN);
    assert_int_equal(socket_receive(far, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    socket_close(far);
}

static void acknowledged_bytes_are_counted_without_the_syn(void **state)
{
    (void)state;
    uint64_t bytes = 99;
    bool is_closed = true;
    int far;
    int near = connected(&far);
    assert_true(socket_acknowledged(near, &bytes, &is_closed));
    assert_int_equal(bytes, 0);
    assert_false(is_closed);
    assert_int_equal(send_text(near, "one", "two"), 6);
    do
        assert_true(socket_acknowledged(near, &bytes, &is_closed));
    while (bytes == 0);
    assert_int_equal(bytes, 6);
    socket_reset_on_close(far);
    socket_close(far);
    await(near, POLLIN);
    assert_true(socket_acknowledged(near, &bytes, &is_closed));
    assert_true(is_closed);
    socket_close(near);
    far = far_pair(&near);
    assert_false(socket_acknowledged(near, &bytes, &is_closed));
    socket_close(near);
    socket_close(far);
}

static void small_pieces_leave_at_once(void **state)
{
    (void)state;
    int is_on = 0;
    socklen_t length = sizeof is_on;
    int far;
    int near = connected(&far);
    socket_no_delay(near);
    socket_quick_acknowledge(near);
    assert_int_equal(getsockopt(near, IPPROTO_TCP, TCP_NODELAY, &is_on, &length), 0);
    assert_true(is_on != 0);
    socket_close(near);
    socket_close(far);
}

static void the_peer_of_a_connection_is_known(void **state)
{
    (void)state;
    struct address peer;
    struct address own = {.length = sizeof own.socket};
    int far;
    int near = connected(&far);
    socket_peer(far, &peer);
    assert_int_equal(getsockname(near, &own.socket.any, &own.length), 0);
    assert_int_equal(peer.length, own.length);
    assert_int_equal(address_port(&peer), address_port(&own));
    assert_true(address_same_host(&peer, &own));
    socket_close(near);
    socket_close(far);
    socket_peer(-1, &peer);
    assert_int_equal(peer.length, 0);
}

static void only_sharers_bind_an_address_that_is_taken(void **state)
{
    (void)state;
    struct address address;
    int first = bound(&address);
    assert_is_ours(first);
    assert_int_equal(socket_listen(first, 16), 0);
    assert_int_equal(socket_bind(&address, false), -1);
    assert_int_equal(errno, EADDRINUSE);
    int second = socket_bind(&address, true);
    assert_true(second >= 0);
    assert_int_equal(socket_listen(second, 16), 0);
    socket_close(second);
    socket_close(first);
    assert_int_equal(socket_listen(first, 16), EBADF);
}

static void a_shared_socket_lives_as_long_as_one_of_its_handles(void **state)
{
    (void)state;
    const char *reason = NULL;
    char byte;
    int near;
    int far = far_pair(&near);
    int shared = socket_share(near, &reason);
    assert_true(shared >= 0 && shared != near);
    assert_true((fcntl(shared, F_GETFD) & FD_CLOEXEC) != 0);
    socket_close(near);
    assert_int_equal(write(shared, "x", 1), 1);
    assert_int_equal(read(far, &byte, 1), 1);
    socket_close(shared);
    assert_int_equal(read(far, &byte, 1), 0);
    close(far);
}

static void without_descriptors_there_is_a_reason(void **state)
{
    (void)state;
    const char *reason = NULL;
    int near;
    int far = far_pair(&near);
    struct rlimit before = descriptors_exhaust();
    assert_int_equal(socket_share(near, &reason), -1);
    descriptors_give_back(before);
    assert_string_equal(reason, strerror(EMFILE));
    socket_close(near);
    close(far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_and_come_without_waiting),
        cmocka_unit_test(what_was_not_received_is_counted),
        cmocka_unit_test(a_sign_of_life_is_asked_for),
        cmocka_unit_test(a_full_socket_takes_no_more_and_says_so),
        cmocka_unit_test(a_refused_connect_is_told_once),
        cmocka_unit_test(a_reset_is_seen_by_the_other_side),
        cmocka_unit_test(acknowledged_bytes_are_counted_without_the_syn),
        cmocka_unit_test(small_pieces_leave_at_once),
        cmocka_unit_test(the_peer_of_a_connection_is_known),
        cmocka_unit_test(only_sharers_bind_an_address_that_is_taken),
        cmocka_unit_test(a_shared_socket_lives_as_long_as_one_of_its_handles),
        cmocka_unit_test(without_descriptors_there_is_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
