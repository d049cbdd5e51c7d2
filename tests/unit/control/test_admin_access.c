/* Who may ask the admin listener: by Host, by a header that no form can send, and by the token of a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin_access.h"
#include "topology/topology.h"

static struct topology topology;
static char token_file[] = "/tmp/sluice-token-XXXXXX";
static const char *error;

static int set_up(void **state)
{
    (void)state;
    topology = (struct topology){.admin_hosts = "sluice.example, Router-1"};
    snprintf(token_file, sizeof token_file, "/tmp/sluice-token-XXXXXX");
    int fd = mkstemp(token_file);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(token_file);
    return 0;
}

static void put_token(const char *words)
{
    FILE *file = fopen(token_file, "w");
    assert_non_null(file);
    fputs(words, file);
    fclose(file);
    topology.admin_token_file = token_file;
}

/* A request with one field more, or none (NULL). */
static unsigned ask(const char *method, const char *host, const char *name, const char *value)
{
    struct header_field field = {.name = TEXT_EMPTY};
    struct message_head head = {.method = text_of_string(method), .authority = text_of_string(host), .fields = &field};
    if (name != NULL) {
        field.name = text_of_string(name);
        field.value = text_of_string(value);
        field.known = header_name_of(field.name);
        head.field_count = 1;
    }
    error = NULL;
    unsigned status = admin_refuses(&topology, &head, &error);
    assert_true((status != 0) == (error != NULL));
    return status;
}

static unsigned ask_with(const char *authorization)
{
    return ask("GET", "localhost", "Authorization", authorization);
}

/* ---- Host ---- */

/* A name that an attacker's DNS points at this machine is none of these. */
static void only_known_hosts_are_served(void **state)
{
    (void)state;
    static const char *const known[] = {
        "127.0.0.1", "127.0.0.1:8180", "192.0.2.7:80", "[::1]", "[::1]:8180", "[2001:db8::7]:8180", "localhost", "LOCALHOST:8180",
        "sluice.example", "Sluice.Example:8180", "router-1",
    };
    static const char *const unknown[] = {
        "", ":8180", "evil.example", "evil.example:8180", "127.0.0.1.evil.example", "localhost.evil.example", "evil.localhost",
        "sluice.example.evil", "router", "router-1,", "sluice.example, Router-1", "127.1", "0x7f.0.0.1", "[localhost", "[::1].evil.example", "[::1]8180", "::1",
        "*", "*:8180",
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (ask("GET", known[i], NULL, NULL) != 0)
            fail_msg("%s is not served", known[i]);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        if (ask("GET", unknown[i], NULL, NULL) != 403)
            fail_msg("%s is served", unknown[i]);
    }
    topology.admin_hosts = NULL;
    assert_int_equal(ask("GET", "sluice.example", NULL, NULL), 403);
    assert_int_equal(ask("GET", "localhost", NULL, NULL), 0);
}

/* The token is no reason to answer a web page. */
static void the_token_does_not_replace_the_host(void **state)
{
    (void)state;
    put_token("secret\n");
    assert_int_equal(ask("GET", "evil.example", "Authorization", "Bearer secret"), 403);
}

/* ---- methods and the header ---- */

static void a_change_needs_the_header(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "localhost", NULL, NULL), 403);
    assert_non_null(strstr(error, "X-Sluice-Admin"));
    assert_int_equal(ask("POST", "localhost", "X-Sluice-Admin", "1"), 0);
    assert_int_equal(ask("POST", "localhost", "x-sluice-admin", "1"), 0);
    assert_int_equal(ask("POST", "localhost", "X-Sluice-Admins", "1"), 403);
    assert_int_equal(ask("GET", "localhost", NULL, NULL), 0);
}

static void other_methods_and_bodies_are_refused(void **state)
{
    (void)state;
    static const char *const methods[] = {"PUT", "DELETE", "OPTIONS", "HEAD", "get", "POSTS", ""};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        assert_int_equal(ask(methods[i], "localhost", "X-Sluice-Admin", "1"), 405);
    struct message_head head = {.method = TEXT("POST"), .authority = TEXT("localhost"), .body = BODY_LENGTH};
    assert_int_equal(admin_refuses(&topology, &head, &error), 405);
}

/* ---- the token ---- */

static void with_a_token_file_every_request_needs_the_token(void **state)
{
    (void)state;
    put_token("secret\n");
    assert_int_equal(ask("GET", "localhost", NULL, NULL), 401);
    assert_int_equal(ask("POST", "localhost", "X-Sluice-Admin", "1"), 401);
    assert_int_equal(ask("POST", "localhost", "Authorization", "Bearer secret"), 0);
    assert_int_equal(ask_with("Bearer secret"), 0);
    assert_int_equal(ask_with("bearer   secret "), 0);
    static const char *const wrong[] = {
        "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "secret", "Token secret", "Bearer secret secret",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (ask_with(wrong[i]) != 401)
            fail_msg("%s gets in", wrong[i]);
    }
}

/* user:secret, :secret, u:sec:ret; RFC 7617. */
static void the_password_of_basic_is_the_token(void **state)
{
    (void)state;
    put_token("secret\n");
    assert_int_equal(ask_with("Basic dXNlcjpzZWNyZXQ="), 0);
    assert_int_equal(ask_with("basic OnNlY3JldA=="), 0);
    static const char *const wrong[] = {
        "Basic", "Basic ", "Basic c2VjcmV0", /* secret, without a user */ "Basic dXNlcjpzZWNyZXQ", "Basic dXNlcjo=", "Basic ====",
        "Basic !!!!", "Basic c2VjcmV0OnVzZXI=", /* secret:user */ "Basic secret", "Basic =",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (ask_with(wrong[i]) != 401)
            fail_msg("%s gets in", wrong[i]);
    }
    put_token("sec:ret\n");
    assert_int_equal(ask_with("Basic dTpzZWM6cmV0"), 0);
}

static void basic_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char value[16384] = "Basic ";
    put_token("secret\n");
    memset(value + 6, 'A', 8192);
    assert_int_equal(ask_with(value), 401);
    value[6 + 5464] = '\0';
    assert_int_equal(ask_with(value), 401);
}

/* The file may be changed in place: it is read for each request. */
static void the_token_is_the_first_line_of_the_file(void **state)
{
    (void)state;
    put_token("  first \r\nsecond\n");
    assert_int_equal(ask_with("Bearer first"), 0);
    assert_int_equal(ask_with("Bearer second"), 401);
    put_token("second");
    assert_int_equal(ask_with("Bearer first"), 401);
    assert_int_equal(ask_with("Bearer second"), 0);
}

/* Nobody gets in by sending nothing. */
static void without_a_token_in_the_file_nobody_gets_in(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n", "   \nsecret\n"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        put_token(empty[i]);
        assert_int_equal(ask_with("Bearer "), 503);
        assert_int_equal(ask_with("Basic Og=="), 503);
        assert_int_equal(ask("POST", "localhost", "X-Sluice-Admin", "1"), 503);
    }
    topology.admin_token_file = "/nowhere/at/all";
    assert_int_equal(ask_with("Bearer "), 503);
    assert_non_null(strstr(error, "admin.token_file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(only_known_hosts_are_served),
        TEST(the_token_does_not_replace_the_host),
        TEST(a_change_needs_the_header),
        TEST(other_methods_and_bodies_are_refused),
        TEST(with_a_token_file_every_request_needs_the_token),
        TEST(the_password_of_basic_is_the_token),
        TEST(basic_that_is_too_long_is_refused),
        TEST(the_token_is_the_first_line_of_the_file),
        TEST(without_a_token_in_the_file_nobody_gets_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
