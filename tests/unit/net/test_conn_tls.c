/*
 * A conn that speaks TLS: the handshake before on_connected, and then the same promises as in clear text. The far end is a
 * client's TLS without a conn, so that a test decides about each of its bytes.
 */
#include <openssl/ssl.h>

#include "fake/conn_stage.h"
#include "fake/tls_play.h"

static struct {
    struct tls_server *server;
    struct tls_client *client;
    struct tls_peer *peer;
    struct buffer_pool pool;
    struct tls_channel *far;   /* the client */
    char got[4 * 1048576];     /* plain text at the far end */
    size_t got_length;
    size_t raw_length;         /* what came over the wire */
    size_t piece;              /* how much the far end sends at a time */
    enum far_state raw_state;
} tls;

static const struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};

static int make_contexts(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}

static int set_up_tls(void **state)
{
    (void)state;
    int near;
    memset(&tls, 0, sizeof tls);
    memset(&stage.owner, 0, sizeof stage.owner);
    tls.piece = SIZE_MAX;
    tls.server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
    tls.client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    tls.peer = tls_peer_create(tls.client, "a.example");
    tls.far = tls_peer_open(tls.peer, TLS_OFFER_BOTH);
    tls_channel_attach(tls.far, &tls.pool, -1);
    rig_start(&stage.rig);
    stage.far = far_pair(&near);
    stage.owner.rig = &stage.rig;
    stage.owner.consumes = SIZE_MAX;
    struct conn_settings settings = settings_of(&stage.owner);
    settings.tls = tls_server_open(tls.server);
    stage.owner.conn = conn_accept(stage.rig.loop, near, &settings);
    return stage.owner.conn == NULL ? -1 : 0;
}

static int tear_down_tls(void **state)
{
    tear_down(state);
    tls_channel_destroy(tls.far);
    buffer_pool_clear(&tls.pool);
    tls_peer_destroy(tls.peer);
    tls_client_destroy(tls.client);
    tls_server_release(tls.server);
    return 0;
}

static void far_push(void)
{
    struct buffer *wire = tls_channel_wire(tls.far);
    size_t sent = 1;
    while (wire->length > 0 && sent > 0) {
        struct text bytes = buffer_first(wire);
        if (bytes.length > tls.piece)
            bytes.length = tls.piece;
        sent = far_send(stage.far, bytes);
        buffer_consume(wire, sent);
        if (tls.piece < SIZE_MAX)
            rig_turn(&stage.rig);
    }
}

static void far_pull(void)
{
    static char raw[65536];
    size_t length = 0;
    tls.raw_state = far_read(stage.far, raw, &length, sizeof raw);
    tls.raw_length += length;
    tls_channel_feed(tls.far, text_of(raw, length));
    if (tls_channel_state(tls.far) == TLS_HANDSHAKING)
        tls_channel_handshake(tls.far);
    if (tls_channel_state(tls.far) == TLS_OPEN)
        tls.got_length += tls_channel_read(tls.far, tls.got + tls.got_length, sizeof tls.got - tls.got_length);
}

static void settle(void)
{
    for (int i = 0; i < 12; i++) {
        far_pull();
        far_push();
        rig_turn(&stage.rig);
    }
}

static void far_write(struct text bytes)
{
    struct buffer output;
    buffer_init(&output, &tls.pool);
    assert_true(buffer_append(&output, bytes));
    while (output.length > 0) {
        assert_true(tls_channel_write(tls.far, &output));
        far_push();
        rig_turn(&stage.rig);
    }
    buffer_clear(&output);
}

static void the_owner_hears_when_the_handshake_is_over(void **state)
{
    (void)state;
    far_pull();
    far_push();
    rig_turn(&stage.rig);
    assert_int_equal(stage.owner.connected, 0);
    settle();
    assert_int_equal(stage.owner.connected, 1);
    assert_int_equal(tls_channel_state(tls.far), TLS_OPEN);
    assert_int_equal(conn_protocol(stage.owner.conn), CONN_PROTOCOL_HTTP_1_1);
    assert_false(conn_is_resumed(stage.owner.conn));
    char subject[64];
    assert_string_equal(conn_peer_subject(stage.owner.conn, subject, sizeof subject), "");
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    tls.piece = 1;
    settle();
    assert_int_equal(stage.owner.connected, 1);
    far_write(TEXT("GET / HTTP/1.1\r\n\r\n"));
    settle();
    assert_got("GET / HTTP/1.1\r\n\r\n");
    write_near(TEXT("HTTP/1.1 204 No Content\r\n\r\n"));
    settle();
    assert_int_equal(tls.got_length, 27);
}

