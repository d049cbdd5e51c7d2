/* A peer and what is no HTTP, nor TLS: it says so, and what it says (peer_stage.h). */
#include "test/peer_stage.h"

#include "kernel/files.h"

static void test_bytes_that_are_no_http(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        bool is_two = at->version == PEER_HTTP_2;
        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        peer_send_raw(stage.server, TEXT("garbage garbage garbage\r\n\r\n"));
        const char *told = stage_told();
        assert_non_null(strstr(told, is_two ? "c0!5 C!5(" : "c0!5 C!5(a status line that does not begin with HTTP/1.1)"));
        stage_down();
    }
}

static const char *const bad_requests[] = {
    "GET /x HTTP/1.1\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
    "GET /x HTTP/1.0\r\nhost: h\r\n\r\n",
    "GET /x HTTP/1.1\nhost: h\r\n\r\n",
    "GET  /x HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET http://h/x HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET /\x80 HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET /x#y HTTP/1.1\r\nhost: h\r\n\r\n",
    "\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n",
    "G(T /x HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET * HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost : h\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\n fold: x\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\n: x\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\na: \x01\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\na: b\rc\r\n\r\n",
    "GET /x HTTP/1.1\r\nhost: h\r\na\r\n\r\n",
    "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
    "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: +1\r\n\r\na",
    "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
    "POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
};

static const char *const bad_chunks[] = {
    "g\r\n", "\r\n", "1;a=b\r\nx\r\n", "1 \r\nx\r\n", "1\nx", "1\r\nxy\r\n", "1\r\nx\n", "00000000000000001\r\nx\r\n",
    "0\r\ncontent-length: 1\r\n\r\n", "0\r\na b: c\r\n\r\n", "0\r\n\n\r\n\r\n",
};

static const char *const bad_answers[] = {
    "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 99 x\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 600 x\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 2000 x\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 x\ry\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 101 x\r\n\r\n",
    "HTTP/1.1 103 x\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 x\r\n\r\n",
    "HTTP/1.1 200 x\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\nmore",
};

static void expect_fault(const char *told, const char *bytes, const char *where)
{
    if (strstr(told, where) == NULL)
        fail_msg("taken: %s; told: %s", bytes, told);
}

static void test_heads_and_chunks_that_are_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        stage_up(PEER_HTTP_1, false);
        peer_send_raw(stage.client, text_of_string(bad_requests[i]));
        expect_fault(stage_told(), bad_requests[i], "S!5(");
        stage_down();
    }
    for (size_t i = 0; i < sizeof bad_chunks / sizeof bad_chunks[0]; i++) {
        stage_up(PEER_HTTP_1, false);
        stage_request("POST", false);
        peer_send_raw(stage.client, text_of_string(bad_chunks[i]));
        expect_fault(stage_told(), bad_chunks[i], "s0!5 S!5(");
        stage_down();
    }
    for (size_t i = 0; i < sizeof bad_answers / sizeof bad_answers[0]; i++) {
        stage_up(PEER_HTTP_1, false);
        stage_request("GET", true);
        stage_told();
        peer_send_raw(stage.server, text_of_string(bad_answers[i]));
        expect_fault(stage_told(), bad_answers[i], "C!5(");
        stage_down();
    }
}

static void test_a_request_as_bytes(void **state)
{
    (void)state;
    stage_up(PEER_HTTP_1, false);
    struct stage_actor *client = stage_actor_add('c');
    client->stream = peer_request_raw(stage.client, TEXT("PUT /y HTTP/1.1\r\nHOST: other\r\nA:  b \r\n\r\n"), &stage_stream_events, client);
    assert_string_equal(stage_told(), "s0=PUT:/y:other,a:b s0.");
    peer_send_raw(stage.server, TEXT("HTTP/1.1 200 \r\n\r\nuntil"));
    assert_string_equal(stage_told(), "c0=200");
    peer_half_close(stage.server);
    assert_string_equal(stage_told(), "c0[until] c0. C!0 s0?0 S!0");
    stage_down();
    stage_up(PEER_HTTP_2, false);
    assert_null(peer_request_raw(stage.client, TEXT("x"), &stage_stream_events, NULL));
    stage_down();
}

/* DATA for a stream that is idle; a stream without its pseudo-headers. */
static void test_frames_that_are_wrong(void **state)
{
    (void)state;
    const struct text wrong[] = {
        {"\0\0\1\0\0\0\0\0\7x", 10},                /* DATA, stream 7 */
        {"\0\0\1\1\5\0\0\0\7\x82", 10},             /* HEADERS, stream 7: `:method GET` alone */
        {"\0\0\4\x8\0\0\0\0\7\0\0\0\0", 13},        /* WINDOW_UPDATE of an idle stream */
        {"\0\0\0\4\0\0\0\0\1", 9},                  /* SETTINGS on a stream */
        {"\0\0\3\1\5\0\0\0\7\x40\0\0", 12},         /* HEADERS: a field without a name */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        stage_up(PEER_HTTP_2, false);
        stage_request("POST", false);
        stage_told();
        peer_send_raw(stage.client, wrong[i]);
        const char *told = stage_told();
        if (strstr(told, "s0!5 S!5(") == NULL)
            fail_msg("case %zu is taken: %s", i, told);
        stage_down();
    }
}

static void test_a_body_of_another_length(void **state)
{
    (void)state;
    stage_up(PEER_HTTP_2, false);
    stage_request("GET", true);
    stage_told();
    struct peer_head head = {.status = 200, .has_length = true, .length = 3};
    peer_respond(stage.servers[0].stream, &head);
    peer_send_body(stage.servers[0].stream, TEXT("four"));
    peer_send_end(stage.servers[0].stream, NULL);
    const char *told = stage_told();
    assert_non_null(strstr(told, "c0!5 C!5("));
    stage_down();
}

