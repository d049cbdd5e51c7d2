/* Hexadecimal digits, both ways, for every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static void each_byte_comes_back(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char lower[2];
        char upper[2];
        char expected[3];
        assert_ptr_equal(hex_put_byte(lower, HEX_LOWER, (unsigned char)byte), lower + 2);
        hex_put_byte(upper, HEX_UPPER, (unsigned char)byte);
        snprintf(expected, sizeof expected, "%02x", byte);
        assert_memory_equal(lower, expected, 2);
        snprintf(expected, sizeof expected, "%02X", byte);
        assert_memory_equal(upper, expected, 2);
        assert_int_equal(hex_byte(lower[0], lower[1]), byte);
        assert_int_equal(hex_byte(upper[0], upper[1]), byte);
    }
}

static void only_digits_have_a_value(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *at = c == 0 ? NULL : strchr(digits, c);
        int expected = at == NULL ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits - 6);
        assert_int_equal(hex_value((char)c), expected);
    }
    assert_int_equal(hex_byte('g', '0'), -1);
    assert_int_equal(hex_byte('0', '/'), -1);
}

static void assert_number(uint64_t value, unsigned width, const char *expected)
{
    char digits[HEX_U64_DIGITS + 1];
    memset(digits, '#', sizeof digits);
    size_t count = hex_put_u64(digits, value, width);
    assert_int_equal(count, strlen(expected));
    assert_memory_equal(digits, expected, count);
    assert_int_equal(digits[count], '#');
}

static void a_number_has_as_many_digits_as_it_needs_or_more(void **state)
{
    (void)state;
    assert_number(0, 1, "0");
    assert_number(15, 1, "f");
    assert_number(16, 1, "10");
    assert_number(0xabc, 8, "00000abc");
    assert_number(UINT64_MAX, 1, "ffffffffffffffff");
    assert_number(1, 16, "0000000000000001");
    assert_number(1, 99, "0000000000000001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_comes_back),
        cmocka_unit_test(only_digits_have_a_value),
        cmocka_unit_test(a_number_has_as_many_digits_as_it_needs_or_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
