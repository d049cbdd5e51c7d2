/*
 * A downstream link of HTTP/1: any bytes from the client, an owner who acts inside of events. What the client hears must be whole messages, one for
 * each answer, with the bodies that were sent. Where the owner does nothing unusual, client and owner must hear the same however the bytes come.
 *
 * The input: flags (bit 0 an unusual owner, bit 1 small limits, bit 2 the client goes when it has sent all), the length of the tape, the tape,
 * what the client sends.
 */
#include "fuzz/fuzz_link.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"

static struct text wire;
static unsigned choice;
static size_t step; /* of the pieces in which the client sends; 0: as the tape says */

static void play(void)
{
    struct text rest = wire;
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

/* ---- what the client heard ---- */

/* The number in X-Actor, or ACTORS. */
static unsigned actor_of(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        uint64_t number;
        if (text_equals(head->fields[i].name, TEXT("X-Actor")) && text_to_u64(head->fields[i].value, &number) && number < ACTORS)
            return (unsigned)number;
    }
    return ACTORS;
}

/* Takes a body off the front; true when it is whole. */
static bool hear_body(struct text *rest, const struct message_head *head, const struct h1_framing *framing, uint64_t *length)
{
    struct h1_body body;
    struct text data;
    if (framing->delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&body, 0);
    else if (framing->delimiter == H1_DELIMITER_CLOSE)
        h1_body_start_until_close(&body);
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

/* The answers are those of the actors, in their order; a message that is not whole is the last. HEAD shows in an answer without its body. */
static void expect_answers(bool to_head_request)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    const struct h1_limits limits = {.head_bytes = 65536, .target_bytes = 100, .fields = 100};
    struct text rest = text_of(world.heard, world.heard_length);
    unsigned next = 0, whole = 0, ended = 0;
    while (rest.length > 0) {
        struct h1_search search = {0};
        size_t length;
        enum fault fault;
        enum h1_search_result result = h1_find_head_end(&search, rest, H1_ROLE_RESPONSE, &limits, &length, &fault);
        expect(result != H1_SEARCH_BAD);
        if (result == H1_SEARCH_MORE)
            return;
        struct message_head head = {.fields = fields};
        struct h1_framing framing;
        expect(h1_parse_response(text_of(rest.bytes, length), &limits, to_head_request, &head, &framing) == FAULT_NONE);
        rest = text_of(rest.bytes + length, rest.length - length);
        if (head.status < 200)
            continue;
        unsigned number = actor_of(&head);
        expect(number >= next && number < world.count);
        next = number + 1;
        const struct actor *actor = &world.actors[number];
        uint64_t heard = 0;
        bool is_whole = hear_body(&rest, &head, &framing, &heard);
        expect(heard <= actor->sent && (head.status != 204 || heard == 0));
        /* A body of known length is whole with its last byte, whatever the owner does then. */
        if (is_whole && head.body != BODY_NONE)
            expect(heard == actor->sent && (actor->has_ended || (actor->body == BODY_LENGTH && actor->left == 0)));
        expect(is_whole || rest.length == 0);
        whole += is_whole;
    }
    /* Where nobody breaks off, each answer is heard to its end. */
    for (unsigned i = 0; i < world.count; i++)
        ended += world.actors[i].has_ended;
    expect(!world.is_plain || whole == ended);
}

static bool asks_for_head(struct text bytes)
{
    for (size_t i = 0; i + 4 < bytes.length; i++) {
        if (memcmp(bytes.bytes + i, "HEAD", 4) == 0)
            return true;
    }
    return false;
}

static void try_plain(bool is_small, size_t piece)
{
    static char heard[HEARD_BYTES];
    size_t heard_length = 0;
    uint64_t got[ACTORS] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < 2; i++) {
        step = i == 0 ? SIZE_MAX : piece;
        world_live(play, true, false, is_small, TEXT_EMPTY, true);
        expect(i == 0 || (world.count == count && world.heard_length == heard_length && memcmp(heard, world.heard, heard_length) == 0));
        for (unsigned j = 0; j < world.count; j++)
            expect(i == 0 || world.actors[j].got == got[j]);
        count = world.count;
        heard_length = world.heard_length;
        memcpy(heard, world.heard, heard_length);
        for (unsigned j = 0; j < count; j++)
            got[j] = world.actors[j].got;
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
        world_live(play, true, false, is_small, tape, false);
    }
    if (!asks_for_head(wire))
        expect_answers(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play_without_leak(play_input, data, size);
    return 0;
}
