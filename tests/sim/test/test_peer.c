/* A client's peer against a server's, over the simulated network: what either is told, word by word (peer_stage.h). */
#include "test/peer_stage.h"

#define LONG_BYTES 3000000

static char long_body[LONG_BYTES];

static void test_a_request_and_its_answer(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        assert_string_equal(stage_told(), "s0=GET:/x:h s0.");
        stage_answer(&stage.servers[0], "hello");
        assert_string_equal(stage_told(), "c0=200 c0[hello] c0.");
        assert_int_equal(peer_version(stage.server), at->version);
        assert_int_equal(peer_stream_count(stage.client), 0);
        stage_request("POST", true);
        assert_string_equal(stage_told(), "s1=POST:/x:h s1.");
        stage_answer(&stage.servers[1], "");
        assert_string_equal(stage_told(), "c1=200/ c1.");
        stage_down();
    }
}

static void test_bodies_and_trailers_both_ways(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        struct peer_head trailers = {.field_count = 1, .fields = {{TEXT("a"), TEXT("b")}}};
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("POST", false);
        peer_send_body(client->stream, TEXT("one "));
        assert_string_equal(stage_told(), "s0=POST:/x:h");
        peer_send_body(client->stream, TEXT("two"));
        peer_send_end(client->stream, &trailers);
        assert_string_equal(stage_told(), "s0[one two] s0~a=b s0.");
        struct stage_actor *server = &stage.servers[0];
        stage_answer_head(server, 103, false);
        stage_answer_head(server, 200, false);
        peer_send_end(server->stream, &trailers);
        assert_string_equal(stage_told(), "c0=103/ c0=200 c0~a=b c0.");
        stage_down();
    }
}

static void test_an_answer_without_a_body(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("HEAD", true);
        assert_string_equal(stage_told(), "s0=HEAD:/x:h s0.");
        struct peer_head head = {.status = 200, .has_length = true, .length = 7, .is_whole = true};
        peer_respond(stage.servers[0].stream, &head);
        assert_string_equal(stage_told(), "c0=200/ c0.");
        const unsigned statuses[] = {204, 304};
        for (size_t i = 0; i < 2; i++) {
            stage_request("GET", true);
            stage_told();
            stage_answer_head(&stage.servers[i + 1], statuses[i], true);
            assert_string_equal(stage_told(), i == 0 ? "c1=204/ c1." : "c2=304/ c2.");
        }
        stage_request("GET", true);
        assert_string_equal(stage_told(), "s3=GET:/x:h s3.");
        stage_down();
    }
}

static void test_a_reset_of_a_stream(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        bool is_two = at->version == PEER_HTTP_2;
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("POST", false);
        stage_told();
        peer_stream_reset(stage.servers[0].stream, 8);
        stage.servers[0].stream = NULL;
        assert_string_equal(stage_told(), is_two ? "c0!1" : "S!1 c0!1 C!1");
        if (is_two) {
            assert_int_equal(peer_stream_code(client->stream), 8);
            client = stage_request("POST", false);
            stage_told();
            peer_stream_reset(stage.servers[1].stream, 7);
            stage.servers[1].stream = NULL;
            assert_string_equal(stage_told(), "c1!2");
            client = stage_request("POST", false);
            stage_told();
            peer_stream_reset(client->stream, 5);
            client->stream = NULL;
            assert_string_equal(stage_told(), "s2!1");
            assert_int_equal(peer_stream_code(stage.servers[2].stream), 5);
            assert_non_null(stage.client);
        }
        stage_down();
    }
}

static void test_a_release_cuts_what_is_not_over(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        bool is_two = at->version == PEER_HTTP_2;
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("GET", true);
        assert_string_equal(stage_told(), "s0=GET:/x:h s0.");
        stage_let_go(client);
        assert_string_equal(stage_told(), is_two ? "s0?1" : "C!0 s0?0 S!0");
        if (is_two) {
            /* An answer that was said whole arrives whole, and the rest of the request is not waited for. */
            client = stage_request("POST", false);
            stage_told();
            stage_answer(&stage.servers[1], "early");
            stage_let_go(&stage.servers[1]);
            assert_string_equal(stage_told(), "c1=200 c1[early] c1. c1?1");
            assert_int_equal(peer_stream_code(client->stream), 0);
        }
        stage_down();
    }
}

