/* A peer's life: it begins with a connection of either side and ends for its owner exactly once. */
#include "peer/state.h"

static struct peer *create(enum peer_side side, enum peer_version version, struct tls_far *tls, const struct peer_events *events, void *owner)
{
    peer_memory_enter();
    struct peer *peer = peer_take_zeroed(sizeof *peer);
    peer->side = side;
    peer->version = version;
    peer->events = events;
    peer->owner = owner;
    peer->fault = "";
    peer->far = tls;
    if (tls != NULL)
        peer->tls = tls_end_create(tls, side == PEER_SERVER, version);
    list_init(&peer->streams);
    list_init(&peer->buried);
    sim_timer_init(&peer->turn, peer_on_turn, peer);
    return peer;
}

void peer_choose(struct peer *peer, enum peer_version version)
{
    peer->version = version;
    peer->codec = version == PEER_HTTP_2 ? &far_h2_codec : &far_h1_codec;
    if (peer->state == PEER_SNIFFING)
        peer->state = PEER_OPEN;
    if (version == PEER_HTTP_2)
        far_h2_open(peer);
    if (peer->drain == PEER_DRAIN_ASKED)
        peer->codec->drain(peer);
}

struct peer *peer_serve(struct sim_socket *socket, enum peer_version version, struct tls_far *tls, const struct peer_events *events, void *owner)
{
    struct peer *peer = create(PEER_SERVER, version, tls, events, owner);
    peer->state = tls != NULL ? PEER_SECURING : PEER_SNIFFING;
    peer->socket = socket;
    /* What came before anybody listened is not told again. */
    peer->input = PEER_INPUT_WAITS;
    sim_adopt(socket, &peer_socket_events, peer);
    peer_touch(peer);
    return peer;
}

struct peer *peer_connect(unsigned from_host, const struct address *address, enum peer_version version, struct tls_far *tls,
                          const struct peer_events *events, void *owner)
{
    struct peer *peer = create(PEER_CLIENT, version, tls, events, owner);
    peer->state = PEER_CONNECTING;
    peer_choose(peer, version);
    peer->socket = sim_connect(from_host, address, &peer_socket_events, peer);
    if (peer->socket == NULL)
        peer_finish(peer, PEER_CUT_CONNECT_FAILED);
    return peer;
}

void peer_finish(struct peer *peer, enum peer_cut why)
{
    if (!peer_is_alive(peer))
        return;
    peer->state = PEER_FINISHING;
    peer->why = why;
    peer_touch(peer);
}

void peer_end(struct peer *peer, enum peer_cut why)
{
    if (peer->state >= PEER_OVER)
        return;
    peer->state = PEER_OVER;
    for (struct list_node *node; (node = list_first(&peer->streams)) != NULL;)
        far_stream_cut(LIST_OWNER(node, struct peer_stream, place), why);
    if (peer->state == PEER_OVER)
        peer->events->on_closed(peer->owner, why);
}

void peer_break(struct peer *peer, const char *fault)
{
    if (peer->state >= PEER_OVER)
        return;
    peer->fault = fault;
    peer_end(peer, PEER_CUT_BAD);
}

void peer_free_gone(struct peer *peer)
{
    if (peer->codec != NULL)
        peer->codec->clear(peer);
    tls_end_destroy(peer->tls);
    bytes_clear(&peer->in);
    bytes_clear(&peer->out);
    peer_give(peer);
    peer_memory_leave();
}

/* The last words, while the process still runs. */
static void say_last(struct peer *peer, bool is_in_order)
{
    if (peer->socket == NULL || peer->is_frozen || peer->state == PEER_CONNECTING)
        return;
    if (is_in_order && peer->codec != NULL && (peer->state == PEER_OPEN || peer->state == PEER_FINISHING))
        peer->codec->close(peer);
    if (is_in_order && peer->half == PEER_HALF_NO && peer->tls != NULL)
        peer->half = PEER_HALF_ASKED;
    peer_flush(peer);
}

static void go(struct peer *peer, bool is_in_order)
{
    if (peer == NULL || peer->state == PEER_GONE)
        return;
    say_last(peer, is_in_order);
    if (peer->socket != NULL && is_in_order)
        sim_close(peer->socket);
    else if (peer->socket != NULL)
        sim_abort(peer->socket);
    peer->socket = NULL;
    peer->state = PEER_GONE;
    sim_timer_clear(&peer->turn);
    for (struct list_node *node; (node = list_first(&peer->streams)) != NULL;) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        far_stream_detach(stream);
        stream->events = NULL;
        if (stream->hold == STREAM_RELEASED)
            far_stream_bury(peer, stream);
    }
    if (!peer->is_busy)
        peer_free_gone(peer);
}

void peer_destroy(struct peer *peer)
{
    go(peer, true);
}

void peer_abort(struct peer *peer)
{
    go(peer, false);
}

void peer_freeze(struct peer *peer, bool is_frozen)
{
    peer->is_frozen = is_frozen;
    if (is_frozen)
        sim_timer_clear(&peer->turn);
    else
        peer_touch(peer);
}

void peer_cut(struct peer *peer)
{
    peer_flush(peer);
    if (peer->socket != NULL)
        sim_cut(peer->socket);
}

enum peer_version peer_version(const struct peer *peer)
{
    return peer->version;
}

const char *peer_fault(const struct peer *peer)
{
    return peer->fault;
}

/* Those that were released are not the owner's any more. */
size_t peer_stream_count(const struct peer *peer)
{
    size_t count = 0;
    for (struct list_node *node = peer->streams.head.next; node != &peer->streams.head; node = node->next)
        count += LIST_OWNER(node, struct peer_stream, place)->hold == STREAM_OWNED;
    return count;
}

void peer_drain(struct peer *peer)
{
    if (!peer_is_alive(peer) || peer->drain == PEER_DRAIN_ASKED)
        return;
    peer->drain = PEER_DRAIN_ASKED;
    if (peer->codec != NULL)
        peer->codec->drain(peer);
    else if (peer->state == PEER_SNIFFING && bytes_length(&peer->in) == 0)
        peer_finish(peer, PEER_CUT_CLOSED);
    peer_touch(peer);
}

bool peer_can_send(const struct peer *peer)
{
    return peer->side == PEER_CLIENT && peer_is_alive(peer) && peer->drain == PEER_DRAIN_NO && peer->half == PEER_HALF_NO &&
           peer->codec->can_send(peer);
}

void peer_pipeline(struct peer *peer)
{
    peer->h1.pipelines = true;
}

void peer_send_raw(struct peer *peer, struct text bytes)
{
    if (!peer_is_alive(peer))
        return;
    peer_touch(peer);
    if (peer->codec != NULL)
        peer->codec->raw(peer, bytes);
    else
        bytes_add(&peer->out, bytes);
}

void peer_half_close(struct peer *peer)
{
    if (!peer_is_alive(peer) || peer->half != PEER_HALF_NO)
        return;
    peer->half = PEER_HALF_ASKED;
    peer_touch(peer);
}
