#include "http/h2_link.h"

#include "base/machine.h"

/* ---- states ---- */

static const char *const link_state_names[] = {"open", "broken", "ended", "delivering", "finishing", "dead", "disowned"};

#define TO(state) MACHINE_TO(H2_LINK_##state)
static const uint32_t link_moves[] = {
    [H2_LINK_OPEN] = TO(BROKEN) | TO(ENDED) | TO(DELIVERING) | TO(FINISHING) | TO(DEAD) | TO(DISOWNED),
    [H2_LINK_BROKEN] = TO(ENDED) | TO(DELIVERING) | TO(DEAD) | TO(DISOWNED),
    [H2_LINK_ENDED] = TO(DELIVERING) | TO(DISOWNED),
    [H2_LINK_DELIVERING] = TO(DEAD) | TO(DISOWNED),
    [H2_LINK_FINISHING] = TO(DEAD) | TO(DISOWNED),
    [H2_LINK_DEAD] = TO(DISOWNED),
    [H2_LINK_DISOWNED] = 0,
};

static const struct machine link_machine = {"h2_link", link_state_names, link_moves};

static const char *const activity_names[] = {"resting", "reading", "writing"};

static const uint32_t activity_moves[] = {
    [H2_LINK_RESTING] = TO(READING) | TO(WRITING),
    [H2_LINK_READING] = TO(RESTING),
    [H2_LINK_WRITING] = TO(RESTING),
};
#undef TO

static const struct machine activity_machine = {"h2_link_activity", activity_names, activity_moves};

static const char *const settings_names[] = {"awaited", "received", "acknowledged"};

#define TO(state) MACHINE_TO(H2_SETTINGS_##state)
static const uint32_t settings_moves[] = {
    [H2_SETTINGS_AWAITED] = TO(RECEIVED),
    [H2_SETTINGS_RECEIVED] = TO(ACKNOWLEDGED),
    [H2_SETTINGS_ACKNOWLEDGED] = 0,
};
#undef TO

static const struct machine settings_machine = {"h2_settings", settings_names, settings_moves};

void h2_link_enter(struct h2_link *link, enum h2_link_state next)
{
    machine_check(&link_machine, link->state, next);
    link->state = next;
}

void h2_link_enter_activity(struct h2_link *link, enum h2_link_activity next)
{
    machine_check(&activity_machine, link->activity, next);
    link->activity = next;
}

void h2_link_enter_settings(struct h2_link *link, enum h2_settings_state next)
{
    machine_check(&settings_machine, link->settings, next);
    link->settings = next;
}

void h2_link_touch(struct h2_link *link)
{
    if (h2_link_is_alive(link))
        loop_defer_to_turn_end(link->context->loop, &link->task);
}

void h2_link_break(struct h2_link *link)
{
    if (link->state == H2_LINK_OPEN)
        h2_link_enter(link, H2_LINK_BROKEN);
    h2_link_touch(link);
}

/* ---- output ---- */

/* Of our SETTINGS frame, with room. */
#define SETTINGS_BYTES 64

/*
 * nghttp2 ends the connection of a client that begins a stream too many, also when those before it only wait for our reset. We refuse that
 * stream (RFC 9113 section 5.1.2), so nghttp2 is told a number that it never reaches, and its SETTINGS get ours on their way out.
 */
static void patch_settings(const struct h2_link *link, char *frame, size_t length)
{
    uint32_t maximum = link->streams_allowed;
    for (size_t at = 9; at + 6 <= length; at += 6) {
        if (frame[at] != 0 || frame[at + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            continue;
        for (unsigned i = 0; i < 4; i++)
            frame[at + 2 + i] = (char)(maximum >> (24 - 8 * i));
    }
}

bool h2_link_write(struct h2_link *link, struct text frame)
{
    if (frame.length <= 9 || frame.length > SETTINGS_BYTES || frame.bytes[3] != NGHTTP2_SETTINGS)
        return conn_write(link->link.conn, frame);
    char own[SETTINGS_BYTES];
    memcpy(own, frame.bytes, frame.length);
    patch_settings(link, own, frame.length);
    return conn_write(link->link.conn, text_of(own, frame.length));
}

void h2_link_pump(struct h2_link *link)
{
    if (!h2_link_may_write(link))
        return;
    if (!h2_memory_is_ready(&link->context->memory)) {
        h2_link_break(link);
        return;
    }
    h2_link_enter_activity(link, H2_LINK_WRITING);
    if (nghttp2_session_send(link->session) != 0)
        h2_link_break(link);
    h2_link_enter_activity(link, H2_LINK_RESTING);
}

/* ---- output that nobody waits for any more ---- */

#define STALL_LOOK_MS 1000

void h2_link_watch_stall(struct h2_link *link)
{
    uint64_t now_ms = loop_now_ms(link->context->loop);
    if (!h2_link_is_alive(link) || link->context->settings.stall_ms == 0 || loop_timer_is_set(&link->stall_timer))
        return;
    link->stalled_since_ms = link->stalled_at_bytes == 0 ? now_ms : link->stalled_since_ms;
    loop_timer_set(link->context->loop, &link->stall_timer, now_ms + STALL_LOOK_MS);
}
