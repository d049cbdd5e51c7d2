#ifndef SLUICE_HTTP_H2_FRAMES_H
#define SLUICE_HTTP_H2_FRAMES_H
/*
 * Where frames begin among the bytes that a client sends (RFC 9113 section 4.1), for what nghttp2 does not tell: it passes over DATA on streams that
 * have ended without a word, and with the priorities of RFC 7540 off it does not look at PRIORITY frames. Other payloads are skipped unseen. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

#define H2_FRAME_HEAD_BYTES 9
/* In the payload of a PRIORITY frame (RFC 9113 section 6.3). */
#define H2_FRAME_DEPENDENCY_BYTES 4

struct h2_frames {
    uint64_t skip_bytes;  /* of a payload, or of the preface */
    uint8_t head[H2_FRAME_HEAD_BYTES + H2_FRAME_DEPENDENCY_BYTES];
    uint8_t head_bytes;   /* of a frame's head, and of its dependency, that have come */
};

struct h2_frame_head {
    uint32_t length;
    uint8_t type;
    int32_t stream_id;
    int32_t depends_on;   /* of a PRIORITY frame: a stream; else 0 */
};

/* The client's preface comes first. */
void h2_frames_start(struct h2_frames *frames);
/*
 * Goes on behind the next frame's head; false when the bytes end before that. `*rest` then stands at the frame's payload, of a PRIORITY frame behind
 * its dependency.
 */
bool h2_frames_next(struct h2_frames *frames, struct text *rest, struct h2_frame_head *head);

#endif
