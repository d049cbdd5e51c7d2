#ifndef SLUICE_UPSTREAM_PROBE_PARTS_H
#define SLUICE_UPSTREAM_PROBE_PARTS_H
/* The prober's own data, for probe.c (one probe of one node, from its dial to its result) and probe_nodes.c (which nodes are probed, and when first). */
#include "base/random.h"
#include "http/h1.h"
#include "net/buffer.h"
#include "net/loop.h"
#include "routing/version_search.h"
#include "upstream/dial.h"
#include "upstream/epoch.h"
#include "upstream/names.h"
#include "upstream/probe.h"
#include "upstream/roster.h"

/*
 *   IDLE --timer--> DIALING --ready--> ASKING --head--> IDLE
 *     ^                |                  |
 *     +-- any failure, or the time is up -+
 */
enum probe_state { PROBE_IDLE, PROBE_DIALING, PROBE_ASKING };

/* Why the node is asked. What live traffic suspects needs no second failure, as long as another node is there to take its work. */
enum probe_cause { PROBE_ROUTINE, PROBE_SUSPICION };

struct probe {
    struct prober *prober;
    struct roster_node *shared; /* owned reference */
    unsigned index;             /* in the prober's epoch */
    enum probe_state state;
    enum probe_cause cause;
    struct health health;
    unsigned results;           /* so far */
    struct address places[NAMES_PLACES_MAXIMUM]; /* where the node may be, this round: its address first, then others of its name */
    size_t place_count;
    size_t place;               /* this try */
    unsigned step;              /* which of the paths is known there: see path_of_step */
    bool is_http2;              /* this try */
    struct version_search search; /* clear text: which HTTP to ask in */
    struct dial dial;
    struct link *link;
    struct stream *stream;
    struct loop_timer timer;    /* the next round, or the end of this one's patience */
    bool was_passive_down;      /* logged that live traffic set it aside */
    char tls_reason[DIAL_REASON_BYTES]; /* why the last handshake failed; "" when it did not */
};

struct prober {
    struct loop *loop;
    struct names *names;        /* ref */
    struct epoch *epoch;        /* owned reference; NULL before the first */
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct h2_context *h2;
    struct random_source random;
    struct wakeup *suspicions;  /* a worker suspects a node */
    unsigned all_down;          /* of which kinds it was logged that all nodes are down and serve, see serving_all_down */
    struct probe *of_slot[ROSTER_SLOTS];
};

/* Nothing of the round is under way any more. */
void probe_let_go(struct probe *probe);
/* The next round's time has come, or this one's patience is over. */
void probe_on_timer(void *owner);
/* Live traffic suspects the node: a probe that is under way has no longer than one that would begin now. */
void probe_ask_at_once(struct probe *probe);

static inline const struct topology_node *probe_node_of(const struct probe *probe)
{
    return &probe->prober->epoch->topology->nodes[probe->index];
}

static inline const struct topology_health *probe_settings_of(const struct probe *probe)
{
    return &probe->prober->epoch->topology->health;
}

#endif
