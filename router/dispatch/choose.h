#ifndef SLUICE_DISPATCH_CHOOSE_H
#define SLUICE_DISPATCH_CHOOSE_H
/*
 * Which nodes a request may go to, and which of them is asked next. Indices are those of the lease's epoch.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "http/message.h"
#include "routing/node_set.h"
#include "upstream/lease.h"

struct dispatch_context;

enum choice_target {
    CHOICE_ONE,     /* any of those that can serve it */
    CHOICE_NAMED,   /* the one that X-Sluice-Node names */
    CHOICE_FAN_OUT, /* each of those that can serve it, one after the other */
};

struct choice {
    struct lease_kind kind;      /* its now_ms is to be brought up to date before a call below */
    enum choice_target target;
    unsigned named;              /* CHOICE_NAMED: its index */
    uint64_t database;           /* a hash of the database that it names, where those of one database stay together; 0: it goes anywhere */
};

/*
 * Finds out from the route and the request's head whom the request is for; `kind` is filled in already. A fan-out is refused now rather than
 * done on some of the nodes only: when one of them is not usable, or when its body is known to be too long to be sent again.
 */
enum fault choice_begin(struct choice *choice, struct lease *lease, const struct message_head *head);

/* The index of the node to ask next, or -1; `tried` is NULL before the first attempt. */
int choice_pick(const struct choice *choice, struct lease *lease, struct dispatch_context *context, struct text path,
                const struct node_set *tried);
/* The index of a node to ask beside the one that is being asked, or -1: one of those that are known to serve. */
int choice_pick_beside(const struct choice *choice, struct lease *lease, struct dispatch_context *context, const struct node_set *tried);
/*
 * Before the first attempt: a node that was set aside and whose time is over, or -1. This request is the one that finds out whether it works again:
 * its attempt is a trial (attempt.purpose).
 */
int choice_pick_trial(const struct choice *choice, struct lease *lease);
/* Could a node that was not tried be asked now? */
bool choice_has_untried(const struct choice *choice, struct lease *lease, const struct node_set *tried);
/* Of those, the quickest one's average of late for a write; 0: there is none, or nothing is known of them. Looks at each node. */
slow_write_average choice_quickest_write(const struct choice *choice, struct lease *lease, const struct node_set *tried);
/* How many nodes of the configuration could serve it, whatever their state. */
size_t choice_count(const struct choice *choice, const struct lease *lease);

/* The node has answered: what the policy of the class says is remembered for the next request. */
void choice_remember(const struct choice *choice, struct dispatch_context *context, struct text path,
                     const struct roster_node *node);

#endif
