/* OpenSSL in the world: its random bytes and its time of day. The linker gives its calls of time and gettimeofday to this program's own. */
#define OPENSSL_API_COMPAT 10100
#include <openssl/rand.h>
#include <sys/time.h>
#include <time.h>

#include "base/clock.h"
#include "kernel/draw.h"
#include "kernel/world.h"
#include "world/plan.h"

static struct random_source draws;

static int give_bytes(unsigned char *bytes, int count)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (unsigned char)random_u32(&draws);
    return 1;
}

static int always(void)
{
    return 1;
}

void tls_begin(const struct plan *plan)
{
    static const RAND_METHOD method = {.bytes = give_bytes, .pseudorand = give_bytes, .status = always};
    draws = draw_source_of(plan->seed, "tls", 0);
    RAND_set_rand_method(&method);
}

time_t time(time_t *also)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (also != NULL)
        *also = now;
    return now;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    now->tv_sec = (time_t)(clock_wall_ms() / 1000);
    now->tv_usec = (suseconds_t)(clock_wall_ms() % 1000 * 1000);
    return 0;
}
