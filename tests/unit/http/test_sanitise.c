/* What must not travel past this hop, what must, and what a proxy adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/sanitise.h"

#define ROOM (MESSAGE_FIELDS_MAXIMUM + 8)

/* Fills `head` from "Name: value" lines. */
static void parse_fields(struct message_head *head, const char *lines)
{
    struct text rest = text_of_string(lines);
    head->field_count = 0;
    while (rest.bytes != NULL && rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        struct text name = text_cut(&value, ':');
        assert_true(message_add(head, MESSAGE_FIELDS_MAXIMUM, header_name_of(name), name, text_trim(value)));
    }
}

/* The same lines back. */
static const char *print_fields(const struct message_head *head)
{
    static char lines[8192];
    size_t used = 0;
    lines[0] = '\0';
    for (size_t i = 0; i < head->field_count; i++)
        used = text_append(lines, sizeof lines, used, "%.*s: %.*s\n", TEXT_ARGUMENTS(head->fields[i].name),
                           TEXT_ARGUMENTS(head->fields[i].value));
    return lines;
}

struct stripped {
    bool is_accepted;
    bool keep_alive;
    const char *fields;
};

static struct stripped strip(const char *lines, bool is_http10)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct message_head head = {.fields = fields, .version = is_http10 ? MESSAGE_HTTP_1_0 : MESSAGE_HTTP_1_1};
    struct stripped result = {.keep_alive = false};
    parse_fields(&head, lines);
    result.is_accepted = sanitise_strip_hop_by_hop(&head, &result.keep_alive);
    result.fields = print_fields(&head);
    return result;
}

static void fields_of_one_hop_are_removed(void **state)
{
    (void)state;
    static const char *const hop[] = {
        "Connection: close",          "Keep-Alive: timeout=5",     "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic", "Proxy-Authenticate: Basic", "TE: trailers",
        "Trailer: X-Sum",             "Transfer-Encoding: chunked", "Content-Length: 5",
        "Upgrade: h2c",               "HTTP2-Settings: AAA",       "Expect: 100-continue",
        "Host: h",                    "hOsT: h",                   "PROXY-CONNECTION: close",
    };
    for (size_t i = 0; i < sizeof hop / sizeof hop[0]; i++) {
        char lines[200];
        snprintf(lines, sizeof lines, "X-Before: 1\n%s\nX-After: 2\n", hop[i]);
        struct stripped result = strip(lines, false);
        assert_true(result.is_accepted);
        assert_string_equal(result.fields, "X-Before: 1\nX-After: 2\n");
    }
}

static void fields_of_the_message_stay_in_their_order(void **state)
{
    (void)state;
    static const char all[] = "Authorization: Token t\nContent-Type: text/plain\nCookie: a=b\nContent-Encoding: gzip\n"
                              "Accept-Encoding: gzip\nX-A: 1\nX-A: 2\nVia: 1.1 p\nUser-Agent: Telegraf\nDate: d\n"
                              "X-Forwarded-For: 1.2.3.4\nRetry-After: 3\nTransfer-Encoding-X: 1\nX-Empty: \n";
    struct stripped result = strip(all, false);
    assert_true(result.is_accepted);
    assert_string_equal(result.fields, all);
}

static void what_connection_names_goes_with_it(void **state)
{
    (void)state;
    struct stripped result = strip("Connection: X-Foo, close\nx-foo: 1\nX-Bar: 2\nX-FOO: 3\nX-Foo-Bar: 4\n", false);
    assert_true(result.is_accepted);
    assert_string_equal(result.fields, "X-Bar: 2\nX-Foo-Bar: 4\n");
    assert_false(result.keep_alive);
    /* A field may be named before and after it stands there, and in several Connection fields. */
    result = strip("X-A: 1\nConnection: \tX-A ,,X-B\t\nX-C: 1\nConnection: X-C\nX-B: 1\n", false);
    assert_true(result.is_accepted);
    assert_string_equal(result.fields, "");
    assert_true(result.keep_alive);
}

/* Connection must not be a way to strip who is asking, or what the node believes about the client. */
static void connection_cannot_take_away_what_the_node_needs(void **state)
{
    (void)state;
    static const char *const protected[] = {
        "Authorization", "Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Content-Encoding", "Cookie",
        "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Request-Id",
        "X-Sluice-Node", "aUTHORIZATION", "cOOKIE",
    };
    for (size_t i = 0; i < sizeof protected / sizeof protected[0]; i++) {
        char lines[200];
        snprintf(lines, sizeof lines, "X-A: 1\nConnection: close, %s\n", protected[i]);
        assert_false(strip(lines, false).is_accepted);
        snprintf(lines, sizeof lines, "Connection: close\nConnection:\t%s\t,\n", protected[i]);
        assert_false(strip(lines, false).is_accepted);
        /* Only as a whole name. */
        snprintf(lines, sizeof lines, "Connection: %s-x\n", protected[i]);
        assert_true(strip(lines, false).is_accepted);
    }
}

