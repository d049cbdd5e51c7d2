#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls_files.h"

/*
 * AES-128 before AES-256: as good, and the SHA-256 of its key schedule makes handshakes cheaper. TLS 1.2 with forward secrecy and
 * authenticated encryption only, which is also what HTTP/2 asks for (RFC 9113 section 9.2.2).
 */
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS_1_2 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

struct ssl_ctx_st *tls_context_create(bool is_server, enum tls_version minimum)
{
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    if (is_server)
        SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(context, minimum == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1 && SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 &&
        SSL_CTX_set1_groups_list(context, GROUPS) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool tls_context_show(struct ssl_ctx_st *context, const struct tls_identity *identity)
{
    return SSL_CTX_use_cert_and_key(context, identity->certificate, identity->key, identity->chain, 1) == 1;
}

const char *tls_context_error(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *words = error == 0 ? NULL : ERR_reason_error_string(error);
    ERR_clear_error();
    return words != NULL ? words : "out of memory";
}
