#ifndef SLUICE_FAKE_CONN_OWNER_H
#define SLUICE_FAKE_CONN_OWNER_H
/* The owner of a conn: writes down its events, and does in them what the test has ordered. */
#include <string.h>

#include "fake/rig.h"
#include "net/conn.h"

#define GOT_BYTES 1048576

/* An owner that writes down its events and does in them what the test has ordered. */
struct owner {
    struct rig *rig;
    struct conn *conn;
    char got[GOT_BYTES];       /* what was consumed */
    size_t got_length;
    char offered[4096];        /* the last offer, cut at this size */
    size_t offered_length;
    unsigned offers;
    unsigned drained;
    unsigned connected;
    unsigned ended;
    unsigned finished;
    enum conn_end end;
    char reason[160];          /* conn_end_reason, as asked in on_ended */
    size_t consumes;           /* of each offer at most this much */
    bool pauses;               /* in each offer */
    size_t closes_at;          /* in the offer with this number, ... */
    void (*closes_with)(struct owner *owner); /* ... in this way; also in the other events if closes_at is 0 */
};

static inline void order(struct owner *owner)
{
    rig_expect_turning(owner->rig);
    if (owner->closes_with != NULL && owner->closes_at == 0)
        owner->closes_with(owner);
}

static size_t on_bytes(void *argument, struct text bytes)
{
    struct owner *owner = argument;
    rig_expect_turning(owner->rig);
    assert_int_equal(owner->ended + owner->finished, 0);
    owner->offers++;
    owner->offered_length = bytes.length;
    size_t shown = bytes.length < sizeof owner->offered ? bytes.length : sizeof owner->offered;
    if (shown > 0)
        memcpy(owner->offered, bytes.bytes, shown);
    size_t taken = bytes.length < owner->consumes ? bytes.length : owner->consumes;
    assert_true(owner->got_length + taken <= GOT_BYTES);
    if (taken > 0)
        memcpy(owner->got + owner->got_length, bytes.bytes, taken);
    owner->got_length += taken;
    if (owner->pauses)
        conn_pause(owner->conn);
    if (owner->closes_with != NULL && owner->offers == owner->closes_at)
        owner->closes_with(owner);
    return taken;
}

static void on_connected(void *argument)
{
    struct owner *owner = argument;
    owner->connected++;
    order(owner);
}

static void on_drained(void *argument)
{
    struct owner *owner = argument;
    owner->drained++;
    order(owner);
}

static void on_ended(void *argument, enum conn_end end)
{
    struct owner *owner = argument;
    rig_expect_turning(owner->rig);
    owner->ended++;
    owner->end = end;
    conn_end_reason(owner->conn, end, owner->reason, sizeof owner->reason);
    conn_close(owner->conn);
    owner->conn = NULL;
}

static void on_finished(void *argument)
{
    struct owner *owner = argument;
    rig_expect_turning(owner->rig);
    owner->finished++;
    owner->conn = NULL;
}

static const struct conn_events events = {
    .on_connected = on_connected,
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_finished = on_finished,
};

static inline void close_conn(struct owner *owner)
{
    conn_close(owner->conn);
}

static inline void abort_conn(struct owner *owner)
{
    conn_abort(owner->conn);
}

static inline void finish_conn(struct owner *owner)
{
    conn_finish(owner->conn, 100);
}

#endif
