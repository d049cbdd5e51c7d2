#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

void random_seed_from_system(struct random_source *source)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)(uintptr_t)source * UINT64_C(0x9e3779b97f4a7c15) ^ clock_wall_ms() << 20 ^ clock_thread_cpu_us();
    random_seed(source, seed);
}
