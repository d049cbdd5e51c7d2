#include "routing/upload_rate.h"

bool upload_rate_is_low(struct upload_rate *rate, uint64_t least_bytes_per_s, uint64_t bytes, uint64_t now_ms)
{
    if (rate->since_ms == 0 || now_ms < rate->since_ms + UPLOAD_RATE_WINDOW_MS)
        return false;
    uint64_t lasted_ms = now_ms - rate->since_ms;
    uint64_t came_bytes = bytes - rate->from_bytes;
    if (came_bytes * 1000 < least_bytes_per_s * lasted_ms)
        return true;
    upload_rate_begin(rate, bytes, now_ms);
    return false;
}
