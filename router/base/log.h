#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H
/*
 * One line is one event, on standard error: time, level, then key=value words. Each line is one write, so lines of several threads do not
 * mix.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* At any time, from any thread. */
void log_set_level(enum log_level level);
/*
 * From now on a reader of standard error that does not read holds nothing up: lines that find no room are lost, and the next one that does says how
 * many they were (event=log_lost). Once, before threads start; before it, and without it, writing waits.
 */
void log_open(void);
/* False when `name` is none of error, warning, info, debug. */
bool log_level_from_name(const char *name, enum log_level *level);
bool log_is_enabled(enum log_level level);

/* `format` gives `event=... key=value ...`; text from outside goes through log_quote first. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where lines go, for counting those that went nowhere. */
enum log_place { LOG_STANDARD_ERROR, LOG_ACCESS_LOG, LOG_PLACE_COUNT };

/* Since the process began, from any thread: lines that found no room, and lines that log_limit.h has kept back. */
void log_count_lost(enum log_place place, unsigned long lines);
unsigned long log_lost(enum log_place place);
void log_count_suppressed(void);
unsigned long log_suppressed(void);

/*
 * Copies `value` into `buffer` between double quotes, escaping quotes, backslashes, control and 8-bit bytes (no log line can be
 * forged), cut at the capacity. Returns `buffer`.
 */
const char *log_quote(char *buffer, size_t capacity, struct text value);

#endif
