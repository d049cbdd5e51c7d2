#ifndef SLUICE_SIM_TEST_PEER_STAGE_H
#define SLUICE_SIM_TEST_PEER_STAGE_H
/*
 * A client's peer and a server's over the simulated network, and what either was told, in words:
 *
 *   c0=200 c0=103/      an answer's head; the slash: it is whole
 *   s0=POST:/x:h        a request's
 *   c0[abc]             a body, in one when its end, its trailers or its cut come; a long one as its length: [#70000]
 *   c0~a=b  c0.         trailers, the end
 *   c0!1  c0?1          cut, abandoned, by the number of enum peer_cut
 *   C!1  S!1            a connection's end
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/socket.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "peer/memory.h"
#include "peer/peer.h"
#include "peer/tls.h"
#include "world/plan.h"

#define STAGE_ACTORS 16
#define STAGE_BODY_SHOWN 64
#define STAGE_SERVER 100
#define STAGE_PORT 8181

/* Every case is played with each of these. */
struct stage_setting {
    enum peer_version version;
    bool is_tls;
};

static const struct stage_setting stage_settings[] = {{PEER_HTTP_1, false}, {PEER_HTTP_2, false}, {PEER_HTTP_1, true}, {PEER_HTTP_2, true}};

#define FOR_EACH_SETTING(at) \
    for (const struct stage_setting *at = stage_settings; at < stage_settings + sizeof stage_settings / sizeof stage_settings[0]; at++)

struct stage_actor {
    char name[8];
    struct peer_stream *stream;
    char body[STAGE_BODY_SHOWN];
    size_t body_length;
    unsigned ends;
    struct stage_actor *resumes; /* that one goes on with the first piece of a body */
    bool destroys;               /* its peer is destroyed then */
};

static struct {
    struct plan plan;
    struct tls_far *tls;
    struct sim_socket *listener;
    enum peer_version server_version;
    struct peer *client;
    struct peer *server;
    struct stage_actor clients[STAGE_ACTORS];
    struct stage_actor servers[STAGE_ACTORS];
    size_t client_count;
    size_t server_count;
    char words[16384];
    size_t used;
} stage;

static inline void stage_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void stage_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(stage.words + stage.used, sizeof stage.words - stage.used, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && stage.used + (size_t)length < sizeof stage.words);
    stage.used += (size_t)length;
}

static inline void stage_say_body(struct stage_actor *actor)
{
    if (actor->body_length > STAGE_BODY_SHOWN)
        stage_say(" %s[#%zu]", actor->name, actor->body_length);
    else if (actor->body_length > 0)
        stage_say(" %s[%.*s]", actor->name, (int)actor->body_length, actor->body);
    actor->body_length = 0;
}

/* ---- what streams are told ---- */

static inline void stage_on_response(void *owner, const struct peer_head *head)
{
    struct stage_actor *actor = owner;
    stage_say(" %s=%u%s", actor->name, head->status, head->is_whole ? "/" : "");
    for (size_t i = 0; i < head->field_count; i++)
        stage_say(",%.*s:%.*s", TEXT_ARGUMENTS(head->fields[i].name), TEXT_ARGUMENTS(head->fields[i].value));
}

static inline void stage_on_body(void *owner, struct text piece)
{
    struct stage_actor *actor = owner;
    for (size_t i = 0; i < piece.length && actor->body_length + i < STAGE_BODY_SHOWN; i++)
        actor->body[actor->body_length + i] = piece.bytes[i];
    actor->body_length += piece.length;
    if (actor->resumes != NULL)
        peer_stream_pause(actor->resumes->stream, false);
    if (!actor->destroys)
        return;
    struct peer **own = actor->name[0] == 'c' ? &stage.client : &stage.server;
    peer_destroy(*own);
    *own = NULL;
    peer_stream_release(actor->stream);
    actor->stream = NULL;
}

static inline void stage_on_trailers(void *owner, const struct peer_head *fields)
{
    stage_say_body(owner);
    for (size_t i = 0; i < fields->field_count; i++)
        stage_say(" %s~%.*s=%.*s", ((struct stage_actor *)owner)->name, TEXT_ARGUMENTS(fields->fields[i].name),
                  TEXT_ARGUMENTS(fields->fields[i].value));
}

static inline void stage_on_end(void *owner)
{
    struct stage_actor *actor = owner;
    stage_say_body(actor);
    stage_say(" %s.", actor->name);
    assert_int_equal(actor->ends++, 0);
}

static inline void stage_on_cut(void *owner, enum peer_cut why)
{
    struct stage_actor *actor = owner;
    stage_say_body(actor);
    stage_say(" %s!%d", actor->name, why);
    assert_int_equal(actor->ends++, 0);
}

static inline void stage_on_abandoned(void *owner, enum peer_cut why)
{
    stage_say(" %s?%d", ((struct stage_actor *)owner)->name, why);
}

static inline void stage_on_writable(void *owner)
{
    stage_say(" %s+", ((struct stage_actor *)owner)->name);
}

static const struct peer_stream_events stage_stream_events = {
    .on_response = stage_on_response,
    .on_body = stage_on_body,
    .on_trailers = stage_on_trailers,
    .on_end = stage_on_end,
    .on_cut = stage_on_cut,
    .on_writable = stage_on_writable,
    .on_abandoned = stage_on_abandoned,
};

/* ---- what connections are told ---- */

