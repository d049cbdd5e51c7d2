#ifndef SLUICE_SIM_KERNEL_WORLD_H
#define SLUICE_SIM_KERNEL_WORLD_H
/* The world as its own parts see it: who makes time pass, and what begins and ends with a run. */
#include <stdbool.h>
#include <stdint.h>

struct plan;

/* A run: world_begin, the actors, world_run as often as wanted, the actors' end, world_end. One at a time. */
void world_begin(const struct plan *plan);
/* Lets everything happen until `end_us`. */
void world_run(uint64_t end_us);
/* The same until `is_over` says so, at most until `end_us`; false when that came first. */
bool world_run_until(bool (*is_over)(void *owner), void *owner, uint64_t end_us);
void world_end(void);
/* A number that differs whenever anything happened otherwise: order, time, or bytes. */
uint64_t world_fingerprint(void);
void world_note(uint64_t word);

/* ---- the parts ---- */

void time_begin(void);
void time_end(void);
void time_advance(uint64_t to_us);
uint64_t time_of_next(void);
/* One event that is due; false when there is none. */
bool time_step(void);

void tcp_begin(const struct plan *plan);
void tcp_end(void);
/* Frees what was closed since: nobody is inside of a callback. */
void tcp_collect(void);

void fibers_begin(const struct plan *plan);
void fibers_end(void);
/* Runs one thread of Sluice that has something to do; false when there is none now. */
bool fibers_step(void);
/* When the next one has. */
uint64_t fibers_next(void);

void names_begin(const struct plan *plan);
void names_end(void);
void files_begin(void);
void files_end(void);
void memory_begin(const struct plan *plan);
void tls_begin(const struct plan *plan);

#endif
