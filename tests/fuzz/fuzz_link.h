#ifndef SLUICE_FUZZ_FUZZ_LINK_H
#define SLUICE_FUZZ_FUZZ_LINK_H
/* The life of a link whose streams fuzz_owner.h owns: made anew for each input, together with its loop, and taken down to the last byte. */
#include "fuzz/fuzz_owner.h"

/* The sanitizers' own; NULL without them. (gcc has no header for it.) */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* ---- the owner of the link ---- */

/* Nobody is left who could serve it. */
static void close_beneath(struct stream *stream)
{
    close_here();
    COMMAND(stream_release(stream));
}

static void world_on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    expect(owner == &world && world.in_command == 0 && world.link != NULL && world.is_server);
    expect(head->method.length > 0 && head->target.length > 0);
    if (world.count == ACTORS) {
        close_beneath(stream);
        return;
    }
    struct actor *actor = cast(stream);
    note_head(actor, head);
    act(actor);
}

static void world_on_refused(void *owner, struct stream *stream, const struct message_head *head, enum fault fault)
{
    expect(owner == &world && world.in_command == 0 && world.link != NULL && world.is_server);
    expect(head != NULL && fault > FAULT_NONE && fault < FAULT_COUNT);
    if (world.count == ACTORS) {
        close_beneath(stream);
        return;
    }
    struct actor *actor = cast(stream);
    actor->is_refused = true;
    actor->has_heard_end = true;
    act(actor);
    if (actor->stream != NULL)
        send_rest(actor, 3);
    let_go(actor);
}

static void world_on_head_started(void *owner)
{
    expect(owner == &world && world.in_command == 0 && world.link != NULL);
}

static void world_on_idle(void *owner)
{
    expect(owner == &world && world.in_command == 0 && world.link != NULL && world.is_server);
    if (!world.is_plain && owner_byte() == 255)
        close_here();
}

static void world_on_room(void *owner)
{
    expect(owner == &world && world.in_command == 0 && world.link != NULL && !world.is_server);
    expect(link_has_room(world.link));
    struct actor *actor = owner_byte() % 4 == 0 ? NULL : open_one();
    if (actor != NULL)
        act(actor);
}

static void world_on_closed(void *owner, enum fault fault)
{
    expect(owner == &world && world.in_command == 0 && fault < FAULT_COUNT && fault != FAULT_OUT_OF_MEMORY);
    /* Who closes a link of HTTP/1 within the on_failed of its stream hears of it once more. */
    if (world.was_dropped && !world.is_http2)
        return;
    expect(world.link != NULL);
    world.link = NULL;
    /* Its streams have had on_failed, but for answers that were whole. */
    for (unsigned i = 0; i < world.count; i++)
        expect(world.actors[i].stream == NULL || world.actors[i].has_heard_end || world.actors[i].has_failed);
    let_all_go();
}

static const struct link_events world_link_events = {
    .on_request = world_on_request,
    .on_refused = world_on_refused,
    .on_head_started = world_on_head_started,
    .on_idle = world_on_idle,
    .on_room = world_on_room,
    .on_closed = world_on_closed,
};

/* ---- life ---- */

static inline void world_turn(void)
{
    loop_leave(world.loop);
    loop_turn(world.loop, false);
    loop_enter(world.loop);
}

/* Everything that is under way arrives: nothing here waits for more than the next turn. */
static inline void world_settle(void)
{
    for (unsigned i = 0; i < 3; i++)
        world_turn();
}

static inline void world_pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS * 4) {
        clock_advance(LOOP_TICK_MS * 4);
        world_turn();
    }
}

static inline void world_hear(void)
{
    while (world.far >= 0 && world.heard_length < sizeof world.heard) {
        ssize_t got = recv(world.far, world.heard + world.heard_length, sizeof world.heard - world.heard_length, MSG_DONTWAIT);
        world.has_far_ended = world.has_far_ended || got == 0;
        if (got <= 0)
            return;
        world.heard_length += (size_t)got;
    }
}

