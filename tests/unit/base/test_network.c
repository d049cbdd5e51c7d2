/* Networks as data: parsed strictly, printed, asked. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/network.h"

static bool contains(const struct network *network, const char *address)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, address, bytes) == 1)
        return network_contains(network, bytes, 4);
    assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
    return network_contains(network, bytes, 16);
}

static void networks_know_their_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *printed;
        const char *inside[2];
        const char *outside[3];
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0", "::a00:1"}},
        {"192.0.2.128/25", "192.0.2.128/25", {"192.0.2.128", "192.0.2.255"}, {"192.0.2.127", "192.0.3.128", "::1"}},
        {"192.0.2.7", "192.0.2.7", {"192.0.2.7", "192.0.2.7"}, {"192.0.2.6", "192.0.2.8", "::"}},
        {"192.0.2.6/31", "192.0.2.6/31", {"192.0.2.6", "192.0.2.7"}, {"192.0.2.5", "192.0.2.8", "::"}},
        {"0.0.0.0/0", "0.0.0.0/0", {"0.0.0.0", "255.255.255.255"}, {"::", "::1", "2001:db8::1"}},
        {"::/0", "::/0", {"::", "2001:db8::1"}, {"0.0.0.0", "127.0.0.1", "255.255.255.255"}},
        {"2001:db8::/33", "2001:db8::/33", {"2001:db8::1", "2001:db8:7fff::"}, {"2001:db8:8000::", "2001:db9::", "::"}},
        {"::1/128", "::1", {"::1", "::1"}, {"::", "::2", "0.0.0.1"}},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8", {"10.0.0.0", "10.1.2.3"}, {"11.0.0.0", "::", "::1"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct network network;
        char buffer[NETWORK_TEXT_BYTES];
        assert_int_equal(network_parse(text_of_string(rows[i].text), &network), NETWORK_GOOD);
        assert_string_equal(network_format(&network, buffer, sizeof buffer), rows[i].printed);
        for (size_t j = 0; j < 2; j++)
            if (!contains(&network, rows[i].inside[j]))
                fail_msg("%s is in %s", rows[i].inside[j], rows[i].text);
        for (size_t j = 0; j < 3; j++)
            if (contains(&network, rows[i].outside[j]))
                fail_msg("%s is not in %s", rows[i].outside[j], rows[i].text);
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum network_problem problem;
    } rows[] = {
        {"", NETWORK_NO_ADDRESS},
        {"/8", NETWORK_NO_ADDRESS},
        {"10.0.0/8", NETWORK_NO_ADDRESS},
        {"010.0.0.0/8", NETWORK_NO_ADDRESS},
        {" 10.0.0.0", NETWORK_NO_ADDRESS},
        {"localhost", NETWORK_NO_ADDRESS},
        {"*", NETWORK_NO_ADDRESS},
        {"[::1]", NETWORK_NO_ADDRESS},
        {"fe80::1%lo", NETWORK_NO_ADDRESS},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111", NETWORK_NO_ADDRESS},
        {"10.0.0.0/", NETWORK_NO_PREFIX},
        {"10.0.0.0/33", NETWORK_NO_PREFIX},
        {"10.0.0.0/08", NETWORK_NO_PREFIX},
        {"10.0.0.0/+8", NETWORK_NO_PREFIX},
        {"10.0.0.0/8/8", NETWORK_NO_PREFIX},
        {"10.0.0.0/255.0.0.0", NETWORK_NO_PREFIX},
        {"::/129", NETWORK_NO_PREFIX},
        {"10.0.0.1/8", NETWORK_HOST_BITS},
        {"10.0.0.1/31", NETWORK_HOST_BITS},
        {"0.0.0.1/0", NETWORK_HOST_BITS},
        {"2001:db8::1/64", NETWORK_HOST_BITS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct network network;
        if (network_parse(text_of_string(rows[i].text), &network) != rows[i].problem)
            fail_msg("\"%s\"", rows[i].text);
    }
    struct network network;
    assert_int_equal(network_parse(text_of("10.0.0.1\0", 9), &network), NETWORK_NO_ADDRESS);
}

static void what_was_meant_can_be_told(void **state)
{
    (void)state;
    struct network network;
    char buffer[NETWORK_TEXT_BYTES];
    assert_int_equal(network_parse(TEXT("10.77.88.99/12"), &network), NETWORK_HOST_BITS);
    assert_string_equal(network_format(&network, buffer, sizeof buffer), "10.64.0.0/12");
    assert_int_equal(network_parse(TEXT("1111:2222:3333:4444:5555:6666:7777:8889/127"), &network), NETWORK_HOST_BITS);
    assert_string_equal(network_format(&network, buffer, sizeof buffer), "1111:2222:3333:4444:5555:6666:7777:8888/127");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_know_their_addresses),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(what_was_meant_can_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