static void test_goaway(void **state)
{
    (void)state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        stage_up(PEER_HTTP_2, is_tls == 1);
        for (int i = 0; i < 3; i++)
            stage_request("GET", true);
        stage_told();
        peer_go_away_before(stage.servers[1].stream, 0);
        stage.servers[1].stream = NULL;
        assert_string_equal(stage_told(), "s2?2 c1!3 c2!3");
        assert_false(peer_can_send(stage.client));
        stage_answer(&stage.servers[0], "x");
        assert_string_equal(stage_told(), "S!0 c0=200 c0[x] c0. C!0");
        stage_down();

        stage_up(PEER_HTTP_2, is_tls == 1);
        stage_request("GET", true);
        stage_told();
        peer_drain(stage.server);
        assert_string_equal(stage_told(), "");
        assert_false(peer_can_send(stage.client));
        stage_answer(&stage.servers[0], "x");
        assert_string_equal(stage_told(), "S!0 c0=200 c0[x] c0. C!0");
        stage_down();
    }
}

static void test_a_connection_that_closes_with_its_answer(void **state)
{
    (void)state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        stage_up(PEER_HTTP_1, is_tls == 1);
        stage_request("GET", true);
        stage_told();
        peer_drain(stage.server);
        stage_answer(&stage.servers[0], "x");
        assert_string_equal(stage_told(), "S!0 c0=200,connection:close c0[x] c0. C!0");
        stage_down();

        stage_up(PEER_HTTP_1, is_tls == 1);
        struct peer_head head = stage_request_head("GET", true);
        head.fields[head.field_count++] = (struct peer_field){TEXT("connection"), TEXT("close")};
        struct stage_actor *client = stage_actor_add('c');
        client->stream = peer_request(stage.client, &head, &stage_stream_events, client);
        assert_string_equal(stage_told(), "s0=GET:/x:h,connection:close s0.");
        stage_answer(&stage.servers[0], "x");
        assert_string_equal(stage_told(), "S!0 c0=200,connection:close c0[x] c0. C!0");
        stage_down();
    }
}

static void test_pipelining(void **state)
{
    (void)state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        stage_up(PEER_HTTP_1, is_tls == 1);
        stage_request("GET", true);
        assert_false(peer_can_send(stage.client));
        peer_pipeline(stage.client);
        struct stage_actor *second = stage_request("POST", false);
        assert_false(peer_can_send(stage.client));
        peer_send_body(second->stream, TEXT("abc"));
        peer_send_end(second->stream, NULL);
        stage_request("GET", true);
        assert_string_equal(stage_told(), "s0=GET:/x:h s0.");
        stage_answer(&stage.servers[0], "x");
        assert_string_equal(stage_told(), "s1=POST:/x:h s1[abc] s1. c0=200 c0[x] c0.");
        stage_answer(&stage.servers[1], "y");
        assert_string_equal(stage_told(), "s2=GET:/x:h s2. c1=200 c1[y] c1.");
        peer_abort(stage.server);
        stage.server = NULL;
        assert_string_equal(stage_told(), "c2!1 C!1");
        stage_down();
    }
}

/* Returns how much was taken in all. */
static size_t send_as_it_is_taken(struct stage_actor *actor, size_t length)
{
    size_t sent = 0;
    for (;;) {
        sent += peer_send_body(actor->stream, text_of(long_body + sent, length - sent));
        uint64_t before = stage.used;
        stage_run_ms(100);
        if (sent == length || stage.used == before)
            return sent;
    }
}

static void test_a_pause_holds_the_sender(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("GET", true);
        stage_told();
        peer_stream_pause(client->stream, true);
        stage_answer_head(&stage.servers[0], 200, false);
        size_t sent = send_as_it_is_taken(&stage.servers[0], LONG_BYTES);
        assert_in_range(sent, 60000, 1500000);
        assert_int_equal(client->body_length, 0);
        stage_told();
        peer_stream_pause(client->stream, false);
        stage_told();
        sent += send_as_it_is_taken(&stage.servers[0], LONG_BYTES - sent);
        assert_int_equal(sent, LONG_BYTES);
        peer_send_end(stage.servers[0].stream, NULL);
        const char *told = stage_told();
        assert_non_null(strstr(told, " c0[#3000000] c0."));
        stage_down();
    }
}

