/*
 * HTTP/2 links with an owner and a far side who do whatever they may in an order that nobody thought of. Nothing is asserted but what must
 * always hold: no event for who has let go, none from inside a verb, none behind the end, no lack of memory, and nothing left in the
 * end. The memory is the sanitizer's to judge. A failure names its play.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

#define PLAYS 300
#define STEPS 120

static uint32_t seed;
static uint32_t play_number;

/* Numerical Recipes' generator: the same plays everywhere. */
static unsigned chance(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* One of those who still hold a stream, or NULL. */
static struct h2_actor *somebody(void)
{
    for (unsigned tries = 0; tries < 20 && stage.actor_count > 0; tries++) {
        struct h2_actor *actor = &stage.actors[chance(stage.actor_count)];
        if (actor->stream != NULL)
            return actor;
    }
    return NULL;
}

static bool is_downstream;

static void owner_acts(bool is_server)
{
    static const size_t lengths[] = {0, 1, 100, 4096, 20000, 100000};
    struct header_field field = {TEXT("X-A"), TEXT("b"), HEADER_OTHER};
    struct h2_actor *actor = somebody();
    struct message_head head = {.method = TEXT("POST"), .target = TEXT("/"), .authority = TEXT("n"), .status = 200,
                                .fields = &field, .field_count = 1, .body = (enum body_kind)chance(3), .content_length = 5000};
    if (!is_server && chance(3) == 0) {
        struct stream *stream = link_open_stream(stage.link);
        if (stream != NULL && stage.actor_count < H2_STREAMS)
            cast(stream);
        else if (stream != NULL)
            stream_release(stream);
        return;
    }
    if (actor == NULL)
        return;
    switch (chance(10)) {
    case 0:
    case 1:
        stream_send_head(actor->stream, &head);
        break;
    case 2:
    case 3:
        stream_send_data(actor->stream, long_text(lengths[chance(6)]));
        break;
    case 4:
        stream_send_end(actor->stream);
        actor->has_said_end = true;
        if (actor->has_heard_end)
            let_go(actor);
        break;
    case 5:
        stream_pause(actor->stream);
        break;
    case 6:
        stream_resume(actor->stream);
        break;
    case 7:
        stream_send_trailers(actor->stream, &head);
        break;
    case 8:
        if (is_server) {
            head.status = 103;
            stream_send_interim(actor->stream, &head);
        } else {
            stream_reset(actor->stream, FAULT_DOWNSTREAM_GONE);
            let_go(actor);
        }
        break;
    default:
        let_go(actor);
        break;
    }
}

/* The link's owner has had enough: it is closed, and everybody lets go before the turn is over. */
static void everybody_leaves(void)
{
    link_close(stage.link);
    stage.link = NULL;
    for (unsigned i = 0; i < stage.actor_count; i++)
        let_go(&stage.actors[i]);
}

/* Owners act inside of events, too, and on other streams than the one that has the event. */
static void act_in_event(void)
{
    if (stage.link != NULL && chance(6) == 0)
        owner_acts(is_downstream);
    if (stage.link != NULL && chance(1000) == 0)
        everybody_leaves();
}

/* What the far side has said on a stream: it mostly keeps to the rules, because a connection that ends at once shows little. */
enum saying { SAYS_NOTHING, SAYS_HEAD, SAYS_ALL };
static enum saying sayings[2 * H2_STREAMS + 2];
static int32_t next_id;

/* A stream that both sides know and on which the far side has come as far as this, or 0. */
static int32_t stream_at(enum saying saying)
{
    for (unsigned tries = 0; tries < 20 && next_id > 1; tries++) {
        int32_t id = (int32_t)chance((unsigned)next_id / 2) * 2 + 1;
        if (sayings[id] == saying)
            return id;
    }
    return 0;
}

static void client_says_head(void)
{
    bool is_end = chance(3) == 0;
    if (next_id >= 2 * H2_STREAMS)
        return;
    far_head(&stage.far, next_id, is_end || chance(2) == 0 ? H2_GET : H2_POST "content-length: 300\n", is_end);
    sayings[next_id] = is_end ? SAYS_ALL : SAYS_HEAD;
    next_id += 2;
}

static void node_says_head(void)
{
    static const char *const heads[] = {":status: 200\n", ":status: 204\n", ":status: 100\n", ":status: 103\n",
                                        ":status: 200\ncontent-length: 300\n"};
    int32_t id = stream_at(SAYS_NOTHING);
    unsigned which = chance(5);
    bool is_interim = which == 2 || which == 3;
    bool is_end = which == 1 || (which == 0 && chance(3) == 0);
    if (id == 0)
        return;
    far_head(&stage.far, id, heads[which], is_end);
    sayings[id] = is_end ? SAYS_ALL : is_interim ? SAYS_NOTHING : SAYS_HEAD;
}

static void far_goes_on(void)
{
    int32_t id = stream_at(SAYS_HEAD);
    if (id == 0)
        return;
    bool is_end = chance(3) == 0;
    if (is_end && chance(3) == 0)
        far_head(&stage.far, id, "x-trailer: b\n", true);
    else
        far_data(&stage.far, id, long_text(chance(3) == 0 ? 9000 : 100), is_end);
    sayings[id] = is_end ? SAYS_ALL : SAYS_HEAD;
}

static void far_resets(void)
{
    int32_t id = stream_at((enum saying)chance(3));
    if (id == 0)
        return;
    far_reset(&stage.far, id, chance(2) == 0 ? 7 : 8);
    sayings[id] = SAYS_ALL;
}

static void far_opens_windows(void)
{
    int32_t id = stream_at((enum saying)chance(3));
    if (id == 0 || chance(2) == 0)
        far_window(&stage.far, 0, 100000);
    else
        far_window(&stage.far, id, 1 + chance(100000));
}

static void far_acts(bool is_server)
{
    switch (chance(12)) {
    case 0:
    case 1:
    case 2:
        if (is_server)
            client_says_head();
        else
            node_says_head();
        break;
    case 3:
    case 4:
    case 5:
        far_goes_on();
        break;
    case 6:
        far_resets();
        break;
    case 7:
        far_opens_windows();
        break;
    case 8:
        far_setting(&stage.far, chance(4) == 0 ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                    chance(2) == 0 ? 65535 : chance(10));
        break;
    case 9:
        far_ping(&stage.far, chance(2) == 0);
        break;
    case 10:
        if (chance(200) == 0)
            far_goaway(&stage.far, chance(2) == 0 ? next_id / 2 : 0x7fffffff, 0);
        break;
    default:
        if (chance(1000) == 0) /* a rule is broken */
            far_data(&stage.far, (int32_t)chance(50), long_text(10), true);
        break;
    }
}

static void far_hears(bool is_server)
{
    far_hear_some(&stage.far, 1 + chance(200000));
    far_forget(&stage.far);
    if (!is_server)
        next_id = stage.far.last_stream == 0 ? 1 : stage.far.last_stream + 2;
}

static void link_suffers(bool is_server)
{
    switch (chance(600)) {
    case 0:
        if (is_server)
            link_drain(stage.link);
        break;
    case 1:
        shutdown(stage.far.fd, SHUT_WR);
        break;
    case 2:
        everybody_leaves();
        break;
    default:
        break;
    }
    if (chance(60) == 0)
        pass(chance(3) * 4000);
    rig_turn(&stage.rig);
}

static void begin_play(bool is_server)
{
    stage.streams_expected = chance(2) * chance(200);
    link_up_on_pair(is_server);
    memset(sayings, 0, sizeof sayings);
    stage.far.is_quiet = stage.is_terse = true;
    stage.pauses = chance(8) == 0;
    stage.answers = is_server && chance(2) == 0 ? 200 : 0;
    stage.releases_ended = stage.answers == 0 && chance(2) == 0;
    is_downstream = is_server;
    stage.interfere = chance(2) == 0 ? act_in_event : NULL;
    next_id = 1;
    if (!is_server) {
        rig_turn(&stage.rig);
        far_hear_preface(&stage.far);
    }
    far_greets(is_server);
}

/* Everybody has let go, and the far side reads and allows everything: after a while no stream is left. */
static void expect_peace(bool is_server)
{
    stage.interfere = NULL;
    for (unsigned i = 0; i < stage.actor_count; i++)
        let_go(&stage.actors[i]);
    stage.is_terse = false;
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100);
    far_window(&stage.far, 0, 100000000);
    for (unsigned second = 0; second < 14 && stage.link != NULL; second++) {
        far_flush(&stage.far);
        rig_settle(&stage.rig);
        for (unsigned i = 0; i < 10; i++)
            far_hear_some(&stage.far, sizeof stage.far.heard);
        far_forget(&stage.far);
        pass(1000);
    }
    if (stage.link == NULL)
        return;
    if (is_server) {
        far_head(&stage.far, next_id, H2_GET, true);
        stage.answers = 204;
        say();
        if (stage.link != NULL && strstr(stage.transcript, "idle ") == NULL)
            fail_msg("play %u: the link is not idle: %s", play_number, stage.transcript);
        return;
    }
    unsigned room = 0;
    for (struct stream *stream; link_has_room(stage.link) && (stream = link_open_stream(stage.link)) != NULL; room++)
        cast(stream);
    if (room != 0 && room != 100)
        fail_msg("play %u: there is room for %u", play_number, room);
}

