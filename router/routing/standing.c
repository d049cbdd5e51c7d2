#include "routing/standing.h"

#include "base/machine.h"

static const char *const state_names[] = {"good", "aside", "trial", "slow"};

static const uint32_t moves[] = {
    [STANDING_GOOD] = MACHINE_TO(STANDING_ASIDE),
    [STANDING_ASIDE] = MACHINE_TO(STANDING_TRIAL) | MACHINE_TO(STANDING_SLOW) | MACHINE_TO(STANDING_GOOD) | MACHINE_TO(STANDING_ASIDE),
    [STANDING_TRIAL] = MACHINE_TO(STANDING_ASIDE) | MACHINE_TO(STANDING_SLOW) | MACHINE_TO(STANDING_GOOD),
    [STANDING_SLOW] = MACHINE_TO(STANDING_ASIDE) | MACHINE_TO(STANDING_GOOD),
};

static const struct machine machine = {.name = "standing", .state_names = state_names, .moves = moves};

/* The only writer of the state. */
static void enter(struct standing *standing, enum standing_state next, uint64_t now_ms)
{
    machine_check(&machine, standing->state, next);
    standing->state = next;
    standing->since_ms = now_ms;
}

/* ---- counting ---- */

/* A window begins with a failure. */
static void move_window(struct standing *standing, unsigned good, uint64_t now_ms)
{
    if (standing->bad > 0 && now_ms - standing->window_ms < STANDING_WINDOW_MS)
        return;
    standing->bad = 0;
    standing->good_before = good;
    standing->window_ms = now_ms;
}

bool standing_is_failing(const struct standing *standing, const struct topology_eject *settings, unsigned good, uint64_t now_ms)
{
    if (standing->bad == 0 || now_ms - standing->window_ms >= STANDING_WINDOW_MS)
        return false;
    uint64_t answers = (uint64_t)standing->bad + (good - standing->good_before);
    return answers >= 2 * (uint64_t)settings->failures && (uint64_t)standing->bad * 1000 >= answers * settings->share;
}

bool standing_note_failure(struct standing *standing, const struct topology_eject *settings, unsigned in_row, unsigned good, uint64_t now_ms)
{
    move_window(standing, good, now_ms);
    standing->bad++;
    if (settings->failures == 0)
        return false;
    return in_row >= settings->failures || standing_is_failing(standing, settings, good, now_ms);
}

bool standing_may_leave(const struct topology_eject *settings, unsigned count, unsigned aside)
{
    return (uint64_t)(aside + 1) * 1000 <= (uint64_t)count * settings->maximum_share;
}

/* ---- the states ---- */

static void forget_counts(struct standing *standing)
{
    standing->bad = 0;
}

/* Doubles with each time in a row; up to a fifth more, so that nodes that left together do not come back together. */
static uint64_t time_aside_ms(const struct standing *standing, const struct topology_eject *settings, uint32_t random)
{
    uint64_t time_ms = settings->time_ms;
    for (unsigned i = 1; i < standing->times && time_ms < STANDING_ASIDE_MAXIMUM_MS; i++)
        time_ms *= 2;
    if (time_ms > STANDING_ASIDE_MAXIMUM_MS)
        time_ms = STANDING_ASIDE_MAXIMUM_MS;
    return time_ms + time_ms / 5 * (random >> 16) / 65536;
}

void standing_set_aside(struct standing *standing, const struct topology_eject *settings, uint32_t random, uint64_t now_ms)
{
    if (standing->state == STANDING_GOOD && now_ms - standing->since_ms >= STANDING_ASIDE_MAXIMUM_MS)
        standing->times = 0;
    standing->times++;
    enter(standing, STANDING_ASIDE, now_ms);
    standing->until_ms = now_ms + time_aside_ms(standing, settings, random);
    forget_counts(standing);
}

bool standing_begin_trial(struct standing *standing, uint64_t now_ms)
{
    if (standing->state != STANDING_ASIDE || now_ms < standing->until_ms)
        return false;
    enter(standing, STANDING_TRIAL, now_ms);
    return true;
}

void standing_forget_trial(struct standing *standing, uint64_t now_ms)
{
    if (standing->state != STANDING_TRIAL)
        return;
    enter(standing, STANDING_ASIDE, now_ms);
    standing->until_ms = now_ms;
}

void standing_readmit(struct standing *standing, uint64_t now_ms)
{
    enter(standing, STANDING_SLOW, now_ms);
    forget_counts(standing);
}

bool standing_grow_up(struct standing *standing, uint64_t slow_start_ms, uint64_t now_ms)
{
    if (standing->state != STANDING_SLOW || now_ms - standing->since_ms < slow_start_ms)
        return false;
    enter(standing, STANDING_GOOD, now_ms);
    return true;
}

void standing_pardon(struct standing *standing, uint64_t now_ms)
{
    if (standing->state != STANDING_GOOD)
        enter(standing, STANDING_GOOD, now_ms);
    forget_counts(standing);
}

unsigned standing_share(uint64_t since_ms, uint64_t slow_start_ms, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > since_ms ? now_ms - since_ms : 0;
    if (passed_ms >= slow_start_ms)
        return 1000;
    uint64_t share = passed_ms * 1000 / slow_start_ms;
    return share < 100 ? 100 : (unsigned)share;
}
