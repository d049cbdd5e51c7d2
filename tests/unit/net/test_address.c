/* Addresses as data: parsed, printed, compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/address.h"
#include "net/socket.h"

static struct address parse(const char *host, uint16_t port)
{
    struct address address;
    assert_true(address_parse(host, port, &address));
    return address;
}

static void literals_are_parsed_and_printed(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *whole;
        const char *bare;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:8181", "127.0.0.1"},
        {"255.255.255.255", "255.255.255.255:8181", "255.255.255.255"},
        {"", "0.0.0.0:8181", "0.0.0.0"},
        {"*", "0.0.0.0:8181", "0.0.0.0"},
        {"::1", "[::1]:8181", "::1"},
        {"::", "[::]:8181", "::"},
        {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:8181", "2001:db8::1"},
        /* Dual-stack sockets show IPv4 clients like this; nobody else should have to know. */
        {"::ffff:192.0.2.1", "192.0.2.1:8181", "192.0.2.1"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", "[1111:2222:3333:4444:5555:6666:7777:8888]:8181",
         "1111:2222:3333:4444:5555:6666:7777:8888"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address address = parse(cases[i].host, 8181);
        char buffer[ADDRESS_TEXT_BYTES];
        assert_ptr_equal(address_format(&address, buffer, sizeof buffer), buffer);
        assert_string_equal(buffer, cases[i].whole);
        assert_string_equal(address_format_host(&address, buffer, sizeof buffer), cases[i].bare);
        assert_int_equal(address_port(&address), 8181);
    }
}

static void the_longest_text_fits_its_buffer(void **state)
{
    (void)state;
    struct address address = parse("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
    char buffer[ADDRESS_TEXT_BYTES];
    address_format(&address, buffer, sizeof buffer);
    assert_string_equal(buffer, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

/* What the memory held before does not shine through: the kernel reads all of it. */
static void nothing_of_the_memory_before_is_left(void **state)
{
    (void)state;
    struct address dirty;
    memset(&dirty, 0xff, sizeof dirty);
    assert_true(address_parse("2001:db8::1", 80, &dirty));
    assert_int_equal(dirty.socket.v6.sin6_flowinfo, 0);
    assert_int_equal(dirty.socket.v6.sin6_scope_id, 0);
    struct address clean = parse("2001:db8::1", 80);
    assert_memory_equal(&dirty, &clean, sizeof clean);
}

static void names_and_nonsense_are_no_literals(void **state)
{
    (void)state;
    static const char *const bad[] = {"localhost", "127.0.0", "127.0.0.1.", "127.0.0.256",  "1",          "[::1]",
                                      "::1%lo",    ":::",     " 127.0.0.1", "127.0.0.1:80", "0x7f.0.0.1", "**"};
    struct address address;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (address_parse(bad[i], 1, &address))
            fail_msg("%s is taken for an address", bad[i]);
    }
}

static void loopback_is_told(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.2"};
    static const char *const others[] = {
        "128.0.0.1", "126.255.255.255", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1", "fe80::1"};
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
        struct address address = parse(loopback[i], 1);
        assert_true(address_is_loopback(&address));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct address address = parse(others[i], 1);
        assert_false(address_is_loopback(&address));
    }
}

static bool same(const char *a, const char *b)
{
    struct address first = parse(a, 1);
    struct address second = parse(b, 2);
    assert_int_equal(address_same_host(&first, &second), address_same_host(&second, &first));
    return address_same_host(&first, &second);
}

static void hosts_are_compared_without_their_ports(void **state)
{
    (void)state;
    assert_true(same("192.0.2.1", "192.0.2.1"));
    assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
    assert_true(same("2001:db8::1", "2001:db8:0::1"));
    assert_false(same("192.0.2.1", "192.0.2.2"));
    assert_false(same("192.0.2.1", "::ffff:192.0.2.2"));
    assert_false(same("192.0.2.1", "2001:db8::1"));
    assert_false(same("2001:db8::1", "2001:db8::2"));
    /* The old compatible form is no IPv4 address. */
    assert_false(same("192.0.2.1", "::192.0.2.1"));
}

static void no_address_is_like_nothing(void **state)
{
    (void)state;
    struct address none = {.length = 0};
    struct address some = parse("127.0.0.1", 80);
    char buffer[ADDRESS_TEXT_BYTES] = "x";
    assert_int_equal(address_port(&none), 0);
    assert_false(address_is_loopback(&none));
    assert_false(address_same_host(&none, &none));
    assert_false(address_same_host(&none, &some));
    assert_string_equal(address_format_host(&none, buffer, sizeof buffer), "");
}

static void addresses_know_their_networks(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *network;
        bool is_in;
    } rows[] = {
        {"10.1.2.3", "10.0.0.0/8", true},
        {"11.1.2.3", "10.0.0.0/8", false},
        {"::ffff:10.1.2.3", "10.0.0.0/8", true},
        {"::ffff:10.1.2.3", "::/0", false},
        {"2001:db8::7", "2001:db8::/32", true},
        {"2001:db9::7", "2001:db8::/32", false},
        {"2001:db8::7", "0.0.0.0/0", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address = parse(rows[i].host, 1);
        struct network network;
        assert_int_equal(network_parse(text_of_string(rows[i].network), &network), NETWORK_GOOD);
        if (address_is_in(&address, &network) != rows[i].is_in)
            fail_msg("%s in %s", rows[i].host, rows[i].network);
    }
}

/* A client of a socket file has no address, be its own path ever so long. */
static void a_unix_domain_client_has_no_address(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0"};
    memset(name.sun_path + 1, 'x', sizeof name.sun_path - 1);
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "sluice-unit-%ld", (long)getpid());
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (int bound = 0; bound < 2; bound++) {
        struct address address;
        struct network all;
        char text[ADDRESS_TEXT_BYTES];
        if (bound != 0)
            assert_int_equal(bind(pair[1], (struct sockaddr *)&name, sizeof name), 0);
        socket_peer(pair[0], &address);
        assert_in_range(address.length, 1, sizeof address.socket);
        assert_true(address_is_unix(&address));
        assert_string_equal(address_format(&address, text, sizeof text), ADDRESS_HOST_UNIX);
        assert_string_equal(address_format_host(&address, text, sizeof text), ADDRESS_HOST_UNIX);
        assert_false(address_is_loopback(&address));
        assert_false(address_same_host(&address, &address));
        assert_int_equal(network_parse(TEXT("0.0.0.0/0"), &all), NETWORK_GOOD);
        assert_false(address_is_in(&address, &all));
    }
    close(pair[0]);
    close(pair[1]);
    struct address nobody;
    socket_peer(-1, &nobody);
    assert_int_equal(nobody.length, 0);
    assert_false(address_is_unix(&nobody));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_parsed_and_printed),
        cmocka_unit_test(the_longest_text_fits_its_buffer),
        cmocka_unit_test(nothing_of_the_memory_before_is_left),
        cmocka_unit_test(names_and_nonsense_are_no_literals),
        cmocka_unit_test(loopback_is_told),
        cmocka_unit_test(hosts_are_compared_without_their_ports),
        cmocka_unit_test(no_address_is_like_nothing),
        cmocka_unit_test(addresses_know_their_networks),
        cmocka_unit_test(a_unix_domain_client_has_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