/* Sends it, or what the socket takes: there is room for more than any input. */
static inline void world_say(struct text bytes)
{
    if (world.far >= 0 && bytes.length > 0)
        send(world.far, bytes.bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline void far_closes(void)
{
    if (world.far >= 0)
        close(world.far);
    world.far = -1;
}

static inline const struct conn_events *conn_events_of_side(void)
{
    if (world.is_http2)
        return world.is_server ? &h2_server_conn_events : &h2_client_conn_events;
    return world.is_server ? &h1_server_conn_events : &h1_client_conn_events;
}

/* `is_small`: limits that an input can reach. */
static inline void world_begin(bool is_server, bool is_http2, bool is_small)
{
    memset(&world, 0, offsetof(struct world, heard));
    world.heard_length = 0;
    world.has_far_ended = false;
    world.is_server = is_server;
    world.is_http2 = is_http2;
    world.hear = world_hear;
    struct h1_limits limits = is_small ? (struct h1_limits){.head_bytes = 300, .target_bytes = 60, .fields = 6}
                                       : (struct h1_limits){.head_bytes = 65536, .target_bytes = 8192, .fields = 100};
    uint64_t body_limit = is_small && is_server ? 1000 : 0;
    world.h1 = (struct h1_settings){.limits = limits, .body_limit_bytes = body_limit, .linger_ms = 100, .fields = world.fields};
    world.h2 = (struct h2_settings){.limits = limits, .body_limit_bytes = body_limit, .streams_maximum = is_small ? 2 : 20,
                                    .window_bytes = is_small ? 1000 : 65536, .output_bytes = is_small ? 500 : 32768, .request_head_ms = 5000,
                                    .stall_ms = 10000, .buffers = &world.buffers, .fields = world.fields};
    world.loop = loop_create();
    expect(world.loop != NULL);
    loop_enter(world.loop);
    int pair[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    world.far = pair[1];
    struct conn_settings settings = {.events = conn_events_of_side(), .pool = &world.buffers, .high_water_bytes = is_small ? 2000 : 65536,
                                     .input_maximum_bytes = limits.head_bytes + LOOP_SCRATCH_BYTES};
    struct conn *conn = conn_accept(world.loop, pair[0], &settings);
    expect(conn != NULL);
    if (is_http2)
        world.context = h2_context_create(world.loop, &world.h2);
    if (is_http2 && is_server)
        world.link = h2_server_create(world.context, conn, &world_link_events, &world);
    else if (is_http2)
        world.link = h2_client_create(world.context, conn, TEXT("http"), is_small ? 2 : 0, &world_link_events, &world);
    else if (is_server)
        world.link = h1_server_create(world.loop, conn, &world.h1, &world_link_events, &world);
    else
        world.link = h1_client_create(world.loop, conn, &world.h1, &world_link_events, &world);
    expect(world.link != NULL);
}

/* Whoever has not let go says what he still has to say. */
static inline void finish_all(void)
{
    for (unsigned i = 0; i < world.count; i++) {
        struct actor *actor = &world.actors[i];
        if (actor->stream == NULL)
            continue;
        actor->is_paused = false;
        COMMAND(stream_resume(actor->stream));
        send_rest(actor, 8);
    }
}

/* The owner and the far end come to their ends in order; then the far end goes, and nobody may be left waiting. */
static inline void world_finish(void)
{
    world.tape = TEXT_EMPTY;
    for (unsigned i = 0; i < 2; i++) {
        finish_all();
        world_settle();
        world.hear();
    }
    far_closes();
    world_settle();
    finish_all();
    world_pass(256);
    for (unsigned i = 0; i < world.count; i++)
        expect(world.actors[i].stream == NULL || world.actors[i].has_heard_end || world.actors[i].has_failed);
    let_all_go();
    world_settle();
    expect(world.link == NULL || (!world.is_server && !world.is_http2));
}

static inline void world_end(void)
{
    far_closes();
    if (world.link != NULL)
        close_here();
    let_all_go();
    world_turn();
    loop_leave(world.loop);
    h2_context_destroy(world.context);
    loop_destroy(world.loop);
    buffer_pool_clear(&world.buffers);
}

/* One whole life; `play` is what happens in it. */
static inline void world_live(void (*play)(void), bool is_server, bool is_http2, bool is_small, struct text tape, bool is_plain)
{
    world_begin(is_server, is_http2, is_small);
    world.tape = tape;
    world.is_plain = is_plain;
    play();
    world_finish();
    world_end();
}

/* libFuzzer's own; NULL in a program that only replays. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maximum) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maximum, unsigned seed);

/*
 * The input of a link: flags, the length of the tape, the tape, what the other side says. Mostly one of the two changes: a change of the whole
 * would shift one into the other.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maximum, unsigned seed)
{
    enum { TAPE = 255 };
    if (size < 3 || seed % 8 == 0 || maximum < size)
        return LLVMFuzzerMutate(data, size, maximum);
    size_t tape = data[1] < size - 2 ? data[1] : size - 2;
    size_t rest = size - 2 - tape;
    if (seed % 2 == 0)
        return 2 + tape + LLVMFuzzerMutate(data + 2 + tape, rest, maximum - 2 - tape);
    uint8_t changed[TAPE];
    memcpy(changed, data + 2, tape);
    size_t room = maximum - 2 - rest < sizeof changed ? maximum - 2 - rest : sizeof changed;
    size_t length = LLVMFuzzerMutate(changed, tape, room);
    memmove(data + 2 + length, data + 2 + tape, rest);
    memcpy(data + 2, changed, length);
    data[1] = (uint8_t)length;
    return 2 + length + rest;
}

static inline size_t allocated_bytes(void)
{
    return __sanitizer_get_current_allocated_bytes == NULL ? 0 : __sanitizer_get_current_allocated_bytes();
}

/* Plays an input, and expects that it leaves no memory behind. What is allocated once for good (libevent's settings, a thread of libFuzzer
 * that begins meanwhile) is no leak, so an input that has left something is played again: a leak leaves something each time. */
static inline void play_without_leak(void (*play_input)(const uint8_t *data, size_t size), const uint8_t *data, size_t size)
{
    size_t before = allocated_bytes();
    play_input(data, size);
    if (allocated_bytes() == before)
        return;
    before = allocated_bytes();
    play_input(data, size);
    expect(allocated_bytes() == before);
}

#endif
