#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/sink.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static atomic_uint level_now = LOG_LEVEL_INFO;

static bool never_waits;
static struct sink standard_error; /* if so */
static atomic_ullong lost_lines; /* that nobody has been told of */
static atomic_ulong lost[LOG_PLACE_COUNT];
static atomic_ulong suppressed;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_now, level, memory_order_relaxed);
}

void log_open(void)
{
    sink_adopt(&standard_error, STDERR_FILENO);
    never_waits = true;
}

bool log_level_from_name(const char *name, enum log_level *level)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_is_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

/* A log that cannot be written has nowhere to complain. */
static void put_line(struct text line)
{
    if (!never_waits) {
        sink_write_waiting(STDERR_FILENO, line);
        return;
    }
    if (sink_write(&standard_error, line) == 0) {
        atomic_fetch_add(&lost_lines, 1);
        log_count_lost(LOG_STANDARD_ERROR, 1);
        return;
    }
    /* Whoever finds room first tells it; if that does not go either, it stays to be told. */
    unsigned long long untold = atomic_exchange(&lost_lines, 0);
    char words[128];
    if (untold == 0)
        return;
    size_t used = clock_format_iso(clock_wall_ms(), words);
    used = text_append(words, sizeof words, used, " %s event=log_lost lines=%llu\n", level_names[LOG_LEVEL_WARNING], untold);
    if (sink_write(&standard_error, text_of(words, used)) == 0)
        atomic_fetch_add(&lost_lines, untold);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (!log_is_enabled(level))
        return;
    char line[2048];
    size_t used = clock_format_iso(clock_wall_ms(), line);
    used = text_append(line, sizeof line, used, " %s ", level_names[level]);

    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (wanted > 0)
        used = (size_t)wanted < sizeof line - used - 1 ? used + (size_t)wanted : sizeof line - 2;
    line[used++] = '\n';
    put_line(text_of(line, used));
}

void log_count_lost(enum log_place place, unsigned long lines)
{
    atomic_fetch_add_explicit(&lost[place], lines, memory_order_relaxed);
}

unsigned long log_lost(enum log_place place)
{
    return atomic_load_explicit(&lost[place], memory_order_relaxed);
}

void log_count_suppressed(void)
{
    atomic_fetch_add_explicit(&suppressed, 1, memory_order_relaxed);
}

unsigned long log_suppressed(void)
{
    return atomic_load_explicit(&suppressed, memory_order_relaxed);
}

const char *log_quote(char *buffer, size_t capacity, struct text value)
{
    size_t used = 0;
    if (capacity < 8) {
        if (capacity > 0)
            buffer[0] = '\0';
        return buffer;
    }
    buffer[used++] = '"';
    for (size_t i = 0; i < value.length && used + 6 < capacity; i++) {
        unsigned char c = (unsigned char)value.bytes[i];
        if (c == '"' || c == '\\') {
            buffer[used++] = '\\';
            buffer[used++] = (char)c;
        } else if (c < 0x20 || c >= 0x7f) {
            buffer[used++] = '\\';
            buffer[used++] = 'x';
            hex_put_byte(buffer + used, HEX_LOWER, c);
            used += 2;
        } else {
            buffer[used++] = (char)c;
        }
    }
    buffer[used++] = '"';
    buffer[used] = '\0';
    return buffer;
}
