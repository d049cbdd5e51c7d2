#ifndef SLUICE_CONTROL_STATUS_H
#define SLUICE_CONTROL_STATUS_H
/* The state of the process and its nodes, as JSON for scripts and as metrics; what the fields mean is in docs/operations.md#status. */
#include <stddef.h>

#include "upstream/roster.h"

struct control;
struct json_t;

/* A heap string that the caller frees, or NULL without memory. */
char *status_format(const struct control *control, size_t *length);
/* What each node counts, as Prometheus text; appended to `text` (a heap string or NULL), which is freed without memory. */
char *status_append_metrics(const struct control *control, char *text, size_t *length);

/* {"write":"ready","query":"drain",...}: one member a class; NULL without memory. The caller decrefs it. */
struct json_t *status_admin_of(const struct roster_node *node);

#endif
