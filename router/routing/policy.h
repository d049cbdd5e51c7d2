#ifndef SLUICE_ROUTING_POLICY_H
#define SLUICE_ROUTING_POLICY_H
/*
 * How each class of requests is treated, as one table: whom it goes to, how often it is tried, what limits it in time, which answers are
 * refusals, and what is remembered of the node that answered. Routes (routing/routes.c) say what one request may have done; this table
 * says what is true of all requests of a class.
 */
#include "topology/topology.h"

enum balance_method {
    BALANCE_WEIGHTED,          /* the less busy for its topology_node.weight of two: the one whose turn it is by weights, and one by chance */
    BALANCE_LEAST_OUTSTANDING, /* the less busy of two chosen at random; what is outstanding counts for more while a node is silent */
    BALANCE_ROUND_ROBIN,       /* strict: one after the other in the order of the configuration, over all workers */
    BALANCE_STICKY,            /* the node that was used last, while it is usable; else the first usable one */
    BALANCE_FIRST,             /* the first usable one */
};

/* What ends the search for an answer. */
enum policy_deadline {
    POLICY_DEADLINE_RESPONSE, /* timeouts.response of silence from a node, for each attempt */
    POLICY_DEADLINE_WRITE,    /* no attempt begins timeouts.write_deadline after the body's last byte; each has timeouts.write_response */
};

/* Which answers say that the node did nothing and another one may be asked; see routing/answer.h. */
enum policy_refusal {
    POLICY_REFUSAL_NONE,
    POLICY_REFUSAL_WRITE,  /* of its role, while it shuts down, or because it is older than the catalog */
    POLICY_REFUSAL_ENGINE, /* 405, or 404 with exactly {error: "not found"}: the next node of a sweep */
};

/* Where the node that answered is asked first next time. */
enum policy_memory {
    POLICY_MEMORY_NONE,
    POLICY_MEMORY_CLUSTER, /* one node for all requests of all workers: others learn of a catalog change only later */
    POLICY_MEMORY_PATH,    /* one node for each path, by worker */
};

/* What it means that an HTTP/1 client ends its sending (FIN) behind its whole request. */
enum policy_fin {
    POLICY_FIN_GONE,     /* nobody waits for the answer: what it costs the nodes is saved */
    POLICY_FIN_MAY_READ, /* what was asked for is done anyway, and who closed only one half wants to hear of it */
};

/* Is a request of the class that may be done twice sent to a second node beside a slow first one (queries.hedge)? */
enum policy_hedge {
    POLICY_HEDGE_NEVER,
    POLICY_HEDGE_SLOW,
};

struct policy {
    enum balance_method balance;
    unsigned attempts_maximum; /* the first included */
    enum policy_deadline deadline;
    enum policy_refusal refusal;
    enum policy_memory memory;
    enum policy_fin fin;
    enum policy_hedge hedge;
};

/* The row of a class; always valid. */
const struct policy *policy_of(enum request_class class);

/* Which requests of the class stay together, by the configuration. */
enum topology_affinity policy_affinity_of(const struct topology *topology, enum request_class class);

#endif