static void play(bool is_server)
{
    begin_play(is_server);
    for (int step = 0; step < STEPS && stage.link != NULL; step++) {
        for (unsigned i = chance(4); i > 0; i--)
            far_acts(is_server);
        far_flush(&stage.far);
        for (unsigned i = chance(4); i > 0; i--)
            owner_acts(is_server);
        link_suffers(is_server);
        if (chance(3) != 0)
            far_hears(is_server);
        forget();
    }
    stage.interfere = NULL;
    if (stage.closed_fault == FAULT_OUT_OF_MEMORY)
        fail_msg("play %u: there is memory enough", play_number);
    stage.closed_fault = FAULT_NONE;
    /* A link that is gone has told everybody. */
    for (unsigned i = 0; i < stage.actor_count && stage.link == NULL; i++) {
        bool is_told = stage.actors[i].stream == NULL;
        stage.actors[i].stream = NULL;
        if (!is_told)
            fail_msg("play %u: %c was not told that the link is gone", play_number, stage.actors[i].name);
    }
    if (stage.link != NULL)
        expect_peace(is_server);
    all_go();
}

static void plays(bool is_server)
{
    for (play_number = 1; play_number <= PLAYS; play_number++) {
        seed = play_number * 2654435761u;
        play(is_server);
    }
}

static void a_downstream_link_takes_whatever_comes(void **state)
{
    (void)state;
    plays(true);
}

static void an_upstream_link_takes_whatever_comes(void **state)
{
    (void)state;
    plays(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_downstream_link_takes_whatever_comes, set_up_alone, tear_down),
        cmocka_unit_test_setup_teardown(an_upstream_link_takes_whatever_comes, set_up_alone, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