static inline struct stage_actor *stage_actor_add(char side)
{
    size_t *count = side == 'c' ? &stage.client_count : &stage.server_count;
    struct stage_actor *actor = side == 'c' ? &stage.clients[*count] : &stage.servers[*count];
    assert_true(*count < STAGE_ACTORS);
    snprintf(actor->name, sizeof actor->name, "%c%zu", side, (*count)++);
    return actor;
}

static inline void stage_on_request(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    (void)owner;
    struct stage_actor *actor = stage_actor_add('s');
    actor->stream = stream;
    peer_stream_adopt(stream, &stage_stream_events, actor);
    stage_say(" %s=%.*s:%.*s:%.*s", actor->name, TEXT_ARGUMENTS(head->method), TEXT_ARGUMENTS(head->target), TEXT_ARGUMENTS(head->authority));
    for (size_t i = 0; i < head->field_count; i++)
        stage_say(",%.*s:%.*s", TEXT_ARGUMENTS(head->fields[i].name), TEXT_ARGUMENTS(head->fields[i].value));
}

static inline void stage_on_closed(void *owner, enum peer_cut why)
{
    struct peer **peer = owner;
    stage_say(" %c!%d", peer == &stage.client ? 'C' : 'S', why);
    if (why == PEER_CUT_BAD)
        stage_say("(%s)", peer_fault(*peer));
    peer_destroy(*peer);
    *peer = NULL;
}

static const struct peer_events stage_client_events = {.on_closed = stage_on_closed};
static const struct peer_events stage_server_events = {.on_request = stage_on_request, .on_closed = stage_on_closed};

static inline void stage_on_accept(void *owner, struct sim_socket *connection)
{
    (void)owner;
    stage.server = peer_serve(connection, stage.server_version, stage.tls, &stage_server_events, &stage.server);
}

/* ---- acts ---- */

static inline void stage_run_ms(uint64_t ms)
{
    world_run(sim_now_us() + ms * SIM_MS);
}

/* What was told since the last question, after everything has happened. */
static inline const char *stage_told(void)
{
    static char told[sizeof stage.words];
    stage_run_ms(200);
    memcpy(told, stage.words, stage.used + 1);
    stage.used = 0;
    stage.words[0] = '\0';
    return told[0] == ' ' ? told + 1 : told;
}

static inline void stage_connect(enum peer_version version)
{
    struct address address = sim_address(STAGE_SERVER, STAGE_PORT);
    stage.client = peer_connect(2000, &address, version, stage.tls, &stage_client_events, &stage.client);
}

static inline void stage_begin(uint64_t seed, enum peer_version server_version)
{
    memset(&stage, 0, sizeof stage);
    stage.plan.seed = seed;
    stage.plan.faulty_seconds = 1000000;
    stage.server_version = server_version;
}

/* The plan's rates are set between stage_begin and this. */
static inline void stage_open(bool is_tls)
{
    world_begin(&stage.plan);
    if (is_tls)
        stage.tls = tls_far_create("DNS:n1.sim");
    static const struct sim_socket_events events = {.on_accept = stage_on_accept};
    struct address address = sim_address(STAGE_SERVER, STAGE_PORT);
    stage.listener = sim_listen(&address, 16, &events, NULL);
    assert_non_null(stage.listener);
}

/* Both versions alike: a client and a server that speak `version`. */
static inline void stage_up(enum peer_version version, bool is_tls)
{
    stage_begin(1, version);
    stage_open(is_tls);
    stage_connect(version);
}

static inline void stage_let_go(struct stage_actor *actor)
{
    peer_stream_release(actor->stream);
    actor->stream = NULL;
}

/* Everything ends, whatever is left; then nothing is. */
static inline void stage_down(void)
{
    peer_destroy(stage.client);
    peer_destroy(stage.server);
    for (size_t i = 0; i < STAGE_ACTORS; i++) {
        if (stage.clients[i].stream != NULL)
            stage_let_go(&stage.clients[i]);
        if (stage.servers[i].stream != NULL)
            stage_let_go(&stage.servers[i]);
    }
    sim_close(stage.listener);
    tls_far_destroy(stage.tls);
    stage_run_ms(1000);
    world_end();
    assert_int_equal(peer_memory_users(), 0);
}

static inline struct peer_head stage_request_head(const char *method, bool is_whole)
{
    return (struct peer_head){.method = text_of_string(method), .target = TEXT("/x"), .authority = TEXT("h"), .is_whole = is_whole};
}

static inline struct stage_actor *stage_request(const char *method, bool is_whole)
{
    struct peer_head head = stage_request_head(method, is_whole);
    struct stage_actor *actor = stage_actor_add('c');
    actor->stream = peer_request(stage.client, &head, &stage_stream_events, actor);
    assert_non_null(actor->stream);
    return actor;
}

static inline void stage_answer_head(struct stage_actor *actor, unsigned status, bool is_whole)
{
    struct peer_head head = {.status = status, .is_whole = is_whole};
    peer_respond(actor->stream, &head);
}

/* A whole answer with a body; the length is said when it is not empty. */
static inline void stage_answer(struct stage_actor *actor, const char *body)
{
    struct peer_head head = {.status = 200, .has_length = true, .length = strlen(body), .is_whole = body[0] == '\0'};
    peer_respond(actor->stream, &head);
    peer_send_body(actor->stream, text_of_string(body));
    peer_send_end(actor->stream, NULL);
}

#endif
