#ifndef SLUICE_SIM_CHECK_FAULTS_H
#define SLUICE_SIM_CHECK_FAULTS_H
/* Which rows of the router's table of faults a run has met, as its metrics tell. */
#include "base/text.h"

/* `metrics`: the body of GET /metrics. Each fault that was counted is reached. */
void reached_faults(struct text metrics);
/* Each row of the table, by the name under which it is reached. */
void faults_each(void (*on_name)(void *owner, const char *name), void *owner);

#endif
