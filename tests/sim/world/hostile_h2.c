/* The attacks of HTTP/2 (docs/security.md#http2-floods, #http2-heads): frames by hand, without an HPACK table. */
#include "kernel/draw.h"
#include "world/hostile_bytes.h"
#include "world/plan.h"

#define TARGET "/api/v3/write_lp?db=d1&try=" HOSTILE_MARK
#define UPLOAD_TARGET "/api/v3/write_lp?db=d1&try=" UPLOAD_MARK
#define LINE "m,try=" HOSTILE_MARK " v=1i\n"

enum frame_type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };

#define END_STREAM 1
#define END_HEADERS 4

struct frames {
    char *bytes;
    size_t length;
};

struct block {
    char bytes[16384];
    size_t length;
};

static void put(struct frames *frames, const void *bytes, size_t length)
{
    if (length == 0 || frames->length + length > HOSTILE_H2_BYTES)
        return;
    memcpy(frames->bytes + frames->length, bytes, length);
    frames->length += length;
}

static void put_frame(struct frames *frames, enum frame_type type, unsigned flags, uint32_t stream, struct text payload)
{
    const unsigned char head[9] = {
        (unsigned char)(payload.length >> 16), (unsigned char)(payload.length >> 8), (unsigned char)payload.length,
        (unsigned char)type,                   (unsigned char)flags,                 (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16),         (unsigned char)(stream >> 8),         (unsigned char)stream,
    };
    if (frames->length + sizeof head + payload.length > HOSTILE_H2_BYTES)
        return;
    put(frames, head, sizeof head);
    put(frames, payload.bytes, payload.length);
}

static void put_word(struct frames *frames, enum frame_type type, uint32_t stream, uint32_t word)
{
    const char payload[4] = {(char)(word >> 24), (char)(word >> 16), (char)(word >> 8), (char)word};
    put_frame(frames, type, 0, stream, text_of(payload, sizeof payload));
}

static void put_preface(struct frames *frames)
{
    struct text preface = TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put(frames, preface.bytes, preface.length);
    put_frame(frames, SETTINGS, 0, 0, TEXT_EMPTY);
}

static void put_length(struct block *block, size_t length)
{
    if (length < 127) {
        block->bytes[block->length++] = (char)length;
        return;
    }
    block->bytes[block->length++] = 127;
    for (length -= 127; length >= 128; length /= 128)
        block->bytes[block->length++] = (char)(length % 128 + 128);
    block->bytes[block->length++] = (char)length;
}

/* A literal that enters no table. */
static void put_field(struct block *block, struct text name, struct text value)
{
    if (block->length + name.length + value.length + 16 > sizeof block->bytes)
        return;
    block->bytes[block->length++] = 0;
    put_length(block, name.length);
    memcpy(block->bytes + block->length, name.bytes, name.length);
    block->length += name.length;
    put_length(block, value.length);
    memcpy(block->bytes + block->length, value.bytes, value.length);
    block->length += value.length;
}

static void begin_head(struct block *block, struct text method, struct text path)
{
    block->length = 0;
    put_field(block, TEXT(":method"), method);
    put_field(block, TEXT(":scheme"), TEXT("http"));
    put_field(block, TEXT(":authority"), TEXT("a"));
    put_field(block, TEXT(":path"), path);
}

static void put_head(struct frames *frames, unsigned flags, uint32_t stream, const struct block *block)
{
    put_frame(frames, HEADERS, flags, stream, text_of(block->bytes, block->length));
}

/* A write that is wrong by one more field. */
static void put_wrong_write(struct frames *frames, uint32_t stream, struct text name, struct text value)
{
    struct block block;
    begin_head(&block, TEXT("POST"), TEXT(TARGET));
    put_field(&block, name, value);
    put_head(frames, END_HEADERS, stream, &block);
    put_frame(frames, DATA, END_STREAM, stream, TEXT(LINE));
}

static void build_rapid_reset(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("GET"), TEXT("/health"));
    for (uint32_t stream = 1; stream < 3000; stream += 2) {
        put_head(frames, END_HEADERS | END_STREAM, stream, &block);
        put_word(frames, RST_STREAM, stream, 8);
    }
}

/* The windows of streams overflow, so that the server resets them itself (CVE-2025-8671). */
static void build_made_resets(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("GET"), TEXT("/health"));
    for (uint32_t stream = 1; stream < 2000; stream += 2) {
        put_head(frames, END_HEADERS | END_STREAM, stream, &block);
        put_word(frames, WINDOW_UPDATE, stream, 0x7fffffff);
    }
}

