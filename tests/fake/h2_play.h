#ifndef SLUICE_FAKE_H2_PLAY_H
#define SLUICE_FAKE_H2_PLAY_H
/* How a test moves on the stage of h2_stage.h. */
#include "fake/h2_stage.h"

#define H2_GET ":method: GET\n:scheme: http\n:authority: h\n:path: /\n"
#define H2_POST ":method: POST\n:scheme: http\n:authority: h\n:path: /\n"
#define H2_LONG 65536

static inline void start_stage(void)
{
    memset(&stage, 0, sizeof stage);
    stage.far.fd = -1;
    rig_start(&stage.rig);
    stage.settings = (struct h2_settings){
        .limits = {.head_bytes = 16384, .target_bytes = 8192, .fields = 100},
        .streams_maximum = 100,
        .window_bytes = 65536,
        .output_bytes = 32768,
        .request_head_ms = 5000,
        .stall_ms = 10000,
        .buffers = &stage.rig.buffers,
        .fields = stage.fields,
    };
}

/* A link over the connected socket `near`; the context is made with the settings that the test has left. */
static inline void link_up(bool is_server, int near, int far)
{
    if (stage.context == NULL)
        stage.context = h2_context_create(stage.rig.loop, &stage.settings);
    assert_non_null(stage.context);
    struct conn_settings settings = {
        .events = is_server ? &h2_server_conn_events : &h2_client_conn_events,
        .pool = &stage.rig.buffers,
        .high_water_bytes = 65536,
        .input_maximum_bytes = 131072,
    };
    struct conn *conn = conn_accept(stage.rig.loop, near, &settings);
    assert_non_null(conn);
    stage.link = is_server ? h2_server_create(stage.context, conn, &stage_link_events, &stage)
                           : h2_client_create(stage.context, conn, TEXT("http"), stage.streams_expected, &stage_link_events, &stage);
    assert_non_null(stage.link);
    h2_far_open(&stage.far, far);
}

static inline void link_up_on_pair(bool is_server)
{
    int near;
    int far = far_pair(&near);
    link_up(is_server, near, far);
}

/* What was said goes out as one piece, and what follows from it happens. */
static inline void say(void)
{
    far_flush(&stage.far);
    assert_int_equal(stage.far.said_length, 0);
    rig_settle(&stage.rig);
}

static inline void hear(void)
{
    rig_settle(&stage.rig);
    far_hear_some(&stage.far, sizeof stage.far.heard);
}

static inline void far_goes(void)
{
    close(stage.far.fd);
    stage.far.fd = -1;
    rig_settle(&stage.rig);
}

/* Takes everything down, whatever is left of it; then nothing may be left in the context. */
static inline void all_go(void)
{
    if (stage.link != NULL)
        link_close(stage.link);
    stage.link = NULL;
    for (unsigned i = 0; i < stage.actor_count; i++) {
        if (stage.actors[i].stream != NULL)
            let_go(&stage.actors[i]);
    }
    stage.actor_count = 0;
    if (stage.far.deflater != NULL)
        h2_far_close(&stage.far);
    rig_turn(&stage.rig);
    forget();
}

static inline int tear_down(void **state)
{
    (void)state;
    all_go();
    rig_stop(&stage.rig);
    h2_context_destroy(stage.context);
    return 0;
}

/* Time passes in small steps, as for a machine that is awake. */
static inline void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(ms - passed < LOOP_TICK_MS ? ms - passed : LOOP_TICK_MS);
        rig_turn(&stage.rig);
    }
}

/* What a client or node says first, and that it has heard our settings. */
static inline void far_greets(bool is_client)
{
    if (is_client)
        far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
    far_frame(&stage.far, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

/* Bytes that show their place. */
static inline struct text long_text(size_t length)
{
    static char bytes[1048576];
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)('a' + i % 26);
    return text_of(bytes, length);
}

static inline void answer_with(struct h2_actor *actor, struct text body, bool is_length_known)
{
    struct message_head head = {.status = 200, .body = is_length_known ? BODY_LENGTH : BODY_STREAM,
                                .content_length = is_length_known ? body.length : 0};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, body);
    stream_send_end(actor->stream);
}

/* What one stream was told, whatever the others were told meanwhile; its data in one, and without blanks in it. */
static inline const char *told(char name)
{
    static char words[1024];
    size_t used = 0;
    bool is_own = false;
    words[0] = '\0';
    struct text rest = text_of(stage.transcript, stage.used);
    while (rest.length > 0) {
        struct text word = text_cut(&rest, ' ');
        bool is_event = word.length > 1 && word.bytes[0] >= 'A' && word.bytes[0] <= 'Z' && strchr("=?~[{.>!", word.bytes[1]) != NULL;
        is_own = is_event ? word.bytes[0] == name : is_own;
        size_t skip = 0;
        if (is_own && is_event && word.bytes[1] == '[' && used > 1 && words[used - 2] == ']') {
            used -= 2; /* data behind data */
            skip = 2;
        }
        if (is_own)
            used = text_append(words, sizeof words, used, "%.*s ", (int)(word.length - skip), word.bytes + skip);
    }
    return words;
}

