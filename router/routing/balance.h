#ifndef SLUICE_ROUTING_BALANCE_H
#define SLUICE_ROUTING_BALANCE_H
/*
 * Which of the nodes that could serve a request gets it. Pure decisions over a view, which is one worker's list of the nodes that can
 * serve a kind of request and are usable now. A pick costs the same for three nodes and for a thousand (weighted: the height of a heap), as
 * long as none was tried before; a repeat may look at each member.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "routing/node_set.h"
#include "routing/policy.h"

struct balance_candidate {
    uint16_t index;  /* in the topology */
    uint32_t weight; /* 0 counts as 1 */
    uint32_t share;  /* of what it would get, in thousandths, while it starts slowly; 0 counts as all */
    uint64_t name;   /* a hash of what it is called, for balance_pick_near */
};

struct balance_member {
    uint16_t index;
    uint32_t weight;
    uint32_t share;  /* thousandths, never 0 */
    uint64_t name;
    uint64_t due;    /* weighted: the virtual time at which it is due next */
    uint64_t before; /* weighted: what the members before it add up to, by weight and share */
};

/* Zero it before the first build. */
struct balance_view {
    size_t count;
    size_t capacity;
    struct balance_member *members; /* in the order of the configuration; owned */
    uint16_t *heap;                 /* positions in members, a binary heap by due; owned */
    uint64_t now;                   /* weighted: the virtual time of the last pick */
};

/*
 * Makes the view consist of these candidates, whose indices rise. A member that stays keeps its turn. False when memory is out: then the
 * view is empty.
 */
bool balance_view_build(struct balance_view *view, const struct balance_candidate *candidates, size_t count);
void balance_view_clear(struct balance_view *view);
/* The position of a node in the view, or -1. */
int balance_view_find(const struct balance_view *view, unsigned index);

struct balance_question {
    enum balance_method method;
    const struct node_set *tried;  /* these may not be picked; NULL: nothing was tried */
    uint32_t random;               /* fresh for each call */
    uint64_t cursor;               /* round robin: a number that the caller raises by one for each exchange */
    int sticky;                    /* sticky: the index of the node that was used last, or -1 */
    /* Weighted, and least outstanding: the load of a node, of all workers. */
    uint32_t (*outstanding)(const void *owner, unsigned index);
    const void *owner;
};

/* The index of the chosen node, or -1 when there is none. Only BALANCE_WEIGHTED changes the view. */
int balance_pick(const struct balance_question *question, struct balance_view *view);

/*
 * The same with a preference: a member of `preferred`, else one of `all`. Where the last change was made (sticky) counts for more than where this
 * kind of request would best go. `preferred` is a part of `all`, or `all` itself.
 */
int balance_pick_preferred(const struct balance_question *question, struct balance_view *preferred, struct balance_view *all);

/*
 * The member that requests with this key stay with, whatever others come and go: weighted rendezvous hashing, in which each member gets keys by its
 * weight (is_weighted) and its share, and only keys of a member that leaves move. Passed over is who was tried, and whom `is_full` says full.
 * -1 when nobody is left. It looks at all members.
 */
int balance_pick_near(const struct balance_question *question, const struct balance_view *view, uint64_t key, bool is_weighted,
                      bool (*is_full)(const void *owner, unsigned index));

/*
 * The load of a node from which nothing has come for `silent_ms` though work waits there, and whose good answers take about `took_ms`: up to eight
 * times what is outstanding, so that a node that hangs looks slow before it answers, and one that is alone with a long request is not shunned.
 */
uint32_t balance_load(uint32_t outstanding, uint64_t silent_ms, unsigned took_ms);

/* Is there a member that was not tried? */
bool balance_has_untried(const struct balance_view *view, const struct node_set *tried);

#endif
