/* A listener's TLS: which certificate, which protocol, whose clients, and what becomes of it all when files change. */
#include <sys/stat.h>
#include <unistd.h>

#include "fake/tls_play.h"

static const struct tls_pair three_pairs[] = {
    {IN_TLS("default.pem"), IN_TLS("default.key")},
    {IN_TLS("wild.pem"), IN_TLS("wild.key")},
    {IN_TLS("exact.pem"), IN_TLS("exact.key")},
};
static const struct tls_server_settings three = {.pairs = three_pairs, .pair_count = 3, .offers_http2 = true};
static const struct tls_server_settings one = {.pairs = three_pairs, .pair_count = 1, .offers_http2 = true};

static int set_up(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}

static void expect_shown(const char *name, const char *subject)
{
    struct tls_play play;
    struct tls_server *server = server_with(three);
    struct tls_client *client = client_with((struct tls_client_settings){.is_unverified = true});
    struct tls_peer *peer = tls_peer_create(client, name);
    play_connect(&play, peer, server);
    assert_both(&play, TLS_OPEN);
    assert_shown(&play, subject);
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

static void the_name_that_a_client_asks_for_decides(void **state)
{
    (void)state;
    expect_shown("a.example", "CN=default");
    expect_shown("one.b.example", "CN=wild");
    expect_shown("ONE.B.Example", "CN=wild");
    /* An exact name goes before a wildcard that stands before it. */
    expect_shown("exact.b.example", "CN=exact");
    /* A wildcard stands for one label: neither none nor two. */
    expect_shown("b.example", "CN=default");
    expect_shown("two.one.b.example", "CN=default");
    expect_shown("nobody.example", "CN=default");
    /* An address is not sent as a name. */
    expect_shown("127.0.0.1", "CN=default");
}

static void expect_protocol(bool offers_http2, enum tls_offer offer, enum tls_state state, const char *protocol)
{
    struct tls_play play;
    struct tls_server_settings settings = one;
    settings.offers_http2 = offers_http2;
    struct tls_server *server = server_with(settings);
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    play_begin(&play, tls_peer_open(peer, offer), tls_server_open(server));
    play_settle(&play, SIZE_MAX);
    assert_both(&play, state);
    struct text chosen = tls_channel_protocol(play.server);
    assert_true(text_equals(chosen, text_of_string(protocol)));
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

static void http2_is_chosen_where_both_speak_it(void **state)
{
    (void)state;
    expect_protocol(true, TLS_OFFER_BOTH, TLS_OPEN, "h2");
    expect_protocol(true, TLS_OFFER_HTTP_2, TLS_OPEN, "h2");
    expect_protocol(true, TLS_OFFER_HTTP_1_1, TLS_OPEN, "http/1.1");
    expect_protocol(false, TLS_OFFER_BOTH, TLS_OPEN, "http/1.1");
    /* A protocol that the client did not name must not be spoken to it. */
    expect_protocol(false, TLS_OFFER_HTTP_2, TLS_FAILED, "");
}

static void any_piece_of_any_flight_may_come_alone(void **state)
{
    (void)state;
    struct tls_play play;
    struct tls_server *server = server_with(one);
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "localhost");
    for (int round = 0; round < 2; round++) {
        play_begin(&play, tls_peer_open(peer, TLS_OFFER_BOTH), tls_server_open(server));
        play_settle(&play, 1);
        assert_both(&play, TLS_OPEN);
        assert_int_equal(tls_channel_is_resumed(play.server), round == 1);
        struct buffer output;
        buffer_init(&output, &play.pool);
        assert_true(buffer_append(&output, TEXT("a request")));
        assert_true(tls_channel_write(play.client, &output));
        play_settle(&play, 1);
        assert_int_equal(play.server_length, 9);
        assert_memory_equal(play.server_got, "a request", 9);
        play_end(&play);
    }
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

static void a_session_goes_on(void **state)
{
    (void)state;
    struct tls_play play;
    struct tls_server *server = server_with(three);
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "one.b.example");
    play_connect(&play, peer, server);
    assert_false(tls_channel_is_resumed(play.client));
    play_end(&play);
    play_connect(&play, peer, server);
    assert_both(&play, TLS_OPEN);
    assert_true(tls_channel_is_resumed(play.client));
    assert_true(tls_channel_is_resumed(play.server));
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

/* `certificate`: what the client shows, or NULL. The server's state after it; over TLS 1.3 the client learns a refusal later. */
static void expect_client(enum tls_client_certificate wish, const char *certificate, const char *key, enum tls_state expected,
                          const char *subject)
{
    struct tls_play play;
    struct tls_server_settings settings = one;
    settings.client_certificate = wish;
    settings.client_ca = wish == TLS_CLIENT_CERTIFICATE_NONE ? NULL : IN_TLS("ca.pem");
    struct tls_server *server = server_with(settings);
    struct tls_client *client =
        client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem"), .pair = {certificate, key}});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    play_connect(&play, peer, server);
    assert_int_equal(tls_channel_state(play.server), expected);
    if (expected == TLS_OPEN) {
        char buffer[128];
        assert_string_equal(tls_channel_subject(play.server, buffer, sizeof buffer), subject);
        /* The next one goes on with the session, and still tells who it is. */
        play_end(&play);
        play_connect(&play, peer, server);
        assert_true(tls_channel_is_resumed(play.server));
        assert_string_equal(tls_channel_subject(play.server, buffer, sizeof buffer), subject);
    } else {
        assert_int_equal(tls_channel_state(play.client), TLS_FAILED);
    }
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

static void clients_show_what_they_are_asked_for(void **state)
{
    (void)state;
    expect_client(TLS_CLIENT_CERTIFICATE_NONE, IN_TLS("client.pem"), IN_TLS("client.key"), TLS_OPEN, "");
    expect_client(TLS_CLIENT_CERTIFICATE_OPTIONAL, NULL, NULL, TLS_OPEN, "");
    expect_client(TLS_CLIENT_CERTIFICATE_OPTIONAL, IN_TLS("client.pem"), IN_TLS("client.key"), TLS_OPEN,
                  "CN=telegraf,O=plant");
    expect_client(TLS_CLIENT_CERTIFICATE_OPTIONAL, IN_TLS("stranger.pem"), IN_TLS("stranger.key"), TLS_UNVERIFIED, "");
    expect_client(TLS_CLIENT_CERTIFICATE_REQUIRED, IN_TLS("client.pem"), IN_TLS("client.key"), TLS_OPEN,
                  "CN=telegraf,O=plant");
    expect_client(TLS_CLIENT_CERTIFICATE_REQUIRED, NULL, NULL, TLS_FAILED, "");
    expect_client(TLS_CLIENT_CERTIFICATE_REQUIRED, IN_TLS("stranger.pem"), IN_TLS("stranger.key"), TLS_UNVERIFIED, "");
}

/* ---- files that change ---- */

static const struct tls_pair changing_pair = {IN_TLS("changing.pem"), IN_TLS("changing.key")};

static void write_pair(const char *certificate, const char *key)
{
    char path[256];
    if (certificate != NULL) {
        snprintf(path, sizeof path, "build/test-tls/%s.pem", certificate);
        copy_file(path, changing_pair.certificate);
    }
    if (key != NULL) {
        snprintf(path, sizeof path, "build/test-tls/%s.key", key);
        copy_file(path, changing_pair.key);
    }
}

static void expect_changing(struct tls_peer *peer, struct tls_server *server, const char *subject)
{
    struct tls_play play;
    play_connect(&play, peer, server);
    assert_both(&play, TLS_OPEN);
    assert_shown(&play, subject);
    play_end(&play);
}

static void a_new_pair_is_for_new_connections(void **state)
{
    (void)state;
    struct tls_play old;
    write_pair("default", "default");
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &changing_pair, .pair_count = 1});
    struct tls_client *client = client_with((struct tls_client_settings){.is_unverified = true});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    struct tls_peer *fresh = tls_peer_create(client, "a.example");
    play_connect(&old, peer, server);
    assert_shown(&old, "CN=default");

    /* Half of a pair fits to nothing: it must not take away what works, and heals when the other half comes. */
    write_pair("exact", NULL);
    tls_server_refresh(server);
    expect_changing(fresh, server, "CN=default");
    tls_server_refresh(server);
    write_pair(NULL, "exact");
    tls_server_refresh(server);
    struct tls_peer *third = tls_peer_create(client, "a.example");
    expect_changing(third, server, "CN=exact");

    /* The connection from before lives on, and so does its session. */
    play_write(&old, old.client, TEXT("still here"));
    assert_memory_equal(old.server_got, "still here", 10);
    play_write(&old, old.server, TEXT("and you"));
    assert_memory_equal(old.client_got, "and you", 7);
    play_end(&old);
    play_connect(&old, peer, server);
    assert_true(tls_channel_is_resumed(old.server));
    play_end(&old);

    /* A pair that is gone for a moment, or for good. */
    assert_int_equal(unlink(changing_pair.key), 0);
    tls_server_refresh(server);
    struct tls_peer *fourth = tls_peer_create(client, "a.example");
    expect_changing(fourth, server, "CN=exact");
    tls_peer_destroy(peer);
    tls_peer_destroy(fresh);
    tls_peer_destroy(third);
    tls_peer_destroy(fourth);
    tls_client_destroy(client);
    tls_server_release(server);
}

/* How often `server` says `words` in some looks at its files. */
static unsigned count_said(struct tls_server *server, const char *words)
{
    char line[1024];
    unsigned count = 0;
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_true(file != NULL && before >= 0);
    dup2(fileno(file), STDERR_FILENO);
    for (int i = 0; i < 4; i++)
        tls_server_refresh(server);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        count += strstr(line, words) != NULL ? 1 : 0;
    fclose(file);
    return count;
}

/* The files are young, so each look reads them again; the log hears of changes only. */
static void the_log_does_not_repeat_itself(void **state)
{
    (void)state;
    write_pair("default", "default");
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &changing_pair, .pair_count = 1});
    assert_int_equal(count_said(server, "event="), 0);
    write_pair("exact", NULL);
    assert_int_equal(count_said(server, "event=certificate_not_loaded"), 1);
    write_pair(NULL, "exact");
    assert_int_equal(count_said(server, "event=certificate_loaded"), 1);
    write_pair("default", NULL);
    assert_int_equal(count_said(server, "event=certificate_not_loaded"), 1);
    /* Back to what is in use. */
    write_pair("exact", NULL);
    assert_int_equal(count_said(server, "event="), 0);
    tls_server_release(server);
}

