#ifndef SLUICE_NET_TLS_CONTEXT_H
#define SLUICE_NET_TLS_CONTEXT_H
/*
 * What all contexts of ours have in common, whichever side they are for: versions, ciphers, curves, buffers. For tls_server.c and
 * tls_client.c.
 */
#include <stdbool.h>

struct ssl_ctx_st;
struct tls_identity;

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* NULL when memory is out. */
struct ssl_ctx_st *tls_context_create(bool is_server, enum tls_version minimum);
/* The certificate and key to show; false when OpenSSL refuses them (a key that is too short, say). */
bool tls_context_show(struct ssl_ctx_st *context, const struct tls_identity *identity);

/* Why the last call failed, in OpenSSL's words. */
const char *tls_context_error(void);

#endif
