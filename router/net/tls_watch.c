#include "net/tls_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

/* Longer than any file system's clock takes to tick. */
#define SETTLED_S 2

struct stamp {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct watched {
    const char *path;
    struct stamp stamp;
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

static struct stamp stamp_of(const char *path)
{
    struct stamp stamp;
    struct stat status;
    memset(&stamp, 0, sizeof stamp); /* padding, too: stamps are compared as bytes */
    if (stat(path, &status) != 0)
        return stamp;
    stamp.exists = true;
    stamp.device = status.st_dev;
    stamp.inode = status.st_ino;
    stamp.size = status.st_size;
    stamp.modified = status.st_mtim;
    stamp.changed = status.st_ctim;
    return stamp;
}

bool tls_watch_look(struct tls_watch *watch)
{
    bool has_changed = !watch->is_settled;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    watch->is_settled = true;
    for (size_t i = 0; i < watch->count; i++) {
        struct stamp stamp = stamp_of(watch->files[i].path);
        has_changed = has_changed || memcmp(&stamp, &watch->files[i].stamp, sizeof stamp) != 0;
        memcpy(&watch->files[i].stamp, &stamp, sizeof stamp);
        if (stamp.modified.tv_sec + SETTLED_S >= now || stamp.changed.tv_sec + SETTLED_S >= now)
            watch->is_settled = false;
    }
    return has_changed;
}
