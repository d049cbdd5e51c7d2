#ifndef SLUICE_NET_SIGNALS_H
#define SLUICE_NET_SIGNALS_H
/*
 * The signals of the process as callbacks of one loop: the main thread's, because every other thread blocks them (base/thread.h). One at a
 * time exists in a process.
 *
 *   signals_hold -> signals_create -> signals_on for those that mean something -> signals_destroy
 *
 * From signals_create on none of the five ends the process any more: one that nobody listens to is ignored, with a log line. What comes before
 * the loop turns is kept for its first turn. SIGPIPE is ignored without a word: writing to a closed connection tells the writer by itself.
 */
#include <stdbool.h>

struct loop;
struct signals;

enum signal_kind {
    SIGNAL_TERM, /* TERM and INT ask for an orderly end */
    SIGNAL_INT,
    SIGNAL_HUP,  /* read the configuration again */
    SIGNAL_USR1,
    SIGNAL_USR2,
    SIGNAL_KIND_COUNT
};

typedef void signals_callback(void *owner, enum signal_kind kind);

/* "TERM", "INT", "HUP", "USR1", "USR2". */
const char *signal_kind_name(enum signal_kind kind);

/* HUP, USR1 and USR2 wait for signals_create from now on: who asks for a reload while the process starts must not end it. */
void signals_hold(void);
/* NULL when memory is out. */
struct signals *signals_create(struct loop *loop);
/* Calls back from the loop from now on; several signals of one kind that come at a time may be one call. NULL: nobody listens any more. */
void signals_on(struct signals *signals, enum signal_kind kind, signals_callback *callback, void *owner);
/*
 * Nothing is called any more. The signals stay blocked until the process ends, because one that comes then must not turn an orderly end into a
 * death. NULL is allowed.
 */
void signals_destroy(struct signals *signals);

#endif
