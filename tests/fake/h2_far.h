#ifndef SLUICE_FAKE_H2_FAR_H
#define SLUICE_FAKE_H2_FAR_H
/*
 * The far side of an HTTP/2 connection, client or node, as frames and nothing else: it says what the test orders, right or wrong, and
 * writes down what it hears. HPACK alone is nghttp2's. Frames gather in `said` until they are sent, so that a test decides what
 * comes in one piece. What was heard, one word a frame:
 *
 *   1{:status=200 a=b}.   HEADERS, the dot is END_STREAM     1[bytes].  DATA; a long one as 1[#16384]
 *   1!8  RST_STREAM with its code     goaway(1,0)  last stream and code     1+100, 0+100  WINDOW_UPDATE
 *   settings(4=65536)     acked     ping     pong
 */
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "fake/rig.h"

enum h2_frame_type {
    H2_DATA = 0, H2_HEADERS = 1, H2_PRIORITY = 2, H2_RST_STREAM = 3, H2_SETTINGS = 4, H2_PUSH_PROMISE = 5, H2_PING = 6,
    H2_GOAWAY = 7, H2_WINDOW_UPDATE = 8, H2_CONTINUATION = 9
};

#define H2_END_STREAM 1
#define H2_ACK 1
#define H2_END_HEADERS 4
/* A longer piece of data is written down as its length. */
#define H2_FAR_SHOWN 64

struct h2_far {
    int fd;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    char said[1048576];
    size_t said_length;
    char heard[262144];   /* not yet a whole frame */
    size_t heard_length;
    char words[65536];
    size_t words_used;
    bool is_quiet;        /* SETTINGS, acknowledgements and window updates are not written down */
    size_t data_bytes;    /* of all DATA frames */
    int32_t last_stream;  /* the highest that HEADERS came for */
    enum far_state state;
};

static inline void h2_far_open(struct h2_far *far, int fd)
{
    memset(far, 0, sizeof *far);
    far->fd = fd;
    /* A frame must not wait for the acknowledgement of the one before; a socket that is no TCP knows no such wait. */
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(nghttp2_hd_deflate_new(&far->deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&far->inflater), 0);
}

static inline void h2_far_close(struct h2_far *far)
{
    if (far->fd >= 0)
        close(far->fd);
    far->fd = -1;
    nghttp2_hd_deflate_del(far->deflater);
    nghttp2_hd_inflate_del(far->inflater);
    far->deflater = NULL;
    far->inflater = NULL;
}

/* ---- saying ---- */

static inline void far_put(struct h2_far *far, const void *bytes, size_t length)
{
    assert_true(far->said_length + length <= sizeof far->said);
    if (length > 0)
        memcpy(far->said + far->said_length, bytes, length);
    far->said_length += length;
}

/* Any frame, also one that must not be. */
static inline void far_frame(struct h2_far *far, unsigned type, unsigned flags, int32_t id, const void *payload, size_t length)
{
    const uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, (uint8_t)type,
                             (uint8_t)flags, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    far_put(far, head, sizeof head);
    far_put(far, payload, length);
}

/* A header block from lines "name: value\n", into `block`; returns its length. */
static inline size_t far_block(struct h2_far *far, const char *lines, uint8_t *block, size_t capacity)
{
    nghttp2_nv fields[300];
    size_t count = 0;
    struct text rest = text_of_string(lines);
    while (rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        ptrdiff_t colon = text_find(text_of(value.bytes + 1, value.length - 1), TEXT(": "));
        assert_true(colon >= 0 && count < 300);
        fields[count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)value.bytes,
                                       .namelen = (size_t)colon + 1,
                                       .value = (uint8_t *)(uintptr_t)value.bytes + colon + 3,
                                       .valuelen = value.length - (size_t)colon - 3};
    }
    ssize_t length = nghttp2_hd_deflate_hd(far->deflater, block, capacity, fields, count);
    assert_true(length >= 0);
    return (size_t)length;
}

/* HEADERS, with CONTINUATION where one frame is too small. */
static inline void far_head(struct h2_far *far, int32_t id, const char *lines, bool is_end)
{
    static uint8_t block[300000];
    size_t length = far_block(far, lines, block, sizeof block);
    unsigned flags = is_end ? H2_END_STREAM : 0;
    for (size_t at = 0; at == 0 || at < length;) {
        size_t piece = length - at < 16384 ? length - at : 16384;
        flags |= at + piece == length ? H2_END_HEADERS : 0;
        far_frame(far, at == 0 ? H2_HEADERS : H2_CONTINUATION, flags, id, block + at, piece);
        flags = 0;
        at += piece;
        if (length == 0)
            break;
    }
}

static inline void far_data(struct h2_far *far, int32_t id, struct text bytes, bool is_end)
{
    far_frame(far, H2_DATA, is_end ? H2_END_STREAM : 0, id, bytes.bytes, bytes.length);
}

