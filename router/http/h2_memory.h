#ifndef SLUICE_HTTP_H2_MEMORY_H
#define SLUICE_HTTP_H2_MEMORY_H
/*
 * The memory of nghttp2's sessions: the loop's slab, and a reserve for when the system has none left. When memory runs out inside of nghttp2, an item
 * that it cannot queue is freed and stays with its stream, and is freed once more with the session (nghttp2_stream_attach_item of 1.52). So no call of
 * nghttp2 begins without a full reserve, and what a call asks for in vain is taken from there.
 */
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>

struct slab;

#define H2_MEMORY_SMALL 32
#define H2_MEMORY_LARGE 4
#define H2_MEMORY_SMALL_BYTES 1024
#define H2_MEMORY_LARGE_BYTES 16384

struct h2_memory {
    nghttp2_mem verbs; /* for nghttp2_session_client_new3 and its like */
    struct slab *slab; /* ref */
    unsigned small_count;
    unsigned large_count;
    void *small[H2_MEMORY_SMALL];
    void *large[H2_MEMORY_LARGE];
};

/* It must stay where it is while sessions use it. The reserve is filled with the first question. */
void h2_memory_init(struct h2_memory *memory, struct slab *slab);
/* No session may be left; the slab may have gone. */
void h2_memory_clear(struct h2_memory *memory);

/* Fills the reserve up. False when memory is out: then nghttp2 must not be called, and the link that wanted to is lost. */
bool h2_memory_refill(struct h2_memory *memory);
static inline bool h2_memory_is_ready(struct h2_memory *memory)
{
    return (memory->small_count == H2_MEMORY_SMALL && memory->large_count == H2_MEMORY_LARGE) || h2_memory_refill(memory);
}

#endif
