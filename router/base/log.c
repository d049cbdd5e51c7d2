#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* Written once before any thread starts, then only read. */
static enum log_level level_now = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    level_now = level;
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
    return level <= level_now;
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
    /* A log that cannot be written has nowhere to complain. */
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
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
