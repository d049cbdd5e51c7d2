/* A socket on its way: a second handle of it, and the end of one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/descriptors.h"
#include "fake/rig.h"
#include "net/socket.h"

static void a_shared_socket_lives_as_long_as_one_of_its_handles(void **state)
{
    (void)state;
    const char *reason = NULL;
    char byte;
    int near;
    int far = far_pair(&near);
    int shared = socket_share(near, &reason);
    assert_true(shared >= 0 && shared != near);
    assert_true((fcntl(shared, F_GETFD) & FD_CLOEXEC) != 0);
    socket_close(near);
    assert_int_equal(write(shared, "x", 1), 1);
    assert_int_equal(read(far, &byte, 1), 1);
    socket_close(shared);
    assert_int_equal(read(far, &byte, 1), 0);
    close(far);
}

static void without_descriptors_there_is_a_reason(void **state)
{
    (void)state;
    const char *reason = NULL;
    int near;
    int far = far_pair(&near);
    struct rlimit before = descriptors_exhaust();
    assert_int_equal(socket_share(near, &reason), -1);
    descriptors_give_back(before);
    assert_string_equal(reason, strerror(EMFILE));
    socket_close(near);
    close(far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_socket_lives_as_long_as_one_of_its_handles),
        cmocka_unit_test(without_descriptors_there_is_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
