#ifndef SLUICE_HTTP_H2_PAST_H
#define SLUICE_HTTP_H2_PAST_H
/*
 * What is still known of a client's streams that have ended, of which nghttp2 keeps nothing (RFC 9113 section 5.1). On a stream that the client itself
 * has ended or reset it may send no more DATA and HEADERS, and on one that it has skipped it never may. On a stream that we have reset they may
 * have been on their way. Only so many resets are remembered: for older streams the doubt is the client's gain. Pure; zero it first.
 */
#include <stdbool.h>
#include <stdint.h>

#define H2_PAST_RESETS 32

struct h2_past {
    int32_t last_id;      /* the highest that has begun */
    int32_t gap_first_id; /* the newest streams that were skipped; 0: none */
    int32_t gap_last_id;
    int32_t reset_ids[H2_PAST_RESETS];
    uint32_t reset_count;
    int32_t forgotten_id; /* the highest whose reset is remembered no more */
};

enum h2_past_stream {
    H2_PAST_SKIPPED,
    H2_PAST_RESET_HERE, /* or perhaps so */
    H2_PAST_ENDED,
};

/* A header block begins for a stream. */
void h2_past_note_head(struct h2_past *past, int32_t id);
/* We have sent RST_STREAM, while the client could still send. */
void h2_past_note_reset(struct h2_past *past, int32_t id);
/* How did this stream end, which is not above the last one and lives no more? */
enum h2_past_stream h2_past_find(const struct h2_past *past, int32_t id);

#endif
