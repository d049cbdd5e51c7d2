#ifndef SLUICE_BASE_LOG_LIMIT_H
#define SLUICE_BASE_LOG_LIMIT_H
/*
 * What the outside can cause at will must not fill the log: of lines of one kind (one struct log_limit: a node's failed attempts, a
 * listener's refusals) one a second is written, and says how many were not. At level debug all of them are.
 *
 *   unsigned suppressed;
 *   enum log_level level = log_limit_level(&limit, LOG_LEVEL_WARNING, now_ms, &suppressed);
 *   log_line(level, "event=... suppressed=%u", ..., suppressed);
 */
#include <stdint.h>

#include "base/log.h"

#define LOG_LIMIT_MS 1000

/* Zero: nothing was logged yet. One thread. */
struct log_limit {
    uint64_t quiet_until_ms;
    unsigned suppressed;
};

/*
 * The level of a line that is to be written now: `level`, or LOG_LEVEL_DEBUG when the last one is less than LOG_LIMIT_MS ago. *suppressed: how
 * many lines were below `level` since then. `now_ms` never goes back.
 */
enum log_level log_limit_level(struct log_limit *limit, enum log_level level, uint64_t now_ms, unsigned *suppressed);

#endif
