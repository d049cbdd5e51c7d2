#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* TCP_CLOSE of <netinet/tcp.h>, which cannot stand beside <linux/tcp.h>. */
#define STATE_CLOSE 7

static void set_number(int fd, int option, uint64_t number)
{
    int value = number < INT_MAX ? (int)number : INT_MAX;
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

static void turn_on(int fd, int level, int option)
{
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

/* ---- connections ---- */

int socket_open(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int socket_connect(int fd, const struct address *address)
{
    return connect(fd, &address->socket.any, address->length) == 0 || errno == EINPROGRESS ? 0 : errno;
}

int socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

ptrdiff_t socket_receive(int fd, char *bytes, size_t length)
{
    return recv(fd, bytes, length, MSG_DONTWAIT);
}

ptrdiff_t socket_peek(int fd, char *bytes, size_t length)
{
    return recv(fd, bytes, length, MSG_PEEK | MSG_DONTWAIT);
}

size_t socket_unread(int fd)
{
    int unread = 0;
    return ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0 ? (size_t)unread : 0;
}

ptrdiff_t socket_send(int fd, struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void socket_shut_down_sending(int fd)
{
    shutdown(fd, SHUT_WR);
}

void socket_reset_on_close(int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void socket_no_delay(int fd)
{
    turn_on(fd, IPPROTO_TCP, TCP_NODELAY);
}

/* Keep-alive counts in whole seconds. With a user timeout, that ends it and not the number of questions. */
void socket_expect_life(int fd, uint64_t idle_ms, uint64_t timeout_ms)
{
    uint64_t idle_s = (idle_ms + 999) / 1000;
    turn_on(fd, SOL_SOCKET, SO_KEEPALIVE);
    set_number(fd, TCP_KEEPIDLE, idle_s);
    set_number(fd, TCP_KEEPINTVL, idle_s);
    set_number(fd, TCP_USER_TIMEOUT, timeout_ms);
}

void socket_quick_acknowledge(int fd)
{
    turn_on(fd, IPPROTO_TCP, TCP_QUICKACK);
}

bool socket_acknowledged(int fd, uint64_t *bytes, bool *is_closed)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return false;
    /* The kernel counts the SYN as one byte. */
    *bytes = info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
    *is_closed = info.tcpi_state == STATE_CLOSE;
    return true;
}

void socket_peer(int fd, struct address *address)
{
    memset(address, 0, sizeof *address);
    address->length = sizeof address->socket;
    if (getpeername(fd, &address->socket.any, &address->length) != 0)
        address->length = 0;
    /* The path of a Unix-domain client that has bound its socket was cut; the length counts all of it. */
    if (address->length > sizeof address->socket)
        address->length = sizeof address->socket;
}

bool socket_enable_kernel_tls(int fd)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls" - 1) == 0;
}

/* ---- listeners ---- */

int socket_bind(const struct address *address, bool is_shared)
{
    int on = 1;
    int fd = socket_open(address->socket.any.sa_family);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (!is_shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
        bind(fd, &address->socket.any, address->length) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int socket_listen(int fd, int backlog)
{
    return listen(fd, backlog) == 0 ? 0 : errno;
}

int socket_accept(int fd)
{
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

size_t socket_waiting(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    /* Of a socket that listens, the length of its queue stands where a connection has the segments that are not acknowledged. */
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_unacked : 1;
}

/* A filter of a TCP socket sees the segment from its header on (RFC 9293 section 3.1: the flags are its 14th byte). */
void socket_begin_no_more(int fd)
{
    enum { FLAGS_OFFSET = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    int family = AF_UNSPEC;
    socklen_t length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 && family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void socket_let_all_in(int fd)
{
    int unused = 0;
    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

/* ---- any of them ---- */

void socket_close(int fd)
{
    close(fd);
}

int socket_share(int fd, const char **reason)
{
    int shared = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (shared < 0)
        *reason = strerror(errno);
    return shared;
}
