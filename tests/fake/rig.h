#ifndef SLUICE_FAKE_RIG_H
#define SLUICE_FAKE_RIG_H
/*
 * A loop that a test turns by hand, and plain sockets at the far end. Between turns the test stands inside an event,
 * so that what it commands is done as in real life: tasks run when the turn begins. Callbacks check with
 * rig_expect_turning that no command called them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory_account.h"
#include "base/text.h"
#include "net/address.h"
#include "net/buffer.h"
#include "net/loop.h"

#define RIG_DEADLINE_S 60

struct rig {
    struct loop *loop;
    struct memory_account account;
    struct buffer_pool buffers;
    bool is_turning;
};

static inline void rig_start(struct rig *rig)
{
    *rig = (struct rig){.loop = loop_create()};
    assert_non_null(rig->loop);
    loop_set_account(rig->loop, &rig->account);
    rig->buffers.account = &rig->account;
    loop_enter(rig->loop);
}

static inline void rig_turn(struct rig *rig)
{
    rig->is_turning = true;
    loop_leave(rig->loop);
    loop_turn(rig->loop, false);
    rig->is_turning = false;
    loop_enter(rig->loop);
}

/* Enough turns for everything that is under way on this machine to arrive; for what must not happen. */
static inline void rig_settle(struct rig *rig)
{
    for (int i = 0; i < 20; i++)
        rig_turn(rig);
}

/* Turns until `condition` holds; fails after a while. */
#define rig_until(rig, condition)                                                                                      \
    do {                                                                                                               \
        time_t rig_end = time(NULL) + RIG_DEADLINE_S;                                                                  \
        while (!(condition)) {                                                                                         \
            if (time(NULL) > rig_end)                                                                                  \
                fail_msg("it did not come about: %s", #condition);                                                     \
            rig_turn(rig);                                                                                             \
        }                                                                                                              \
    } while (0)

static inline void rig_expect_turning(const struct rig *rig)
{
    if (!rig->is_turning)
        fail_msg("a command called back before it returned");
}

/* Whatever is still alive must have been closed before. */
static inline void rig_stop(struct rig *rig)
{
    rig_turn(rig);
    loop_leave(rig->loop);
    loop_destroy(rig->loop);
    buffer_pool_clear(&rig->buffers);
    enum memory_kind kind;
    if (!memory_account_is_even(&rig->account, &kind))
        fail_msg("%zu bytes of %s are still counted", rig->account.used[kind], memory_kind_name(kind));
}

/* ---- the far end ---- */

/* A connected pair: *near is for a conn (non-blocking), the far end is returned (non-blocking, too). */
static inline int far_pair(int *near)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *near = pair[0];
    return pair[1];
}

/* A listening socket on a free port of the loopback. */
static inline int far_listen(struct address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(address_parse("127.0.0.1", 0, address));
    assert_int_equal(bind(fd, &address->socket.any, address->length), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, &address->socket.any, &address->length), 0);
    return fd;
}

/* The next connection, or -1. */
static inline int far_accept(int listening)
{
    return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Sends as much as the socket takes; returns how much. */
static inline size_t far_send(int fd, struct text bytes)
{
    ssize_t sent = send(fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
    return sent < 0 ? 0 : (size_t)sent;
}

enum far_state { FAR_OPEN, FAR_ENDED, FAR_RESET };

/* Appends what has arrived to buffer[*used .. capacity); says whether more may come. */
static inline enum far_state far_read(int fd, char *buffer, size_t *used, size_t capacity)
{
    for (;;) {
        ssize_t got = recv(fd, buffer + *used, capacity - *used, 0);
        if (got == 0 && *used < capacity)
            return FAR_ENDED;
        if (got <= 0)
            return got < 0 && errno != EAGAIN ? FAR_RESET : FAR_OPEN;
        *used += (size_t)got;
    }
}

#endif