static void a_connection_field_of_many_options_is_refused(void **state)
{
    (void)state;
    char lines[400] = "Connection: x0";
    size_t used = strlen(lines);
    for (int i = 1; i < 16; i++)
        used = text_append(lines, sizeof lines, used, ", x%d", i);
    assert_true(strip(lines, false).is_accepted);
    text_append(lines, sizeof lines, used, ", close, keep-alive");
    assert_true(strip(lines, false).is_accepted);
    text_append(lines, sizeof lines, used, ", x16");
    assert_false(strip(lines, false).is_accepted);
}

static void who_keeps_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool http11;
        bool http10;
    } cases[] = {
        {"", true, false},
        {"Connection: close\n", false, false},
        {"Connection: CLOSE\n", false, false},
        {"Connection: close\t\n", false, false},
        {"Connection: \t close\n", false, false},
        {"Connection: ,close,\n", false, false},
        {"Connection: keep-alive\n", true, true},
        {"Connection: Keep-Alive\n", true, true},
        {"Connection: keep-alive, close\n", false, false},
        {"Connection: keep-alive\nConnection: close\n", false, false},
        {"Connection: x-close\n", true, false},
        {"Connection: closed\n", true, false},
        {"Connection: \n", true, false},
        /* No other field decides it. */
        {"Proxy-Connection: close\n", true, false},
        {"Proxy-Connection: keep-alive\n", true, false},
        {"Keep-Alive: timeout=5\n", true, false},
        {"X-Connection: close\n", true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stripped result = strip(cases[i].lines, false);
        assert_true(result.is_accepted);
        if (result.keep_alive != cases[i].http11)
            fail_msg("HTTP/1.1 with \"%s\"", cases[i].lines);
        if (strip(cases[i].lines, true).keep_alive != cases[i].http10)
            fail_msg("HTTP/1.0 with \"%s\"", cases[i].lines);
    }
}

/* ---- the request that goes on ---- */

struct forwarded {
    enum fault fault;
    const char *fields;
};

static const struct sanitise_context plain_context = {
    .client_host = {"192.0.2.7", 9},
    .scheme = {"http", 4},
    .via = {"1.1 sluice-0badcafe", 19},
    .request_id = {"id-1", 4},
};

static struct forwarded forward(const char *lines, bool trust)
{
    static struct header_field in_fields[MESSAGE_FIELDS_MAXIMUM];
    static struct header_field out_fields[ROOM];
    static struct sanitise_room room;
    struct sanitise_context context = plain_context;
    struct message_head in = {.fields = in_fields, .authority = TEXT("db.example:8181"), .method = TEXT("GET")};
    struct message_head out = {.fields = out_fields};
    context.trust_forwarded = trust;
    room.used = 0;
    parse_fields(&in, lines);
    struct forwarded result = {.fault = sanitise_request(&in, &context, &room, &out)};
    if (result.fault != FAULT_NONE)
        return result;
    result.fields = print_fields(&out);
    assert_ptr_equal(out.fields, out_fields);
    assert_true(text_equals(out.method, in.method));
    assert_true(text_equals(out.authority, in.authority));
    return result;
}

static void assert_forwards(const char *lines, bool trust, const char *expected)
{
    struct forwarded result = forward(lines, trust);
    assert_int_equal(result.fault, FAULT_NONE);
    assert_string_equal(result.fields, expected);
}

