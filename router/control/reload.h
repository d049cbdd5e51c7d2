#ifndef SLUICE_CONTROL_RELOAD_H
#define SLUICE_CONTROL_RELOAD_H
/*
 * The configuration is read again while the router runs. Either everything that it says comes into force, without a dropped connection or
 * exchange, or nothing does: a file with an error, a port that is taken, a certificate that cannot be read leave all as it is. Keys that
 * need a restart keep the running value and are told as warnings (topology/changes.h).
 *
 * A reload takes as long as the slowest worker's present event. Who asks for one meanwhile gets the next, which reads the files anew.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct control;
struct findings;
struct reloads;

struct reload_result {
    bool is_applied;
    uint64_t epoch;                  /* the number of the epoch in force */
    struct findings *findings;       /* of the files, and what came in the way; valid during the call. NULL: no memory */
};

/* Who wants to hear how a reload ended; embedded in the one who asks. */
struct reload_waiter {
    struct list_node node;
    struct list *list; /* where it stands, or NULL */
    void (*on_done)(void *owner, const struct reload_result *result);
    void *owner;
};

/* NULL when memory is out. */
struct reloads *reloads_create(struct control *control /* ref */);
void reloads_destroy(struct reloads *reloads);

/* Asks for a reload. `waiter` may be NULL. on_done is called once, from the loop only, unless reload_forget comes first. */
void reload_ask(struct reloads *reloads, struct reload_waiter *waiter);
void reload_forget(struct reload_waiter *waiter);

#endif
