#include "http/h2_frames.h"

#include <string.h>

#include "http/h2.h"

/* The type of a PRIORITY frame (RFC 9113 section 6.3). */
#define PRIORITY 2

void h2_frames_start(struct h2_frames *frames)
{
    *frames = (struct h2_frames){.skip_bytes = H2_PREFACE_BYTES};
}

static void pass(struct text *rest, size_t length)
{
    *rest = text_of(rest->bytes + length, rest->length - length);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Goes on with what is gathered of a frame until it has this length; false when the bytes end before that. */
static bool gather(struct h2_frames *frames, struct text *rest, size_t length)
{
    size_t wanted = length - frames->head_bytes;
    size_t taken = wanted < rest->length ? wanted : rest->length;
    if (taken > 0)
        memcpy(frames->head + frames->head_bytes, rest->bytes, taken);
    frames->head_bytes += (uint8_t)taken;
    pass(rest, taken);
    return taken == wanted;
}

bool h2_frames_next(struct h2_frames *frames, struct text *rest, struct h2_frame_head *head)
{
    size_t skipped = frames->skip_bytes < rest->length ? (size_t)frames->skip_bytes : rest->length;
    frames->skip_bytes -= skipped;
    pass(rest, skipped);
    if (frames->head_bytes < H2_FRAME_HEAD_BYTES && !gather(frames, rest, H2_FRAME_HEAD_BYTES))
        return false;
    uint32_t length = read_u32(frames->head) >> 8;
    bool has_dependency = frames->head[3] == PRIORITY && length >= H2_FRAME_DEPENDENCY_BYTES;
    if (has_dependency && !gather(frames, rest, H2_FRAME_HEAD_BYTES + H2_FRAME_DEPENDENCY_BYTES))
        return false;
    *head = (struct h2_frame_head){
        .length = length,
        .type = frames->head[3],
        .stream_id = (int32_t)(read_u32(frames->head + 5) & INT32_MAX),
        .depends_on = has_dependency ? (int32_t)(read_u32(frames->head + H2_FRAME_HEAD_BYTES) & INT32_MAX) : 0,
    };
    frames->skip_bytes = length - (has_dependency ? H2_FRAME_DEPENDENCY_BYTES : 0);
    frames->head_bytes = 0;
    return true;
}
