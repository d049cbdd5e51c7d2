/* What the HTTP/2 links of a loop share: nghttp2's memory, options and callbacks, and room for heads. */
#include <stdlib.h>

#include "base/slab.h"
#include "http/h2_callbacks.h"

#define FIRST_UNKNOWN_TYPE 0x0a

static nghttp2_option *create_option(const struct h2_settings *settings)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* How many streams a link takes before the node has said so is the pool's to know (h2_client_create). */
    nghttp2_option_set_peer_max_concurrent_streams(option, H2_STREAMS_ON_LINK);
    /* nghttp2 tells of no frame that it does not know; those that it takes for an extension of ours it does. */
    for (unsigned type = FIRST_UNKNOWN_TYPE; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
    /* A blank around a value costs the whole message otherwise. Programs send values as their users have pasted them; h2_head trims them. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
    /* nghttp2 counts a client's resets whatever they are for; we count those that do harm (h2_budget). */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
    nghttp2_option_set_max_send_header_block_length(option, settings->limits.head_bytes * 2);
    /* Ours is the head's limit in bytes; this only bounds how many pieces it may come in. */
    nghttp2_option_set_max_continuations(option, settings->limits.head_bytes / 16384 + 4);
    return option;
}

struct h2_context *h2_context_create(struct loop *loop, const struct h2_settings *settings)
{
    struct h2_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return NULL;
    context->loop = loop;
    context->slab = loop_slab(loop);
    h2_memory_init(&context->memory, context->slab);
    context->settings = *settings;
    context->callbacks = h2_callbacks_create();
    context->option = create_option(settings);
    if (context->callbacks == NULL || context->option == NULL) {
        h2_context_destroy(context);
        return NULL;
    }
    return context;
}

void h2_context_configure(struct h2_context *context, const struct h2_settings *settings)
{
    nghttp2_option *option = create_option(settings);
    if (option != NULL) {
        nghttp2_option_del(context->option);
        context->option = option;
    }
    context->settings = *settings;
}

void h2_context_destroy(struct h2_context *context)
{
    if (context == NULL)
        return;
    nghttp2_session_callbacks_del(context->callbacks);
    nghttp2_option_del(context->option);
    h2_header_blocks_clear(&context->blocks);
    h2_writer_clear(&context->writer);
    h2_memory_clear(&context->memory);
    free(context);
}
