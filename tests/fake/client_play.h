#ifndef SLUICE_FAKE_CLIENT_PLAY_H
#define SLUICE_FAKE_CLIENT_PLAY_H
/* How a test moves on the stage of client_stage.h: a request goes out, a node hears it, answers, goes. */
#include "fake/client_stage.h"

static inline void node_comes(void)
{
    int near;
    int far = far_pair(&near);
    link_up(near, far);
}

static inline void node_goes(void)
{
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
}

/* Takes everything down, whatever is left of it. */
static inline void all_go(void)
{
    if (stage.link != NULL)
        link_close(stage.link);
    stage.link = NULL;
    stage.stream = NULL;
    if (stage.far >= 0)
        node_goes();
    rig_turn(&stage.rig);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    stage.settings = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .fields = stage.fields};
    node_comes();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    all_go();
    rig_stop(&stage.rig);
    return 0;
}

static inline void open_stream(void)
{
    stage.stream = link_open_stream(stage.link);
    assert_non_null(stage.stream);
    stream_set_owner(stage.stream, &stage_stream_events, &stage);
}

static inline void send_head(const char *method, enum body_kind body, uint64_t length)
{
    struct message_head head = {.method = text_of_string(method),
                                .target = TEXT("/"),
                                .authority = TEXT("n"),
                                .body = body,
                                .content_length = length};
    stream_send_head(stage.stream, &head);
}

/* A whole request without a body. */
static inline void ask(const char *method)
{
    open_stream();
    send_head(method, BODY_NONE, 0);
    stream_send_end(stage.stream);
    rig_settle(&stage.rig);
}

/* The node sends, and what follows from it happens. */
static inline void say(struct text bytes)
{
    far_send(stage.far, bytes);
    rig_settle(&stage.rig);
}

static inline void say_words(const char *words)
{
    say(text_of_string(words));
}

static inline enum far_state hear(void)
{
    rig_settle(&stage.rig);
    enum far_state result = far_read(stage.far, stage.heard, &stage.heard_length, sizeof stage.heard - 1);
    stage.heard[stage.heard_length] = '\0';
    return result;
}

/* Lets go of the stream, and like a pool of the link when it has no room: then it dies in this turn. */
static inline void let_go(void)
{
    stream_release(stage.stream);
    stage.stream = NULL;
    if (!link_has_room(stage.link))
        stage.link = NULL;
    rig_settle(&stage.rig);
}

static inline bool is_kept(void)
{
    return stage.link != NULL && hear() == FAR_OPEN;
}

#define assert_transcript(expected) assert_string_equal(stage.transcript, expected)

#define assert_heard(expected)                                                                                         \
    do {                                                                                                               \
        hear();                                                                                                        \
        assert_string_equal(stage.heard, expected);                                                                    \
        stage.heard_length = 0;                                                                                        \
    } while (0)

#endif
