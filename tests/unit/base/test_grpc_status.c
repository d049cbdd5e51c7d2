/* The names of gRPC's codes: those that gRPC gives them, in its order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/grpc_status.h"

/* The numbers are what goes over the wire. */
static void each_code_has_the_number_and_the_name_of_the_protocol(void **state)
{
    (void)state;
    static const char *const names[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    };
    assert_int_equal(GRPC_STATUS_COUNT, sizeof names / sizeof names[0]);
    for (unsigned i = 0; i < GRPC_STATUS_COUNT; i++)
        assert_string_equal(grpc_status_name((enum grpc_status)i), names[i]);
    assert_int_equal(GRPC_STATUS_UNAVAILABLE, 14);
    assert_int_equal(GRPC_STATUS_UNAUTHENTICATED, 16);
}

static void a_number_without_a_name_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(grpc_status_name(GRPC_STATUS_COUNT), "UNKNOWN");
    assert_string_equal(grpc_status_name((enum grpc_status) - 1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_the_number_and_the_name_of_the_protocol),
        cmocka_unit_test(a_number_without_a_name_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
