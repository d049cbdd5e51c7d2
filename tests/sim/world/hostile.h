#ifndef SLUICE_SIM_WORLD_HOSTILE_H
#define SLUICE_SIM_WORLD_HOSTILE_H
/*
 * What a hostile client sends on a connection of its own: bytes that are no HTTP or that two readers would read in two ways, heads that never end,
 * floods. The numbers in them are tries of the kind TRY_HOSTILE: no node may ever see one, not even as a request.
 */
struct client;

/* Begins something drawn by the client's source; it ends by itself. */
void hostile_start(struct client *client);
/* Ends all that is under way; the ledger hears that the client has left. */
void hostile_end_all(struct client *client);

#endif
