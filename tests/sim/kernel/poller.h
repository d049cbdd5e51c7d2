#ifndef SLUICE_SIM_KERNEL_POLLER_H
#define SLUICE_SIM_KERNEL_POLLER_H
/*
 * What wakes a loop of Sluice besides its sockets: a post runs once in poller_wait of its loop, after post_send. net/poller.h is what the loop
 * itself sees.
 */
#include <stdbool.h>

#include "base/list.h"

struct poller;

struct post {
    struct list_node node;
    struct poller *poller;
    void (*run)(void *owner);
    void *owner;
};

void post_init(struct post *post, struct poller *poller, void (*run)(void *owner), void *owner);
/* Runs once, however often it is sent before. */
void post_send(struct post *post);
void post_cancel(struct post *post);

/* A descriptor of Sluice's: something about it may be ready. */
void poller_look_at(int fd);

#endif
