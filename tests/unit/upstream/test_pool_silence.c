/* A node that goes without a word: its links die together, not one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pool_http2_stage.h"

/* Three links, full, shared and idle: the first dies in silence while the node's machine is gone. */
static void the_death_of_a_link_takes_the_silent_ones_along(void **state)
{
    (void)state;
    struct asker *askers[3];
    stage.nodes[0].maximum_links = 3;
    for (size_t i = 0; i < 3; i++) {
        askers[i] = ask_node(0, i);
        rig_settle(&stage.rig);
        node_comes(1);
        rig_settle(&stage.rig);
        assert_non_null(askers[i]->stream);
        send_request(askers[i]);
    }
    rig_settle(&stage.rig);
    assert_int_equal(links_to(0), 3);
    far_head(&fars[2], 1, ":status: 204\n", true);
    say(&fars[2]);
    give(askers[2]);
    pass(1900);
    give(askers[0]);
    /* A stream was given up in silence, one waits, and the third link is idle. */
    far_ping(&fars[1], true);
    say(&fars[1]);
    pass(1400);
    assert_int_equal(links_to(0), 3);
    far_hear_some(&fars[1], sizeof fars[1].heard);
    assert_null(strstr(fars[1].words, "ping "));
    pass(150);
    assert_int_equal(links_to(0), 1);
    assert_int_equal(askers[1]->failed, 0);
    /* The last one was heard two seconds later: it is asked now, not two seconds later. */
    far_hear_some(&fars[1], sizeof fars[1].heard);
    assert_non_null(strstr(fars[1].words, "ping "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_death_of_a_link_takes_the_silent_ones_along, set_up_http2, tear_down_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
