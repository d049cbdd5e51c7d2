#include "observe/access_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/sink.h"

#define GATHER_BYTES 65536
#define LINE_BYTES 2048
#define TARGET_BYTES 1024

/* So many lines are lost before a log that was full is tried again. */
#define RETRY_LINES 16
/* What a reader that lags has left at the end of the process to make room. */
#define CLOSE_WAIT_MS 200

struct access_log {
    struct sink sink;
    uint64_t lost; /* lines, not told yet */
    size_t used;
    char gathered[GATHER_BYTES];
};

struct access_log *access_log_open(const char *path, const char **reason)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        *reason = "out of memory";
        return NULL;
    }
    if (sink_open(&log->sink, path, reason))
        return log;
    free(log);
    return NULL;
}

/* What the sink does not take stays for the next time. */
static void write_out(struct access_log *log)
{
    size_t written = sink_write(&log->sink, text_of(log->gathered, log->used));
    log->used -= written;
    if (written > 0 && log->used > 0)
        memmove(log->gathered, log->gathered + written, log->used);
}

void access_log_flush(struct access_log *log)
{
    write_out(log);
    if (log->lost == 0)
        return;
    log_count_lost(LOG_ACCESS_LOG, log->lost);
    log_line(LOG_LEVEL_WARNING, "event=access_log_lost lines=%llu remedy=\"let somebody read the log, or free space on its disk\"",
             (unsigned long long)log->lost);
    log->lost = 0;
}

void access_log_close(struct access_log *log)
{
    if (log == NULL)
        return;
    access_log_flush(log);
    for (size_t before = 0; log->used > 0 && log->used != before && sink_wait(&log->sink, CLOSE_WAIT_MS);) {
        before = log->used;
        write_out(log);
    }
    sink_close(&log->sink);
    free(log);
}

/* The database decodes keys before it compares them; longer than the longest secret key is none. */
static struct text decode_key(struct text key, char *buffer, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < key.length; i++) {
        if (used == capacity)
            return TEXT_EMPTY;
        bool may_be_escape = key.bytes[i] == '%' && i + 2 < key.length;
        int byte = may_be_escape ? hex_byte(key.bytes[i + 1], key.bytes[i + 2]) : -1;
        buffer[used++] = byte >= 0 ? (char)byte : key.bytes[i];
        i += byte >= 0 ? 2 : 0;
    }
    return text_of(buffer, used);
}

static bool is_secret_key(struct text raw)
{
    char decoded[8];
    struct text key = decode_key(raw, decoded, sizeof decoded);
    return text_equals(key, TEXT("p")) || text_equals(key, TEXT("u")) || text_equals(key, TEXT("token"));
}

static size_t put(char *buffer, size_t capacity, size_t used, struct text t)
{
    size_t length = t.length < capacity - used ? t.length : capacity - used;
    if (length > 0)
        memcpy(buffer + used, t.bytes, length);
    return used + length;
}

/* The target with the values of secret query keys replaced (docs/database.md#tokens-in-urls). */
static struct text redact(struct text target, char *buffer, size_t capacity)
{
    struct text rest = target;
    struct text path = text_cut(&rest, '?');
    size_t used = put(buffer, capacity, 0, path);
    char separator = '?';
    while (rest.bytes != NULL) {
        struct text value = text_cut(&rest, '&');
        struct text key = text_cut(&value, '=');
        used = put(buffer, capacity, used, text_of(&separator, 1));
        used = put(buffer, capacity, used, key);
        if (value.bytes != NULL) {
            used = put(buffer, capacity, used, TEXT("="));
            used = put(buffer, capacity, used, is_secret_key(key) ? TEXT("-") : value);
        }
        separator = '&';
    }
    return text_of(buffer, used);
}

size_t access_log_format(const struct access_record *record, char *buffer, size_t capacity)
{
    char redacted[TARGET_BYTES];
    char target[TARGET_BYTES + 16];
    char id[160];
    char time_text[CLOCK_ISO_BYTES];
    clock_format_iso(clock_wall_ms(), time_text);
    log_quote(target, sizeof target, redact(record->target, redacted, sizeof redacted));
    log_quote(id, sizeof id, record->request_id);
    size_t used = text_append(buffer, capacity, 0,
                       "time=%s client=%s method=%.*s target=%s class=%s node=%s attempts=%u status=%u%s%s "
                       "request_bytes=%llu response_bytes=%llu duration_ms=%llu fault=%s id=%s\n",
                       time_text, record->client_host, TEXT_ARGUMENTS(record->method), target,
                       request_class_name(record->class), record->node_id == NULL ? "-" : record->node_id,
                       record->attempts, record->status, record->is_grpc ? " grpc_status=" : "",
                       record->is_grpc ? grpc_status_name(record->grpc_status) : "",
                       (unsigned long long)record->request_bytes,
                       (unsigned long long)record->response_bytes, (unsigned long long)record->duration_ms,
                       fault_row(record->fault)->name, id);
    /* A line that was cut still ends, or the next one would be glued to it. */
    if (used > 0 && buffer[used - 1] != '\n')
        buffer[used - 1] = '\n';
    return used;
}

static bool has_room(const struct access_log *log)
{
    return GATHER_BYTES - log->used >= LINE_BYTES;
}

void access_log_write(struct access_log *log, const struct access_record *record)
{
    if (!has_room(log) && log->lost % RETRY_LINES == 0)
        write_out(log);
    if (has_room(log))
        log->used += access_log_format(record, log->gathered + log->used, LINE_BYTES);
    else
        log->lost++;
}
