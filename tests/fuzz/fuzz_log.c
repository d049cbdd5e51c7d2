/* The log of a fuzzer: every line is made, as in real life, and none is written. One that says event=bug ends it. */
#include "base/log.h"

#include "fuzz/fuzz.h"

/* The linker gives us the calls of log_line (-Wl,--wrap). */
void __wrap_log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

void __wrap_log_line(enum log_level level, const char *format, ...)
{
    (void)level;
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (strstr(line, "event=bug") != NULL)
        fuzz_fail(__FILE__, __LINE__, line);
}
