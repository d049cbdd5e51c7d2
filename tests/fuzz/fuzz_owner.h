#ifndef SLUICE_FUZZ_FUZZ_OWNER_H
#define SLUICE_FUZZ_FUZZ_OWNER_H
/*
 * A link over a socket pair, and an owner of its streams who may do inside of any event whatever http/stream.h allows him: which thing, says
 * a tape of bytes. What is expected of each link, whatever its codec and side:
 *
 *   - no command calls back before it returns; nobody hears anything once he has let go, or after on_failed, or once the link is closed;
 *   - head, then data, then the end, each in its place; no data and no end of a body while the stream is paused;
 *   - everybody who has not let go hears an end or a failure when the other side is gone;
 *   - a request that is said not to have been read, or not to have left, is one that the node has not heard;
 *   - when all is over the memory is what it was before.
 *
 * Bodies that the owner sends have at each place the byte that body_byte says, so whoever hears them knows what is missing.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fake/clock.h"
#include "fuzz/fuzz.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/buffer.h"
#include "net/conn.h"
#include "net/loop.h"

#define ACTORS 64
#define TAPED_MAXIMUM 800
#define HEARD_BYTES (1024 * 1024)

enum actor_sending { SENDS_HEAD, SENDS_BODY, SENDS_NOTHING };

struct actor {
    struct stream *stream;     /* NULL: let go */
    unsigned number;           /* in the order of coming; the far end hears it in X-Actor */
    enum actor_sending sending;
    enum body_kind body;       /* of what is sent */
    uint64_t left;             /* of it, when its length was announced */
    uint64_t sent;
    uint64_t got;
    bool has_head;             /* received: for a server from the start */
    bool has_body;             /* more than a head was promised */
    bool has_heard_end;
    bool has_failed;
    bool is_paused;
    bool is_refused;
    bool has_ended;            /* the whole of what it had to send was handed over */
    bool had_not_left;         /* client: when the owner let go, some of the request had not left */
    enum fault fault;
};

struct world {
    struct loop *loop;
    struct buffer_pool buffers;
    struct h2_context *context;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct h1_settings h1;
    struct h2_settings h2;
    struct link *link;         /* NULL: closed */
    bool is_server, is_http2;
    bool is_plain;             /* the owner does nothing unusual: he answers what is whole */
    bool knows_bodies;         /* what comes in has the bytes of body_byte, too, and is in whole frames */
    bool has_greeted;          /* HTTP/2: the far side has sent its SETTINGS */
    bool was_closed_here;      /* by link_close: what was on its way may be lost */
    bool was_dropped;          /* by link_close as well, because it was spent */
    int far;
    unsigned in_command;
    struct text tape;          /* what the owner does; it goes round until he is tired */
    unsigned taped;            /* bytes that were taken from it */
    struct actor actors[ACTORS];
    unsigned count;
    void (*hear)(void);        /* the far end reads what is there */
    char heard[HEARD_BYTES];   /* by the far end */
    size_t heard_length;
    bool has_far_ended;        /* it has read the end of the connection */
};

static struct world world;

static inline uint8_t body_byte(uint64_t place)
{
    return (uint8_t)(place * 7 + (place >> 8));
}

static inline bool is_tired(void)
{
    return world.tape.length == 0 || world.taped >= TAPED_MAXIMUM;
}

/* The owner's next choice; 0, which is nothing unusual, when he is tired. */
static inline unsigned owner_byte(void)
{
    return is_tired() ? 0 : (uint8_t)world.tape.bytes[world.taped++ % world.tape.length];
}

/* Every call of a verb stands in one of these. */
#define COMMAND(call) (world.in_command++, (call), world.in_command--)

static inline void act(struct actor *actor);
static const struct stream_events actor_events;

/* ---- what the owner sends ---- */

static inline unsigned held_count(void)
{
    unsigned held = 0;
    for (unsigned i = 0; i < world.count; i++)
        held += world.actors[i].stream != NULL;
    return held;
}

