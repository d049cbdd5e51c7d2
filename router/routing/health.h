#ifndef SLUICE_ROUTING_HEALTH_H
#define SLUICE_ROUTING_HEALTH_H
/*
 * A node's health as a small state machine, fed with the results of probes by one thread (control) and with the count
 * of connection failures in a row that live traffic saw. Pure: time and results are arguments.
 *
 *   UNKNOWN --a good one--> UP      UNKNOWN, UP --fall bad in a row--> DOWN      DOWN --rise good in a row--> UP
 *
 * A node of unknown health is usable: at start Sluice serves at once and failed connects go elsewhere. While others of its kind are known to be
 * up, it comes after them (upstream/lease.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

enum health_result {
    HEALTH_RESULT_GOOD,
    HEALTH_RESULT_UNAUTHORIZED,  /* 401 or 403: alive, but the probe's token is missing or wrong; counts as good */
    HEALTH_RESULT_CONNECT,       /* cannot connect */
    HEALTH_RESULT_TIMEOUT,
    HEALTH_RESULT_BAD_STATUS,    /* an answer that is neither good nor unauthorized */
    HEALTH_RESULT_MALFORMED,
    HEALTH_RESULT_TLS,           /* one does not take the other for who it is, or they have no HTTP in common (ALPN) */
};

const char *health_state_name(enum health_state state);
const char *health_result_name(enum health_result result);

struct health {
    enum health_state state;
    unsigned good_in_row;
    unsigned bad_in_row;
    enum health_result last;
    uint64_t changed_ms;   /* when state changed last */
};

/* Feeds one probe result; true when the state changed. `rise` and `fall` are at least 1. */
bool health_feed(struct health *health, enum health_result result, unsigned rise, unsigned fall, uint64_t now_ms);

/* What a probe's fault means that has brought no answer, a timeout apart. */
enum health_result health_result_of(enum fault fault);

/*
 * What a probe's status code means. `may_fall_back`: there is another path to ask, so 404 means "ask that one": then *fall_back is
 * true and the result says nothing about the node. *fall_back is always written.
 */
enum health_result health_judge_status(unsigned status, bool may_fall_back, bool *fall_back);

/*
 * Live traffic: a node is set aside after HEALTH_PASSIVE_FAILURES connection failures in a row, until a probe is good
 * again or the count is reset by a success.
 */
#define HEALTH_PASSIVE_FAILURES 3
bool health_is_usable(enum health_state state, unsigned connect_failures_in_row);

/* The delay until the next probe: interval +- 10 %, so that a fleet of routers does not probe in step. */
uint64_t health_next_probe_ms(uint64_t interval_ms, uint32_t random);

#endif