/* The last flight of a client brings its request along, and the ticket leaves with the answer. */
static void a_request_may_come_with_the_handshake(void **state)
{
    (void)state;
    struct buffer output;
    far_pull();
    far_push();
    rig_turn(&stage.rig);
    rig_turn(&stage.rig);
    far_pull();
    assert_int_equal(tls_channel_state(tls.far), TLS_OPEN);
    buffer_init(&output, &tls.pool);
    assert_true(buffer_append(&output, TEXT("request")));
    assert_true(tls_channel_write(tls.far, &output));
    far_push();
    rig_turn(&stage.rig);
    assert_int_equal(stage.owner.connected, 1);
    assert_got("request");
    assert_int_equal(stage.owner.offers, 1);
}

static void much_goes_both_ways(void **state)
{
    (void)state;
    settle();
    far_write(pattern(GOT_BYTES));
    settle();
    assert_int_equal(stage.owner.got_length, GOT_BYTES);
    assert_pattern(stage.owner.got, GOT_BYTES);
    uint64_t before = conn_sent_bytes(stage.owner.conn);
    size_t raw_before = tls.raw_length;
    write_near(pattern(GOT_BYTES));
    assert_true(conn_is_congested(stage.owner.conn));
    rig_turn(&stage.rig);
    /* The far end reads nothing: what waits in its encrypted form is bounded. */
    assert_true(conn_output_bytes(stage.owner.conn) > 0);
    rig_until(&stage.rig, (far_pull(), tls.got_length == GOT_BYTES));
    assert_pattern(tls.got, GOT_BYTES);
    assert_int_equal(stage.owner.drained, 1);
    assert_int_equal(conn_output_bytes(stage.owner.conn), 0);
    /* What counts as sent is what was on the wire. */
    assert_int_equal(conn_sent_bytes(stage.owner.conn) - before, tls.raw_length - raw_before);
    assert_true(tls.raw_length - raw_before > GOT_BYTES);
}

static void close_notify_is_an_end_in_order(void **state)
{
    (void)state;
    settle();
    far_write(TEXT("the last words"));
    tls_channel_close(tls.far);
    far_push();
    settle();
    assert_got("the last words");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
}

static void an_end_without_close_notify_is_a_cut(void **state)
{
    (void)state;
    settle();
    far_write(TEXT("the first words"));
    shutdown(stage.far, SHUT_WR);
    settle();
    assert_got("the first words");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
}

static void forged_bytes_are_a_cut(void **state)
{
    (void)state;
    settle();
    far_write(TEXT("true"));
    assert_int_equal(far_send(stage.far, TEXT("\x17\x03\x03\x00\x05" "false")), 10);
    settle();
    assert_got("true");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
    /* The alert got out. */
    assert_int_equal(tls_channel_state(tls.far), TLS_FAILED);
}

/* What was decrypted during a pause is kept, and the end behind it waits for it. */
static void a_pause_puts_the_end_off(void **state)
{
    (void)state;
    settle();
    stage.owner.consumes = 3;
    stage.owner.pauses = true;
    struct buffer output;
    buffer_init(&output, &tls.pool);
    assert_true(buffer_append(&output, TEXT("one two three")));
    assert_true(tls_channel_write(tls.far, &output));
    tls_channel_close(tls.far);
    far_push();
    settle();
    assert_got("one");
    assert_int_equal(stage.owner.ended, 0);
    stage.owner.consumes = SIZE_MAX;
    stage.owner.pauses = false;
    conn_resume(stage.owner.conn);
    settle();
    assert_got("one two three");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
}

static void pause_conn(struct owner *owner)
{
    conn_pause(owner->conn);
}

