#ifndef SLUICE_FAKE_CONN_STAGE_H
#define SLUICE_FAKE_CONN_STAGE_H
/* One conn on a socket pair, its owner, and the far end. The clock is the test's. */
#include <string.h>

#include "fake/clock.h"
#include "fake/conn_owner.h"
#include "fake/rig.h"
#include "net/conn.h"

struct stage {
    struct rig rig;
    struct owner owner;
    int far;
    char heard[4 * 1048576]; /* at the far end */
    size_t heard_length;
};

static struct stage stage;

static inline struct conn_settings settings_of(struct owner *owner)
{
    return (struct conn_settings){
        .events = &events,
        .owner = owner,
        .pool = &owner->rig->buffers,
        .high_water_bytes = 65536,
        .input_maximum_bytes = 100000,
    };
}

static inline int set_up(void **state)
{
    (void)state;
    int near;
    memset(&stage.owner, 0, sizeof stage.owner);
    stage.heard_length = 0;
    rig_start(&stage.rig);
    stage.far = far_pair(&near);
    stage.owner.rig = &stage.rig;
    stage.owner.consumes = SIZE_MAX;
    struct conn_settings settings = settings_of(&stage.owner);
    stage.owner.conn = conn_accept(stage.rig.loop, near, &settings);
    return stage.owner.conn == NULL ? -1 : 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    conn_close(stage.owner.conn);
    if (stage.far >= 0)
        close(stage.far);
    rig_stop(&stage.rig);
    return 0;
}

static inline enum far_state listen_far(void)
{
    return far_read(stage.far, stage.heard, &stage.heard_length, sizeof stage.heard);
}

static inline void say_far(const char *words)
{
    assert_int_equal(far_send(stage.far, text_of_string(words)), strlen(words));
}

static inline void write_near(struct text bytes)
{
    assert_true(conn_write(stage.owner.conn, bytes));
}

#define assert_got(expected)                                                                                           \
    do {                                                                                                               \
        assert_int_equal(stage.owner.got_length, strlen(expected));                                                    \
        assert_memory_equal(stage.owner.got, expected, stage.owner.got_length);                                        \
    } while (0)

#define assert_heard(expected)                                                                                         \
    do {                                                                                                               \
        assert_int_equal(stage.heard_length, strlen(expected));                                                        \
        assert_memory_equal(stage.heard, expected, stage.heard_length);                                                \
    } while (0)

/* Moves the clock past a deadline and lets it be noticed. */
static inline void pass(uint64_t ms)
{
    clock_advance(ms + LOOP_TICK_MS);
    rig_settle(&stage.rig);
}

/* Bytes that show their place, so that a lost or doubled piece is seen. */
static inline struct text pattern(size_t length)
{
    static char bytes[GOT_BYTES];
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i % 251);
    return text_of(bytes, length);
}

static inline void assert_pattern(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != (char)(i % 251))
            fail_msg("byte %zu of %zu is not the one that was sent", i, length);
    }
}

#endif
