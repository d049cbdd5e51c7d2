#ifndef SLUICE_DISPATCH_HEDGE_H
#define SLUICE_DISPATCH_HEDGE_H
/*
 * A query that its node keeps waiting is sent to one other node beside (queries.hedge), and the first good answer is the client's. The other attempt is
 * cancelled, which ends the query on its node.
 *
 *   POSSIBLE --no answer has begun in time, and another node and a token are there--> OUT
 *   POSSIBLE --in time, but not both are there--> OVER
 *   OUT --a good answer, the first one's failure (the second goes on in its place), the second one's own failure--> OVER
 *
 * While it is OUT dispatch.attempt is the first one; whichever goes on is dispatch.attempt afterwards. Only what may be done twice is hedged, of a class
 * whose policy says so, once, and with its whole body kept.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

struct dispatch;

/* When another node is to be asked, in the loop's time; 0: never, or it is not known yet. */
uint64_t hedge_at_ms(const struct dispatch *dispatch);
/* That time has come. No event of the dispatch's owner is called. */
void hedge_begin(struct dispatch *dispatch);

/* A second attempt is under way beside dispatch.attempt. */
bool hedge_is_out(const struct dispatch *dispatch);
/* dispatch.attempt has the answer: the second one, if it is out, is cancelled. */
void hedge_settle(struct dispatch *dispatch);
/* dispatch.attempt is over without an answer: if the second one is out it is dispatch.attempt from now on. False: it is not. */
bool hedge_take_over(struct dispatch *dispatch);
/* Nobody waits for an answer any more. */
void hedge_cancel(struct dispatch *dispatch);

#endif
