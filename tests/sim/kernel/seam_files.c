/* base/{file,sink}.h in the world: the files of Sluice's machine, in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/sink.h"
#include "kernel/draw.h"
#include "kernel/files.h"
#include "kernel/memory.h"
#include "kernel/world.h"

#define FILES_MAXIMUM 64
#define PATH_BYTES 128
/* A log keeps its end. */
#define LOG_BYTES ((size_t)64 * 1024)
/* Sinks that are no standard stream. */
#define SINK_FIRST 6000

static struct file {
    char path[PATH_BYTES];
    char *bytes; /* NULL: it was removed */
    size_t length;
    size_t synced; /* bytes from the front that outlive the machine */
    uint64_t version;
    uint64_t written_ms;
} files[FILES_MAXIMUM];
static size_t file_count;
static uint64_t versions;
static void (*on_log_line)(void *owner, struct text line);
static void *log_owner;

void files_begin(void)
{
    file_count = 0;
    versions = 0;
    on_log_line = NULL;
}

void files_end(void)
{
    for (size_t i = 0; i < file_count; i++)
        world_free(files[i].bytes);
    file_count = 0;
}

static struct file *find(const char *path)
{
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    }
    return NULL;
}

static struct file *find_or_make(const char *path)
{
    struct file *file = find(path);
    if (file != NULL)
        return file;
    if (file_count == FILES_MAXIMUM || strlen(path) >= PATH_BYTES)
        abort();
    file = &files[file_count++];
    *file = (struct file){0};
    memcpy(file->path, path, strlen(path) + 1);
    return file;
}

static void append(struct file *file, struct text bytes)
{
    if (file->length + bytes.length > 2 * LOG_BYTES) {
        memmove(file->bytes, file->bytes + file->length - LOG_BYTES, LOG_BYTES);
        file->length = LOG_BYTES;
        file->synced = 0;
    }
    char *larger = world_realloc(file->bytes, file->length + bytes.length + 1);
    file->bytes = larger;
    memcpy(file->bytes + file->length, bytes.bytes, bytes.length);
    file->length += bytes.length;
}

void sim_file_write(const char *path, struct text contents)
{
    struct file *file = find_or_make(path);
    world_free(file->bytes);
    file->bytes = world_malloc(contents.length + 1);
    memcpy(file->bytes, contents.bytes, contents.length);
    file->length = contents.length;
    file->synced = contents.length;
    file->version = ++versions;
    file->written_ms = clock_wall_ms();
}

void sim_files_lose_power(struct random_source *random)
{
    for (size_t i = 0; i < file_count; i++) {
        struct file *file = &files[i];
        size_t unsynced = file->length - file->synced;
        if (file->bytes != NULL && unsynced > 0)
            file->length = file->synced + (size_t)draw_below(random, unsynced + 1);
    }
}

struct text sim_file_read(const char *path)
{
    struct file *file = find(path);
    return file == NULL || file->bytes == NULL ? text_of("", 0) : text_of(file->bytes, file->length);
}

void sim_files_on_log_line(void (*on_line)(void *owner, struct text line), void *owner)
{
    on_log_line = on_line;
    log_owner = owner;
}

/* ---- base/file.h ---- */

static struct file *existing(const char *path)
{
    struct file *file = find(path);
    if (file != NULL && file->bytes != NULL)
        return file;
    errno = ENOENT;
    return NULL;
}

ptrdiff_t file_read_beginning(const char *path, char *buffer, size_t capacity)
{
    struct file *file = existing(path);
    if (file == NULL)
        return -1;
    size_t length = file->length < capacity ? file->length : capacity;
    memcpy(buffer, file->bytes, length);
    return (ptrdiff_t)length;
}

char *file_read_whole(const char *path, size_t maximum, size_t *length)
{
    struct file *file = existing(path);
    char *bytes = file == NULL ? NULL : malloc(maximum + 1);
    if (bytes == NULL)
        return NULL;
    *length = file->length < maximum + 1 ? file->length : maximum + 1;
    memcpy(bytes, file->bytes, *length);
    return bytes;
}

bool file_examine(const char *path, struct file_facts *facts)
{
    struct file *file = existing(path);
    *facts = (struct file_facts){0};
    if (file == NULL)
        return false;
    *facts = (struct file_facts){.size_bytes = file->length, .is_regular = true};
    return true;
}

char *file_read_regular(const char *path, size_t maximum, size_t *length, struct file_facts *facts)
{
    return file_examine(path, facts) ? file_read_whole(path, maximum, length) : NULL;
}

struct file_stamp file_stamp_of(const char *path)
{
    struct file *file = existing(path);
    if (file == NULL)
        return (struct file_stamp){0};
    int64_t written_ns = (int64_t)file->written_ms * 1000000;
    return (struct file_stamp){.device = 1, .inode = file->version, .size_bytes = file->length, .modified_ns = written_ns,
                               .changed_ns = written_ns};
}

/* ---- base/sink.h ---- */

bool sink_open(struct sink *sink, const char *path, const char **reason)
{
    (void)reason;
    struct file *file = find_or_make(path);
    append(file, text_of("", 0));
    *sink = (struct sink){.fd = SINK_FIRST + (int)(file - files), .kind = SINK_FILE};
    return true;
}

void sink_adopt(struct sink *sink, int fd)
{
    *sink = (struct sink){.fd = fd, .kind = SINK_PIPE};
}

void sink_close(struct sink *sink)
{
    sink->fd = -1;
}

size_t sink_write_waiting(int fd, struct text line)
{
    struct sink sink = {.fd = fd, .kind = SINK_PIPE};
    return sink_write(&sink, line);
}

size_t sink_write(const struct sink *sink, struct text lines)
{
    if (sink->fd == STDERR_FILENO && on_log_line != NULL)
        on_log_line(log_owner, lines);
    append(sink->fd < SINK_FIRST ? find_or_make(sink->fd == STDERR_FILENO ? "stderr" : "-") : &files[sink->fd - SINK_FIRST], lines);
    return lines.length;
}

bool sink_wait(const struct sink *sink, int timeout_ms)
{
    (void)sink;
    (void)timeout_ms;
    return true;
}
