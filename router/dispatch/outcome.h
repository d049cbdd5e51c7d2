#ifndef SLUICE_DISPATCH_OUTCOME_H
#define SLUICE_DISPATCH_OUTCOME_H
/* What the end of an attempt means beyond its request: counters, a line in the log, the load and the standing of its node. */
#include "dispatch/attempt.h"

/* Each outcome of each attempt comes here, once, while what it was about still stands in it. */
void outcome_count(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault);

#endif
