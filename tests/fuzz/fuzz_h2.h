#ifndef SLUICE_FUZZ_FUZZ_H2_H
#define SLUICE_FUZZ_FUZZ_H2_H
/*
 * The far side of an HTTP/2 link that a fuzzer drives: what it says are frames, right and wrong, as the bytes of the script order; of what it
 * hears each frame is looked at. HPACK that it says is literal, so that any bytes make a block; what it hears is unpacked by nghttp2.
 */
#include <nghttp2/nghttp2.h>

#include "fuzz/fuzz_link.h"

#define FAR_STREAMS 256 /* by (id - 1) / 2; those beyond are not looked at */

struct far_stream {
    uint64_t said;       /* bytes of its body */
    uint64_t said_whole; /* so many of them when it said the end */
    uint64_t heard;
    unsigned actor;      /* from X-Actor + 1; 0: no final head yet */
    bool has_said_end;
    bool has_heard_end;
    bool was_reset;      /* by either side */
    bool is_ignored;     /* the far side has reset it itself */
    uint64_t paid;       /* of what it has heard: its window was opened again by so much */
    bool has_window;     /* a wide one */
};

struct far {
    struct tape script;
    nghttp2_hd_inflater *inflater;
    struct far_stream streams[FAR_STREAMS];
    uint32_t next_id;     /* of a client: what it begins next */
    uint32_t highest_id;  /* of a node: what it has heard of */
    size_t looked_at;     /* of what was heard */
    unsigned frames;      /* so many of them */
    bool has_preface;     /* of a node: it has been heard */
    bool has_goaway;      /* from either side: streams end without a word */
    bool has_said_goaway;
};

static struct far far;

enum far_type { FAR_DATA, FAR_HEADERS, FAR_PRIORITY, FAR_RST_STREAM, FAR_SETTINGS, FAR_PUSH_PROMISE, FAR_PING, FAR_GOAWAY, FAR_WINDOW_UPDATE, FAR_CONTINUATION };

#define FAR_END_STREAM 1
#define FAR_ACK 1
#define FAR_END_HEADERS 4

static inline struct far_stream *far_stream_of(uint32_t id)
{
    return id % 2 == 1 && (id - 1) / 2 < FAR_STREAMS ? &far.streams[(id - 1) / 2] : NULL;
}

static inline void far_hear(void);

/* A node that answers looks whether it was asked; when it was not, what it says may be ignored, and nothing is known of bodies any more. */
static inline void far_look_for(uint32_t id)
{
    const struct far_stream *stream = far_stream_of(id);
    if (world.is_server || (stream != NULL && stream->actor != 0))
        return;
    far_hear();
    world.knows_bodies = world.knows_bodies && stream != NULL && stream->actor != 0;
}

/* ---- saying ---- */

