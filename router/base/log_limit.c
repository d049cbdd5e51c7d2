#include "base/log_limit.h"

enum log_level log_limit_level(struct log_limit *limit, enum log_level level, uint64_t now_ms, unsigned *suppressed)
{
    *suppressed = limit->suppressed;
    if (now_ms < limit->quiet_until_ms) {
        limit->suppressed++;
        if (!log_is_enabled(LOG_LEVEL_DEBUG))
            log_count_suppressed();
        return LOG_LEVEL_DEBUG;
    }
    limit->quiet_until_ms = now_ms + LOG_LIMIT_MS;
    limit->suppressed = 0;
    return level;
}
