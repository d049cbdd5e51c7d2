#ifndef SLUICE_SIM_WORLD_CERTIFICATES_H
#define SLUICE_SIM_WORLD_CERTIFICATES_H
/*
 * Who shows which certificate in a world that has TLS: Sluice to its clients, the nodes to Sluice. Both are their own authorities. Where the plan has
 * no TLS, nothing is made, and the answers are NULL: clear text.
 */
#include "peer/tls.h"
#include "world/plan.h"

#define CERTIFICATES_FOLDER "/etc/sluice/tls/"
#define CERTIFICATE_OF_SLUICE CERTIFICATES_FOLDER "sluice.pem"
#define KEY_OF_SLUICE CERTIFICATES_FOLDER "sluice.key"
#define CERTIFICATE_OF_NODES CERTIFICATES_FOLDER "nodes.pem"

/* Once in a world, before its actors; writes the files that the configuration names. */
void certificates_make(const struct plan *plan);
/* All connections must be gone. */
void certificates_forget(void);

/* For a client's end: it takes Sluice's certificate and no other. */
struct tls_far *certificates_of_client(void);
/* For a node's end. */
struct tls_far *certificates_of_node(void);

#endif