/* A frame whose payload is one or two numbers. */
static inline void far_number(struct h2_far *far, unsigned type, int32_t id, uint32_t number)
{
    const uint8_t payload[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    far_frame(far, type, 0, id, payload, sizeof payload);
}

static inline void far_reset(struct h2_far *far, int32_t id, uint32_t code)
{
    far_number(far, H2_RST_STREAM, id, code);
}

static inline void far_window(struct h2_far *far, int32_t id, uint32_t bytes)
{
    far_number(far, H2_WINDOW_UPDATE, id, bytes);
}

static inline void far_setting(struct h2_far *far, unsigned name, uint32_t value)
{
    const uint8_t payload[6] = {0, (uint8_t)name, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                                (uint8_t)value};
    far_frame(far, H2_SETTINGS, 0, 0, payload, sizeof payload);
}

static inline void far_goaway(struct h2_far *far, int32_t last, uint32_t code)
{
    const uint8_t payload[8] = {(uint8_t)(last >> 24), (uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last,
                                (uint8_t)(code >> 24), (uint8_t)(code >> 16), (uint8_t)(code >> 8), (uint8_t)code};
    far_frame(far, H2_GOAWAY, 0, 0, payload, sizeof payload);
}

static inline void far_ping(struct h2_far *far, bool is_answer)
{
    far_frame(far, H2_PING, is_answer ? H2_ACK : 0, 0, "12345678", 8);
}

/* Sends all that was said, or as much as the socket takes; the rest stays. */
static inline void far_flush(struct h2_far *far)
{
    size_t sent = far_send(far->fd, text_of(far->said, far->said_length));
    memmove(far->said, far->said + sent, far->said_length - sent);
    far->said_length -= sent;
}

/* ---- hearing ---- */

static inline void far_write_down(struct h2_far *far, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void far_write_down(struct h2_far *far, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(far->words + far->words_used, sizeof far->words - far->words_used, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < sizeof far->words - far->words_used);
    far->words_used += (size_t)length;
}

static inline uint32_t far_read_number(const char *bytes)
{
    const uint8_t *octets = (const uint8_t *)bytes;
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

/* `never` marks fields that must not be indexed. */
static inline void far_hear_head(struct h2_far *far, const char *payload, size_t length)
{
    const char *blank = "";
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(far->inflater, &field, &flags, (const uint8_t *)payload, length, 1);
        assert_true(used >= 0);
        payload += used;
        length -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            far_write_down(far, "%s%s%.*s=%.*s", blank, (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? "never:" : "",
                           (int)field.namelen, (const char *)field.name, (int)field.valuelen, (const char *)field.value);
            blank = " ";
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(far->inflater);
            return;
        }
    }
}

static inline void far_hear_settings(struct h2_far *far, const char *payload, size_t length)
{
    far_write_down(far, "settings(");
    for (size_t at = 0; at + 6 <= length; at += 6)
        far_write_down(far, "%s%u=%u", at == 0 ? "" : ",", (unsigned)payload[at + 1], far_read_number(payload + at + 2));
    far_write_down(far, ") ");
}

static inline void far_hear_data(struct h2_far *far, int32_t id, const char *payload, size_t length)
{
    far->data_bytes += length;
    if (length > H2_FAR_SHOWN)
        far_write_down(far, "%d[#%zu]", id, length);
    else
        far_write_down(far, "%d[%.*s]", id, (int)length, payload);
}

static inline void far_hear_frame(struct h2_far *far, unsigned type, unsigned flags, int32_t id, const char *payload,
                                  size_t length)
{
    bool is_talk = type == H2_SETTINGS || type == H2_WINDOW_UPDATE;
    if (is_talk && far->is_quiet)
        return;
    switch (type) {
    case H2_DATA:
    case H2_HEADERS:
        if (type == H2_DATA) {
            far_hear_data(far, id, payload, length);
        } else {
            assert_int_equal(flags & ~(unsigned)(H2_END_STREAM | H2_END_HEADERS), 0);
            far_write_down(far, "%d{", id);
            far->last_stream = id > far->last_stream ? id : far->last_stream;
            far_hear_head(far, payload, length);
            far_write_down(far, "}");
        }
        far_write_down(far, "%s ", (flags & H2_END_STREAM) != 0 ? "." : "");
        break;
    case H2_RST_STREAM:
        far_write_down(far, "%d!%u ", id, far_read_number(payload));
        break;
    case H2_SETTINGS:
        if ((flags & H2_ACK) != 0)
            far_write_down(far, "acked ");
        else
            far_hear_settings(far, payload, length);
        break;
    case H2_PING:
        far_write_down(far, (flags & H2_ACK) != 0 ? "pong " : "ping ");
        break;
    case H2_GOAWAY:
        far_write_down(far, "goaway(%u,%u) ", far_read_number(payload), far_read_number(payload + 4));
        break;
    case H2_WINDOW_UPDATE:
        far_write_down(far, "%d+%u ", id, far_read_number(payload));
        break;
    default:
        fail_msg("a frame of type %u was heard", type);
    }
}

/* Reads what is there, at most `maximum` bytes of it, and writes the whole frames down. */
static inline void far_hear_some(struct h2_far *far, size_t maximum)
{
    size_t capacity = far->heard_length + maximum < sizeof far->heard ? far->heard_length + maximum : sizeof far->heard;
    far->state = far_read(far->fd, far->heard, &far->heard_length, capacity);
    size_t at = 0;
    while (far->heard_length - at >= 9) {
        const char *head = far->heard + at;
        size_t length = far_read_number(head) >> 8;
        if (far->heard_length - at < 9 + length)
            break;
        far_hear_frame(far, (uint8_t)head[3], (uint8_t)head[4], (int32_t)(far_read_number(head + 5) & 0x7fffffff), head + 9,
                       length);
        at += 9 + length;
    }
    far->heard_length -= at;
    memmove(far->heard, far->heard + at, far->heard_length);
}

/* What a node hears first. */
static inline void far_hear_preface(struct h2_far *far)
{
    size_t used = 0;
    char preface[24];
    far->state = far_read(far->fd, preface, &used, sizeof preface);
    assert_int_equal(used, sizeof preface);
    assert_memory_equal(preface, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sizeof preface);
}

static inline void far_forget(struct h2_far *far)
{
    far->words_used = 0;
    far->words[0] = '\0';
}

#endif
