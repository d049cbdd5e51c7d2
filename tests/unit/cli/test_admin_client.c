#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/admin_client.h"

static void addresses(void **state)
{
    static const char *const good[] = {"127.0.0.1:8180", "[::1]:8180", "localhost:1", "sluice-1.plant.example:65535",
                                       "unix:/run/sluice.sock"};
    static const char *const bad[] = {"",      "127.0.0.1",  "127.0.0.1:", "127.0.0.1:0",   "127.0.0.1:65536", "::1:8180",
                                      "[::1]", "[::1:8180",  ":8180",      "http://a:8180", "a:8180/path",     "a b:8180",
                                      "unix:", "unix:a",     "a\r\nb:8180", "a:8180\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(admin_address_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(admin_address_is_valid(bad[i]));
}

static void the_longest_socket_path(void **state)
{
    char address[5 + 109] = "unix:/";
    (void)state;
    memset(address + 6, 'x', 106);
    assert_true(admin_address_is_valid(address)); /* 107 bytes: sun_path less its NUL */
    address[6 + 106] = 'x';
    assert_false(admin_address_is_valid(address));
}

static void targets_are_encoded(void **state)
{
    char target[ADMIN_TARGET_CAPACITY] = "/";
    (void)state;
    size_t used = admin_target_append(target, 1, TEXT("azAZ09-._~"));
    assert_string_equal(target, "/azAZ09-._~");
    used = admin_target_append(target, used, TEXT("/?&=#%+ \"\r\n\xc3\xa9"));
    assert_string_equal(target, "/azAZ09-._~%2F%3F%26%3D%23%25%2B%20%22%0D%0A%C3%A9");
    assert_int_equal(used, strlen(target));
    used = admin_target_append(target, 0, text_of("a\0b", 3));
    assert_string_equal(target, "a%00b");
    assert_int_equal(admin_target_append(target, used, TEXT_EMPTY), used);
}

static void targets_are_bounded(void **state)
{
    char target[ADMIN_TARGET_CAPACITY] = "";
    char name[ADMIN_TARGET_CAPACITY];
    (void)state;
    memset(name, 'n', sizeof name);
    assert_int_equal(admin_target_append(target, 0, text_of(name, sizeof name - 1)), sizeof name - 1);
    assert_int_equal(admin_target_append(target, 0, text_of(name, sizeof name)), ADMIN_TARGET_CAPACITY);
    assert_int_equal(admin_target_append(target, sizeof name - 4, TEXT("/")), sizeof name - 1);
    assert_int_equal(admin_target_append(target, sizeof name - 3, TEXT("/")), ADMIN_TARGET_CAPACITY); /* never half of one */
    assert_int_equal(admin_target_append(target, ADMIN_TARGET_CAPACITY, TEXT("a")), ADMIN_TARGET_CAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(the_longest_socket_path),
        cmocka_unit_test(targets_are_encoded),
        cmocka_unit_test(targets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