static void an_owner_may_pause_as_soon_as_it_is_connected(void **state)
{
    (void)state;
    struct buffer output;
    stage.owner.closes_with = pause_conn;
    far_pull();
    far_push();
    rig_turn(&stage.rig);
    rig_turn(&stage.rig);
    far_pull();
    buffer_init(&output, &tls.pool);
    assert_true(buffer_append(&output, TEXT("early")));
    assert_true(tls_channel_write(tls.far, &output));
    far_push();
    rig_turn(&stage.rig);
    assert_int_equal(stage.owner.connected, 1);
    assert_int_equal(stage.owner.offers, 0);
    stage.owner.closes_with = NULL;
    conn_resume(stage.owner.conn);
    settle();
    assert_got("early");
}

static void an_owner_may_close_as_soon_as_it_is_connected(void **state)
{
    (void)state;
    stage.owner.closes_with = close_conn;
    rig_until(&stage.rig, (far_pull(), far_push(), stage.owner.connected > 0));
    stage.owner.conn = NULL;
    settle();
    assert_int_equal(stage.owner.offers, 0);
}

static void finish_says_close_notify_behind_the_output(void **state)
{
    (void)state;
    settle();
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 500);
    rig_until(&stage.rig, (far_pull(), tls_channel_state(tls.far) != TLS_OPEN));
    assert_int_equal(tls.got_length, GOT_BYTES);
    assert_pattern(tls.got, GOT_BYTES);
    assert_int_equal(tls_channel_state(tls.far), TLS_ENDED);
    far_pull();
    assert_int_equal(tls.raw_state, FAR_ENDED);
    assert_int_equal(stage.owner.finished, 0); /* lingering */
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.finished, 1);
}

static void an_idle_conn_takes_leave(void **state)
{
    (void)state;
    settle();
    conn_close(stage.owner.conn);
    stage.owner.conn = NULL;
    far_pull();
    assert_int_equal(tls_channel_state(tls.far), TLS_ENDED);
}

static void an_aborted_conn_does_not(void **state)
{
    (void)state;
    settle();
    write_near(TEXT("half of a mess"));
    rig_turn(&stage.rig);
    conn_abort(stage.owner.conn);
    stage.owner.conn = NULL;
    far_pull();
    far_pull();
    assert_int_equal(tls_channel_state(tls.far), TLS_OPEN);
    assert_int_not_equal(tls.raw_state, FAR_OPEN);
}

/* ---- handshakes that fail ---- */

