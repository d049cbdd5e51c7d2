#ifndef SLUICE_DISPATCH_DEADLINES_H
#define SLUICE_DISPATCH_DEADLINES_H
/* How long a dispatch may stay as it is: a node's silence, the queue for a link, a write's deadline. The client's own slowness is its owner's. */
#include <stdint.h>

struct dispatch;

/* When the present state has lasted too long, in the loop's time; 0: never. */
uint64_t dispatch_due_at_ms(const struct dispatch *dispatch);
/* When the first message of the answer has been kept long enough, likewise; that is no failure. */
uint64_t dispatch_settles_at_ms(const struct dispatch *dispatch);

#endif
