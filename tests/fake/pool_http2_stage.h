#ifndef SLUICE_FAKE_POOL_HTTP2_STAGE_H
#define SLUICE_FAKE_POOL_HTTP2_STAGE_H
/* The stage of a pool (fake/pool_stage.h) whose first node speaks HTTP/2: how that node comes, and what it says. */
#include "fake/h2_far.h"
#include "fake/pool_stage.h"

#define FARS 4

static struct h2_far fars[FARS];
static unsigned fars_used;

static inline int set_up_http2(void **state)
{
    fars_used = 0;
    if (set_up(state) != 0)
        return -1;
    stage.nodes[0].http = TOPOLOGY_HTTP_2;
    return 0;
}

static inline int tear_down_http2(void **state)
{
    for (unsigned i = 0; i < fars_used; i++) {
        fars[i].fd = -1; /* the stage closes it */
        h2_far_close(&fars[i]);
    }
    return tear_down(state);
}

/* The node takes a connection in and says that it takes so many streams at a time. */
static inline struct h2_far *node_comes(uint32_t streams)
{
    assert_true(fars_used < FARS);
    struct h2_far *far = &fars[fars_used++];
    h2_far_open(far, take_in(0));
    far->is_quiet = true;
    rig_settle(&stage.rig);
    far_hear_preface(far);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams);
    far_frame(far, H2_SETTINGS, H2_ACK, 0, NULL, 0);
    far_flush(far);
    rig_settle(&stage.rig);
    return far;
}

static inline void say(struct h2_far *far)
{
    far_flush(far);
    rig_settle(&stage.rig);
}

/* Whoever has a stream asks for something. */
static inline void send_request(struct asker *asker)
{
    struct message_head head = {.method = TEXT("GET"), .target = TEXT("/"), .authority = TEXT("n")};
    stream_send_head(asker->stream, &head);
    stream_send_end(asker->stream);
    asker->gives_ended = true;
}

static inline struct asker *asked(size_t number)
{
    struct asker *asker = served(0, number);
    send_request(asker);
    rig_settle(&stage.rig);
    return asker;
}

#endif
