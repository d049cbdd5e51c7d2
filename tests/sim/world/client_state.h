#ifndef SLUICE_SIM_WORLD_CLIENT_STATE_H
#define SLUICE_SIM_WORLD_CLIENT_STATE_H
/* A client's own data, for client.c and the files of the models, one for each kind of client. */
#include "world/client.h"
#include "world/client_try.h"

struct client;

/*
 * A kind of client: what it does when its second comes, and what it makes of the end of a try. `rows` is how many variants the model knows; which one
 * a client is stands in client.row.
 */
struct client_model {
    const char *name;
    unsigned weight; /* of the draw */
    unsigned rows;
    void (*begin)(struct client *client); /* after the draw; may be NULL */
    void (*turn)(struct client *client);
    void (*on_end)(struct client *client, const struct client_end *end); /* may be NULL */
};

extern const struct client_model client_writer;    /* world/client_writer.c */
extern const struct client_model client_writeback;
extern const struct client_model client_querier;   /* world/client_querier.c */
extern const struct client_model client_cataloguer;
extern const struct client_model client_flight;    /* world/client_flight.c */

/* What a writer keeps to send it again. */
enum batch_state { BATCH_NONE, BATCH_WAITS, BATCH_IS_SENT };

struct batch {
    enum batch_state state;
    enum try_kind kind;
    unsigned tries;
    uint64_t due_us;  /* not sent again before */
    uint64_t order;   /* the oldest first */
};

#define BATCHES_MAXIMUM 10

struct client {
    const struct plan *plan;
    unsigned index;
    struct random_source random;
    const struct client_model *model;
    unsigned row;
    struct client_links links;
    struct client_asker asker;
    struct list hostiles;                  /* world/hostile.c */
    struct batch batches[BATCHES_MAXIMUM]; /* of writers */
    uint64_t batch_order;
    uint64_t throttled_until_us;           /* of writers: no flush before */
    unsigned transparent_retries;          /* of Flight: the library's own, at once */
    struct sim_timer turn;
};

#endif
