#ifndef SLUICE_FAKE_SERVER_STAGE_H
#define SLUICE_FAKE_SERVER_STAGE_H
/*
 * A downstream HTTP/1 link on a socket pair, with an owner that writes down what it is told in the words of
 * fake/measured.h. The client is the far end. The clock is the test's.
 */
#include <string.h>

#include "fake/clock.h"
#include "fake/rig.h"
#include "http/h1.h"
#include "net/conn.h"

struct server_stage {
    struct rig rig;
    struct h1_settings settings;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct link *link;
    struct stream *stream;     /* of the request under way */
    int far;
    char heard[1048576];       /* by the client */
    size_t heard_length;
    char transcript[16384];
    size_t used;
    unsigned answers;          /* when a request is complete, answer with this status; 0: the test does it */
    unsigned refuses;          /* likewise, as soon as its head is there */
    const char *body_text;       /* body of the answers; NULL: none */
    bool pauses;               /* the stream, as soon as its head is there */
    bool may_read;             /* a client that ends its sending behind its request has not gone */
    bool keeps_refused;        /* a refused request is not answered at once */
    unsigned heads_started, idle, drained, failed, closed;
    enum fault fault;          /* of on_failed */
    char refused[512];         /* what was understood of the last request that was refused: "METHOD target path X-Request-Id" */
};

static struct server_stage stage;

static void note(struct text words)
{
    rig_expect_turning(&stage.rig);
    stage.used = text_append(stage.transcript, sizeof stage.transcript, stage.used, "%.*s", TEXT_ARGUMENTS(words));
}

static inline void answer(unsigned status)
{
    struct text body = text_of_string(stage.body_text);
    struct message_head head = {.status = status, .content_length = body.length};
    message_set(&head, MESSAGE_ANNOUNCES_LENGTH, status != 204);
    head.body = body.length > 0 ? BODY_LENGTH : BODY_NONE;
    struct stream *stream = stage.stream;
    stage.stream = NULL;
    stream_send_head(stream, &head);
    stream_send_data(stream, body);
    stream_send_end(stream);
    stream_release(stream);
}

static void on_data(void *owner, struct text bytes)
{
    (void)owner;
    assert_true(bytes.length > 0);
    note(bytes);
}

static void on_end(void *owner)
{
    (void)owner;
    note(TEXT("]"));
    if (stage.answers != 0)
        answer(stage.answers);
}

static void on_drained(void *owner)
{
    rig_expect_turning(&stage.rig);
    ((struct server_stage *)owner)->drained++;
}

static void on_failed(void *owner, enum fault fault)
{
    (void)owner;
    stage.failed++;
    stage.fault = fault;
    if (fault == FAULT_DOWNSTREAM_GONE) {
        note(TEXT("(gone)"));
        stream_release(stage.stream);
        stage.stream = NULL;
        return;
    }
    stage.used =
        text_append(stage.transcript, sizeof stage.transcript, stage.used, "(%u)", fault_row(fault)->http_status);
    answer(fault_row(fault)->http_status);
}

static bool on_half_closed(void *owner)
{
    return ((struct server_stage *)owner)->may_read;
}

static const struct stream_events stage_stream_events = {
    .on_data = on_data, .on_end = on_end, .on_drained = on_drained, .on_failed = on_failed, .on_half_closed = on_half_closed};

static void on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    assert_ptr_equal(owner, &stage);
    if (stage.used > 0)
        note(TEXT(";"));
    note(head->method);
    note(TEXT(" "));
    note(head->target);
    note(TEXT("["));
    stage.stream = stream;
    stream_set_owner(stream, &stage_stream_events, &stage);
    if (stage.pauses)
        stream_pause(stream);
    if (stage.refuses != 0)
        answer(stage.refuses);
}

static void on_refused(void *owner, struct stream *stream, const struct message_head *head, enum fault fault)
{
    (void)owner;
    const struct header_field *id = message_find(head, HEADER_X_REQUEST_ID);
    struct text id_text = id == NULL ? TEXT("-") : id->value;
    text_append(stage.refused, sizeof stage.refused, 0, "%.*s %.*s %.*s %.*s", TEXT_ARGUMENTS(head->method),
                TEXT_ARGUMENTS(head->target), TEXT_ARGUMENTS(head->path), TEXT_ARGUMENTS(id_text));
    if (stage.used > 0)
        note(TEXT(";"));
    stage.used =
        text_append(stage.transcript, sizeof stage.transcript, stage.used, "(%u)", fault_row(fault)->http_status);
    stage.stream = stream;
    stream_set_owner(stream, &stage_stream_events, &stage);
    if (!stage.keeps_refused)
        answer(fault_row(fault)->http_status);
}

static void on_head_started(void *owner)
{
    ((struct server_stage *)owner)->heads_started++;
}

static void on_idle(void *owner)
{
    rig_expect_turning(&stage.rig);
    ((struct server_stage *)owner)->idle++;
}

static void on_closed(void *owner, enum fault fault)
{
    (void)owner;
    (void)fault;
    rig_expect_turning(&stage.rig);
    stage.closed++;
    stage.link = NULL;
}

static const struct link_events stage_link_events = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_head_started = on_head_started,
    .on_idle = on_idle,
    .on_closed = on_closed,
};

#endif
