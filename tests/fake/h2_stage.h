#ifndef SLUICE_FAKE_H2_STAGE_H
#define SLUICE_FAKE_H2_STAGE_H
/*
 * An HTTP/2 link, downstream or upstream, and an owner of many streams that writes down what it is told. Streams have letters in the
 * order of their coming; data that follows data of the same stream joins it, and a lot of it is its number of bytes.
 *
 *   A=GET /x   on_request     A?fault  on_refused     A=200    on_head      A~103   on_interim
 *   A[bytes]   on_data        A{a=b}   on_trailers    A.       on_end       A>      on_drained     A!fault  on_failed
 *   idle, room, closed(fault): the link's
 *
 * Any event after the owner has let go fails the test. The far end is a struct h2_far. The clock is the test's.
 */
#include "fake/clock.h"
#include "fake/h2_far.h"
#include "http/h2.h"
#include "net/conn.h"

#define H2_STREAMS 700

struct h2_actor {
    struct stream *stream; /* NULL: let go */
    char name;
    bool has_heard_end;
    bool has_said_end;     /* set by a test that wants to let go as soon as both are true */
};

struct h2_stage {
    struct rig rig;
    struct h2_settings settings;
    struct h2_context *context;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct link *link;
    struct h2_far far;
    struct h2_actor actors[H2_STREAMS];
    unsigned actor_count;
    char transcript[65536];
    size_t used;
    char talker;          /* whose data the transcript ends with; where it begins, and how long it is */
    size_t talk_start;
    size_t talk_bytes;
    size_t field_count;   /* of the last head */
    struct message_head last_head; /* its numbers and flags; the texts are gone */
    unsigned answers;     /* a request that is complete is answered with this status, and let go */
    bool pauses;          /* each stream, as soon as its head is there */
    bool releases;        /* each stream, as soon as its head is there */
    bool closes_link;     /* as soon as a head is there */
    bool releases_ended;  /* each stream, with its end */
    void (*then)(void);   /* done once, inside the next on_end */
    void (*interfere)(void); /* done inside of each event of a stream, last */
    bool is_terse;        /* the link's idle and room are not written down */
    unsigned streams_expected; /* what is known of the node beforehand */
    enum fault closed_fault;
    char refused[512];    /* what was understood of the last request that was refused: "METHOD target path X-Request-Id" */
};

static struct h2_stage stage;

/* ---- the transcript ---- */

static inline void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void note(const char *format, ...)
{
    rig_expect_turning(&stage.rig);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(stage.transcript + stage.used, sizeof stage.transcript - stage.used, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < sizeof stage.transcript - stage.used);
    stage.used += (size_t)length;
    stage.talker = '\0';
}

static inline void note_data(char name, struct text bytes)
{
    if (stage.talker == name) {
        stage.used -= 2; /* "] " */
    } else {
        note("%c[", name);
        stage.talk_start = stage.used;
        stage.talk_bytes = 0;
    }
    stage.talk_bytes += bytes.length;
    if (stage.talk_bytes > H2_FAR_SHOWN) {
        stage.used = stage.talk_start;
        note("#%zu] ", stage.talk_bytes);
    } else {
        note("%.*s] ", TEXT_ARGUMENTS(bytes));
    }
    stage.talker = name;
}

static inline void forget(void)
{
    stage.used = 0;
    stage.transcript[0] = '\0';
    stage.talker = '\0';
}

/* ---- the owner of the streams ---- */

/* Whose event it is; nobody hears anything once he has let go. */
static inline struct h2_actor *hearer(void *owner)
{
    struct h2_actor *actor = owner;
    rig_expect_turning(&stage.rig);
    if (actor->stream == NULL)
        fail_msg("%c hears something after it has let go: %s", actor->name, stage.transcript);
    return actor;
}

static inline void let_go(struct h2_actor *actor)
{
    struct stream *stream = actor->stream;
    actor->stream = NULL;
    if (stream != NULL)
        stream_release(stream);
}

static inline void interfere(void)
{
    if (stage.interfere != NULL)
        stage.interfere();
}

static inline void note_head(const struct message_head *head)
{
    stage.field_count = head->field_count;
    stage.last_head = *head;
}

static inline void act_on_head(struct h2_actor *actor)
{
    if (stage.pauses)
        stream_pause(actor->stream);
    if (stage.releases)
        let_go(actor);
    if (stage.closes_link) {
        link_close(stage.link);
        stage.link = NULL;
        let_go(actor);
    }
}