static void test_tls_that_is_not_trusted(void **state)
{
    (void)state;
    const char *const names[] = {"n1.sim", "n2.sim"};
    for (int i = 0; i < 2; i++) {
        stage_begin(1, PEER_HTTP_2);
        stage_open(true);
        struct tls_far *client = tls_far_create("");
        tls_far_trust(client, stage.tls, names[i]);
        struct tls_far *server = stage.tls;
        stage.tls = client;
        stage_connect(PEER_HTTP_2);
        stage.tls = server;
        stage_request("GET", true);
        assert_string_equal(stage_told(), i == 0 ? "s0=GET:/x:h s0." : "c0!5 C!5(TLS) S!1");
        peer_destroy(stage.client);
        stage.client = NULL;
        stage_run_ms(100);
        tls_far_destroy(client);
        stage_down();
    }
}

static void test_heads_of_http_2_that_are_wrong(void **state)
{
    (void)state;
    const struct text targets[] = {TEXT("x"), TEXT("/x y"), TEXT("/\x80"), TEXT("/x#y"), TEXT("http://h/x"), TEXT("*")};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        stage_up(PEER_HTTP_2, false);
        struct peer_head head = stage_request_head("GET", true);
        head.target = targets[i];
        struct stage_actor *client = stage_actor_add('c');
        client->stream = peer_request(stage.client, &head, &stage_stream_events, client);
        expect_fault(stage_told(), targets[i].bytes, "S!5(");
        stage_down();
    }
    const struct peer_field fields[] = {
        {TEXT("connection"), TEXT("close")}, {TEXT("transfer-encoding"), TEXT("chunked")}, {TEXT("te"), TEXT("gzip")}, {TEXT("a"), TEXT("b\nc")},
        {TEXT("a b"), TEXT("c")},            {TEXT(":path"), TEXT("/")},                   {TEXT("content-length"), TEXT("1")},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        stage_up(PEER_HTTP_2, false);
        struct peer_head head = stage_request_head("GET", true);
        head.fields[head.field_count++] = fields[i];
        struct stage_actor *client = stage_actor_add('c');
        client->stream = peer_request(stage.client, &head, &stage_stream_events, client);
        expect_fault(stage_told(), fields[i].name.bytes, "S!5(");
        stage_down();
    }
}

static void test_too_much(void **state)
{
    (void)state;
    char bytes[140000];
    memset(bytes, 'a', sizeof bytes);
    stage_up(PEER_HTTP_1, false);
    peer_send_raw(stage.client, text_of(bytes, sizeof bytes));
    expect_fault(stage_told(), "a head without an end", "S!5(a head without an end)");
    stage_down();
    for (int version = PEER_HTTP_1; version <= PEER_HTTP_2; version++) {
        stage_up((enum peer_version)version, false);
        struct peer_head head = stage_request_head("GET", true);
        while (head.field_count < PEER_FIELDS_MAXIMUM)
            head.fields[head.field_count++] = (struct peer_field){TEXT("a"), TEXT("b")};
        struct stage_actor *client = stage_actor_add('c');
        client->stream = peer_request(stage.client, &head, &stage_stream_events, client);
        assert_null(strstr(stage_told(), "S!5"));
        stage_down();
    }
}

static void test_tls_that_does_not_agree(void **state)
{
    (void)state;
    /* A client that wants HTTP/2, and a server that has none. */
    stage_begin(1, PEER_HTTP_1);
    stage_open(true);
    stage_connect(PEER_HTTP_2);
    stage_request("GET", true);
    assert_string_equal(stage_told(), "S!5(TLS) c0!1 C!1");
    stage_down();
    /* One that speaks clear text. */
    stage_begin(1, PEER_HTTP_2);
    stage_open(true);
    struct tls_far *tls = stage.tls;
    stage.tls = NULL;
    stage_connect(PEER_HTTP_1);
    stage.tls = tls;
    stage_request("GET", true);
    expect_fault(stage_told(), "clear text", "S!5(TLS)");
    stage_down();
}

static void test_certificates_for_others(void **state)
{
    (void)state;
    stage_begin(1, PEER_HTTP_2);
    stage_open(true);
    tls_far_write(stage.tls, "/etc/sluice/node.pem", "/etc/sluice/node.key");
    assert_true(text_starts_with(sim_file_read("/etc/sluice/node.pem"), TEXT("-----BEGIN CERTIFICATE-----\n")));
    assert_true(text_starts_with(sim_file_read("/etc/sluice/node.key"), TEXT("-----BEGIN PRIVATE KEY-----\n")));
    /* The same seed makes the same key. */
    struct text key = tls_far_key(stage.tls);
    char *before = text_duplicate(key);
    stage_down();
    stage_begin(1, PEER_HTTP_2);
    stage_open(true);
    assert_true(text_equals(text_of_string(before), tls_far_key(stage.tls)));
    free(before);
    stage_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_that_are_no_http),
        cmocka_unit_test(test_heads_and_chunks_that_are_wrong),
        cmocka_unit_test(test_a_request_as_bytes),
        cmocka_unit_test(test_frames_that_are_wrong),
        cmocka_unit_test(test_a_body_of_another_length),
        cmocka_unit_test(test_tls_that_is_not_trusted),
        cmocka_unit_test(test_heads_of_http_2_that_are_wrong),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_tls_that_does_not_agree),
        cmocka_unit_test(test_certificates_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
