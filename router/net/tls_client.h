#ifndef SLUICE_NET_TLS_CLIENT_H
#define SLUICE_NET_TLS_CLIENT_H
/*
 * TLS towards nodes. A tls_client is what several nodes may share: whom we trust and what we show. A tls_peer is one node: the name that
 * its certificate must have, and the sessions that can be continued with it.
 *
 * tls_client_create (reads the files) -> tls_peer_create -> tls_peer_open by any thread, tls_client_refresh by one -> tls_peer_destroy ->
 * tls_client_destroy. Channels that are still open go on, and keep of the peer what they need.
 */
#include <stdbool.h>
#include <stddef.h>

#include "net/tls_context.h"
#include "net/tls_files.h"

struct tls_channel;
struct tls_client;
struct tls_peer;

/* Copied: what it points to may go. */
struct tls_client_settings {
    const char *ca;          /* file with the authorities of nodes; NULL: those of the system */
    struct tls_pair pair;    /* shown to nodes that ask; certificate NULL: nothing */
    bool is_unverified;      /* takes any certificate: the connection is secret, but nobody knows from whom */
    enum tls_version minimum_version;
};

/* NULL with a sentence in `reason`. */
struct tls_client *tls_client_create(const struct tls_client_settings *settings, char *reason, size_t capacity);
/* NULL is allowed. */
void tls_client_destroy(struct tls_client *client);
/* As tls_server_refresh. The system's own authorities are read at the start only. */
void tls_client_refresh(struct tls_client *client);

/* `name`: a host name, or an IP address, which is then looked for among the certificate's addresses. NULL when memory is out. */
struct tls_peer *tls_peer_create(struct tls_client *client, const char *name);
/* No further channel is opened. NULL is allowed. */
void tls_peer_destroy(struct tls_peer *peer);

/* Which protocols to offer in ALPN. */
enum tls_offer { TLS_OFFER_HTTP_1_1, TLS_OFFER_HTTP_2, TLS_OFFER_BOTH };

/* For one connection to the node. NULL when memory is out. */
struct tls_channel *tls_peer_open(struct tls_peer *peer, enum tls_offer offer);

#endif
