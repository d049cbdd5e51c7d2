/*
 * kTLS, with a kernel that is played: it takes the key and says that it encrypts, and then does not, so that the far end sees
 * in clear what was left to it.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <sys/syscall.h>

#include "fake/conn_stage.h"
#include "fake/tls_play.h"

#define LEVEL_TLS 282

static struct {
    bool has_tls;      /* the kernel knows the protocol */
    bool takes_keys;
    unsigned keys;
    ssize_t before_key; /* what the far end could read when the key was given: from then on the kernel encrypts */
    struct tls_server *server;
    struct tls_client *client;
    struct tls_peer *peer;
    struct buffer_pool pool;
    struct tls_channel *far;
    int listening;
} play;

/* Stands before the C library's, for OpenSSL as well. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == LEVEL_TLS) {
        char seen[4096];
        play.keys++;
        play.before_key = recv(stage.far, seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);
        errno = EINVAL;
        return play.takes_keys ? 0 : -1;
    }
    if (level == IPPROTO_TCP && name == TCP_ULP) {
        errno = ENOENT;
        return play.has_tls ? 0 : -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

static const struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};

static int make(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}

static void begin(bool has_tls, bool takes_keys)
{
    struct address address;
    memset(&stage.owner, 0, sizeof stage.owner);
    stage.heard_length = 0;
    play.has_tls = has_tls;
    play.takes_keys = takes_keys;
    play.keys = 0;
    play.server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1, .kernel = true});
    play.client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    play.peer = tls_peer_create(play.client, "a.example");
    play.far = tls_peer_open(play.peer, TLS_OFFER_HTTP_1_1);
    tls_channel_attach(play.far, &play.pool, -1);
    rig_start(&stage.rig);
    play.listening = far_listen(&address);
    stage.far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int few_bytes = 65536;
    setsockopt(stage.far, SOL_SOCKET, SO_RCVBUF, &few_bytes, sizeof few_bytes);
    assert_int_equal(connect(stage.far, &address.socket.any, address.length), 0);
    int near = far_accept(play.listening);
    assert_true(near >= 0);
    setsockopt(near, SOL_SOCKET, SO_SNDBUF, &few_bytes, sizeof few_bytes);
    stage.owner.rig = &stage.rig;
    stage.owner.consumes = SIZE_MAX;
    struct conn_settings settings = settings_of(&stage.owner);
    settings.tls = tls_server_open(play.server);
    stage.owner.conn = conn_accept(stage.rig.loop, near, &settings);
    assert_non_null(stage.owner.conn);
}

/* Until the far end's handshake is done and its last flight is on the way. */
static void shake_hands(void)
{
    struct buffer *wire = tls_channel_wire(play.far);
    char raw[8192];
    tls_channel_handshake(play.far);
    while (tls_channel_state(play.far) == TLS_HANDSHAKING || wire->length > 0) {
        buffer_consume(wire, far_send(stage.far, buffer_first(wire)));
        rig_turn(&stage.rig);
        ssize_t got = tls_channel_state(play.far) == TLS_OPEN ? 0 : recv(stage.far, raw, sizeof raw, MSG_DONTWAIT);
        if (got > 0) {
            tls_channel_feed(play.far, text_of(raw, (size_t)got));
            tls_channel_handshake(play.far);
        }
    }
    rig_until(&stage.rig, stage.owner.connected == 1);
}

static void end(void)
{
    tear_down(NULL);
    tls_channel_destroy(play.far);
    buffer_pool_clear(&play.pool);
    tls_peer_destroy(play.peer);
    tls_client_destroy(play.client);
    tls_server_release(play.server);
    close(play.listening);
}

static void hear(void)
{
    ssize_t got = recv(stage.far, stage.heard + stage.heard_length, sizeof stage.heard - stage.heard_length, MSG_DONTWAIT);
    if (got > 0)
        stage.heard_length += (size_t)got;
}

static void the_kernel_gets_everything_behind_the_handshake(void **state)
{
    (void)state;
    begin(true, true);
    shake_hands();
    assert_int_equal(play.keys, 1);
    assert_true(play.before_key > 500); /* the whole flight, which is encrypted already */
    write_near(TEXT("words for the kernel"));
    rig_until(&stage.rig, (hear(), stage.heard_length > 20 &&
                           memcmp(stage.heard + stage.heard_length - 20, "words for the kernel", 20) == 0));
    /* In front of it went the ticket, left to the kernel, too: a handshake message of type 4 (RFC 8446 section 4). */
    assert_int_equal(stage.heard[0], 4);
    end();
}

/* A socket that is full holds the rest back; nothing is lost or doubled, and the end comes behind it. */
static void a_full_socket_holds_the_rest_back(void **state)
{
    (void)state;
    begin(true, true);
    shake_hands();
    rig_until(&stage.rig, (hear(), stage.heard_length > 0));
    size_t ticket = stage.heard_length;
    uint64_t sent_before = conn_sent_bytes(stage.owner.conn);
    size_t total = 2 * GOT_BYTES;
    write_near(pattern(GOT_BYTES));
    write_near(pattern(GOT_BYTES));
    rig_settle(&stage.rig);
    assert_true(conn_output_bytes(stage.owner.conn) > 0);
    conn_finish(stage.owner.conn, 1000);
    rig_until(&stage.rig, (hear(), stage.heard_length >= ticket + total + 2));
    for (size_t at = 0; at < total; at += GOT_BYTES)
        assert_pattern(stage.heard + ticket + at, GOT_BYTES);
    /* close_notify, and the end of the stream. */
    assert_memory_equal(stage.heard + ticket + total, "\x01\x00", 2);
    assert_int_equal(stage.heard_length, ticket + total + 2);
    assert_int_equal(conn_sent_bytes(stage.owner.conn) - sent_before, total + 2);
    close(stage.far);
    stage.far = -1;
    rig_until(&stage.rig, stage.owner.finished == 1);
    end();
}

static void expect_own_encryption(bool has_tls)
{
    char plain[100];
    begin(has_tls, false);
    shake_hands();
    assert_int_equal(play.keys, has_tls ? 1 : 0);
    write_near(TEXT("words for nobody else"));
    size_t length = 0;
    while (length == 0) {
        rig_turn(&stage.rig);
        stage.heard_length = 0;
        hear();
        tls_channel_feed(play.far, text_of(stage.heard, stage.heard_length));
        length = tls_channel_read(play.far, plain, sizeof plain);
        assert_int_equal(tls_channel_state(play.far), TLS_OPEN);
    }
    assert_int_equal(length, 21);
    assert_memory_equal(plain, "words for nobody else", 21);
    end();
}

static void a_kernel_that_cannot_is_not_needed(void **state)
{
    (void)state;
    expect_own_encryption(false);
    expect_own_encryption(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_gets_everything_behind_the_handshake),
        cmocka_unit_test(a_full_socket_holds_the_rest_back),
        cmocka_unit_test(a_kernel_that_cannot_is_not_needed),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
