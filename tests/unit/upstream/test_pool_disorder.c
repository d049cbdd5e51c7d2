/*
 * A pool, those who ask it, nodes of both HTTPs, and an operator who reloads, who do whatever they may in an order that nobody thought of. What
 * must always hold: no more links than allowed, an answer for everybody who waits as soon as the nodes behave again, and nothing left in the end. The memory
 * is the sanitizer's to judge. A failure names its play.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_far.h"
#include "fake/pool_stage.h"

#define PLAYS 600
#define STEPS 80
#define FARS 8

static uint32_t seed;
static uint32_t play_number;

static struct {
    struct h2_far far;
    bool is_open;
    bool has_greeted;
    int32_t answered; /* streams up to this one */
} fars[FARS];

/* Numerical Recipes' generator: the same plays everywhere. */
static unsigned chance(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* ---- node 0, which speaks HTTP/2 ---- */

static void hang_up(unsigned i)
{
    h2_far_close(&fars[i].far);
    fars[i].is_open = false;
}

static void take_calls(void)
{
    for (unsigned i = 0; i < FARS; i++) {
        int fd = fars[i].is_open ? -1 : far_accept(stage.listening[0]);
        if (fd < 0)
            continue;
        h2_far_open(&fars[i].far, fd);
        fars[i].far.is_quiet = true;
        fars[i].is_open = true;
        fars[i].has_greeted = false;
        fars[i].answered = -1;
    }
}

static void set_streams(unsigned i, uint32_t streams)
{
    far_setting(&fars[i].far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams);
    far_flush(&fars[i].far);
}

static void listen_to(unsigned i)
{
    if (!fars[i].has_greeted) {
        char preface[H2_PREFACE_BYTES];
        ssize_t length = recv(fars[i].far.fd, preface, sizeof preface, MSG_PEEK);
        if (length == 0 || (length < 0 && errno != EAGAIN))
            hang_up(i);
        if (length != sizeof preface)
            return;
        far_hear_preface(&fars[i].far);
        set_streams(i, 1 + chance(4));
        fars[i].has_greeted = true;
    }
    far_hear_some(&fars[i].far, sizeof fars[i].far.heard);
    far_forget(&fars[i].far);
    if (fars[i].far.state != FAR_OPEN)
        hang_up(i);
}

static void answer_next(unsigned i)
{
    if (fars[i].answered + 2 > fars[i].far.last_stream)
        return;
    fars[i].answered += 2;
    far_head(&fars[i].far, fars[i].answered, ":status: 204\n", true);
    far_flush(&fars[i].far);
}

static void node_acts(unsigned i)
{
    if (!fars[i].is_open)
        return;
    listen_to(i);
    if (!fars[i].is_open)
        return;
    switch (chance(20)) {
    case 0:
        hang_up(i);
        break;
    case 1:
        if (fars[i].has_greeted && chance(3) == 0) {
            far_goaway(&fars[i].far, chance(2) == 0 ? fars[i].answered + 2 : 0x7fffffff, 0);
            far_flush(&fars[i].far);
        }
        break;
    case 2:
        if (fars[i].has_greeted)
            set_streams(i, chance(4));
        break;
    default:
        answer_next(i);
        break;
    }
}

/* ---- those who ask ---- */

static void asker_acts(unsigned i)
{
    struct asker *asker = &stage.askers[i];
    struct message_head head = {.method = TEXT("GET"), .target = TEXT("/"), .authority = TEXT("n")};
    if (is_waiting(asker)) {
        if (chance(10) == 0)
            pool_cancel(stage.pool, &asker->ticket);
    } else if (asker->link == NULL) {
        asker->ticket.wants_fresh = chance(6) == 0;
        asker->ticket.needs_http2 = chance(4) == 0;
        asker->gives_ended = true;
        ask_node(chance(4) == 0, i);
    } else if (asker->link->is_http2 && chance(4) != 0) {
        stream_send_head(asker->stream, &head);
        stream_send_end(asker->stream);
    } else if (chance(3) == 0) {
        give(asker);
    }
}

static void expect_bounds(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (links_to(i) > stage.nodes[i].maximum_links)
            fail_msg("play %u: %zu links", play_number, links_to(i));
    }
}

/* The configuration is read again: the same nodes, of which the first may be somewhere else now, as far as the pool can tell. */
static void operator_acts(void)
{
    static struct topology topologies[2];
    static struct topology_node nodes[2][NODES];
    struct epoch *old = stage.epoch;
    unsigned next = stage.epoch->topology == &topologies[0];
    memcpy(nodes[next], stage.nodes, sizeof nodes[next]);
    nodes[next][0].server_name = chance(2) == 0 ? "query-01.example" : NULL;
    topologies[next] = stage.topology;
    topologies[next].nodes = nodes[next];
    atomic_store(&topologies[next].references, 1);
    stage.epoch = make_epoch(stage.roster, &topologies[next], old->number + 1);
    assert_true(pool_apply(stage.pool, stage.epoch));
    epoch_release(old);
}

/* Nobody asks for more, the nodes answer everything: nobody may be left waiting. */
static void expect_service(void)
{
    bool somebody_waits = true;
    for (int round = 0; somebody_waits && round < 400; round++) {
        somebody_waits = false;
        take_calls();
        for (unsigned i = 0; i < FARS; i++) {
            if (!fars[i].is_open)
                continue;
            listen_to(i);
            if (fars[i].is_open && fars[i].has_greeted)
                set_streams(i, 3);
            for (int j = 0; fars[i].is_open && j < 5; j++)
                answer_next(i);
        }
        for (unsigned i = 0; i < ASKERS; i++) {
            somebody_waits = somebody_waits || is_waiting(&stage.askers[i]);
            give(&stage.askers[i]);
        }
        pass(LOOP_TICK_MS);
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        if (is_waiting(&stage.askers[i]))
            fail_msg("play %u: asker %u waits for ever", play_number, i);
    }
}

static void play(void)
{
    void *state = NULL;
    assert_int_equal(set_up(&state), 0);
    stage.nodes[0].http = TOPOLOGY_HTTP_2;
    stage.nodes[0].maximum_links = 1 + chance(3);
    for (int step = 0; step < STEPS; step++) {
        take_calls();
        node_acts(chance(FARS));
        asker_acts(chance(ASKERS));
        asker_acts(chance(ASKERS));
        if (chance(20) == 0)
            operator_acts();
        if (chance(30) == 0)
            pass(chance(2) * 2000);
        rig_turn(&stage.rig);
        expect_bounds();
    }
    expect_service();
    tear_down(&state);
    for (unsigned i = 0; i < FARS; i++) {
        if (fars[i].is_open)
            hang_up(i);
    }
}

static void a_pool_takes_whatever_comes(void **state)
{
    (void)state;
    for (play_number = 1; play_number <= PLAYS; play_number++) {
        seed = play_number * 2654435761u;
        play();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_takes_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
