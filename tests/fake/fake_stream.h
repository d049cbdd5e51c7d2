#ifndef SLUICE_FAKE_FAKE_STREAM_H
#define SLUICE_FAKE_FAKE_STREAM_H
/*
 * A stream that writes down which verbs were called on it, in order, and the last head, the body and the trailers that it was given.
 */
#include <stdbool.h>
#include <string.h>

#include "http/stream.h"

struct fake_stream {
    struct stream stream; /* first */
    char verbs[64];       /* h head, i interim, d data, t trailers, e end, p pause, r resume, x reset, l let go */
    size_t verb_count;
    unsigned status;
    enum body_kind body_kind;
    bool announces_length;
    bool ends_connection;
    uint64_t content_length;
    char fields[4096];    /* "Name: value\n" each */
    size_t fields_length;
    char trailers[1024];  /* likewise */
    char target[256];
    char body[4096];
    size_t body_length;
    uint64_t data_bytes;  /* all of it, also what did not fit into `body` */
    uint64_t data_sum;    /* fake_sum of all of it, in order */
    bool congests;        /* with each piece */
    bool is_congested;
    bool is_stuck; /* some of what was sent is still with us */
    bool is_released;     /* no event may come any more */
};

static inline struct fake_stream *fake_stream_note(struct stream *stream, char verb)
{
    struct fake_stream *fake = (struct fake_stream *)stream;
    if (fake->verb_count < sizeof fake->verbs - 1)
        fake->verbs[fake->verb_count++] = verb;
    return fake;
}

static inline size_t fake_stream_put_fields(const struct message_head *head, char *buffer, size_t capacity, size_t used)
{
    for (size_t i = 0; i < head->field_count; i++)
        used = text_append(buffer, capacity, used, "%.*s: %.*s\n", TEXT_ARGUMENTS(head->fields[i].name),
                           TEXT_ARGUMENTS(head->fields[i].value));
    return used;
}

static inline void fake_stream_head(struct stream *stream, const struct message_head *head)
{
    struct fake_stream *fake = fake_stream_note(stream, 'h');
    fake->status = head->status;
    fake->body_kind = head->body;
    fake->announces_length = message_has(head, MESSAGE_ANNOUNCES_LENGTH);
    fake->content_length = head->content_length;
    fake->ends_connection = message_has(head, MESSAGE_ENDS_CONNECTION);
    text_append(fake->target, sizeof fake->target, 0, "%.*s", TEXT_ARGUMENTS(head->target));
    fake->fields_length = fake_stream_put_fields(head, fake->fields, sizeof fake->fields, fake->fields_length);
}

static inline void fake_stream_trailers(struct stream *stream, const struct message_head *trailers)
{
    struct fake_stream *fake = fake_stream_note(stream, 't');
    fake_stream_put_fields(trailers, fake->trailers, sizeof fake->trailers, 0);
}

static inline void fake_stream_interim(struct stream *stream, const struct message_head *head)
{
    fake_stream_note(stream, 'i')->status = head->status;
}

/* Of bytes that came behind those with the sum `before`. */
static inline uint64_t fake_sum(uint64_t before, struct text bytes)
{
    for (size_t i = 0; i < bytes.length; i++)
        before = before * 31 + (unsigned char)bytes.bytes[i];
    return before;
}

static inline void fake_stream_data(struct stream *stream, struct text bytes)
{
    struct fake_stream *fake = fake_stream_note(stream, 'd');
    fake->data_bytes += bytes.length;
    fake->data_sum = fake_sum(fake->data_sum, bytes);
    fake->is_congested = fake->is_congested || fake->congests;
    size_t room = sizeof fake->body - fake->body_length - 1;
    size_t length = bytes.length < room ? bytes.length : room;
    memcpy(fake->body + fake->body_length, bytes.bytes, length);
    fake->body_length += length;
}

static inline void fake_stream_end(struct stream *stream)
{
    fake_stream_note(stream, 'e');
}

static inline void fake_stream_pause(struct stream *stream)
{
    fake_stream_note(stream, 'p');
}

static inline void fake_stream_resume(struct stream *stream)
{
    fake_stream_note(stream, 'r');
}

static inline bool fake_stream_is_congested(const struct stream *stream)
{
    return ((const struct fake_stream *)(const void *)stream)->is_congested;
}

static inline bool fake_stream_has_left(const struct stream *stream)
{
    return !((const struct fake_stream *)(const void *)stream)->is_stuck;
}

static inline void fake_stream_reset(struct stream *stream, enum fault fault)
{
    (void)fault;
    fake_stream_note(stream, 'x');
}

static inline void fake_stream_release(struct stream *stream)
{
    fake_stream_note(stream, 'l')->is_released = true;
}

static const struct stream_verbs fake_stream_verbs = {
    .send_head = fake_stream_head,
    .send_interim = fake_stream_interim,
    .send_data = fake_stream_data,
    .send_trailers = fake_stream_trailers,
    .send_end = fake_stream_end,
    .pause = fake_stream_pause,
    .resume = fake_stream_resume,
    .is_congested = fake_stream_is_congested,
    .has_left = fake_stream_has_left,
    .reset = fake_stream_reset,
    .release = fake_stream_release,
};

static inline void fake_stream_init(struct fake_stream *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->stream.verbs = &fake_stream_verbs;
}

#endif