static void expect_failure(enum conn_end end, const char *words)
{
    assert_int_equal(stage.owner.connected, 0);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, end);
    if (strstr(stage.owner.reason, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", stage.owner.reason, words);
}

static void clear_text_is_no_handshake(void **state)
{
    (void)state;
    say_far("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    rig_settle(&stage.rig);
    expect_failure(CONN_END_TLS_FAILED, "http request");
    assert_int_equal(stage.owner.offers, 0);
}

static void a_client_that_goes_in_the_middle_is_no_reset(void **state)
{
    (void)state;
    far_pull();
    far_push();
    shutdown(stage.far, SHUT_WR);
    rig_settle(&stage.rig);
    expect_failure(CONN_END_TLS_FAILED, "closed");
}

/* ---- the connecting side ---- */

static void a_dial_that_is_not_trusted_says_so(void **state)
{
    (void)state;
    struct address address;
    struct owner dialler = {.rig = &stage.rig, .consumes = SIZE_MAX};
    int listening = far_listen(&address);
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("other-ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    struct conn_settings settings = settings_of(&dialler);
    enum conn_end end;
    settings.tls = tls_peer_open(peer, TLS_OFFER_BOTH);
    dialler.conn = conn_connect(stage.rig.loop, &address, &settings, &end);
    assert_non_null(dialler.conn);
    int accepted = -1;
    rig_until(&stage.rig, (accepted = far_accept(listening)) >= 0);

    struct owner *node = &stage.owner;
    conn_close(node->conn);
    settings = settings_of(node);
    settings.tls = tls_server_open(tls.server);
    node->conn = conn_accept(stage.rig.loop, accepted, &settings);
    rig_until(&stage.rig, dialler.ended + dialler.connected > 0);
    assert_int_equal(dialler.connected, 0);
    assert_int_equal(dialler.end, CONN_END_TLS_UNVERIFIED);
    assert_non_null(strstr(dialler.reason, "unable to get local issuer certificate"));
    /* The node is told why. */
    rig_until(&stage.rig, node->ended == 1);
    assert_int_equal(node->end, CONN_END_TLS_FAILED);
    assert_non_null(strstr(node->reason, "unknown ca"));
    rig_turn(&stage.rig);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    close(listening);
}

/* ---- a client that asks for new keys ---- */

/* OpenSSL's own client, because ours never asks. */
struct asking_client {
    SSL_CTX *context;
    SSL *ssl;
};

static struct asking_client asking_client_comes(void)
{
    struct asking_client client = {.context = SSL_CTX_new(TLS_client_method())};
    client.ssl = SSL_new(client.context);
    assert_int_equal(SSL_set_fd(client.ssl, stage.far), 1);
    rig_until(&stage.rig, SSL_connect(client.ssl) == 1);
    rig_settle(&stage.rig);
    assert_string_equal(SSL_get_version(client.ssl), "TLSv1.3");
    assert_int_equal(stage.owner.connected, 1);
    return client;
}

static void asking_client_goes(struct asking_client client)
{
    SSL_free(client.ssl);
    SSL_CTX_free(client.context);
}

/* One request for new keys, answered by the other side if it likes; the answers are read, if at all, by `reads`. */
static void ask_for_keys(struct asking_client client, bool reads)
{
    char ignored[100];
    assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    while (stage.owner.ended == 0 && SSL_do_handshake(client.ssl) != 1)
        rig_turn(&stage.rig);
    rig_turn(&stage.rig);
    if (reads && stage.owner.ended == 0)
        assert_true(SSL_read(client.ssl, ignored, sizeof ignored) <= 0);
}

static void say_a_letter(struct asking_client client)
{
    while (stage.owner.ended == 0 && SSL_write(client.ssl, "x", 1) != 1)
        rig_turn(&stage.rig);
    rig_turn(&stage.rig);
}

/* A few are everybody's right; 64 KiB of nothing else are 2427 of them. */
static void new_keys_without_a_word_have_a_bound(void **state)
{
    (void)state;
    struct asking_client client = asking_client_comes();
    for (int i = 0; i < 2000; i++)
        ask_for_keys(client, true);
    say_a_letter(client);
    for (int i = 0; i < 2000; i++)
        ask_for_keys(client, true);
    assert_int_equal(stage.owner.ended, 0);
    assert_got("x");
    for (int i = 0; i < 500 && stage.owner.ended == 0; i++)
        ask_for_keys(client, true);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
    asking_client_goes(client);
}

/* Whatever is said besides: the answers must not gather without end. */
static void answers_that_nobody_reads_have_a_bound(void **state)
{
    (void)state;
    struct asking_client client = asking_client_comes();
    for (int i = 0; i < 40000 && stage.owner.ended == 0; i++) {
        ask_for_keys(client, false);
        say_a_letter(client);
    }
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
    asking_client_goes(client);
}

#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tls, tear_down_tls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(the_owner_hears_when_the_handshake_is_over),
        TLS_TEST(bytes_may_come_one_by_one),
        TLS_TEST(a_request_may_come_with_the_handshake),
        TLS_TEST(much_goes_both_ways),
        TLS_TEST(close_notify_is_an_end_in_order),
        TLS_TEST(an_end_without_close_notify_is_a_cut),
        TLS_TEST(forged_bytes_are_a_cut),
        TLS_TEST(a_pause_puts_the_end_off),
        TLS_TEST(an_owner_may_pause_as_soon_as_it_is_connected),
        TLS_TEST(an_owner_may_close_as_soon_as_it_is_connected),
        TLS_TEST(finish_says_close_notify_behind_the_output),
        TLS_TEST(an_idle_conn_takes_leave),
        TLS_TEST(an_aborted_conn_does_not),
        TLS_TEST(clear_text_is_no_handshake),
        TLS_TEST(a_client_that_goes_in_the_middle_is_no_reset),
        TLS_TEST(a_dial_that_is_not_trusted_says_so),
        TLS_TEST(new_keys_without_a_word_have_a_bound),
        TLS_TEST(answers_that_nobody_reads_have_a_bound),
    };
    return cmocka_run_group_tests(tests, make_contexts, NULL);
}
