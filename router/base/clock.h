#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H
/*
 * clock.c is the only place that asks the system for the time; clock_format.c only writes it down. Whoever decides something by time takes it as an argument; inside a loop's events that is
 * loop_now_ms, which costs nothing. It stands on the ground floor because log lines carry the time of day.
 *
 * None of these can fail: the clocks exist on every Linux that this program runs on.
 */
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a clock that never goes back and stands while the machine is suspended. Its zero means nothing. */
uint64_t clock_monotonic_ms(void);

/* The time of day: milliseconds since 1970-01-01 UTC. It may jump. */
uint64_t clock_wall_ms(void);

/* Microseconds of CPU time that the calling thread has used. A system call, unlike the others. */
uint64_t clock_thread_cpu_us(void);

/* ---- written down: no clock is asked ---- */

/* Room for clock_format_iso with its NUL. */
#define CLOCK_ISO_BYTES 32
/* Room for clock_format_http with its NUL. */
#define CLOCK_HTTP_BYTES 40

/* "2026-11-25T10:11:12.345Z" (RFC 3339), of a clock_wall_ms. Returns the length. */
size_t clock_format_iso(uint64_t wall_ms, char buffer[CLOCK_ISO_BYTES]);
/* "Wed, 25 Nov 2026 10:11:12 GMT" (IMF-fixdate, RFC 9110 section 5.6.7). Returns the length. */
size_t clock_format_http(uint64_t wall_ms, char buffer[CLOCK_HTTP_BYTES]);

#endif