/* A configuration that is no longer in force is freed, and the server goes on looking at its files. */
static void what_the_settings_point_to_may_go(void **state)
{
    (void)state;
    char certificate[256];
    char key[256];
    struct tls_pair pair = {certificate, key};
    snprintf(certificate, sizeof certificate, "%s", changing_pair.certificate);
    snprintf(key, sizeof key, "%s", changing_pair.key);
    write_pair("default", "default");
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
    struct tls_client *client = client_with((struct tls_client_settings){.pair = pair, .is_unverified = true});
    certificate[0] = key[0] = '\0';
    pair = (struct tls_pair){NULL, NULL};
    write_pair("exact", "exact");
    tls_server_refresh(server);
    tls_client_refresh(client);
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    expect_changing(peer, server, "CN=exact");
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

/* An open connection may outlive everything that it came from. */
static void a_channel_outlives_its_server(void **state)
{
    (void)state;
    struct tls_play play;
    struct tls_server *server = server_with(three);
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "one.b.example");
    play_begin(&play, tls_peer_open(peer, TLS_OFFER_BOTH), tls_server_open(server));
    tls_server_release(server);
    play_settle(&play, SIZE_MAX);
    assert_both(&play, TLS_OPEN);
    assert_shown(&play, "CN=wild");
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
}

