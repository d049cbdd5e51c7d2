#ifndef SLUICE_FAKE_CLIENT_STAGE_H
#define SLUICE_FAKE_CLIENT_STAGE_H
/*
 * An upstream HTTP/1 link and its owner, who writes down what the node answered: `status[body]`, `(fault)`, `!status`
 * for an interim answer. The node is the far end of a connection. The clock is the test's.
 */
#include <string.h>

#include "fake/clock.h"
#include "fake/rig.h"
#include "http/h1.h"
#include "net/conn.h"

struct client_stage {
    struct rig rig;
    struct h1_settings settings;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct link *link;
    struct stream *stream;
    int far;
    char heard[1048576]; /* by the node */
    size_t heard_length;
    char transcript[65536];
    size_t used;
    size_t field_count;  /* of the last head */
    bool pauses;         /* the stream, as soon as an answer's head is there */
    unsigned drained, failed, ended, closed;
    enum fault closed_fault;
};

static struct client_stage stage;

static void note(struct text words)
{
    rig_expect_turning(&stage.rig);
    stage.used = text_append(stage.transcript, sizeof stage.transcript, stage.used, "%.*s", TEXT_ARGUMENTS(words));
}

static void on_head(void *owner, const struct message_head *head)
{
    assert_ptr_equal(owner, &stage);
    stage.used = text_append(stage.transcript, sizeof stage.transcript, stage.used, "%u[", head->status);
    stage.field_count = head->field_count;
    if (stage.pauses)
        stream_pause(stage.stream);
}

static void on_interim(void *owner, const struct message_head *head)
{
    (void)owner;
    stage.used = text_append(stage.transcript, sizeof stage.transcript, stage.used, "!%u ", head->status);
}

static void on_data(void *owner, struct text bytes)
{
    (void)owner;
    assert_true(bytes.length > 0);
    note(bytes);
}

static void on_end(void *owner)
{
    note(TEXT("]"));
    ((struct client_stage *)owner)->ended++;
}

static void on_drained(void *owner)
{
    rig_expect_turning(&stage.rig);
    ((struct client_stage *)owner)->drained++;
}

static void on_failed(void *owner, enum fault fault)
{
    (void)owner;
    note(TEXT("("));
    note(text_of_string(fault_row(fault)->name));
    note(TEXT(")"));
    stage.failed++;
    stream_release(stage.stream);
    stage.stream = NULL;
}

static const struct stream_events stage_stream_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

static void on_closed(void *owner, enum fault fault)
{
    (void)owner;
    rig_expect_turning(&stage.rig);
    stage.closed++;
    stage.closed_fault = fault;
    stage.link = NULL;
}

static const struct link_events stage_link_events = {.on_closed = on_closed};

/* A link over the connected socket `near`, whose other end is `far`. */
static inline void link_up(int near, int far)
{
    struct conn_settings settings = {
        .events = &h1_client_conn_events,
        .pool = &stage.rig.buffers,
        .high_water_bytes = 65536,
        .input_maximum_bytes = stage.settings.limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    struct conn *conn = conn_accept(stage.rig.loop, near, &settings);
    stage.link = h1_client_create(stage.rig.loop, conn, &stage.settings, &stage_link_events, &stage);
    assert_non_null(stage.link);
    stage.far = far;
    stage.stream = NULL;
    stage.heard_length = stage.used = 0;
    stage.transcript[0] = '\0';
    stage.drained = stage.failed = stage.ended = stage.closed = 0;
}

#endif