static void build_settings(struct frames *frames)
{
    for (int i = 0; i < 5000; i++)
        put_frame(frames, SETTINGS, 0, 0, TEXT_EMPTY);
}

static void build_pings(struct frames *frames)
{
    for (int i = 0; i < 5000; i++)
        put_frame(frames, PING, 0, 0, TEXT("12345678"));
}

static void build_priorities(struct frames *frames)
{
    for (int i = 0; i < 5000; i++)
        put_frame(frames, PRIORITY, 0, 1, text_of("\0\0\0\0\x10", 5));
}

static void build_unknown(struct frames *frames)
{
    for (int i = 0; i < 5000; i++)
        put_frame(frames, (enum frame_type)0xfe, 0, 0, TEXT("x"));
}

static void build_continuations(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("POST"), TEXT(TARGET));
    put_head(frames, 0, 1, &block);
    block.length = 0;
    put_field(&block, TEXT("x-field"), TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    for (int i = 0; i < 2000; i++)
        put_frame(frames, CONTINUATION, 0, 1, text_of(block.bytes, block.length));
}

static void build_empty_data(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("POST"), TEXT(UPLOAD_TARGET));
    put_head(frames, END_HEADERS, 1, &block);
    for (int i = 0; i < 5000; i++)
        put_frame(frames, DATA, 0, 1, TEXT_EMPTY);
}

static void build_large_head(struct frames *frames)
{
    static const char value[4000];
    struct block block;
    for (uint32_t stream = 1; stream < 40; stream += 2) {
        begin_head(&block, TEXT("POST"), TEXT(TARGET));
        for (int i = 0; i < 30; i++)
            put_field(&block, TEXT("x-field"), TEXT("a"));
        put_field(&block, TEXT("x-zeros"), text_of(value, sizeof value));
        put_head(frames, END_HEADERS, stream, &block);
    }
}

/* An index of the table that holds a long value, again and again: a bomb (RFC 7541). */
static void build_bomb(struct frames *frames)
{
    char value[3000];
    struct block block;
    memset(value, 'a', sizeof value);
    begin_head(&block, TEXT("POST"), TEXT(TARGET));
    size_t at = block.length;
    put_field(&block, TEXT("x-bomb"), text_of(value, sizeof value));
    block.bytes[at] = 0x40; /* with indexing */
    while (block.length < 12000)
        block.bytes[block.length++] = (char)(0x80 | 62);
    put_head(frames, END_HEADERS | END_STREAM, 1, &block);
}

/* One of them might reach a node; the others are answered here. */
static void build_more_than_length(struct frames *frames)
{
    struct block block;
    for (uint32_t stream = 1; stream < 200; stream += 2) {
        begin_head(&block, stream == 1 ? TEXT("POST") : TEXT("GET"), stream == 1 ? TEXT(UPLOAD_TARGET) : TEXT("/health"));
        put_field(&block, TEXT("content-length"), TEXT("5"));
        put_head(frames, END_HEADERS, stream, &block);
        put_frame(frames, DATA, END_STREAM, stream, TEXT(LINE));
    }
}

static void build_wrong_fields(struct frames *frames)
{
    put_wrong_write(frames, 1, TEXT("transfer-encoding"), TEXT("chunked"));
    put_wrong_write(frames, 3, TEXT("Upper-Case"), TEXT("a"));
    put_wrong_write(frames, 5, TEXT("connection"), TEXT("close"));
    put_wrong_write(frames, 7, TEXT("x-field"), TEXT("a\r\nx: b"));
    put_wrong_write(frames, 9, TEXT("x field"), TEXT("a"));
    put_wrong_write(frames, 11, TEXT("x-field"), text_of("a\0b", 3));
    put_wrong_write(frames, 13, TEXT("te"), TEXT("gzip"));
    put_wrong_write(frames, 15, TEXT(":path"), TEXT("/write"));
    put_wrong_write(frames, 17, TEXT("content-length"), TEXT("+24"));
    put_wrong_write(frames, 19, TEXT("content_length"), TEXT("24"));
}

