#ifndef SLUICE_SIM_WORLD_CLIENT_H
#define SLUICE_SIM_WORLD_CLIENT_H
/*
 * A client of the cluster, which knows Sluice only. What it is (a Telegraf output, a library, a caller of Flight, a plugin that writes back ...) is drawn
 * from its own source, and so is all that it does: on average one request a second. Each request is a try of the ledger and carries its number.
 *
 * A client checks what it hears (world/client_answer.h), waits as long as its original would, and then leaves. It asks nothing any more in the
 * last CLIENT_REST_SECONDS of the run, so that each of its tries ends.
 */
#include "world/plan.h"

struct client;

#define CLIENT_HOST_FIRST 1000
#define CLIENT_REST_SECONDS 6

/* Where clients find Sluice, on SIM_HOST_SLUICE. */
#define CLIENT_PORT 8181
#define CLIENT_PORT_TLS 8443
#define CLIENT_PORT_WRITEBACK 8282

/* `plan` must stay. */
struct client *client_create(const struct plan *plan, unsigned index);
/* Closes its connections; what is open of its tries stays open in the ledger. NULL is allowed. */
void client_destroy(struct client *client);

#endif