static void what_cannot_be_used_is_said_at_the_start(void **state)
{
    (void)state;
    static const struct {
        struct tls_pair pair;
        const char *words;
    } rows[] = {
        {{IN_TLS("absent.pem"), NULL}, "absent.pem: No such file"},
        {{IN_TLS("empty.pem"), NULL}, "no certificate in it"},
        {{IN_TLS("damaged.pem"), NULL}, "no certificate in it"},
        {{IN_TLS("default.pem"), NULL}, "no private key in it"},
        {{IN_TLS("default.pem"), IN_TLS("exact.key")}, "does not belong to the certificate"},
        {{IN_TLS("default.pem"), IN_TLS("locked.key")}, "passphrase"},
        {{"build", NULL}, "is no file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[512] = "";
        struct tls_server_settings settings = {.pairs = &rows[i].pair, .pair_count = 1};
        assert_null(tls_server_create(&settings, reason, sizeof reason));
        if (strstr(reason, rows[i].words) == NULL)
            fail_msg("\"%s\" says nothing of \"%s\"", reason, rows[i].words);
    }
    struct tls_pair both = {IN_TLS("both.pem"), NULL};
    tls_server_release(server_with((struct tls_server_settings){.pairs = &both, .pair_count = 1}));
}

/* Whoever opens a FIFO waits for its writer, and with the control thread all probes and signals would. */
static void a_fifo_is_not_waited_for(void **state)
{
    (void)state;
    write_pair("default", "default");
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &changing_pair, .pair_count = 1});
    assert_int_equal(unlink(changing_pair.key), 0);
    assert_int_equal(mkfifo(changing_pair.key, 0600), 0);
    alarm(20); /* ends a test that hangs */
    assert_int_equal(count_said(server, "is no file"), 1);
    alarm(0);
    assert_int_equal(unlink(changing_pair.key), 0);
    tls_server_release(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_that_a_client_asks_for_decides),
        cmocka_unit_test(http2_is_chosen_where_both_speak_it),
        cmocka_unit_test(any_piece_of_any_flight_may_come_alone),
        cmocka_unit_test(a_session_goes_on),
        cmocka_unit_test(clients_show_what_they_are_asked_for),
        cmocka_unit_test(a_new_pair_is_for_new_connections),
        cmocka_unit_test(the_log_does_not_repeat_itself),
        cmocka_unit_test(a_fifo_is_not_waited_for),
        cmocka_unit_test(what_the_settings_point_to_may_go),
        cmocka_unit_test(a_channel_outlives_its_server),
        cmocka_unit_test(what_cannot_be_used_is_said_at_the_start),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
