#ifndef SLUICE_ROUTING_STANDING_H
#define SLUICE_ROUTING_STANDING_H
/*
 * How a node stands in one class of requests, by its own answers: one whose probes are good and whose answers are not is set aside for a while.
 * Pure: time and chance are arguments.
 *
 *   GOOD --too many failures--> ASIDE --its time is over, one request--> TRIAL --it is answered--> SLOW --its time is over, an answer--> GOOD
 *     ^                          ^  ^                                      |                        |
 *     |                          |  +---it failed: longer than before-----+                        |
 *     +--all nodes fail----------+--------------------------------------------too many failures----+
 *
 *   state   what is true in it
 *   GOOD    it gets its share
 *   ASIDE   it gets nothing while there are others; from `until_ms` on it may be tried
 *   TRIAL   one request is under way there, of the whole process
 *   SLOW    its share grows, from `since_ms` on
 */
#include <stdbool.h>
#include <stdint.h>

#include "topology/topology.h"

enum standing_state { STANDING_GOOD, STANDING_ASIDE, STANDING_TRIAL, STANDING_SLOW };

/* Failures are added up for so long. */
#define STANDING_WINDOW_MS 10000
/* It is not set aside for longer; and who was good for so long is set aside as for the first time. */
#define STANDING_ASIDE_MAXIMUM_MS 300000

/* All zero: GOOD, and nothing is known. */
struct standing {
    enum standing_state state;
    unsigned times;          /* set aside, in a row */
    unsigned bad;            /* failures of the window */
    unsigned good_before;    /* the count of good answers when the window began */
    uint64_t window_ms;      /* when it began */
    uint64_t since_ms;       /* when the state began */
    uint64_t until_ms;       /* ASIDE */
};

/*
 * One more failure: should it be set aside? `in_row`: failures in a row, this one included; `good`: all good answers so far (the number may go
 * round).
 */
bool standing_note_failure(struct standing *standing, const struct topology_eject *settings, unsigned in_row, unsigned good, uint64_t now_ms);
/* Of the window's answers, is so large a share bad? Of few answers nothing is said. */
bool standing_is_failing(const struct standing *standing, const struct topology_eject *settings, unsigned good, uint64_t now_ms);
/* May one more of `count` nodes be set aside, when `aside` are? */
bool standing_may_leave(const struct topology_eject *settings, unsigned count, unsigned aside);

/* GOOD, SLOW or TRIAL to ASIDE; `random` spreads the time a little. */
void standing_set_aside(struct standing *standing, const struct topology_eject *settings, uint32_t random, uint64_t now_ms);
/* ASIDE to TRIAL; false when it is not, or when its time is not over. */
bool standing_begin_trial(struct standing *standing, uint64_t now_ms);
/* TRIAL to ASIDE: the trial told nothing, the next request may be one. */
void standing_forget_trial(struct standing *standing, uint64_t now_ms);
/* It has answered: ASIDE or TRIAL to SLOW. */
void standing_readmit(struct standing *standing, uint64_t now_ms);
/* SLOW to GOOD when its time is over; true if it is. */
bool standing_grow_up(struct standing *standing, uint64_t slow_start_ms, uint64_t now_ms);
/* To GOOD from anywhere. */
void standing_pardon(struct standing *standing, uint64_t now_ms);

/* SLOW since then: the share of its share that it gets, in thousandths; at least a tenth. */
unsigned standing_share(uint64_t since_ms, uint64_t slow_start_ms, uint64_t now_ms);

#endif
