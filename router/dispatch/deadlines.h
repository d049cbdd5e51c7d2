#ifndef SLUICE_DISPATCH_DEADLINES_H
#define SLUICE_DISPATCH_DEADLINES_H
/* How long a dispatch may stay as it is: a node's silence, the queue for a link, a write's deadline. The client's own slowness is its owner's. */
#include <stdint.h>

struct dispatch;

/*
 * The client has sent something, or may or may not send now: keeps the deadline of a write, which counts from the last byte that has come. For as
 * long as we stopped the client, that byte came later than it would have: all of these waits together have the deadline's time, too.
 */
void dispatch_note_pace(struct dispatch *dispatch);
/* More of the request, or its end, has come. */
void dispatch_move_deadline(struct dispatch *dispatch);

/* When the present state has lasted too long, in the loop's time; 0: never. */
uint64_t dispatch_due_at_ms(const struct dispatch *dispatch);
/* When the first message of the answer has been kept long enough, likewise; that is no failure. */
uint64_t dispatch_settles_at_ms(const struct dispatch *dispatch);

#endif
