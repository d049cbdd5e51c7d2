#include "net/tls_watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

/* Longer than any file system's clock takes to tick. */
#define SETTLED_S 2

struct watched {
    const char *path;
    struct file_stamp stamp;
};

struct tls_watch {
    bool is_settled;
    size_t count;
    struct watched files[];
};

struct tls_watch *tls_watch_create(const char *const *paths, size_t count)
{
    struct tls_watch *watch = calloc(1, sizeof *watch + count * sizeof watch->files[0]);
    for (size_t i = 0; watch != NULL && i < count; i++) {
        if (paths[i] != NULL)
            watch->files[watch->count++].path = paths[i];
    }
    return watch;
}

void tls_watch_destroy(struct tls_watch *watch)
{
    free(watch);
}

static bool is_recent(int64_t written_ns, uint64_t now_s)
{
    return written_ns / 1000000000 + SETTLED_S >= (int64_t)now_s;
}

bool tls_watch_look(struct tls_watch *watch)
{
    bool has_changed = !watch->is_settled;
    uint64_t now_s = clock_wall_ms() / 1000;
    watch->is_settled = true;
    for (size_t i = 0; i < watch->count; i++) {
        struct file_stamp stamp = file_stamp_of(watch->files[i].path);
        has_changed = has_changed || memcmp(&stamp, &watch->files[i].stamp, sizeof stamp) != 0;
        watch->files[i].stamp = stamp;
        if (is_recent(stamp.modified_ns, now_s) || is_recent(stamp.changed_ns, now_s))
            watch->is_settled = false;
    }
    return has_changed;
}
