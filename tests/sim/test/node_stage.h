#ifndef SLUICE_SIM_TEST_NODE_STAGE_H
#define SLUICE_SIM_TEST_NODE_STAGE_H
/* A world of one node, and clients of it that ask one thing at a time: what the tests of nodes stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check/answer.h"
#include "check/ledger.h"
#include "kernel/draw.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "peer/peer.h"
#include "peer/tls.h"
#include "world/bodies.h"
#include "world/certificates.h"
#include "world/node_parts.h"

#define CLIENT_HOST 5000
#define BODY_BYTES (2 << 20)

/* ---- a world of one node ---- */

static struct plan plan;
static struct node *node;

static struct tls_far *clients; /* NULL: clear text */

static inline void begin_world(uint64_t seed, unsigned roles, unsigned http)
{
    memset(&plan, 0, sizeof plan);
    plan.rate[FAULT_KIND_TLS_NODES] = clients != NULL;
    plan.seed = seed;
    plan.faulty_seconds = 1000;
    plan.node_count = 1;
    plan.nodes[0] = (struct plan_node){.roles = roles, .http = http};
    ledger_open();
    world_begin(&plan);
    certificates_make(&plan);
    node = node_create(&plan, 0);
}

static inline void end_world(void)
{
    node_destroy(node);
    certificates_forget();
    ledger_close();
    world_end();
}

static inline void run_for(uint64_t duration_us)
{
    world_run(sim_now_us() + duration_us);
}

/* ---- a client of one request at a time ---- */

enum client_end { CLIENT_WAITS, CLIENT_DONE, CLIENT_CUT };

struct client {
    struct peer *peer;
    struct peer_stream *stream;
    uint64_t number;
    uint64_t open; /* the number, until the ledger knows how it ended */
    enum try_kind kind;
    uint64_t sent;
    uint64_t began_us;
    uint64_t ended_us;
    unsigned status;
    unsigned grpc_status;
    enum client_end end;
    enum peer_cut cut;
    size_t length;
    char body[BODY_BYTES];
};

static struct client one;

static inline void note_grpc_status(struct client *client, const struct peer_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_equals(head->fields[i].name, TEXT("grpc-status")))
            client->grpc_status = (unsigned)(head->fields[i].value.bytes[0] - '0');
    }
}

static inline void on_response(void *owner, const struct peer_head *head)
{
    struct client *client = owner;
    client->status = head->status;
    note_grpc_status(client, head);
}

static inline void on_body(void *owner, struct text piece)
{
    struct client *client = owner;
    assert_true(client->length + piece.length <= sizeof client->body);
    memcpy(client->body + client->length, piece.bytes, piece.length);
    client->length += piece.length;
}

static inline void on_trailers(void *owner, const struct peer_head *fields)
{
    note_grpc_status(owner, fields);
}

static inline void finish(struct client *client, enum client_end end)
{
    client->end = end;
    client->ended_us = sim_now_us();
    peer_stream_release(client->stream);
    client->stream = NULL;
}

static inline void on_end(void *owner)
{
    finish(owner, CLIENT_DONE);
}

static inline void on_cut(void *owner, enum peer_cut why)
{
    struct client *client = owner;
    client->cut = why;
    finish(client, CLIENT_CUT);
}

static inline void send_lines(void *owner)
{
    struct client *client = owner;
    char piece[4096];
    size_t length;
    while ((length = body_copy(client->number, client->kind, client->sent, piece, sizeof piece)) > 0) {
        size_t taken = peer_send_body(client->stream, text_of(piece, length));
        client->sent += taken;
        if (taken < length)
            return;
    }
    peer_send_end(client->stream, NULL);
}

static inline void on_writable(void *owner)
{
    struct client *client = owner;
    if (body_is_of_a_write(client->kind))
        send_lines(client);
}

static const struct peer_stream_events stream_events = {
    .on_response = on_response,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_cut = on_cut,
    .on_writable = on_writable,
};

static inline void on_closed(void *owner, enum peer_cut why)
{
    struct client *client = owner;
    (void)why;
    peer_destroy(client->peer);
    client->peer = NULL;
}

static const struct peer_events peer_events = {.on_closed = on_closed};