static void build_wrong_paths(struct frames *frames)
{
    static const struct text paths[] = {
        {TARGET " HTTP/1.1", sizeof TARGET " HTTP/1.1" - 1}, {"/write\r\nx: y?try=" HOSTILE_MARK, sizeof "/write\r\nx: y?try=" HOSTILE_MARK - 1},
        {"*" TARGET, sizeof "*" TARGET - 1},                 {TARGET "#f", sizeof TARGET "#f" - 1},
        {TARGET "\xff", sizeof TARGET "\xff" - 1},           {"/api/v3/./write_lp?try=" HOSTILE_MARK, sizeof "/api/v3/./write_lp?try=" HOSTILE_MARK - 1},
    };
    struct block block;
    for (uint32_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        begin_head(&block, TEXT("POST"), paths[i]);
        put_head(frames, END_HEADERS, 2 * i + 1, &block);
        put_frame(frames, DATA, END_STREAM, 2 * i + 1, TEXT(LINE));
    }
}

static void build_data_of_no_stream(struct frames *frames)
{
    put_frame(frames, DATA, END_STREAM, 0, TEXT(LINE));
}

static void build_used_stream(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("GET"), TEXT("/health"));
    put_head(frames, END_HEADERS | END_STREAM, 5, &block);
    begin_head(&block, TEXT("POST"), TEXT(TARGET));
    put_head(frames, END_HEADERS | END_STREAM, 3, &block);
}

static void build_long_frame(struct frames *frames)
{
    const char head[9] = {(char)0xff, (char)0xff, (char)0xff, DATA, 0, 0, 0, 0, 1};
    put(frames, head, sizeof head);
    put(frames, TARGET, sizeof TARGET - 1);
}

static void build_push(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("POST"), TEXT(TARGET));
    put_frame(frames, PUSH_PROMISE, END_HEADERS, 1, text_of(block.bytes, block.length));
}

static void build_no_window(struct frames *frames)
{
    struct block block;
    put_frame(frames, SETTINGS, 0, 0, text_of("\0\x04\0\0\0\0", 6));
    begin_head(&block, TEXT("GET"), TEXT("/health"));
    for (uint32_t stream = 1; stream < 400; stream += 2)
        put_head(frames, END_HEADERS | END_STREAM, stream, &block);
}

/* As many uploads as a connection may have, of which nothing comes but the promise. */
static void build_promises(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("POST"), TEXT(UPLOAD_TARGET));
    for (uint32_t stream = 1; stream < 200; stream += 2)
        put_head(frames, END_HEADERS, stream, &block);
}

static void build_connect(struct frames *frames)
{
    struct block block;
    begin_head(&block, TEXT("CONNECT"), TEXT(TARGET));
    put_head(frames, END_HEADERS, 1, &block);
    put_frame(frames, DATA, END_STREAM, 1, TEXT(LINE));
}

static const struct {
    const char *name;
    void (*build)(struct frames *frames);
} attacks[] = {
    {"hostile: rapid resets", build_rapid_reset},
    {"hostile: resets that the server has to make", build_made_resets},
    {"hostile: a flood of SETTINGS", build_settings},
    {"hostile: a flood of PING", build_pings},
    {"hostile: a flood of PRIORITY", build_priorities},
    {"hostile: a flood of unknown frames", build_unknown},
    {"hostile: a flood of CONTINUATION", build_continuations},
    {"hostile: a flood of empty DATA", build_empty_data},
    {"hostile: heads of zeros", build_large_head},
    {"hostile: a bomb in the table of fields", build_bomb},
    {"hostile: more DATA than the length says", build_more_than_length},
    {"hostile: fields that HTTP/2 does not have", build_wrong_fields},
    {"hostile: paths that are none", build_wrong_paths},
    {"hostile: DATA of no stream", build_data_of_no_stream},
    {"hostile: a stream that is below another", build_used_stream},
    {"hostile: a frame without end", build_long_frame},
    {"hostile: a push of a client", build_push},
    {"hostile: no window for any answer", build_no_window},
    {"hostile: CONNECT by HTTP/2", build_connect},
    {"hostile: bodies that never come", build_promises},
};

size_t hostile_h2_count(void)
{
    return sizeof attacks / sizeof attacks[0];
}

size_t hostile_h2_draw(struct random_source *random)
{
    size_t index = draw_below(random, hostile_h2_count());
    if (plan_memory_mib(the_plan) == 0 || draw_below(random, 3) > 0)
        return index;
    while (attacks[index].build != build_promises)
        index = (index + 1) % hostile_h2_count();
    return index;
}

const char *hostile_h2_name(size_t index)
{
    return attacks[index].name;
}

size_t hostile_h2_build(size_t index, char *buffer)
{
    struct frames frames = {.bytes = buffer};
    put_preface(&frames);
    attacks[index].build(&frames);
    return frames.length;
}
