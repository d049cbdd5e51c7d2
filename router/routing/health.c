#include "routing/health.h"

const char *health_state_name(enum health_state state)
{
    static const char *const names[] = {"unknown", "up", "down"};
    return names[state];
}

const char *health_result_name(enum health_result result)
{
    static const char *const names[] = {"good", "unauthorized", "connect", "timeout", "bad_status", "malformed", "tls"};
    return names[result];
}

static bool is_good(enum health_result result)
{
    return result == HEALTH_RESULT_GOOD || result == HEALTH_RESULT_UNAUTHORIZED;
}

static enum health_state next_state(const struct health *health, unsigned rise, unsigned fall)
{
    switch (health->state) {
    case HEALTH_UNKNOWN:
        if (is_good(health->last))
            return HEALTH_UP;
        return health->bad_in_row >= fall ? HEALTH_DOWN : HEALTH_UNKNOWN;
    case HEALTH_UP:
        return health->bad_in_row >= fall ? HEALTH_DOWN : HEALTH_UP;
    case HEALTH_DOWN:
        break;
    }
    return health->good_in_row >= rise ? HEALTH_UP : HEALTH_DOWN;
}

/* Counts to the end of the type and stays there. */
static void count_up(unsigned *count)
{
    if (*count + 1 != 0)
        ++*count;
}

bool health_feed(struct health *health, enum health_result result, unsigned rise, unsigned fall, uint64_t now_ms)
{
    health->last = result;
    if (is_good(result)) {
        count_up(&health->good_in_row);
        health->bad_in_row = 0;
    } else {
        count_up(&health->bad_in_row);
        health->good_in_row = 0;
    }
    enum health_state state = next_state(health, rise, fall);
    if (state == health->state)
        return false;
    health->state = state;
    health->changed_ms = now_ms;
    return true;
}

enum health_result health_result_of(enum fault fault)
{
    switch (fault) {
    case FAULT_UPSTREAM_MALFORMED:
    case FAULT_UPSTREAM_HEAD_TOO_LARGE:
        return HEALTH_RESULT_MALFORMED;
    case FAULT_TLS_UNVERIFIED:
    case FAULT_TLS_FAILED:
    case FAULT_UPSTREAM_VERSION:
        return HEALTH_RESULT_TLS;
    default:
        return HEALTH_RESULT_CONNECT;
    }
}

enum health_result health_judge_status(unsigned status, bool may_fall_back, bool *fall_back)
{
    *fall_back = may_fall_back && status == 404;
    if (status < 100 || status > 599)
        return HEALTH_RESULT_MALFORMED;
    if (status >= 200 && status < 300)
        return HEALTH_RESULT_GOOD;
    return status == 401 || status == 403 ? HEALTH_RESULT_UNAUTHORIZED : HEALTH_RESULT_BAD_STATUS;
}

bool health_is_usable(enum health_state state, unsigned connect_failures_in_row)
{
    return state != HEALTH_DOWN && connect_failures_in_row < HEALTH_PASSIVE_FAILURES;
}

uint64_t health_next_probe_ms(uint64_t interval_ms, uint32_t random)
{
    uint64_t tenth = interval_ms / 10;
    uint64_t delay_ms = interval_ms - tenth + random % (2 * tenth + 1);
    return delay_ms == 0 ? 1 : delay_ms;
}