static inline void settle(struct client *client, enum try_end end)
{
    if (client->open != 0)
        ledger_end(client->open, end, client->status);
    client->open = 0;
}

static inline void begin_request(struct client *client, enum try_kind kind)
{
    settle(client, TRY_LEFT);
    enum peer_version version = plan.nodes[0].http == 2 ? PEER_HTTP_2 : PEER_HTTP_1;
    if (client->peer == NULL)
        client->peer = peer_connect(CLIENT_HOST, node_address(node), version, clients, &peer_events, client);
    client->kind = kind;
    client->number = client->open = ledger_begin(kind, 0);
    client->sent = client->length = 0;
    client->status = client->grpc_status = 0;
    client->end = CLIENT_WAITS;
    client->began_us = sim_now_us();
}

/* `target` ends where the try's number is to stand. */
static inline void send_head(struct client *client, const char *method, const char *target, uint64_t length)
{
    char with_number[200];
    int written = snprintf(with_number, sizeof with_number, "%s%llu", target, (unsigned long long)client->number);
    struct peer_head head = {
        .method = text_of_string(method),
        .target = text_of(with_number, (size_t)written),
        .authority = TEXT("node"),
        .has_length = length > 0,
        .length = length,
        .is_whole = length == 0,
    };
    client->stream = peer_request(client->peer, &head, &stream_events, client);
    assert_non_null(client->stream);
}

static inline void write_to(struct client *client, const char *target)
{
    begin_request(client, TRY_WRITE_STAMPED);
    send_head(client, "POST", target, body_length(client->number, client->kind));
    send_lines(client);
}

static inline void ask(struct client *client, enum try_kind kind, const char *method, const char *target)
{
    begin_request(client, kind);
    send_head(client, method, target, 0);
}

static inline void call(struct client *client)
{
    char digits[24];
    static const char message[] = {0, 0, 0, 0, 2, 'h', 'i'};
    begin_request(client, TRY_FLIGHT);
    struct peer_head head = {
        .method = TEXT("POST"),
        .target = TEXT("/arrow.flight.protocol.FlightService/DoGet"),
        .authority = TEXT("node"),
        .field_count = 3,
        .fields = {{TEXT("content-type"), TEXT("application/grpc")},
                   {TEXT("te"), TEXT("trailers")},
                   {TEXT("x-try"), text_of(digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)client->number))}},
    };
    client->stream = peer_request(client->peer, &head, &stream_events, client);
    assert_non_null(client->stream);
    peer_send_body(client->stream, text_of(message, sizeof message));
    peer_send_end(client->stream, NULL);
}

static inline bool has_ended(void *owner)
{
    return ((struct client *)owner)->end != CLIENT_WAITS;
}

static inline void wait_for(struct client *client)
{
    world_run_until(has_ended, client, sim_now_us() + 60 * SIM_S);
}

static inline void leave(struct client *client)
{
    settle(client, TRY_LEFT);
    if (client->stream != NULL)
        peer_stream_release(client->stream);
    peer_destroy(client->peer);
    memset(client, 0, sizeof *client);
}

static inline bool has_body(const struct client *client, const char *words)
{
    return text_equals(text_of(client->body, client->length), text_of_string(words));
}

/* Takes the prefixes out of what a call brought; the payload's length, or -1 when they are wrong. */
static inline ptrdiff_t unpack(struct client *client)
{
    size_t used = 0;
    for (size_t at = 0; at < client->length;) {
        const unsigned char *prefix = (const unsigned char *)client->body + at;
        if (client->length - at < 5 || prefix[0] != 0)
            return -1;
        size_t length = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
        at += 5;
        if (client->length - at < length)
            return -1;
        memmove(client->body + used, client->body + at, length);
        used += length;
        at += length;
    }
    return (ptrdiff_t)used;
}

static inline bool has_answer(const struct client *client, size_t length)
{
    return length == answer_length(client->number) && answer_is(client->number, 0, text_of(client->body, length));
}

static inline unsigned http_of(void **state)
{
    return *(const unsigned *)*state;
}

static unsigned version_1 = 1;
static unsigned version_2 = 2;

#define OF_BOTH(test) cmocka_unit_test_prestate(test, &version_1), cmocka_unit_test_prestate(test, &version_2)

#endif
