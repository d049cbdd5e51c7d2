#ifndef SLUICE_SIM_KERNEL_SIGNALS_H
#define SLUICE_SIM_KERNEL_SIGNALS_H
/* The signals that somebody sends to Sluice's process. */
#include "net/signals.h"

/* One that nobody listens to yet ends nothing: it is lost. */
void sim_signal(enum signal_kind kind);

#endif
