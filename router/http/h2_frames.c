#include "http/h2_frames.h"

#include <string.h>

#include "http/h2.h"

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

bool h2_frames_next(struct h2_frames *frames, struct text *rest, struct h2_frame_head *head)
{
    size_t skipped = frames->skip_bytes < rest->length ? (size_t)frames->skip_bytes : rest->length;
    frames->skip_bytes -= skipped;
    pass(rest, skipped);
    size_t wanted = H2_FRAME_HEAD_BYTES - frames->head_bytes;
    size_t taken = wanted < rest->length ? wanted : rest->length;
    if (taken > 0)
        memcpy(frames->head + frames->head_bytes, rest->bytes, taken);
    frames->head_bytes += (uint8_t)taken;
    pass(rest, taken);
    if (frames->head_bytes < H2_FRAME_HEAD_BYTES)
        return false;
    head->length = read_u32(frames->head) >> 8;
    head->type = frames->head[3];
    head->stream_id = (int32_t)(read_u32(frames->head + 5) & INT32_MAX);
    frames->skip_bytes = head->length;
    frames->head_bytes = 0;
    return true;
}