/* An upstream link that is spent is closed with its last stream, as the pool does it (upstream/pool.c, pool_give). */
static inline void drop_if_spent(void)
{
    struct link *link = world.link;
    if (world.is_server || link == NULL || held_count() > 0 || link_has_room(link) || !link_is_spent(link))
        return;
    world.link = NULL;
    world.was_dropped = true;
    COMMAND(link_close(link));
}

/* Before a request is given up. The answer must hold for ever, because it may be sent elsewhere then. */
static inline void note_left(struct actor *actor, struct stream *stream)
{
    bool is_answered = actor->has_heard_end && actor->has_ended;
    if (!world.is_server && !is_answered && !stream_has_left(stream))
        actor->had_not_left = true;
}

static inline void let_go(struct actor *actor)
{
    struct stream *stream = actor->stream;
    actor->stream = NULL;
    if (stream == NULL)
        return;
    note_left(actor, stream);
    COMMAND(stream_release(stream));
    drop_if_spent();
}

static inline void give_up(struct actor *actor)
{
    note_left(actor, actor->stream);
    COMMAND(stream_reset(actor->stream, FAULT_UPSTREAM_RESET));
    let_go(actor);
}

static inline void let_all_go(void)
{
    for (unsigned i = 0; i < world.count; i++)
        let_go(&world.actors[i]);
}

/* The owner closes the link: whoever holds a stream lets go of it. */
static inline void close_here(void)
{
    if (world.link == NULL)
        return;
    for (unsigned i = 0; i < world.count; i++) {
        if (world.actors[i].stream != NULL)
            note_left(&world.actors[i], world.actors[i].stream);
    }
    struct link *link = world.link;
    world.link = NULL;
    world.was_closed_here = true;
    COMMAND(link_close(link));
    let_all_go();
}

static inline void send_some(struct actor *actor, uint64_t length)
{
    static char bytes[131072];
    if (actor->sending != SENDS_BODY || actor->body == BODY_NONE)
        return;
    if (actor->body == BODY_LENGTH && length > actor->left)
        length = actor->left;
    length = length > sizeof bytes ? sizeof bytes : length;
    for (uint64_t i = 0; i < length; i++)
        bytes[i] = (char)body_byte(actor->sent + i);
    actor->sent += length;
    actor->left -= actor->body == BODY_LENGTH ? length : 0;
    struct text copy = fuzz_copy(text_of(bytes, length));
    COMMAND(stream_send_data(actor->stream, copy));
    fuzz_free(copy);
}

static inline void send_end(struct actor *actor)
{
    if (actor->sending != SENDS_BODY || (actor->body == BODY_LENGTH && actor->left > 0))
        return;
    actor->sending = SENDS_NOTHING;
    actor->has_ended = true;
    COMMAND(stream_send_end(actor->stream));
    if (actor->has_heard_end)
        let_go(actor);
}

static inline void send_trailers(struct actor *actor)
{
    struct header_field fields[] = {{TEXT("Grpc-Status"), TEXT("0"), HEADER_GRPC_STATUS}, {TEXT("x-t"), TEXT("1"), HEADER_OTHER}};
    struct message_head head = {.fields = fields, .field_count = 2};
    if (actor->sending == SENDS_BODY && actor->body != BODY_NONE && (actor->body != BODY_LENGTH || actor->left == 0))
        COMMAND(stream_send_trailers(actor->stream, &head));
}

