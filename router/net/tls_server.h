#ifndef SLUICE_NET_TLS_SERVER_H
#define SLUICE_NET_TLS_SERVER_H
/*
 * TLS of a listener: its certificates, what it accepts from clients, and the keys of its session tickets. All workers share one, so that
 * a session that began on one of them goes on at any other.
 *
 * tls_server_create (reads the files) -> tls_server_open by any thread, tls_server_refresh by one -> tls_server_release. Channels
 * that are open keep what they have; they may outlive the server.
 */
#include <stdbool.h>
#include <stddef.h>

#include "net/tls_context.h"
#include "net/tls_files.h"

struct tls_channel;
struct tls_server;

enum tls_client_certificate {
    TLS_CLIENT_CERTIFICATE_NONE,     /* not asked for */
    TLS_CLIENT_CERTIFICATE_OPTIONAL, /* one that is shown must be good */
    TLS_CLIENT_CERTIFICATE_REQUIRED,
};

/* Copied: what it points to may go. */
struct tls_server_settings {
    const struct tls_pair *pairs; /* the first one is for clients that name no host, or one that no certificate is for */
    size_t pair_count;
    const char *client_ca;        /* file with the authorities of clients; needed unless NONE */
    enum tls_client_certificate client_certificate;
    enum tls_version minimum_version;
    bool kernel;                  /* let the kernel encrypt where it can (kTLS) */
    bool offers_http2;            /* in ALPN, before http/1.1 */
};

/* With one reference. NULL with a sentence in `reason`. */
struct tls_server *tls_server_create(const struct tls_server_settings *settings, char *reason, size_t capacity);
/* From any thread: who may still open a channel keeps a reference; NULL is allowed. The last one that is let go frees the server. */
void tls_server_retain(struct tls_server *server);
void tls_server_release(struct tls_server *server);

/* For one accepted connection. NULL when memory is out. */
struct tls_channel *tls_server_open(struct tls_server *server);

/*
 * Reads the files again if they have changed, and the new ones are for connections from now on. Files that cannot be used (a key that is
 * not yet the one of the new certificate) leave everything as it is and are tried again at each call. Both are logged.
 */
void tls_server_refresh(struct tls_server *server);

#endif
