#ifndef SLUICE_FAKE_SERVER_PLAY_H
#define SLUICE_FAKE_SERVER_PLAY_H
/* How a test moves on the stage of server_stage.h: a client comes, says something, hears something, goes. */
#include "fake/server_stage.h"

/* A new connection on the same loop. */
static inline void client_comes(void)
{
    int near;
    stage.far = far_pair(&near);
    struct conn_settings settings = {
        .events = &h1_server_conn_events,
        .pool = &stage.rig.buffers,
        .high_water_bytes = 65536,
        .input_maximum_bytes = stage.settings.limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    struct conn *conn = conn_accept(stage.rig.loop, near, &settings);
    assert_non_null(conn);
    stage.link = h1_server_create(stage.rig.loop, conn, &stage.settings, &stage_link_events, &stage);
    assert_non_null(stage.link);
    stage.heard_length = stage.used = 0;
    stage.transcript[0] = '\0';
    stage.heads_started = stage.idle = stage.drained = stage.failed = stage.closed = 0;
    stage.fault = FAULT_NONE;
}

static inline void client_goes(void)
{
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    if (stage.link != NULL)
        link_close(stage.link);
    stage.link = NULL;
    rig_turn(&stage.rig);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    stage.settings = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .linger_ms = 500, .fields = stage.fields};
    stage.answers = 204;
    client_comes();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    if (stage.far >= 0)
        client_goes();
    rig_stop(&stage.rig);
    return 0;
}

/* The client sends, and what follows from it happens. */
static inline void say(struct text bytes)
{
    assert_int_equal(far_send(stage.far, bytes), bytes.length);
    rig_settle(&stage.rig);
}

static inline void say_words(const char *words)
{
    say(text_of_string(words));
}

/* The client reads what is there for it. */
static inline enum far_state hear(void)
{
    rig_settle(&stage.rig);
    enum far_state result = far_read(stage.far, stage.heard, &stage.heard_length, sizeof stage.heard - 1);
    stage.heard[stage.heard_length] = '\0';
    return result;
}

#define assert_transcript(expected) assert_string_equal(stage.transcript, expected)

#define assert_heard(expected)                                                                                         \
    do {                                                                                                               \
        hear();                                                                                                        \
        assert_string_equal(stage.heard, expected);                                                                    \
        stage.heard_length = 0;                                                                                        \
    } while (0)

#endif
