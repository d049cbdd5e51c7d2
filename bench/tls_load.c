/*
 * tls_load: new TLS 1.3 connections, as many as fit into the time; one small write on each.
 *
 *     tls_load PORT full|resumed CONNECTIONS MILLISECONDS
 *
 * CONNECTIONS slots work side by side in one thread. Each connects, shakes hands (X25519), sends one write as HTTP/1.1,
 * reads the answer's head (204, so there is no body), says close_notify and closes; then it begins again. `full` never
 * offers a session; `resumed` offers the newest ticket that the slot was given, and its first handshake is not counted.
 * The last line of standard output is the result. A handshake that is not of the wanted kind is an error: it would be a
 * comparison of two different things.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096, EVENTS_PER_TURN = 64 };

static const char request[] =
    "POST /api/v3/write_lp?db=bench&precision=second HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer apiv3_bench\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 53\r\n\r\n"
    "cpu,host=server01,region=us-west usage=21 1704067201\n";

struct slot {
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* own; of the newest ticket */
    bool is_sent, has_offered;
    uint32_t interest;
    size_t answer_end;
    char answer[ANSWER_BYTES + 1];
};

static struct {
    SSL_CTX *context;
    struct sockaddr_in address;
    int epoll_fd;
    bool resumes;
    uint64_t requests, connect_errors, tls_errors, status_errors, wrong_kind;
} load;

static void fail(const char *what)
{
    fprintf(stderr, "tls_load: %s: %s\n", what, errno != 0 ? strerror(errno) : "see above");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct slot *slot = SSL_get_app_data(ssl);

    if (!load.resumes)
        return 0;
    SSL_SESSION_free(slot->session);
    slot->session = session;
    return 1;
}

static void slot_open(struct slot *slot)
{
    int one = 1;

    slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (slot->fd < 0)
        fail("socket");
    setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(slot->fd, (struct sockaddr *)&load.address, sizeof load.address) != 0 && errno != EINPROGRESS)
        fail("connect");
    slot->ssl = SSL_new(load.context);
    if (slot->ssl == NULL || SSL_set_fd(slot->ssl, slot->fd) != 1)
        fail("SSL_new");
    SSL_set_app_data(slot->ssl, slot);
    SSL_set_connect_state(slot->ssl);
    slot->has_offered = slot->session != NULL;
    if (slot->has_offered)
        SSL_set_session(slot->ssl, slot->session);
    slot->is_sent = false;
    slot->answer_end = 0;
    slot->interest = EPOLLOUT;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = slot};
    if (epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) != 0)
        fail("epoll_ctl");
}

static void slot_reopen(struct slot *slot)
{
    SSL_free(slot->ssl);
    close(slot->fd);
    slot_open(slot);
}

static void slot_await(struct slot *slot, uint32_t interest)
{
    if (slot->interest == interest)
        return;
    slot->interest = interest;
    struct epoll_event event = {.events = interest, .data.ptr = slot};
    epoll_ctl(load.epoll_fd, EPOLL_CTL_MOD, slot->fd, &event);
}

/* A slot's first handshake has no ticket to offer and is left out of the count of resumed ones. */
static void judge(struct slot *slot)
{
    bool is_resumed = SSL_session_reused(slot->ssl);

    if (strncmp(slot->answer, "HTTP/1.1 204", 12) != 0)
        load.status_errors++;
    else if (is_resumed != slot->has_offered)
        load.wrong_kind++;
    else if (is_resumed == load.resumes)
        load.requests++;
    SSL_shutdown(slot->ssl);
}

/* One step after an event; SSL_* do the handshake on their way. */
static void slot_move(struct slot *slot)
{
    int result = 1;

    ERR_clear_error();
    if (!slot->is_sent) {
        result = SSL_write(slot->ssl, request, sizeof request - 1);
        slot->is_sent = result > 0;
    }
    while (slot->is_sent &&
           (result = SSL_read(slot->ssl, slot->answer + slot->answer_end, (int)(ANSWER_BYTES - slot->answer_end))) > 0) {
        slot->answer_end += (size_t)result;
        slot->answer[slot->answer_end] = '\0';
        if (strstr(slot->answer, "\r\n\r\n") != NULL || slot->answer_end == ANSWER_BYTES) {
            judge(slot);
            slot_reopen(slot);
            return;
        }
    }
    switch (SSL_get_error(slot->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        slot_await(slot, EPOLLIN);
        return;
    case SSL_ERROR_WANT_WRITE:
        slot_await(slot, EPOLLOUT);
        return;
    default:
        *(SSL_is_init_finished(slot->ssl) ? &load.tls_errors : &load.connect_errors) += 1;
        if (load.tls_errors + load.connect_errors > 1000)
            fail("too many errors");
        slot_reopen(slot);
    }
}

static void prepare(const char *port, const char *kind)
{
    static const unsigned char protocols[] = "\x08http/1.1";

    load.resumes = strcmp(kind, "resumed") == 0;
    load.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load.context = SSL_CTX_new(TLS_client_method());
    if (load.context == NULL || SSL_CTX_set_min_proto_version(load.context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(load.context, "X25519") != 1 ||
        SSL_CTX_set_alpn_protos(load.context, protocols, sizeof protocols - 1) != 0)
        fail("OpenSSL");
    /* The certificate is the harness's own; its signature of the handshake is verified all the same. */
    SSL_CTX_set_verify(load.context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(load.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(load.context, keep_session);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_PER_TURN];

    if (argc != 5 || (strcmp(argv[2], "full") != 0 && strcmp(argv[2], "resumed") != 0)) {
        fprintf(stderr, "usage: tls_load PORT full|resumed CONNECTIONS MILLISECONDS\n");
        return 2;
    }
    prepare(argv[1], argv[2]);
    size_t slot_count = strtoul(argv[3], NULL, 10);
    struct slot *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        fail("calloc");
    uint64_t start_us = clock_us(), now_us = start_us, end_us = start_us + strtoull(argv[4], NULL, 10) * 1000;
    for (size_t i = 0; i < slot_count; i++)
        slot_open(&slots[i]);
    while (now_us < end_us) {
        int count = epoll_wait(load.epoll_fd, events, EVENTS_PER_TURN, (int)((end_us - now_us) / 1000 + 1));
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++)
            slot_move(events[i].data.ptr);
        now_us = clock_us();
    }
    printf("RESULT requests=%llu microseconds=%llu connect=%llu tls=%llu status=%llu wrong_kind=%llu\n",
           (unsigned long long)load.requests, (unsigned long long)(now_us - start_us),
           (unsigned long long)load.connect_errors, (unsigned long long)load.tls_errors,
           (unsigned long long)load.status_errors, (unsigned long long)load.wrong_kind);
    return 0;
}
