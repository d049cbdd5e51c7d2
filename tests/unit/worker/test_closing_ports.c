/* Ports that are taken by ourselves for a little longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/listener.h"
#include "worker/closing_ports.h"

static struct closing_ports ports;

static int set_up(void **state)
{
    (void)state;
    memset(&ports, 0, sizeof ports);
    return 0;
}

static void a_port_is_ours_until_its_sockets_are_closed(void **state)
{
    (void)state;
    closing_ports_add(&ports, 8181, 1000);
    assert_true(closing_ports_has(&ports, 8181, 1000));
    assert_true(closing_ports_has(&ports, 8181, 1000 + LISTENER_CLOSING_MAXIMUM_MS - 1));
    assert_false(closing_ports_has(&ports, 8181, 1000 + LISTENER_CLOSING_MAXIMUM_MS));
    assert_false(closing_ports_has(&ports, 8182, 1000));
}

static void port_0_is_none(void **state)
{
    (void)state;
    closing_ports_add(&ports, 0, 1000);
    assert_false(closing_ports_has(&ports, 0, 0));
    assert_int_equal(ports.next, 0);
}

static void the_oldest_is_forgotten(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= CLOSING_PORTS_MAXIMUM; i++)
        closing_ports_add(&ports, (uint16_t)(1000 + i), 1000);
    assert_false(closing_ports_has(&ports, 1000, 1000));
    for (unsigned i = 1; i <= CLOSING_PORTS_MAXIMUM; i++)
        assert_true(closing_ports_has(&ports, (uint16_t)(1000 + i), 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_port_is_ours_until_its_sockets_are_closed, set_up),
        cmocka_unit_test_setup(port_0_is_none, set_up),
        cmocka_unit_test_setup(the_oldest_is_forgotten, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
