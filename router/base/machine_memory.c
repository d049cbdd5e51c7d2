#include "base/machine_memory.h"

#include <string.h>

#include "base/file.h"

/* Paths of control groups that are longer are not looked at. */
#define PATH_BYTES 1024

static uint64_t leading_number(struct text digits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.length && digits.bytes[i] >= '0' && digits.bytes[i] <= '9'; i++) {
        unsigned digit = (unsigned)(digits.bytes[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    return number;
}

uint64_t machine_memory_of_meminfo(struct text meminfo)
{
    struct text name = TEXT("MemTotal:");
    if (!text_starts_with(meminfo, name))
        return 0;
    size_t at = name.length;
    while (at < meminfo.length && meminfo.bytes[at] == ' ')
        at++;
    uint64_t kib = leading_number(text_of(meminfo.bytes + at, meminfo.length - at));
    return kib > UINT64_MAX / 1024 ? 0 : kib * 1024;
}

uint64_t machine_memory_of_limit(struct text limit)
{
    uint64_t bytes = leading_number(limit);
    /* cgroup v1 says "none" by a number that no machine has. */
    return bytes >= UINT64_C(1) << 60 ? 0 : bytes;
}

static uint64_t lesser(uint64_t one, uint64_t other)
{
    if (one == 0 || other == 0)
        return one + other;
    return one < other ? one : other;
}

static uint64_t limit_of_file(const char *path)
{
    char bytes[64];
    ptrdiff_t length = file_read_beginning(path, bytes, sizeof bytes);
    return length <= 0 ? 0 : machine_memory_of_limit(text_of(bytes, (size_t)length));
}

/* The process's own group and all above it: each may have a limit. `group` is cut off from its end. */
static uint64_t limit_of_groups(char *group)
{
    char path[PATH_BYTES + 64];
    uint64_t least = 0;
    for (;;) {
        text_append(path, sizeof path, 0, "/sys/fs/cgroup%s/memory.max", group);
        least = lesser(least, limit_of_file(path));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static uint64_t limit_of_own_group(void)
{
    char line[PATH_BYTES];
    ptrdiff_t length = file_read_beginning("/proc/self/cgroup", line, sizeof line - 1);
    line[length > 0 ? length : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    bool is_v2 = strncmp(line, "0::/", 4) == 0;
    char none[] = "";
    return limit_of_groups(is_v2 ? line + 3 : none);
}

uint64_t machine_memory_bytes(void)
{
    char meminfo[128];
    ptrdiff_t length = file_read_beginning("/proc/meminfo", meminfo, sizeof meminfo);
    uint64_t machine = length <= 0 ? 0 : machine_memory_of_meminfo(text_of(meminfo, (size_t)length));
    return lesser(machine, lesser(limit_of_own_group(), limit_of_file("/sys/fs/cgroup/memory/memory.limit_in_bytes")));
}