static inline void send_head(struct actor *actor, unsigned choice)
{
    static const unsigned statuses[] = {200, 204, 304, 400, 200, 503, 200, 200};
    static const char *const methods[] = {"GET", "POST", "HEAD", "PUT"};
    char number[16];
    size_t length = text_append(number, sizeof number, 0, "%u", actor->number);
    struct header_field fields[] = {{TEXT("X-Actor"), text_of(number, length), HEADER_OTHER}, {TEXT("content-type"), TEXT("a/b"), HEADER_CONTENT_TYPE}};
    struct message_head head = {.fields = fields, .field_count = 1 + (choice >> 6 & 1)};
    if (actor->sending != SENDS_HEAD)
        return;
    if (world.is_server) {
        head.status = statuses[choice & 7];
        message_set(&head, MESSAGE_ENDS_CONNECTION, (choice & 128) != 0);
    } else {
        head.method = text_of_string(methods[choice & 3]);
        head.target = TEXT("/x");
        head.authority = TEXT("n");
    }
    bool may_have_body = !world.is_server || (head.status != 204 && head.status != 304);
    head.body = !may_have_body ? BODY_NONE : (choice & 8) != 0 ? BODY_LENGTH : (choice & 16) != 0 ? BODY_STREAM : BODY_NONE;
    if (head.body == BODY_LENGTH) {
        head.content_length = 1 + (uint64_t)(choice >> 5 & 3) * 9000;
        head.version = (choice & 4) != 0 ? MESSAGE_HTTP_2 : MESSAGE_HTTP_1_1;
    }
    actor->sending = SENDS_BODY;
    actor->body = head.body;
    actor->left = head.body == BODY_LENGTH ? head.content_length : 0;
    COMMAND(stream_send_head(actor->stream, &head));
}

/* Whatever is missing of the message. */
static inline void send_rest(struct actor *actor, unsigned choice)
{
    send_head(actor, choice);
    if (actor->body == BODY_STREAM && actor->sent == 0)
        send_some(actor, 100);
    while (actor->sending == SENDS_BODY && actor->body == BODY_LENGTH && actor->left > 0)
        send_some(actor, actor->left);
    send_end(actor);
}

static inline void send_interim(struct actor *actor)
{
    struct message_head head = {.status = actor->number % 2 == 0 ? 103 : 100};
    if (world.is_server && actor->sending == SENDS_HEAD && !actor->is_refused)
        COMMAND(stream_send_interim(actor->stream, &head));
}

/* The node has heard this actor's head, or its whole request. */
static inline void expect_honest(const struct actor *actor, bool is_whole)
{
    expect(!actor->has_failed || actor->fault != FAULT_LINK_CLOSED_UNREAD);
    expect(!actor->had_not_left || !is_whole);
}

static inline struct actor *cast(struct stream *stream)
{
    expect(world.count < ACTORS);
    struct actor *actor = &world.actors[world.count];
    trace("actor %u comes\n", world.count);
    *actor = (struct actor){.stream = stream, .number = world.count++};
    stream_set_owner(stream, &actor_events, actor);
    return actor;
}

static inline struct actor *open_one(void)
{
    if (world.is_server || world.link == NULL || world.count >= ACTORS - 1)
        return NULL;
    bool has_room = link_has_room(world.link);
    struct stream *stream = NULL;
    COMMAND(stream = link_open_stream(world.link));
    expect(has_room == (stream != NULL));
    return stream == NULL ? NULL : cast(stream);
}

/* Gone or not, the verbs of whoever holds a stream may be called. */
static inline void act_once(struct actor *actor, unsigned what)
{
    trace("actor %u does %u\n", actor->number, what & 15);
    switch (what & 15) {
    case 1:
        send_head(actor, owner_byte());
        break;
    case 2:
        send_some(actor, owner_byte());
        break;
    case 3:
        send_some(actor, owner_byte() * UINT64_C(257));
        break;
    case 4:
        send_end(actor);
        break;
    case 5:
        send_trailers(actor);
        break;
    case 6:
        actor->is_paused = true;
        COMMAND(stream_pause(actor->stream));
        break;
    case 7:
        actor->is_paused = false;
        COMMAND(stream_resume(actor->stream));
        break;
    case 8:
        send_interim(actor);
        break;
    case 9:
        give_up(actor);
        break;
    case 10:
        let_go(actor);
        break;
    case 11:
        send_rest(actor, owner_byte());
        break;
    case 12:
        if ((what & 128) != 0)
            close_here();
        else if (world.link != NULL && world.is_server)
            COMMAND(link_drain(world.link));
        break;
    case 13:
        (void)stream_is_congested(actor->stream);
        if (!world.is_server)
            (void)stream_has_left(actor->stream);
        break;
    case 14: {
        struct actor *other = open_one();
        if (other != NULL)
            send_rest(other, owner_byte());
        break;
    }
    default:
        break;
    }
}

