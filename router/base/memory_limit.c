#include "base/memory_limit.h"

#include <stdbool.h>

enum memory_pressure memory_pressure_of(size_t used_bytes, size_t maximum_bytes)
{
    if (maximum_bytes == 0 || used_bytes < maximum_bytes - maximum_bytes / 4)
        return MEMORY_PRESSURE_NONE;
    return used_bytes < maximum_bytes - maximum_bytes / 10 ? MEMORY_PRESSURE_RISING : MEMORY_PRESSURE_SHORT;
}

static uint64_t own_bytes(unsigned workers)
{
    return MEMORY_OF_PROCESS_BYTES + (uint64_t)workers * MEMORY_OF_WORKER_BYTES;
}

uint64_t memory_limit_least_bytes(unsigned workers)
{
    return own_bytes(workers) + MEMORY_OF_TRAFFIC_LEAST_BYTES;
}

size_t memory_limit_of_traffic(uint64_t limit_bytes, uint64_t machine_bytes, unsigned workers)
{
    uint64_t all = limit_bytes != 0 ? limit_bytes : machine_bytes - machine_bytes / 8;
    uint64_t own = own_bytes(workers);
    uint64_t traffic = all > own && all - own > all / 2 ? all - own : all / 2;
    return traffic > SIZE_MAX ? SIZE_MAX : (size_t)traffic;
}

size_t memory_limit_of_bodies(uint64_t wanted_bytes, size_t used_bytes, size_t maximum_bytes)
{
    if (memory_pressure_of(used_bytes, maximum_bytes) == MEMORY_PRESSURE_SHORT)
        return 0;
    uint64_t most = maximum_bytes == 0 ? SIZE_MAX : maximum_bytes / 2;
    return (size_t)(wanted_bytes < most ? wanted_bytes : most);
}
