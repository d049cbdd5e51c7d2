#ifndef SLUICE_BASE_MEMORY_LIMIT_H
#define SLUICE_BASE_MEMORY_LIMIT_H
/*
 * limits.memory: what of it traffic may take, and what is done when it is nearly taken. Bytes that are counted are those of base/memory_account.h and of
 * kept bodies.
 */
#include <stddef.h>
#include <stdint.h>

enum memory_pressure {
    MEMORY_PRESSURE_NONE,
    MEMORY_PRESSURE_RISING, /* a quarter is left: who holds memory and makes no progress ends, so that nobody need be refused */
    MEMORY_PRESSURE_SHORT, /* a tenth is left: nothing new is begun, nothing more is kept that could be done without */
};

/* `maximum_bytes` 0: there is no limit. */
enum memory_pressure memory_pressure_of(size_t used_bytes, size_t maximum_bytes);

/* What the process takes when nothing goes on: code, configuration, logs. */
#define MEMORY_OF_PROCESS_BYTES (16u * 1024 * 1024)
/* And for each worker: its pools, which keep what traffic has given back, and the steps in which it counts. */
#define MEMORY_OF_WORKER_BYTES (8u * 1024 * 1024)
/* With less for traffic nobody can be served sensibly. */
#define MEMORY_OF_TRAFFIC_LEAST_BYTES (16u * 1024 * 1024)

/* The least limits.memory that makes sense with so many workers. */
uint64_t memory_limit_least_bytes(unsigned workers);

/*
 * What traffic may take of the process's memory: `limit_bytes`, or where that is 0 what the machine has less an eighth of it; less what the process
 * takes itself, but never less than half. 0: no limit, because nothing is known of the machine either.
 */
size_t memory_limit_of_traffic(uint64_t limit_bytes, uint64_t machine_bytes, unsigned workers);

/*
 * How much of all bodies together may be kept: `wanted_bytes` (limits.replay_total), at most half of what traffic may take, because new requests are worth
 * more than repeats; and nothing more while memory is short.
 */
size_t memory_limit_of_bodies(uint64_t wanted_bytes, size_t used_bytes, size_t maximum_bytes);

#endif