static void a_request_says_who_asked_and_how_it_came(void **state)
{
    (void)state;
    assert_forwards("Authorization: Token t\n", false,
                    "Authorization: Token t\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                    "X-Forwarded-Host: db.example:8181\nVia: 1.1 sluice-0badcafe\nX-Request-Id: id-1\n");
}

static void what_a_stranger_says_about_the_client_is_replaced(void **state)
{
    (void)state;
    assert_forwards(
        "X-Forwarded-For: 10.0.0.1\nx-real-ip: 10.0.0.1\nForwarded: for=10.0.0.1\nX-Forwarded-Proto: https\n"
        "X-Forwarded-Host: evil\nX-Request-Id: theirs\nX-Sluice-Node: n1\nX-A: 1\n",
        false,
        "X-A: 1\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: db.example:8181\n"
        "Via: 1.1 sluice-0badcafe\nX-Request-Id: id-1\n");
}

static void what_a_trusted_proxy_says_is_kept_and_continued(void **state)
{
    (void)state;
    assert_forwards(
        "X-Forwarded-For: 10.0.0.1\nX-Real-IP: 10.0.0.1\nForwarded: for=10.0.0.1\nX-Forwarded-Proto: https\n"
        "X-Forwarded-Host: front\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\n",
        true,
        "X-Real-IP: 10.0.0.1\nForwarded: for=10.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: front\n"
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7\nVia: 1.1 sluice-0badcafe\n"
        "X-Request-Id: id-1\n");
}

static void via_grows_and_a_loop_is_seen(void **state)
{
    (void)state;
    assert_forwards("Via: 1.0 fred, 1.1 p.example (Apache)\nVia: 2 other\n", false,
                    "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: db.example:8181\n"
                    "Via: 1.0 fred, 1.1 p.example (Apache), 2 other, 1.1 sluice-0badcafe\nX-Request-Id: id-1\n");
    static const char *const loops[] = {
        "Via: 1.1 sluice-0badcafe\n",
        "Via: 1.0 sluice-0badcafe\n",
        "Via: 2 sluice-0badcafe (comment)\n",
        "Via: 1.1 a, 1.1 sluice-0badcafe, 1.1 b\n",
        "Via: 1.1 a\nX-A: 1\nVia: 1.1\tb,HTTP/1.1  sluice-0badcafe\n",
    };
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        assert_int_equal(forward(loops[i], false).fault, FAULT_REQUEST_LOOP);
        assert_int_equal(forward(loops[i], true).fault, FAULT_REQUEST_LOOP);
    }
    static const char *const others[] = {
        "Via: 1.1 sluice-0badcaff\n", "Via: 1.1 sluice-0badcafe2\n", "Via: 1.1 sluice\n", "Via: sluice-0badcafe\n",
        "Via: \n",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(forward(others[i], false).fault, FAULT_NONE);
}

static void a_chain_of_proxies_has_a_bound(void **state)
{
    (void)state;
    char lines[1400] = "Via: ";
    memset(lines + 5, 'v', sizeof lines - 6);
    lines[5 + 400] = '\0';
    assert_int_equal(forward(lines, false).fault, FAULT_NONE);
    lines[5 + 400] = 'v';
    assert_int_equal(forward(lines, false).fault, FAULT_REQUEST_HEAD_TOO_LARGE);
    memcpy(lines, "X-Forwarded-For: ", 17);
    assert_int_equal(forward(lines, true).fault, FAULT_REQUEST_HEAD_TOO_LARGE);
    assert_int_equal(forward(lines, false).fault, FAULT_NONE);
}

static void a_full_head_has_room_for_what_is_added(void **state)
{
    (void)state;
    static char lines[MESSAGE_FIELDS_MAXIMUM * 10];
    size_t used = 0;
    for (int i = 0; i < MESSAGE_FIELDS_MAXIMUM; i++)
        used = text_append(lines, sizeof lines, used, "X-F: %d\n", i);
    struct forwarded result = forward(lines, false);
    assert_int_equal(result.fault, FAULT_NONE);
    assert_non_null(strstr(result.fields, "X-F: 255\nX-Forwarded-For: 192.0.2.7\n"));
    assert_non_null(strstr(result.fields, "X-Request-Id: id-1\n"));
}

static void a_request_without_host_gets_no_forwarded_host(void **state)
{
    (void)state;
    struct header_field fields[ROOM];
    struct sanitise_room room = {.used = 0};
    struct message_head in = {.version = MESSAGE_HTTP_1_0};
    struct message_head out = {.fields = fields};
    assert_int_equal(sanitise_request(&in, &plain_context, &room, &out), FAULT_NONE);
    assert_string_equal(print_fields(&out), "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                                            "Via: 1.1 sluice-0badcafe\nX-Request-Id: id-1\n");
}

/* ---- the response that goes back ---- */

static const char *respond(const char *lines, bool drop_retry_after)
{
    static struct header_field in_fields[MESSAGE_FIELDS_MAXIMUM];
    static struct header_field out_fields[ROOM];
    struct message_head in = {.fields = in_fields, .status = 207};
    struct message_head out = {.fields = out_fields};
    parse_fields(&in, lines);
    sanitise_response(&in, TEXT("id-1"), TEXT("query-01"), drop_retry_after, &out);
    assert_int_equal(out.status, 207);
    return print_fields(&out);
}

static void a_response_names_its_request_and_its_node(void **state)
{
    (void)state;
    assert_string_equal(respond("Content-Type: a/b\nX-Influxdb-Version: 3\n", false),
                        "Content-Type: a/b\nX-Influxdb-Version: 3\nX-Request-Id: id-1\nX-Sluice-Node: query-01\n");
    /* The node's own id is the better one; the name of the node is ours to give. */
    assert_string_equal(respond("x-request-id: theirs\nX-Sluice-Node: liar\n", false),
                        "x-request-id: theirs\nX-Sluice-Node: query-01\n");
}

static void retry_after_travels_only_where_it_is_understood(void **state)
{
    (void)state;
    assert_string_equal(respond("Retry-After: 9\nX-A: 1\n", false),
                        "Retry-After: 9\nX-A: 1\nX-Request-Id: id-1\nX-Sluice-Node: query-01\n");
    assert_string_equal(respond("Retry-After: 9\nX-A: 1\nretry-after: 8\n", true),
                        "X-A: 1\nX-Request-Id: id-1\nX-Sluice-Node: query-01\n");
}

/* They come behind the body, when every decision that a head brings about has been made. */
static void trailers_travel_without_what_belongs_into_a_head(void **state)
{
    (void)state;
    static struct header_field in_fields[MESSAGE_FIELDS_MAXIMUM];
    static struct header_field out_fields[ROOM];
    struct message_head in = {.fields = in_fields, .version = MESSAGE_HTTP_2, .status = 200, .body = BODY_STREAM};
    struct message_head out = {.fields = out_fields};
    parse_fields(&in, "grpc-status: 0\ngrpc-message: a%20b\nConnection: close\nKeep-Alive: 1\nTransfer-Encoding: chunked\n"
                      "Content-Length: 5\nTrailer: x\nTE: trailers\nUpgrade: h2c\nHost: h\nExpect: 100-continue\n"
                      "Proxy-Connection: close\nContent-Type: text/html\nContent-Encoding: gzip\nAuthorization: Bearer t\n"
                      "Cookie: a\nForwarded: for=a\nVia: 1.1 a\nX-Forwarded-For: 1.2.3.4\nX-Real-IP: 1.2.3.4\n"
                      "X-Request-Id: other\nX-Sluice-Node: other\ngrpc-status-details-bin: AAEC\n"
                      "x-influxdata-execution-duration-seconds: 0.5\nx-empty:");
    /* A field without a name, or with one that only a frame may carry, cannot come from a codec; it goes no further. */
    assert_true(message_add(&in, MESSAGE_FIELDS_MAXIMUM, HEADER_OTHER, TEXT(":status"), TEXT("500")));
    assert_true(message_add(&in, MESSAGE_FIELDS_MAXIMUM, HEADER_OTHER, TEXT_EMPTY, TEXT("x")));
    sanitise_trailers(&in, &out);
    assert_string_equal(print_fields(&out), "grpc-status: 0\ngrpc-message: a%20b\ngrpc-status-details-bin: AAEC\n"
                                            "x-influxdata-execution-duration-seconds: 0.5\nx-empty: \n");
    assert_int_equal(out.status, 0);
    assert_int_equal(out.body, BODY_NONE);
    in.field_count = 0;
    sanitise_trailers(&in, &out);
    assert_int_equal(out.field_count, 0);
}

static void a_request_id_is_short_and_visible(void **state)
{
    (void)state;
    char longest[130];
    memset(longest, 'a', sizeof longest);
    assert_true(sanitise_is_request_id(TEXT("a")));
    assert_true(sanitise_is_request_id(TEXT("0af7651916cd43dd-8448eb211c80319c")));
    assert_true(sanitise_is_request_id(TEXT("!~\"\\")));
    assert_true(sanitise_is_request_id(text_of(longest, 128)));
    assert_false(sanitise_is_request_id(text_of(longest, 129)));
    assert_false(sanitise_is_request_id(TEXT_EMPTY));
    for (int c = 0; c < 256; c++) {
        char id[3] = {'a', (char)c, 'b'};
        assert_int_equal(sanitise_is_request_id(text_of(id, 3)), c > ' ' && c < 0x7f);
        assert_int_equal(sanitise_is_request_id(text_of(id + 1, 1)), c > ' ' && c < 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_one_hop_are_removed),
        cmocka_unit_test(fields_of_the_message_stay_in_their_order),
        cmocka_unit_test(what_connection_names_goes_with_it),
        cmocka_unit_test(connection_cannot_take_away_what_the_node_needs),
        cmocka_unit_test(a_connection_field_of_many_options_is_refused),
        cmocka_unit_test(who_keeps_the_connection),
        cmocka_unit_test(a_request_says_who_asked_and_how_it_came),
        cmocka_unit_test(what_a_stranger_says_about_the_client_is_replaced),
        cmocka_unit_test(what_a_trusted_proxy_says_is_kept_and_continued),
        cmocka_unit_test(via_grows_and_a_loop_is_seen),
        cmocka_unit_test(a_chain_of_proxies_has_a_bound),
        cmocka_unit_test(a_full_head_has_room_for_what_is_added),
        cmocka_unit_test(a_request_without_host_gets_no_forwarded_host),
        cmocka_unit_test(a_response_names_its_request_and_its_node),
        cmocka_unit_test(retry_after_travels_only_where_it_is_understood),
        cmocka_unit_test(trailers_travel_without_what_belongs_into_a_head),
        cmocka_unit_test(a_request_id_is_short_and_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
