#ifndef SLUICE_SIM_KERNEL_DESCRIPTOR_H
#define SLUICE_SIM_KERNEL_DESCRIPTOR_H
/* The descriptors of Sluice's process. */
#include <stdbool.h>
#include <stddef.h>

struct end_watch;
struct plan;
struct sim_socket;
struct watch;

#define DESCRIPTOR_FIRST 1000
#define DESCRIPTORS_MAXIMUM 4096

struct descriptor {
    struct sim_socket *socket; /* NULL: made and neither bound nor connected */
    unsigned long alive_us;    /* of the connection that it will be; see tcp_keep_alive */
    unsigned long alive_limit_us;
    struct watch *readable;    /* those that are added */
    struct watch *writable;
    struct end_watch *ended;   /* likewise */
    bool is_end_known;         /* and a FIN is no news to it */
    enum { DESCRIPTOR_FREE, DESCRIPTOR_OPEN, DESCRIPTOR_QUEUED } state; /* QUEUED: its poller is to look at it */
};

void descriptors_begin(const struct plan *plan);
/* NULL for a number that is none of an open descriptor. */
struct descriptor *descriptor_of(int fd);
size_t descriptor_count(void);
/* What a kernel does when the process has ended. */
void descriptors_close_all(void);

#endif