/* What came whole while the owner did not listen is told when it does. */
static void test_an_end_waits_for_a_pause(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        struct peer_head trailers = {.field_count = 1, .fields = {{TEXT("a"), TEXT("b")}}};
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("GET", true);
        stage_told();
        stage_answer_head(&stage.servers[0], 200, false);
        assert_string_equal(stage_told(), "c0=200");
        peer_stream_pause(client->stream, true);
        peer_send_body(stage.servers[0].stream, TEXT("held"));
        peer_send_end(stage.servers[0].stream, &trailers);
        assert_string_equal(stage_told(), "");
        peer_stream_pause(client->stream, false);
        assert_string_equal(stage_told(), "c0[held] c0~a=b c0.");
        stage_down();
    }
}

static void test_a_stream_goes_on_when_another_is_told(void **state)
{
    (void)state;
    stage_up(PEER_HTTP_2, false);
    struct stage_actor *first = stage_request("GET", true);
    struct stage_actor *second = stage_request("GET", true);
    peer_stream_pause(first->stream, true);
    second->resumes = first;
    stage_told();
    stage_answer(&stage.servers[0], "one");
    assert_string_equal(stage_told(), "c0=200");
    stage_answer(&stage.servers[1], "two");
    assert_string_equal(stage_told(), "c1=200 c1[two] c1. c0[one] c0.");
    stage_down();
}

static void test_a_frozen_process(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        peer_freeze(stage.server, true);
        stage_answer(&stage.servers[0], "late");
        assert_string_equal(stage_told(), "");
        peer_freeze(stage.server, false);
        assert_string_equal(stage_told(), "c0=200 c0[late] c0.");
        peer_freeze(stage.server, true);
        stage_request("GET", true);
        assert_string_equal(stage_told(), "");
        peer_freeze(stage.server, false);
        assert_string_equal(stage_told(), "s1=GET:/x:h s1.");
        stage_down();
    }
}

static void test_a_cable_that_is_cut(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        peer_cut(stage.server);
        stage_answer(&stage.servers[0], "lost");
        assert_string_equal(stage_told(), "");
        stage_down();
    }
}

static void test_the_end_of_a_connection(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("POST", false);
        stage_told();
        peer_destroy(stage.server);
        stage.server = NULL;
        assert_string_equal(stage_told(), at->version == PEER_HTTP_2 ? "c0!0 C!0" : "c0!0 C!0");
        /* What was owned is still there to be spoken to. */
        stage_answer(&stage.servers[0], "nobody hears it");
        assert_string_equal(stage_told(), "");
        stage_down();

        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        peer_abort(stage.client);
        stage.client = NULL;
        assert_string_equal(stage_told(), "s0?1 S!1");
        stage_down();
    }
}

static void test_a_peer_that_is_destroyed_while_it_is_told(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("GET", true)->destroys = true;
        stage_told();
        stage_answer(&stage.servers[0], "the last");
        const char *told = stage_told();
        assert_string_equal(told, "c0=200 S!0");
        stage_down();
    }
}

static void test_nobody_listens(void **state)
{
    (void)state;
    stage_begin(1, PEER_HTTP_2);
    stage_open(false);
    struct address address = sim_address(STAGE_SERVER, STAGE_PORT + 1);
    stage.client = peer_connect(2000, &address, PEER_HTTP_2, NULL, &stage_client_events, &stage.client);
    stage_request("GET", true);
    assert_string_equal(stage_told(), "c0!4 C!4");
    stage_down();
}

