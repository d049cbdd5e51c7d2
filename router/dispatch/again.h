#ifndef SLUICE_DISPATCH_AGAIN_H
#define SLUICE_DISPATCH_AGAIN_H
/* What follows from the end of an attempt: the next one, at once or when there is a token for it, or the end. */
#include "dispatch/state.h"

/* The timer fires when the present state has lasted too long. */
void dispatch_arm(struct dispatch *dispatch);
/* Nothing is under way any more. */
void dispatch_finish(struct dispatch *dispatch);
/* The owner hears of the fault; within a verb, soon. */
void dispatch_fail(struct dispatch *dispatch, enum fault fault);
/* The same at once; `owner` is the dispatch. */
void dispatch_run_fail(void *owner);

/* The owner needs the epoch no more; while another attempt may follow, the dispatch itself keeps it. */
void dispatch_let_epoch_go(struct dispatch *dispatch);
/* No other attempt follows: what the dispatch itself kept goes. */
void dispatch_settle_epoch(struct dispatch *dispatch);

/* Could a node that was not tried be asked now? */
bool dispatch_has_untried(const struct dispatch *dispatch);
/* Asks the next node, or fails. */
void dispatch_try_next(struct dispatch *dispatch);
/* The attempt is over with a fault, and nothing has gone to the owner. */
void dispatch_after_fault(struct dispatch *dispatch, enum fault fault);
/*
 * Its node is lost, or late with a write: what may be repeated, and has a token, goes elsewhere now, for all the time that its own limit would still
 * give it. What may not goes on, since its node may have an answer after all. A write's timestamps are looked at meanwhile: call it again then.
 */
void dispatch_leave_node(struct dispatch *dispatch, enum fault fault);
/* The node has given an answer that is not the client's: the next one of the sweep. False: none is left. */
bool dispatch_sweep_on(struct dispatch *dispatch);

/* Events of the attempt, of the check of the body, and of the budget; `owner` is the dispatch. */
enum attempt_verdict dispatch_judge(void *owner, enum screen_result result, bool is_whole);
void dispatch_on_checked(void *owner, enum timestamp_result result);
void dispatch_on_token(void *owner);

#endif