static inline void far_frame(unsigned type, unsigned flags, uint32_t id, const void *payload, size_t length)
{
    char bytes[9 + 20000] = {(char)(length >> 16), (char)(length >> 8), (char)length, (char)type, (char)flags,
                             (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    trace("says type=%u flags=%u id=%u length=%zu\n", type, flags, id, length);
    expect(length <= sizeof bytes - 9);
    if (length > 0)
        memcpy(bytes + 9, payload, length);
    world_say(text_of(bytes, 9 + length));
}

static inline void far_number(unsigned type, uint32_t id, uint32_t number)
{
    const uint8_t payload[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    far_frame(type, 0, id, payload, sizeof payload);
}

struct far_block {
    uint8_t bytes[2048];
    size_t length;
};

/* A literal field that no table remembers (RFC 7541 section 6.2.2). */
static inline void far_field(struct far_block *block, const char *name, struct text value)
{
    size_t name_length = strlen(name);
    value.length = value.length < 120 ? value.length : 120;
    if (block->length + name_length + value.length + 3 > sizeof block->bytes)
        return;
    uint8_t *at = block->bytes + block->length;
    *at++ = 0;
    *at++ = (uint8_t)name_length;
    memcpy(at, name, name_length);
    at += name_length;
    *at++ = (uint8_t)value.length;
    if (value.length > 0)
        memcpy(at, value.bytes, value.length);
    block->length += name_length + value.length + 3;
}

static inline void note_said_end(uint32_t id)
{
    struct far_stream *stream = far_stream_of(id);
    if (stream == NULL || stream->has_said_end)
        return;
    stream->has_said_end = true;
    stream->said_whole = stream->said;
}

static inline void far_say_block(uint32_t id, const struct far_block *block, bool is_end, bool is_cut)
{
    unsigned end = is_end ? FAR_END_STREAM : 0;
    far_look_for(id);
    if (is_end)
        note_said_end(id);
    if (!is_cut) {
        far_frame(FAR_HEADERS, end | FAR_END_HEADERS, id, block->bytes, block->length);
        return;
    }
    size_t half = block->length / 2;
    far_frame(FAR_HEADERS, end, id, block->bytes, half);
    world_turn();
    far_frame(FAR_CONTINUATION, FAR_END_HEADERS, id, block->bytes + half, block->length - half);
}

static inline void far_say_data(uint32_t id, size_t length, bool is_end, bool is_padded)
{
    static uint8_t bytes[16384];
    struct far_stream *stream = far_stream_of(id);
    far_look_for(id);
    size_t start = is_padded ? 1 : 0;
    for (size_t i = 0; i < length; i++)
        bytes[start + i] = body_byte((stream == NULL ? 0 : stream->said) + i);
    bytes[0] = is_padded ? 3 : bytes[0];
    memset(bytes + start + length, 0, 3);
    if (stream != NULL)
        stream->said += length;
    world.knows_bodies = world.knows_bodies && stream != NULL;
    if (is_end)
        note_said_end(id);
    far_frame(FAR_DATA, (is_end ? FAR_END_STREAM : 0) | (is_padded ? 8 : 0), id, bytes, start + length + (is_padded ? 3 : 0));
}

static inline void far_say_setting(unsigned name, uint32_t value)
{
    const uint8_t payload[6] = {0, (uint8_t)name, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    far_frame(FAR_SETTINGS, 0, 0, payload, sizeof payload);
}

/* ---- hearing ---- */

static inline uint32_t far_read_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Unpacks a whole block; true when it is a final head or a request, with its actor in *actor. */
static inline bool far_hear_block(const uint8_t *bytes, size_t length, unsigned *actor)
{
    bool is_final = false;
    *actor = 0;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(far.inflater, &field, &flags, bytes, length, 1);
        expect(used >= 0);
        bytes += used;
        length -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            struct text name = text_of((const char *)field.name, field.namelen);
            struct text value = text_of((const char *)field.value, field.valuelen);
            uint64_t number;
            is_final = is_final || text_equals(name, TEXT(":method")) || (text_equals(name, TEXT(":status")) && value.bytes[0] != '1');
            if (text_equals(name, TEXT("x-actor")) && text_to_u64(value, &number))
                *actor = (unsigned)number + 1;
            for (size_t i = 0; i < name.length; i++)
                expect(name.bytes[i] < 'A' || name.bytes[i] > 'Z');
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(far.inflater);
            return is_final;
        }
    }
}

static inline void far_hear_end(struct far_stream *stream)
{
    expect(!stream->has_heard_end);
    stream->has_heard_end = true;
    if (stream->actor == 0 || stream->actor > world.count)
        return;
    /* A body that ends is all of what was sent; the owner may have handed over its end only in trailers or a reset since. */
    const struct actor *actor = &world.actors[stream->actor - 1];
    if (stream->heard > 0 || actor->body != BODY_NONE)
        expect(stream->heard <= actor->sent);
    if (stream->heard > 0)
        expect(stream->heard == actor->sent && (actor->has_ended || (actor->body == BODY_LENGTH && actor->left == 0)));
}

static inline void far_hear_message(unsigned type, unsigned flags, uint32_t id, const uint8_t *payload, size_t length)
{
    struct far_stream *stream = far_stream_of(id);
    unsigned actor = 0;
    bool is_final = type == FAR_HEADERS && far_hear_block(payload, length, &actor);
    expect(id != 0 && id % 2 == 1);
    far.highest_id = !world.is_server && id > far.highest_id ? id : far.highest_id;
    if (stream == NULL)
        return;
    expect(!stream->has_heard_end);
    if (is_final) {
        expect(stream->actor == 0);
        stream->actor = actor == 0 ? ACTORS + 1 : actor;
    }
    if (type == FAR_DATA) {
        expect(stream->actor != 0);
        for (size_t i = 0; i < length; i++)
            expect(payload[i] == body_byte(stream->heard + i));
        stream->heard += length;
    }
    if ((flags & FAR_END_STREAM) != 0)
        far_hear_end(stream);
}

static inline void far_hear_frame(unsigned type, unsigned flags, uint32_t id, const uint8_t *payload, size_t length)
{
    far.frames++;
    trace("hears type=%u flags=%u id=%u length=%zu\n", type, flags, id, length);
    switch (type) {
    case FAR_DATA:
    case FAR_HEADERS:
        far_hear_message(type, flags, id, payload, length);
        break;
    case FAR_RST_STREAM:
        expect(id != 0 && length == 4);
        if (far_stream_of(id) != NULL)
            far_stream_of(id)->was_reset = true;
        break;
    case FAR_SETTINGS:
        expect(id == 0 && length % 6 == 0 && ((flags & FAR_ACK) == 0 || length == 0));
        if ((flags & FAR_ACK) == 0)
            far_frame(FAR_SETTINGS, FAR_ACK, 0, NULL, 0);
        break;
    case FAR_PING:
        expect(id == 0 && length == 8);
        break;
    case FAR_GOAWAY:
        expect(id == 0 && length >= 8);
        far.has_goaway = true;
        break;
    case FAR_WINDOW_UPDATE:
        expect(length == 4 && far_read_number(payload) > 0 && far_read_number(payload) <= 0x7fffffff);
        break;
    default:
        expect(false);
    }
}

static inline void far_hear(void)
{
    world_hear();
    const uint8_t *heard = (const uint8_t *)world.heard;
    if (!world.is_server && !far.has_preface && world.heard_length >= H2_PREFACE_BYTES) {
        expect(memcmp(heard, H2_PREFACE, H2_PREFACE_BYTES) == 0);
        far.has_preface = true;
        far.looked_at = H2_PREFACE_BYTES;
    }
    while ((world.is_server || far.has_preface) && world.heard_length - far.looked_at >= 9) {
        const uint8_t *head = heard + far.looked_at;
        size_t length = far_read_number(head) >> 8;
        expect(length <= 16384);
        if (world.heard_length - far.looked_at < 9 + length)
            break;
        far_hear_frame(head[3], head[4], far_read_number(head + 5), head + 9, length);
        far.looked_at += 9 + length;
    }
    /* Room for more; what is left is the beginning of a frame. */
    memmove(world.heard, world.heard + far.looked_at, world.heard_length - far.looked_at);
    world.heard_length -= far.looked_at;
    far.looked_at = 0;
}

/* ---- the script ---- */

static inline uint32_t any_id(void)
{
    unsigned choice = tape_byte(&far.script);
    uint32_t last = !world.is_server ? far.highest_id : far.next_id == 1 ? 0 : far.next_id - 2;
    if (choice == 255)
        return tape_u16(&far.script);
    return last > 2 * (choice & 31) ? last - 2 * (choice & 31) : 1;
}

static inline void far_window(uint32_t id, unsigned choice)
{
    static const uint32_t steps[] = {1, 100, 16384, 65535, 1000000, 0x7fffffff, 0, 0x80000000};
    far_number(FAR_WINDOW_UPDATE, id, steps[choice & 7]);
}

/* What both sides say in the same way. */
static inline void far_say_common(unsigned what)
{
    static const uint32_t values[] = {0, 1, 2, 100, 16384, 65535, 0x7fffffff, 0xffffffff};
    unsigned choice = tape_byte(&far.script);
    switch (what) {
    case 0: {
        uint32_t id = any_id();
        if (far_stream_of(id) != NULL)
            far_stream_of(id)->was_reset = far_stream_of(id)->is_ignored = true;
        far_number(FAR_RST_STREAM, id, choice & 15);
        break;
    }
    case 1:
        far_window((choice & 8) != 0 ? 0 : any_id(), choice);
        break;
    case 2:
        far_say_setting(1 + (choice & 7) % 6, values[choice >> 3 & 7]);
        break;
    case 3:
        far_frame(FAR_PING, choice & FAR_ACK, 0, "12345678", 8);
        break;
    case 4: {
        const uint8_t payload[8] = {0, 0, 0, (uint8_t)(choice & 31), 0, 0, 0, (uint8_t)(choice >> 5)};
        far.has_goaway = far.has_said_goaway = true;
        far_frame(FAR_GOAWAY, 0, 0, payload, sizeof payload);
        break;
    }
    case 5: {
        unsigned flags = tape_byte(&far.script);
        uint32_t id = any_id();
        struct text payload = tape_text(&far.script, tape_byte(&far.script));
        world.knows_bodies = world.knows_bodies && choice > FAR_CONTINUATION;
        far_frame(choice, flags, id, payload.bytes, payload.length);
        break;
    }
    case 6:
        world.knows_bodies = false;
        world_say(tape_text(&far.script, choice));
        break;
    default:
        world_pass((uint64_t)choice * 16);
        break;
    }
}

/* Somebody who holds a stream does something between two events. */
static inline void owner_acts(void)
{
    unsigned which = tape_byte(&far.script);
    for (unsigned i = 0; i < world.count; i++) {
        struct actor *actor = &world.actors[(i + which) % world.count];
        if (actor->stream == NULL)
            continue;
        act(actor);
        return;
    }
}

/* A wide one for each stream that it has heard of, once; then what it has heard is paid back. */
static inline void far_open_windows(void)
{
    uint64_t heard = 0;
    for (uint32_t id = 1; id < 2 * FAR_STREAMS; id += 2) {
        struct far_stream *stream = far_stream_of(id);
        uint64_t owed = stream->heard - stream->paid;
        heard += owed;
        stream->paid = stream->heard;
        if (stream->actor == 0 || stream->has_heard_end)
            continue;
        if (!stream->has_window)
            far_number(FAR_WINDOW_UPDATE, id, 1 << 24);
        else if (owed > 0)
            far_number(FAR_WINDOW_UPDATE, id, (uint32_t)owed);
        stream->has_window = true;
    }
    if (heard > 0)
        far_number(FAR_WINDOW_UPDATE, 0, (uint32_t)heard);
}

/*
 * Everybody says what he still has to say, and the far side has room for it. Then a message that ended on one side has ended on the other, with
 * all its bytes, unless one of them has reset it or the connection ends.
 */
static inline void far_conclude(void)
{
    finish_all();
    world_settle();
    far_hear();
    if (!world.knows_bodies || far.has_goaway || world.link == NULL || !world.has_greeted)
        return;
    far_number(FAR_WINDOW_UPDATE, 0, 1 << 24);
    /* Until there is nothing more to hear. */
    for (unsigned frames = far.frames - 1; frames != far.frames;) {
        frames = far.frames;
        far_open_windows();
        world_settle();
        far_hear();
    }
    for (unsigned i = 0; i < FAR_STREAMS; i++) {
        const struct far_stream *stream = &far.streams[i];
        if (stream->actor == 0 || stream->actor > world.count || stream->was_reset)
            continue;
        const struct actor *actor = &world.actors[stream->actor - 1];
        expect(!actor->has_ended || actor->has_failed || stream->has_heard_end || far.has_goaway || world.link == NULL);
        bool is_owed = stream->has_said_end && actor->stream != NULL && !actor->has_failed && !actor->is_paused;
        expect(!is_owed || actor->has_heard_end || far.has_goaway || world.link == NULL);
        expect(!actor->has_heard_end || actor->is_refused || (stream->has_said_end && actor->got == stream->said_whole));
    }
}

static inline void far_begin(struct text script)
{
    memset(&far, 0, sizeof far);
    far.script = (struct tape){(const uint8_t *)script.bytes, script.length};
    far.next_id = 1;
    expect(nghttp2_hd_inflate_new(&far.inflater) == 0);
}

static inline void far_end(void)
{
    /* A node does not act on what it has reset, or refused with GOAWAY. */
    bool is_looked_at = !world.is_server && world.knows_bodies && !far.has_said_goaway;
    for (unsigned i = 0; i < FAR_STREAMS && is_looked_at; i++) {
        if (far.streams[i].actor > 0 && far.streams[i].actor <= world.count && !far.streams[i].is_ignored)
            expect_honest(&world.actors[far.streams[i].actor - 1], far.streams[i].has_heard_end);
    }
    nghttp2_hd_inflate_del(far.inflater);
    far.inflater = NULL;
}

#endif