/* ---- downstream ---- */

/* A client has come and both sides have said hello. */
static inline void client_comes(void)
{
    link_up_on_pair(true);
    far_greets(true);
    say();
    hear();
    far_forget(&stage.far);
    forget();
    stage.far.is_quiet = true;
    stage.is_terse = true;
}

/* Takes everything down and lets a client come to a link with other settings. */
static inline void renew_context(void)
{
    all_go();
    h2_context_destroy(stage.context);
    stage.context = NULL;
}

static inline int set_up_client(void **state)
{
    (void)state;
    start_stage();
    client_comes();
    return 0;
}

static inline int set_up_alone(void **state)
{
    (void)state;
    start_stage();
    return 0;
}

/* The client opens a stream with a body to come; returns who holds it. */
static inline struct h2_actor *post(int32_t id)
{
    far_head(&stage.far, id, H2_POST, false);
    say();
    return &stage.actors[stage.actor_count - 1];
}

static inline struct h2_actor *get(int32_t id)
{
    far_head(&stage.far, id, H2_GET, true);
    say();
    return &stage.actors[stage.actor_count - 1];
}

/* The connection ends with ENHANCE_YOUR_CALM, and the link says why. */
static inline void assert_abuse(const char *kind)
{
    struct link *link = stage.link;
    if (link != NULL) {
        hear();
        /* nghttp2 may have said something of its own before. */
        if (strstr(stage.far.words, ",11) ") == NULL)
            fail_msg("%s: heard %.300s, told %.300s", kind, stage.far.words, stage.transcript);
        assert_string_equal(link->end_reason, kind);
        far_goes();
    }
    const char *closed = strstr(stage.transcript, "closed(");
    if (closed == NULL || strcmp(closed, "closed(abuse) ") != 0)
        fail_msg("%s: told %.300s", kind, stage.transcript);
}

/* Says what `speak` says, `count` times and in pieces of `piece`, until the link ends. */
static inline void flood(void (*speak)(int number), int count, int piece)
{
    for (int i = 0; i < count; i++) {
        speak(i);
        if (i % piece != piece - 1 && i != count - 1)
            continue;
        far_flush(&stage.far);
        stage.far.said_length = 0;
        for (int j = 0; j < 3; j++)
            rig_turn(&stage.rig);
        far_hear_some(&stage.far, sizeof stage.far.heard);
    }
}

/* ---- upstream ---- */

/* The node says hello, too. */
static inline void node_greets(void)
{
    rig_settle(&stage.rig);
    far_hear_preface(&stage.far);
    far_greets(false);
    say();
    hear();
    far_forget(&stage.far);
    forget();
    stage.far.is_quiet = true;
}

static inline void node_comes(void)
{
    link_up_on_pair(false);
    node_greets();
}

static inline int set_up_node(void **state)
{
    (void)state;
    start_stage();
    node_comes();
    return 0;
}

static inline struct h2_actor *open_stream(void)
{
    struct stream *stream = link_open_stream(stage.link);
    assert_non_null(stream);
    return cast(stream);
}

static inline void send_head(struct h2_actor *actor, const char *method, enum body_kind body, uint64_t length)
{
    struct message_head head = {.method = text_of_string(method),
                                .target = TEXT("/"),
                                .authority = TEXT("n"),
                                .body = body,
                                .content_length = length};
    stream_send_head(actor->stream, &head);
}

/* A whole request without a body; it goes out at the end of the turn. */
static inline struct h2_actor *submit(const char *method)
{
    struct h2_actor *actor = open_stream();
    send_head(actor, method, BODY_NONE, 0);
    stream_send_end(actor->stream);
    return actor;
}

/* The same, and the node has heard it. */
static inline struct h2_actor *ask(const char *method)
{
    struct h2_actor *actor = submit(method);
    hear();
    far_forget(&stage.far);
    return actor;
}

/* A request whose body is to come. */
static inline struct h2_actor *upload(void)
{
    struct h2_actor *actor = open_stream();
    send_head(actor, "POST", BODY_STREAM, 0);
    hear();
    far_forget(&stage.far);
    return actor;
}

/* What a node hears of a GET, behind the stream's number. */
#define H2_ASKED "{:method=GET :scheme=http :authority=n :path=/}. "

#define assert_transcript(expected)                                                                                    \
    do {                                                                                                               \
        assert_string_equal(stage.transcript, expected);                                                               \
        forget();                                                                                                      \
    } while (0)

#define assert_heard(expected)                                                                                         \
    do {                                                                                                               \
        hear();                                                                                                        \
        assert_string_equal(stage.far.words, expected);                                                                \
        far_forget(&stage.far);                                                                                        \
    } while (0)

#endif
