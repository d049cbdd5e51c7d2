#ifndef SLUICE_CONTROL_STATE_H
#define SLUICE_CONTROL_STATE_H
/* What the files of this folder share: the parts of the process that the control thread runs. control.c makes and ends them. */
#include <stddef.h>
#include <stdint.h>

struct admin;
struct admin_listener;
struct epoch;
struct fleet;
struct loop;
struct names;
struct prober;
struct reloads;
struct roster;
struct topology;

struct control {
    struct loop *loop;
    const char *const *files;         /* ref */
    size_t file_count;
    struct topology *started;         /* owned reference: what a reload cannot change is compared with it */
    struct roster *roster;
    struct epoch *epoch;              /* owned reference: the one in force */
    struct fleet *fleet;
    struct names *names;
    struct prober *prober;
    struct admin_listener *admin_listener;
    struct admin *admin;
    struct reloads *reloads;
};

#endif
