#include "world/hostile.h"

#include <errno.h>
#include <stdio.h>

#include "kernel/memory.h"
#include "world/client_state.h"
#include "world/hostile_bytes.h"

/* Of those that go on at a time, for each client. */
#define HOSTILES_MAXIMUM 3
/* The attacks of HTTP/2 are this many of ten. */
#define H2_OF_TEN 3

struct hostile {
    struct list_node node;
    struct client *client;
    struct sim_socket *socket;
    enum attack_manner manner;
    char *bytes;
    size_t length;
    size_t sent;
    uint64_t hidden; /* the number that nobody may see; 0: none stands in the bytes */
    uint64_t upload; /* the number of an upload that is never whole; 0: none */
    struct sim_timer step;
    struct sim_timer end;
};

static void end(struct hostile *hostile, bool is_reset)
{
    if (hostile->hidden != 0)
        ledger_end(hostile->hidden, TRY_LEFT, 0);
    if (hostile->upload != 0)
        ledger_end(hostile->upload, TRY_LEFT, 0);
    sim_timer_clear(&hostile->step);
    sim_timer_clear(&hostile->end);
    if (is_reset)
        sim_abort(hostile->socket);
    else
        sim_close(hostile->socket);
    list_remove(&hostile->client->hostiles, &hostile->node);
    world_free(hostile->bytes);
    world_free(hostile);
}

void hostile_end_all(struct client *client)
{
    struct list_node *node;
    while ((node = list_first(&client->hostiles)) != NULL)
        end(LIST_OWNER(node, struct hostile, node), false);
}

/* ---- the socket ---- */

static void send_bytes(struct hostile *hostile)
{
    bool drips = hostile->manner == ATTACK_DRIPS;
    while (hostile->sent < hostile->length && !(drips && sim_timer_is_set(&hostile->step))) {
        size_t count = drips ? 1 : hostile->length - hostile->sent;
        ptrdiff_t taken = sim_send(hostile->socket, text_of(hostile->bytes + hostile->sent, count));
        if (taken <= 0)
            return;
        hostile->sent += (size_t)taken;
        if (drips)
            sim_timer_in(&hostile->step, draw_between(&hostile->client->random, 20 * SIM_MS, 900 * SIM_MS));
    }
}

static void on_step(void *owner)
{
    send_bytes(owner);
}

static void on_end_time(void *owner)
{
    struct hostile *hostile = owner;
    end(hostile, draw_below(&hostile->client->random, 3) == 0);
}

/* What comes back is thrown away. */
static void on_readable(void *owner)
{
    struct hostile *hostile = owner;
    char buffer[4096];
    ptrdiff_t taken = 1;
    if (hostile->manner == ATTACK_SILENT)
        return;
    while (taken > 0) {
        taken = sim_receive(hostile->socket, buffer, sizeof buffer);
        if (taken > 12 && memcmp(buffer, "HTTP/1.1 4", 10) == 0)
            reached("hostile: hears a 4xx");
    }
    if (taken == 0 || errno != EAGAIN) {
        reached(taken == 0 ? "hostile: its connection is closed" : "hostile: its connection is reset");
        end(hostile, false);
    }
}

static void on_connect_failed(void *owner, int error)
{
    (void)error;
    end(owner, false);
}

static void on_writable(void *owner)
{
    send_bytes(owner);
}

/* ---- the bytes ---- */

/* Puts the number in the place of each mark; 0 when there is none, and then no try is begun. */
static uint64_t fill_marks(struct hostile *hostile, const char *mark, enum try_kind kind)
{
    uint64_t number = 0;
    char digits[MARK_BYTES + 1];
    struct text rest = text_of(hostile->bytes, hostile->length);
    ptrdiff_t at;
    while ((at = text_find(rest, text_of(mark, MARK_BYTES))) >= 0) {
        if (number == 0)
            number = ledger_begin(kind, hostile->client->index);
        snprintf(digits, sizeof digits, "%012llu", (unsigned long long)(number % 1000000000000));
        size_t place = (size_t)(rest.bytes - hostile->bytes) + (size_t)at;
        memcpy(hostile->bytes + place, digits, MARK_BYTES);
        rest = text_of(hostile->bytes + place + MARK_BYTES, hostile->length - place - MARK_BYTES);
    }
    return number;
}

static void make_text(struct hostile *hostile, const struct attack *attack)
{
    size_t length = attack->beginning.length + attack->middle.length * attack->middles + attack->end.length;
    hostile->bytes = world_malloc(length + 1);
    const struct text *parts[] = {&attack->beginning, &attack->middle, &attack->end};
    const unsigned counts[] = {1, attack->middles, 1};
    for (size_t i = 0; i < 3; i++) {
        for (unsigned k = 0; k < counts[i] && parts[i]->length > 0; k++) {
            memcpy(hostile->bytes + hostile->length, parts[i]->bytes, parts[i]->length);
            hostile->length += parts[i]->length;
        }
    }
    hostile->manner = attack->manner;
    reached(attack->name);
}

static void make_frames(struct hostile *hostile, size_t index)
{
    hostile->bytes = world_malloc(HOSTILE_H2_BYTES);
    hostile->length = hostile_h2_build(index, hostile->bytes);
    hostile->manner = ATTACK_AT_ONCE;
    reached(hostile_h2_name(index));
}

static void draw_bytes(struct hostile *hostile)
{
    struct random_source *random = &hostile->client->random;
    if (draw_below(random, 10) < H2_OF_TEN)
        make_frames(hostile, hostile_h2_draw(random));
    else
        make_text(hostile, &hostile_attacks[draw_below(random, hostile_attack_count)]);
    hostile->hidden = fill_marks(hostile, HOSTILE_MARK, TRY_HOSTILE);
    hostile->upload = fill_marks(hostile, UPLOAD_MARK, TRY_FLOOD);
}

void hostile_start(struct client *client)
{
    static const struct sim_socket_events events = {
        .on_connected = on_writable,
        .on_readable = on_readable,
        .on_writable = on_writable,
        .on_connect_failed = on_connect_failed,
    };
    if (client->hostiles.count >= HOSTILES_MAXIMUM)
        return;
    struct hostile *hostile = world_calloc(1, sizeof *hostile);
    struct address address = sim_address(SIM_HOST_SLUICE, CLIENT_PORT);
    hostile->client = client;
    list_append(&client->hostiles, &hostile->node);
    sim_timer_init(&hostile->step, on_step, hostile);
    sim_timer_init(&hostile->end, on_end_time, hostile);
    draw_bytes(hostile);
    hostile->socket = sim_connect(client->links.host, &address, &events, hostile);
    if (hostile->socket == NULL) {
        end(hostile, false);
        return;
    }
    uint64_t last_us = client->asker.end_us - SIM_S;
    uint64_t end_us = sim_now_us() + draw_between(&client->random, SIM_S / 4, 75 * SIM_S);
    sim_timer_set(&hostile->end, end_us < last_us ? end_us : last_us);
}