/* What the owner does within an event, or between two. One byte may ask for one more. */
static inline void act(struct actor *actor)
{
    for (unsigned times = 0; times < 4 && actor->stream != NULL && !world.is_plain; times++) {
        unsigned what = owner_byte();
        if (actor->has_failed && !(actor->is_refused && actor->sending != SENDS_NOTHING))
            what = 10;
        act_once(actor, what);
        if ((what & 64) == 0)
            return;
    }
}

/* ---- what the owner hears ---- */

static inline struct actor *hearer(void *owner, const char *event)
{
    struct actor *actor = owner;
    trace("actor %u hears %s\n", actor->number, event);
    expect(world.in_command == 0);
    expect(actor->stream != NULL && !actor->has_failed);
    return actor;
}

/* The head of what comes in: for a server with the request. */
static inline void note_head(struct actor *actor, const struct message_head *head)
{
    actor->has_head = true;
    actor->has_body = head->body != BODY_NONE;
}

static void actor_on_head(void *owner, const struct message_head *head)
{
    struct actor *actor = hearer(owner, "head");
    expect(!world.is_server && !actor->has_head && head->status >= 200 && head->status <= 599);
    note_head(actor, head);
    act(actor);
}

static void actor_on_interim(void *owner, const struct message_head *head)
{
    struct actor *actor = hearer(owner, "interim");
    expect(!world.is_server && !actor->has_head && head->status > 101 && head->status < 200);
    act(actor);
}

static void actor_on_data(void *owner, struct text bytes)
{
    struct actor *actor = hearer(owner, "data");
    expect(bytes.length > 0 && actor->has_head && actor->has_body && !actor->has_heard_end && !actor->is_paused);
    for (size_t i = 0; i < bytes.length && world.knows_bodies; i++)
        expect((uint8_t)bytes.bytes[i] == body_byte(actor->got + i));
    actor->got += bytes.length;
    act(actor);
}

static void actor_on_trailers(void *owner, const struct message_head *head)
{
    struct actor *actor = hearer(owner, "trailers");
    expect(world.is_http2 && actor->has_head && !actor->has_heard_end);
    expect(message_find(head, HEADER_CONTENT_LENGTH) == NULL && message_find(head, HEADER_TRANSFER_ENCODING) == NULL);
    act(actor);
}

static void actor_on_end(void *owner)
{
    struct actor *actor = hearer(owner, "end");
    expect(actor->has_head && !actor->has_heard_end && (!actor->is_paused || !actor->has_body));
    actor->has_heard_end = true;
    act(actor);
    if (actor->stream != NULL && actor->sending == SENDS_NOTHING)
        let_go(actor);
    else if (actor->stream != NULL && (world.is_plain || is_tired() || owner_byte() % 2 == 0))
        send_rest(actor, 8);
}

static void actor_on_drained(void *owner)
{
    act(hearer(owner, "drained"));
}

/* A request whose body breaks off may still be answered (http/h1_server.c); nobody else has anything to say. */
static void actor_on_failed(void *owner, enum fault fault)
{
    struct actor *actor = hearer(owner, "failed");
    expect(fault > FAULT_NONE && fault < FAULT_COUNT && fault != FAULT_OUT_OF_MEMORY);
    actor->has_failed = true;
    actor->fault = fault;
    note_left(actor, actor->stream);
    actor->is_refused = world.is_server && fault != FAULT_DOWNSTREAM_GONE;
    act(actor);
    if (actor->stream != NULL && actor->is_refused)
        send_rest(actor, 3);
    let_go(actor);
}

static const struct stream_events actor_events = {
    .on_head = actor_on_head,
    .on_interim = actor_on_interim,
    .on_data = actor_on_data,
    .on_trailers = actor_on_trailers,
    .on_end = actor_on_end,
    .on_drained = actor_on_drained,
    .on_failed = actor_on_failed,
};

#endif
