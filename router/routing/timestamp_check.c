#include "routing/timestamp_check.h"

#include <stdlib.h>
#include <zlib.h>

#include "routing/line_protocol.h"

/* zlib works best on pieces of this size and more. */
#define PIECE_BYTES 16384

struct timestamp_check {
    struct line_protocol_scan scan;
    struct text rest;         /* of the body: what has not been looked at */
    bool is_gzip;
    uint64_t inflated_bytes;
    uint64_t inflated_maximum_bytes;
    z_stream stream;
    unsigned char piece[PIECE_BYTES];
};

struct timestamp_check *timestamp_check_begin(struct text body, bool is_gzip, uint64_t inflated_maximum_bytes)
{
    const int gzip_only = MAX_WBITS + 16;
    struct timestamp_check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return NULL;
    check->rest = body;
    check->is_gzip = is_gzip;
    check->inflated_maximum_bytes = inflated_maximum_bytes;
    if (is_gzip && inflateInit2(&check->stream, gzip_only) != Z_OK) {
        free(check);
        return NULL;
    }
    return check;
}

/* Nothing can be taken off a body without a byte, which has no place either. */
static void take_rest(struct timestamp_check *check, size_t length)
{
    if (length > 0)
        check->rest = text_of(check->rest.bytes + length, check->rest.length - length);
}

static enum timestamp_result finish(const struct timestamp_check *check)
{
    return line_protocol_finish(&check->scan) ? TIMESTAMP_EACH_LINE : TIMESTAMP_DOUBT;
}

static enum timestamp_result step_plain(struct timestamp_check *check, size_t budget_bytes)
{
    size_t length = check->rest.length < budget_bytes ? check->rest.length : budget_bytes;
    if (!line_protocol_feed(&check->scan, text_of(check->rest.bytes, length)))
        return TIMESTAMP_DOUBT;
    take_rest(check, length);
    return check->rest.length == 0 ? finish(check) : TIMESTAMP_MORE;
}

/* At most a piece in and a piece out; gzip files may be concatenated (RFC 1952 section 2.2), so member after member. */
static enum timestamp_result inflate_piece(struct timestamp_check *check, size_t *looked_at_bytes)
{
    z_stream *stream = &check->stream;
    size_t given = check->rest.length < PIECE_BYTES ? check->rest.length : PIECE_BYTES;
    stream->next_in = (unsigned char *)(uintptr_t)check->rest.bytes; /* zlib reads only, but says so only with ZLIB_CONST */
    stream->avail_in = (unsigned)given;
    stream->next_out = check->piece;
    stream->avail_out = sizeof check->piece;
    int result = inflate(stream, Z_NO_FLUSH);
    size_t used = given - stream->avail_in;
    size_t got = sizeof check->piece - stream->avail_out;
    take_rest(check, used);
    *looked_at_bytes += used + got;
    check->inflated_bytes += got;
    if ((result != Z_OK && result != Z_STREAM_END) || check->inflated_bytes > check->inflated_maximum_bytes ||
        !line_protocol_feed(&check->scan, text_of((const char *)check->piece, got)))
        return TIMESTAMP_DOUBT;
    if (result != Z_STREAM_END)
        return TIMESTAMP_MORE;
    if (check->rest.length == 0)
        return finish(check);
    return inflateReset(stream) == Z_OK ? TIMESTAMP_MORE : TIMESTAMP_DOUBT;
}

/* What goes in counts as much as what comes out: of empty members and blocks nothing comes out. */
static enum timestamp_result step_gzip(struct timestamp_check *check, size_t budget_bytes)
{
    size_t looked_at_bytes = 0;
    enum timestamp_result result = TIMESTAMP_MORE;
    while (result == TIMESTAMP_MORE && looked_at_bytes < budget_bytes)
        result = inflate_piece(check, &looked_at_bytes);
    return result;
}

enum timestamp_result timestamp_check_step(struct timestamp_check *check, size_t budget_bytes)
{
    return check->is_gzip ? step_gzip(check, budget_bytes) : step_plain(check, budget_bytes);
}

void timestamp_check_end(struct timestamp_check *check)
{
    if (check != NULL && check->is_gzip)
        inflateEnd(&check->stream);
    free(check);
}
