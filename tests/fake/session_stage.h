#ifndef SLUICE_FAKE_SESSION_STAGE_H
#define SLUICE_FAKE_SESSION_STAGE_H
/* One session on a loop, a client at the far end that speaks either HTTP, and a handler that answers 204. The clock is the test's. */
#include <stdio.h>
#include <string.h>

#include "downstream/session.h"
#include "fake/clock.h"
#include "fake/h2_far.h"
#include "fake/rig.h"
#include "http/h1.h"
#include "http/h2.h"
#include "http/link.h"

struct session_stage {
    struct rig rig;
    struct h1_settings h1;
    struct h2_context *h2;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct session_settings settings;
    struct log_limit abuse_log;
    struct list sessions;
    struct list idle;
    struct h2_far far;
    struct stream *stream;  /* of the last request that is not answered yet */
    char transcript[4096];
    size_t used;
    bool keeps;             /* requests are not answered at once */
};

static struct session_stage stage;

static inline void note(const char *words)
{
    rig_expect_turning(&stage.rig);
    stage.used = text_append(stage.transcript, sizeof stage.transcript, stage.used, "%s ", words);
}

/* ---- the handler ---- */

static inline void answer(void)
{
    struct message_head head = {.status = 204};
    struct stream *stream = stage.stream;
    stage.stream = NULL;
    stream_send_head(stream, &head);
    stream_send_end(stream);
    stream_release(stream);
}

static inline void on_data(void *owner, struct text bytes)
{
    (void)owner;
    (void)bytes;
}

static inline void on_end(void *owner)
{
    (void)owner;
    if (!stage.keeps)
        answer();
}

static inline void on_failed(void *owner, enum fault fault)
{
    (void)owner;
    note(fault_row(fault)->name);
    stream_release(stage.stream);
    stage.stream = NULL;
}

static const struct stream_events request_events = {.on_data = on_data, .on_end = on_end, .on_failed = on_failed};

static inline void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    assert_ptr_equal(owner, &stage);
    assert_string_equal(session->client_host, "127.0.0.1");
    char words[256];
    snprintf(words, sizeof words, "%s:%.*s", head->version == MESSAGE_HTTP_2 ? "h2" : "h1", TEXT_ARGUMENTS(head->target));
    note(words);
    stage.stream = stream;
    stream_set_owner(stream, &request_events, NULL);
}

static inline void on_refused(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault)
{
    (void)head;
    (void)owner;
    (void)session;
    note(fault_row(fault)->name);
    stage.stream = stream;
    answer();
}

static inline void on_session_closed(void *owner, enum fault fault)
{
    assert_ptr_equal(owner, &stage);
    char words[64];
    snprintf(words, sizeof words, "closed(%s)", fault_row(fault)->name);
    note(words);
}

static const struct session_handler handler = {
    .on_request = on_request, .on_refused = on_refused, .on_session_closed = on_session_closed};

/* ---- the stage ---- */

/* Over TCP, because a session tells where its client comes from. */
static inline void client_comes(void)
{
    struct address address;
    int listening = far_listen(&address);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connect(far, &address.socket.any, address.length);
    int near;
    rig_until(&stage.rig, (near = far_accept(listening)) >= 0);
    close(listening);
    h2_far_open(&stage.far, far);
    stage.far.is_quiet = true;
    assert_true(session_create(stage.rig.loop, near, NULL, &stage.settings, &stage.sessions));
    stage.used = 0;
    stage.transcript[0] = '\0';
}

static inline void client_goes(void)
{
    struct list_node *node;
    if ((node = list_first(&stage.sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    if (stage.stream != NULL)
        stream_release(stage.stream);
    stage.stream = NULL;
    assert_int_equal(stage.sessions.count, 0);
    h2_far_close(&stage.far);
    rig_turn(&stage.rig);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    list_init(&stage.sessions);
    list_init(&stage.idle);
    stage.h1 = (struct h1_settings){
        .limits = {.head_bytes = 16384, .target_bytes = 8192, .fields = 100}, .linger_ms = 500, .fields = stage.fields};
    struct h2_settings h2 = {.limits = stage.h1.limits,
                             .streams_maximum = 100,
                             .window_bytes = 65536,
                             .output_bytes = 32768,
                             .request_head_ms = 2000,
                             .stall_ms = 10000,
                             .buffers = &stage.rig.buffers,
                             .fields = stage.fields};
    stage.h2 = h2_context_create(stage.rig.loop, &h2);
    assert_non_null(stage.h2);
    stage.settings = (struct session_settings){.handler = &handler,
                                               .owner = &stage,
                                               .h1 = &stage.h1,
                                               .h2 = stage.h2,
                                               .buffers = &stage.rig.buffers,
                                               .abuse_log = &stage.abuse_log,
                                               .idle = &stage.idle,
                                               .request_head_ms = 2000,
                                               .keep_alive_ms = 5000,
                                               .buffer_bytes = 65536};
    client_comes();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    client_goes();
    rig_stop(&stage.rig);
    h2_context_destroy(stage.h2);
    return 0;
}

static inline void say(const char *bytes, size_t length)
{
    far_put(&stage.far, bytes, length);
    far_flush(&stage.far);
    rig_settle(&stage.rig);
}

static inline void say_words(const char *words)
{
    say(words, strlen(words));
}

static inline void hear(void)
{
    rig_settle(&stage.rig);
    far_hear_some(&stage.far, sizeof stage.far.heard);
}

/* Time passes in small steps, as for a machine that is awake. */
static inline void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(ms - passed < LOOP_TICK_MS ? ms - passed : LOOP_TICK_MS);
        rig_turn(&stage.rig);
    }
}

static inline void greet(void)
{
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
    far_frame(&stage.far, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

static inline void get(int32_t id)
{
    far_head(&stage.far, id, ":method: GET\n:scheme: http\n:authority: h\n:path: /x\n", true);
    say_words("");
}

static inline struct session *session(void)
{
    struct list_node *node = list_first(&stage.sessions);
    assert_non_null(node);
    return LIST_OWNER(node, struct session, node);
}

#define GET_1 "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
#define assert_transcript(expected) assert_string_equal(stage.transcript, expected)

#endif
