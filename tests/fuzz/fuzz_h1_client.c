/*
 * An upstream link of HTTP/1: any bytes from the node, an owner who acts inside of events and between them. What the node hears must be whole requests,
 * one for each that was sent, with the bodies that were sent. Where the owner does nothing unusual, he must hear the same however an answer comes.
 *
 * The input: flags (bit 0 an unusual owner, bit 1 small limits, bit 2 the node goes when it has sent all, bit 3 a HEAD request), the length of the
 * tape, the tape, what the node sends.
 */
#include "fuzz/fuzz_link.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"

static struct text wire;
static unsigned choice;
static size_t step; /* of the pieces in which the node sends; 0: as the tape says */

/* Lets the request leave before the first byte of an answer: what comes earlier is nobody's (http/h1_client.c). */
static void ask(unsigned what)
{
    struct actor *actor = open_one();
    if (actor != NULL && !world.is_plain)
        act(actor);
    if (actor != NULL && actor->stream != NULL && (world.is_plain || (what & 1) == 0))
        send_rest(actor, what);
    world_turn();
}

static void play(void)
{
    struct text rest = wire;
    ask(world.is_plain ? (choice & 8) >> 2 : owner_byte());
    while (rest.length > 0) {
        size_t length = step != 0 ? step : owner_byte();
        length = length == 0 || length > rest.length ? rest.length : length;
        struct text piece = text_of(rest.bytes, length);
        rest = text_of(rest.bytes + length, rest.length - length);
        world_say(piece);
        world_turn();
        for (unsigned i = 0; i < world.count; i++) {
            if (world.actors[i].stream != NULL)
                act(&world.actors[i]);
        }
        world_turn();
        if (!world.is_plain && world.link != NULL && link_has_room(world.link))
            ask(owner_byte());
        if (world.is_plain || owner_byte() % 2 == 0)
            world_hear();
        else if (!is_tired())
            world_pass(owner_byte());
    }
    if ((choice & 4) != 0) {
        shutdown(world.far, SHUT_WR);
        world_turn();
    }
}

/* ---- what the node heard ---- */

static unsigned actor_of(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        uint64_t number;
        if (text_equals(head->fields[i].name, TEXT("X-Actor")) && text_to_u64(head->fields[i].value, &number) && number < ACTORS)
            return (unsigned)number;
    }
    return ACTORS;
}

static bool hear_body(struct text *rest, const struct message_head *head, const struct h1_framing *framing, uint64_t *length)
{
    struct h1_body body;
    struct text data;
    if (framing->delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&body, 0);
    else
        h1_body_start_length(&body, head->body == BODY_NONE ? 0 : head->content_length, 0);
    enum h1_body_result result;
    while ((result = h1_body_next(&body, rest, &data)) == H1_BODY_RESULT_DATA) {
        for (size_t i = 0; i < data.length; i++)
            expect((uint8_t)data.bytes[i] == body_byte(*length + i));
        *length += data.length;
    }
    expect(result == H1_BODY_RESULT_END || result == H1_BODY_RESULT_MORE);
    return result == H1_BODY_RESULT_END;
}

static void expect_requests(void)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    const struct h1_limits limits = {.head_bytes = 65536, .target_bytes = 100, .fields = 100};
    struct text rest = text_of(world.heard, world.heard_length);
    unsigned next = 0;
    while (rest.length > 0) {
        struct h1_search search = {0};
        size_t length;
        enum fault fault;
        enum h1_search_result result = h1_find_head_end(&search, rest, H1_ROLE_REQUEST, &limits, &length, &fault);
        expect(result != H1_SEARCH_BAD);
        if (result == H1_SEARCH_MORE)
            return;
        struct message_head head = {.fields = fields};
        struct h1_framing framing;
        expect(h1_parse_request(text_of(rest.bytes, length), &limits, &head, &framing) == FAULT_NONE);
        rest = text_of(rest.bytes + length, rest.length - length);
        unsigned number = actor_of(&head);
        expect(number >= next && number < world.count);
        next = number + 1;
        const struct actor *actor = &world.actors[number];
        uint64_t heard = 0;
        bool is_whole = hear_body(&rest, &head, &framing, &heard);
        expect_honest(actor, is_whole);
        expect(heard <= actor->sent && (is_whole || rest.length == 0));
        if (is_whole && head.body != BODY_NONE)
            expect(heard == actor->sent && (actor->has_ended || (actor->body == BODY_LENGTH && actor->left == 0)));
    }
}

static void try_plain(bool is_small, size_t piece)
{
    struct actor first = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < 2; i++) {
        step = i == 0 ? SIZE_MAX : piece;
        world_live(play, false, false, is_small, TEXT_EMPTY, true);
        const struct actor *actor = &world.actors[0];
        expect(i == 0 || (world.count == count && actor->got == first.got && actor->has_head == first.has_head));
        expect(i == 0 || (actor->has_heard_end == first.has_heard_end && actor->has_failed == first.has_failed));
        first = *actor;
        count = world.count;
    }
}

static void play_input(const uint8_t *data, size_t size)
{
    struct tape input = {data, size};
    choice = tape_byte(&input);
    bool is_small = (choice & 2) != 0;
    struct text tape = tape_text(&input, tape_byte(&input));
    wire = tape_text(&input, 4096);
    if ((choice & 1) == 0) {
        try_plain(is_small, 1 + (tape.length == 0 ? 0 : (uint8_t)tape.bytes[0] % 40));
    } else {
        step = 0;
        world_live(play, false, false, is_small, tape, false);
    }
    expect_requests();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play_without_leak(play_input, data, size);
    return 0;
}
