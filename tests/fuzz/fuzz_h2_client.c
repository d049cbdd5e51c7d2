/*
 * An upstream link of HTTP/2: a node that says frames, right and wrong, in any order, and an owner who opens streams and acts inside of events. Each
 * stream that the node hears is a request, a body with the bytes that were sent, and one end; each body that it sends arrives byte by byte.
 *
 * The input: flags (bit 1 small limits, bit 2 no greeting), the length of the owner's tape, the tape, the node's script.
 */
#include "fuzz/fuzz_h2.h"

static unsigned choice;
static struct text script;

static void say_answer(unsigned what)
{
    static const char *const statuses[] = {"200", "204", "103", "304", "100", "503", "101", "2x0"};
    static const char *const names[] = {"content-length", "x-a", "grpc-status", "retry-after", "content_length", "connection", "X-B", "x-sluice-node"};
    struct far_block block = {.length = 0};
    far_field(&block, ":status", text_of_string(statuses[what & 7]));
    if ((what & 64) != 0) {
        unsigned which = tape_byte(&far.script);
        far_field(&block, names[which & 7], tape_text(&far.script, which >> 3));
    }
    far_say_block(any_id(), &block, (what & 8) != 0, (what & 128) != 0);
}

static void say_trailers(void)
{
    struct far_block block = {.length = 0};
    far_field(&block, "grpc-status", TEXT("0"));
    far_field(&block, "content-length", tape_text(&far.script, tape_byte(&far.script) & 1));
    far_say_block(any_id(), &block, true, false);
}

static void say_body(void)
{
    unsigned what = tape_byte(&far.script);
    size_t length = (what & 4) != 0 ? tape_byte(&far.script) * 60u : tape_byte(&far.script);
    far_say_data(any_id(), length, (what & 1) != 0, (what & 2) != 0);
}

static void open_another(void)
{
    unsigned what = tape_byte(&far.script);
    struct actor *actor = open_one();
    if (actor == NULL)
        return;
    act(actor);
    if (actor->stream != NULL && (what & 1) == 0)
        send_rest(actor, what);
}

static void play(void)
{
    world.knows_bodies = true;
    world.hear = far_hear;
    world.has_greeted = (choice & 4) == 0;
    if ((choice & 4) == 0)
        far_frame(FAR_SETTINGS, 0, 0, NULL, 0);
    while (far.script.left > 0) {
        unsigned what = tape_byte(&far.script) % 16;
        if (what < 2)
            open_another();
        else if (what < 4)
            say_answer(tape_byte(&far.script));
        else if (what == 4)
            say_body();
        else if (what == 5)
            say_trailers();
        else if (what == 6)
            owner_acts();
        else if (what == 7)
            far_hear();
        else
            far_say_common(what - 8);
        /* Half of what is said comes in one piece with what is said next. */
        if (what % 2 == 0)
            world_turn();
        /* To answer, the node need not have looked. */
        if (world.count > 0 && far.highest_id < 2 * world.count - 1)
            far.highest_id = 2 * world.count - 1;
    }
    world_settle();
    far_conclude();
}

static void play_input(const uint8_t *data, size_t size)
{
    struct tape input = {data, size};
    choice = tape_byte(&input);
    struct text tape = tape_text(&input, tape_byte(&input));
    script = tape_text(&input, 2048);
    far_begin(script);
    world_live(play, false, true, (choice & 2) != 0, tape, false);
    far_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play_without_leak(play_input, data, size);
    return 0;
}