/* A server of HTTP/1.1 alone does not take the preface for a fault. */
static void test_versions_that_do_not_meet(void **state)
{
    (void)state;
    stage_begin(1, PEER_HTTP_1);
    stage_open(false);
    stage_connect(PEER_HTTP_2);
    stage_request("GET", true);
    assert_string_equal(stage_told(), "S!0 c0!0 C!0");
    stage_down();
    stage_begin(1, PEER_HTTP_2);
    stage_open(false);
    stage_connect(PEER_HTTP_1);
    stage_request("GET", true);
    assert_string_equal(stage_told(), "s0=GET:/x:h s0.");
    stage_down();
    stage_begin(1, PEER_HTTP_2);
    stage_open(true);
    stage_connect(PEER_HTTP_1);
    stage_request("GET", true);
    assert_string_equal(stage_told(), "s0=GET:/x:h s0.");
    stage_down();
}

static void test_half_close(void **state)
{
    (void)state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        stage_up(PEER_HTTP_1, is_tls == 1);
        stage_request("GET", true);
        peer_half_close(stage.client);
        assert_string_equal(stage_told(), "s0=GET:/x:h s0. s0?0 S!0 c0!0 C!0");
        stage_down();
    }
}

static void test_a_drain_of_a_connection_without_a_request(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_run_ms(100);
        peer_drain(stage.server);
        assert_string_equal(stage_told(), "S!0 C!0");
        stage_down();

        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        stage_answer(&stage.servers[0], "x");
        stage_told();
        peer_drain(stage.server);
        assert_string_equal(stage_told(), "S!0 C!0");
        stage_down();
    }
}

static void test_an_answer_says_that_it_is_the_last(void **state)
{
    (void)state;
    stage_up(PEER_HTTP_1, false);
    stage_request("GET", true);
    stage_told();
    struct peer_head head = {.status = 503, .is_whole = true, .field_count = 1, .fields = {{TEXT("connection"), TEXT("close")}}};
    peer_respond(stage.servers[0].stream, &head);
    assert_string_equal(stage_told(), "S!0 c0=503/,connection:close c0. C!0");
    stage_down();
}

/* HTTP/1: the rest of the request is heard behind the answer, and the connection lives. */
static void test_an_early_answer(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        struct stage_actor *client = stage_request("POST", false);
        peer_send_body(client->stream, TEXT("first "));
        stage_told();
        stage_answer(&stage.servers[0], "early");
        assert_string_equal(stage_told(), "c0=200 c0[early] c0.");
        peer_send_body(client->stream, TEXT("second"));
        peer_send_end(client->stream, NULL);
        assert_string_equal(stage_told(), "s0[first second] s0.");
        stage_request("GET", true);
        assert_string_equal(stage_told(), "s1=GET:/x:h s1.");
        stage_down();
    }
}

/* What a killed process had in its kernel arrives; TLS then lacks its last word. */
static void test_a_frozen_process_that_is_killed(void **state)
{
    (void)state;
    FOR_EACH_SETTING(at)
    {
        stage_up(at->version, at->is_tls);
        stage_request("GET", true);
        stage_told();
        peer_freeze(stage.server, true);
        peer_destroy(stage.server);
        stage.server = NULL;
        assert_string_equal(stage_told(), at->is_tls ? "c0!1 C!1" : "c0!0 C!0");
        stage_down();
    }
}

int main(void)
{
    for (size_t i = 0; i < LONG_BYTES; i++)
        long_body[i] = (char)('a' + i % 26);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_and_its_answer),
        cmocka_unit_test(test_bodies_and_trailers_both_ways),
        cmocka_unit_test(test_an_answer_without_a_body),
        cmocka_unit_test(test_a_reset_of_a_stream),
        cmocka_unit_test(test_a_release_cuts_what_is_not_over),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_a_connection_that_closes_with_its_answer),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_a_pause_holds_the_sender),
        cmocka_unit_test(test_an_end_waits_for_a_pause),
        cmocka_unit_test(test_a_stream_goes_on_when_another_is_told),
        cmocka_unit_test(test_a_frozen_process),
        cmocka_unit_test(test_a_cable_that_is_cut),
        cmocka_unit_test(test_the_end_of_a_connection),
        cmocka_unit_test(test_a_peer_that_is_destroyed_while_it_is_told),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_versions_that_do_not_meet),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_a_drain_of_a_connection_without_a_request),
        cmocka_unit_test(test_an_answer_says_that_it_is_the_last),
        cmocka_unit_test(test_an_early_answer),
        cmocka_unit_test(test_a_frozen_process_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