static inline void answer(struct h2_actor *actor, unsigned status)
{
    struct message_head head = {.status = status};
    stream_send_head(actor->stream, &head);
    stream_send_end(actor->stream);
    let_go(actor);
}

static void on_head(void *owner, const struct message_head *head)
{
    struct h2_actor *actor = hearer(owner);
    note("%c=%u ", actor->name, head->status);
    note_head(head);
    act_on_head(actor);
    interfere();
}

static void on_interim(void *owner, const struct message_head *head)
{
    note("%c~%u ", hearer(owner)->name, head->status);
}

static void on_data(void *owner, struct text bytes)
{
    assert_true(bytes.length > 0);
    note_data(hearer(owner)->name, bytes);
    interfere();
}

static void on_trailers(void *owner, const struct message_head *head)
{
    note("%c{", hearer(owner)->name);
    for (size_t i = 0; i < head->field_count; i++)
        note("%s%.*s=%.*s", i == 0 ? "" : " ", TEXT_ARGUMENTS(head->fields[i].name), TEXT_ARGUMENTS(head->fields[i].value));
    note("} ");
    interfere();
}

static void on_end(void *owner)
{
    struct h2_actor *actor = hearer(owner);
    note("%c. ", actor->name);
    if (stage.answers != 0)
        answer(actor, stage.answers);
    actor->has_heard_end = true;
    if (stage.releases_ended || actor->has_said_end)
        let_go(actor);
    void (*then)(void) = stage.then;
    stage.then = NULL;
    if (then != NULL)
        then();
    interfere();
}

static void on_drained(void *owner)
{
    note("%c> ", hearer(owner)->name);
    interfere();
}

static void on_failed(void *owner, enum fault fault)
{
    struct h2_actor *actor = hearer(owner);
    note("%c!%s ", actor->name, fault_row(fault)->name);
    if (stage.answers != 0 && fault != FAULT_DOWNSTREAM_GONE)
        answer(actor, fault_row(fault)->http_status);
    else
        let_go(actor);
    interfere();
}

static const struct stream_events stage_stream_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

static inline struct h2_actor *cast(struct stream *stream)
{
    assert_true(stage.actor_count < H2_STREAMS);
    struct h2_actor *actor = &stage.actors[stage.actor_count];
    *actor = (struct h2_actor){.stream = stream, .name = (char)('A' + stage.actor_count++ % 26)};
    stream_set_owner(stream, &stage_stream_events, actor);
    return actor;
}

/* ---- the owner of the link ---- */

static void on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    assert_ptr_equal(owner, &stage);
    struct h2_actor *actor = cast(stream);
    note("%c=%.*s %.*s ", actor->name, TEXT_ARGUMENTS(head->method), TEXT_ARGUMENTS(head->target));
    note_head(head);
    act_on_head(actor);
    interfere();
}

static void on_refused(void *owner, struct stream *stream, const struct message_head *head, enum fault fault)
{
    assert_ptr_equal(owner, &stage);
    struct h2_actor *actor = cast(stream);
    const struct header_field *id = message_find(head, HEADER_X_REQUEST_ID);
    struct text id_text = id == NULL ? TEXT("-") : id->value;
    text_append(stage.refused, sizeof stage.refused, 0, "%.*s %.*s %.*s %.*s", TEXT_ARGUMENTS(head->method),
                TEXT_ARGUMENTS(head->target), TEXT_ARGUMENTS(head->path), TEXT_ARGUMENTS(id_text));
    note("%c?%s ", actor->name, fault_row(fault)->name);
    answer(actor, fault_row(fault)->http_status);
}

static void on_idle(void *owner)
{
    assert_ptr_equal(owner, &stage);
    rig_expect_turning(&stage.rig);
    if (!stage.is_terse)
        note("idle ");
}

static void on_room(void *owner)
{
    assert_ptr_equal(owner, &stage);
    rig_expect_turning(&stage.rig);
    if (!stage.is_terse)
        note("room ");
}

static void on_closed(void *owner, enum fault fault)
{
    assert_ptr_equal(owner, &stage);
    assert_non_null(stage.link);
    note("closed(%s) ", fault_row(fault)->name);
    stage.closed_fault = fault;
    stage.link = NULL;
}

static const struct link_events stage_link_events = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_idle = on_idle,
    .on_room = on_room,
    .on_closed = on_closed,
};

#endif
