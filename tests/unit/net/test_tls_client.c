/* TLS towards a node: whom it takes for the node, and what it remembers of it. */
#include "fake/tls_play.h"

static int set_up(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}

struct row {
    const char *certificate; /* what the node shows */
    const char *ca;          /* whom we trust; NULL: the system */
    const char *name;        /* whom we want */
    bool is_unverified;
    enum tls_state expected;
    const char *words;       /* of the reason */
};

static const struct row rows[] = {
    {"default", "ca", "a.example", false, TLS_OPEN, ""},
    {"default", "ca", "A.EXAMPLE", false, TLS_OPEN, ""},
    {"default", "ca", "127.0.0.1", false, TLS_OPEN, ""},
    {"wild", "ca", "one.b.example", false, TLS_OPEN, ""},
    {"self", "self", "127.0.0.1", false, TLS_OPEN, ""},
    {"wild", "ca", "one.two.b.example", false, TLS_UNVERIFIED, "hostname mismatch"},
    {"default", "ca", "b.example", false, TLS_UNVERIFIED, "hostname mismatch"},
    {"default", "ca", "127.0.0.2", false, TLS_UNVERIFIED, "IP address mismatch"},
    /* The common name is no name any more when it comes with others, and none for an address. */
    {"default", "ca", "default", false, TLS_UNVERIFIED, "hostname mismatch"},
    {"default", NULL, "a.example", false, TLS_UNVERIFIED, "unable to get local issuer certificate"},
    {"default", "other-ca", "a.example", false, TLS_UNVERIFIED, "unable to get local issuer certificate"},
    {"stranger", "ca", "a.example", false, TLS_UNVERIFIED, "unable to get local issuer certificate"},
    {"self", "ca", "127.0.0.1", false, TLS_UNVERIFIED, "self-signed certificate"},
    {"expired", "ca", "a.example", false, TLS_UNVERIFIED, "certificate has expired"},
    {"self", NULL, "b.example", true, TLS_OPEN, ""},
    {"expired", NULL, "b.example", true, TLS_OPEN, ""},
};

static void only_the_node_itself_is_taken_for_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct tls_play play;
        char paths[3][64];
        snprintf(paths[0], sizeof paths[0], IN_TLS("%s.pem"), row->certificate);
        snprintf(paths[1], sizeof paths[1], IN_TLS("%s.key"), row->certificate);
        snprintf(paths[2], sizeof paths[2], IN_TLS("%s.pem"), row->ca == NULL ? "" : row->ca);
        struct tls_pair pair = {paths[0], paths[1]};
        struct tls_server *server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
        struct tls_client *client = client_with((struct tls_client_settings){
            .ca = row->ca == NULL ? NULL : paths[2], .is_unverified = row->is_unverified});
        struct tls_peer *peer = tls_peer_create(client, row->name);
        play_connect(&play, peer, server);
        char reason[160];
        tls_channel_describe(play.client, reason, sizeof reason);
        if (tls_channel_state(play.client) != row->expected ||
            (row->expected != TLS_OPEN && strcasestr(reason, row->words) == NULL))
            fail_msg("row %zu, %s for %s: state %d, %s", i, row->certificate, row->name, tls_channel_state(play.client),
                     reason);
        if (row->expected != TLS_OPEN)
            assert_int_equal(tls_channel_state(play.server), TLS_FAILED); /* it was told with an alert */
        play_end(&play);
        tls_peer_destroy(peer);
        tls_client_destroy(client);
        tls_server_release(server);
    }
}

static void a_ticket_is_for_one_connection(void **state)
{
    (void)state;
    struct tls_play first;
    struct tls_play second;
    struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    play_connect(&first, peer, server);
    play_end(&first);
    play_begin(&first, tls_peer_open(peer, TLS_OFFER_BOTH), tls_server_open(server));
    play_begin(&second, tls_peer_open(peer, TLS_OFFER_BOTH), tls_server_open(server));
    /* Both say hello before either goes on. */
    tls_channel_handshake(first.client);
    tls_channel_handshake(second.client);
    play_settle(&first, SIZE_MAX);
    play_settle(&second, SIZE_MAX);
    assert_true(tls_channel_is_resumed(first.client));
    assert_both(&second, TLS_OPEN);
    assert_false(tls_channel_is_resumed(second.client));
    play_end(&first);
    play_end(&second);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

/* A session that was verified by an authority must not be continued when it is no longer trusted. */
static void a_new_authority_ends_old_sessions(void **state)
{
    (void)state;
    struct tls_play play;
    struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};
    copy_file(IN_TLS("ca.pem"), IN_TLS("trusted.pem"));
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("trusted.pem")});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    play_connect(&play, peer, server);
    assert_both(&play, TLS_OPEN);
    copy_file(IN_TLS("empty.pem"), IN_TLS("trusted.pem"));
    tls_client_refresh(client); /* not yet written: nothing changes */
    struct tls_play other;
    play_connect(&other, peer, server);
    assert_true(tls_channel_is_resumed(other.client));
    play_end(&other);
    copy_file(IN_TLS("other-ca.pem"), IN_TLS("trusted.pem"));
    tls_client_refresh(client);
    /* The connection from before lives on; a ticket that it gets now counts for nothing. */
    play_write(&play, play.server, TEXT("still here"));
    assert_memory_equal(play.client_got, "still here", 10);
    play_end(&play);
    play_connect(&play, peer, server);
    assert_false(tls_channel_is_resumed(play.client));
    assert_int_equal(tls_channel_state(play.client), TLS_UNVERIFIED);
    play_end(&play);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

static void files_that_cannot_be_used_are_said(void **state)
{
    (void)state;
    static const struct {
        struct tls_client_settings settings;
        const char *words;
    } bad[] = {
        {{.ca = IN_TLS("absent.pem")}, "absent.pem: No such file"},
        {{.ca = IN_TLS("empty.pem")}, "no certificate in it"},
        {{.ca = IN_TLS("damaged.pem")}, "no certificate in it"},
        {{.pair = {IN_TLS("client.pem"), IN_TLS("exact.key")}}, "does not belong"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char reason[512] = "";
        assert_null(tls_client_create(&bad[i].settings, reason, sizeof reason));
        if (strstr(reason, bad[i].words) == NULL)
            fail_msg("\"%s\" says nothing of \"%s\"", reason, bad[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_node_itself_is_taken_for_it),
        cmocka_unit_test(a_ticket_is_for_one_connection),
        cmocka_unit_test(a_new_authority_ends_old_sessions),
        cmocka_unit_test(files_that_cannot_be_used_are_said),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
