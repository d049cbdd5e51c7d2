#ifndef SLUICE_FAKE_NAME_SERVER_H
#define SLUICE_FAKE_NAME_SERVER_H
/*
 * A name server on the loopback that answers when the test says so, and the system's two files that lead to it: these definitions of fopen and connect come
 * before the C library's. Names: one.test has 10.0.0.1; four.test 10.0.0.1 to 10.0.0.4; six.test fd00::1 only; none.test does not exist; silent.test is
 * never answered; hosts.test stands in the hosts file with 10.1.0.1 and 10.1.0.2.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake/rig.h"

#define NAME_SERVER_BYTES 512

struct name_server {
    int fd;
    unsigned asked;
    unsigned char ttl_s;        /* of every record; 60 unless the test says otherwise */
    unsigned char moves_first;  /* moves.test has so many addresses, 10.0.0.`moves_first` and those that follow; with none it does not exist */
    unsigned char moves_count;
};

static char name_server_resolv_conf[] = "/tmp/sluice-resolv-XXXXXX";
static char name_server_hosts[] = "/tmp/sluice-hosts-XXXXXX";

static uint16_t name_server_port;

/* Not every resolver lets its settings name a port, so who connects to port 53 comes to the fake one's. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_in there;
    if (address->sa_family == AF_INET && length == sizeof there) {
        memcpy(&there, address, sizeof there);
        if (ntohs(there.sin_port) == 53)
            there.sin_port = htons(name_server_port);
        return (int)syscall(SYS_connect, fd, &there, sizeof there);
    }
    return (int)syscall(SYS_connect, fd, address, length);
}

static inline FILE *open_shown(const char *path, const char *mode)
{
    if (strcmp(path, "/etc/resolv.conf") == 0)
        path = name_server_resolv_conf;
    else if (strcmp(path, "/etc/hosts") == 0)
        path = name_server_hosts;
    int how = mode[0] == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | (mode[0] == 'a' ? O_APPEND : O_TRUNC);
    int fd = open(path, how | O_CLOEXEC, 0600);
    return fd < 0 ? NULL : fdopen(fd, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return open_shown(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return open_shown(path, mode);
}

static inline void write_shown(char *path, const char *words)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, words, strlen(words)), strlen(words));
    close(fd);
}

static inline void name_server_start(struct name_server *server)
{
    struct address address;
    *server = (struct name_server){.ttl_s = 60, .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    assert_true(address_parse("127.0.0.1", 0, &address));
    assert_int_equal(bind(server->fd, &address.socket.any, address.length), 0);
    assert_int_equal(getsockname(server->fd, &address.socket.any, &address.length), 0);
    name_server_port = (uint16_t)address_port(&address);
    snprintf(name_server_resolv_conf, sizeof name_server_resolv_conf, "/tmp/sluice-resolv-XXXXXX");
    snprintf(name_server_hosts, sizeof name_server_hosts, "/tmp/sluice-hosts-XXXXXX");
    write_shown(name_server_resolv_conf, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    write_shown(name_server_hosts, "127.0.0.1 localhost\n10.1.0.1 hosts.test\n10.1.0.2 hosts.test\n");
}

static inline void name_server_stop(struct name_server *server)
{
    unlink(name_server_resolv_conf);
    unlink(name_server_hosts);
    close(server->fd);
}

/* Appends one record for the name at the question's place: type A with the last byte `last`, or AAAA fd00::`last`. */
static inline size_t put_record(const struct name_server *server, unsigned char *out, size_t used, unsigned type, unsigned char last)
{
    unsigned char record[28] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 0, server->ttl_s, 0, type == 1 ? 4 : 16};
    record[12] = type == 1 ? 10 : 0xfd;
    size_t length = type == 1 ? 16 : 28;
    record[length - 1] = last;
    memcpy(out + used, record, length);
    return used + length;
}

/* The asker mixes the case of its names. RFC 1035 section 4: the header, the question as it came, the records. Returns the length, 0 for no answer. */
static inline size_t compose(const struct name_server *server, unsigned char *message, size_t length)
{
    const char *name = (const char *)message + 13;
    unsigned type = message[length - 3];
    unsigned count = 0;
    if (strncasecmp(name, "silent", 6) == 0)
        return 0;
    if (strncasecmp(name, "one", 3) == 0)
        count = type == 1 ? 1 : 0;
    else if (strncasecmp(name, "four", 4) == 0)
        count = type == 1 ? 4 : 0;
    else if (strncasecmp(name, "six", 3) == 0)
        count = type == 1 ? 0 : 1;
    bool is_moving = strncasecmp(name, "moves", 5) == 0;
    if (is_moving)
        count = type == 1 ? server->moves_count : 0;
    message[2] = 0x85;
    message[3] = strncasecmp(name, "none", 4) == 0 || (is_moving && server->moves_count == 0) ? 0x83 : 0x80;
    message[7] = (unsigned char)count;
    for (unsigned i = 0; i < count; i++)
        length = put_record(server, message, length, type, (unsigned char)(i + (is_moving ? server->moves_first : 1)));
    return length;
}

/* Answers what has been asked. */
static inline void name_server_answer(struct name_server *server)
{
    unsigned char message[NAME_SERVER_BYTES];
    struct sockaddr_in asker;
    socklen_t size = sizeof asker;
    ssize_t got;
    while ((got = recvfrom(server->fd, message, sizeof message / 2, 0, (struct sockaddr *)&asker, &size)) > 16) {
        server->asked++;
        size_t length = compose(server, message, (size_t)got);
        if (length > 0)
            sendto(server->fd, message, length, 0, (const struct sockaddr *)&asker, size);
    }
}

#endif
