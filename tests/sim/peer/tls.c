#include "peer/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/files.h"

struct tls_far {
    EVP_PKEY *key;
    X509 *certificate;
    SSL_CTX *client;
    SSL_CTX *server;
    BIO *certificate_pem;
    BIO *key_pem;
    char *name; /* what a client verifies; NULL: nothing */
};

enum tls_closing { TLS_OPEN, TLS_SAID_CLOSE };

struct tls_end {
    SSL *ssl;
    enum peer_version version; /* the highest */
    enum tls_closing closing;
    struct bytes feed;
    struct bytes wire;
};

static void need(bool is_good)
{
    if (is_good)
        return;
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "sim: no TLS for the far ends\n");
    abort();
}

/* ---- the BIO: OpenSSL reads from `feed` and writes to `wire` ---- */

static BIO_METHOD *method;
static size_t method_users;

static int take_fed(BIO *bio, char *bytes, int length)
{
    struct tls_end *end = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t waiting = bytes_length(&end->feed);
    if (waiting == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = waiting < (size_t)length ? waiting : (size_t)length;
    memcpy(bytes, bytes_first(&end->feed), taken);
    bytes_drop(&end->feed, taken);
    return (int)taken;
}

static int put_wire(BIO *bio, const char *bytes, int length)
{
    struct tls_end *end = BIO_get_data(bio);
    bytes_add(&end->wire, text_of(bytes, (size_t)length));
    return length;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void method_enter(void)
{
    if (method_users++ > 0)
        return;
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sim");
    need(method != NULL);
    BIO_meth_set_read(method, take_fed);
    BIO_meth_set_write(method, put_wire);
    BIO_meth_set_ctrl(method, control);
}

static void method_leave(void)
{
    if (--method_users > 0)
        return;
    BIO_meth_free(method);
    method = NULL;
}

/* ---- certificates ---- */

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    need(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void make_certificate(struct tls_far *far, const char *names)
{
    far->key = EVP_EC_gen("P-256");
    far->certificate = X509_new();
    need(far->key != NULL && far->certificate != NULL);
    X509 *certificate = far->certificate;
    X509_NAME *subject = X509_get_subject_name(certificate);
    need(X509_set_version(certificate, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
         ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20000101000000Z") == 1 &&
         ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20991231235959Z") == 1 &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"sim", -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1 && X509_set_pubkey(certificate, far->key) == 1);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_key_identifier, "hash");
    if (names != NULL && names[0] != '\0')
        add_extension(certificate, NID_subject_alt_name, names);
    need(X509_sign(certificate, far->key, EVP_sha256()) > 0);
    far->certificate_pem = BIO_new(BIO_s_mem());
    far->key_pem = BIO_new(BIO_s_mem());
    need(far->certificate_pem != NULL && far->key_pem != NULL && PEM_write_bio_X509(far->certificate_pem, certificate) == 1 &&
         PEM_write_bio_PrivateKey(far->key_pem, far->key, NULL, NULL, 0, NULL, NULL) == 1);
}

static struct text pem_text(BIO *pem)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(pem, &bytes);
    return text_of(bytes, (size_t)length);
}

struct text tls_far_certificate(const struct tls_far *far)
{
    return pem_text(far->certificate_pem);
}

struct text tls_far_key(const struct tls_far *far)
{
    return pem_text(far->key_pem);
}

void tls_far_write(const struct tls_far *far, const char *certificate_path, const char *key_path)
{
    if (certificate_path != NULL)
        sim_file_write(certificate_path, tls_far_certificate(far));
    if (key_path != NULL)
        sim_file_write(key_path, tls_far_key(far));
}

/* ---- contexts ---- */

static const unsigned char protocols[] = "\x02h2\x08http/1.1";

/* A name of ALPN among those that are offered. */
static bool is_offered(const unsigned char *offered, unsigned length, const unsigned char *name)
{
    for (unsigned at = 0; at < length; at += offered[at] + 1u) {
        if (offered[at] == name[0] && at + 1u + name[0] <= length && memcmp(offered + at + 1, name + 1, name[0]) == 0)
            return true;
    }
    return false;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered, unsigned length, void *owner)
{
    (void)owner;
    const struct tls_end *end = SSL_get_app_data(ssl);
    const unsigned char *name = end->version == PEER_HTTP_2 && is_offered(offered, length, protocols) ? protocols : protocols + 3;
    if (!is_offered(offered, length, name))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = name + 1;
    *out_length = name[0];
    return SSL_TLSEXT_ERR_OK;
}

struct tls_far *tls_far_create(const char *names)
{
    peer_memory_enter();
    method_enter();
    struct tls_far *far = peer_take_zeroed(sizeof *far);
    make_certificate(far, names);
    far->client = SSL_CTX_new(TLS_client_method());
    far->server = SSL_CTX_new(TLS_server_method());
    need(far->client != NULL && far->server != NULL);
    SSL_CTX *const contexts[] = {far->client, far->server};
    for (size_t i = 0; i < 2; i++) {
        need(SSL_CTX_set_min_proto_version(contexts[i], TLS1_2_VERSION) == 1);
        SSL_CTX_set_mode(contexts[i], SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(contexts[i], SSL_SESS_CACHE_OFF);
    }
    need(SSL_CTX_use_certificate(far->server, far->certificate) == 1 && SSL_CTX_use_PrivateKey(far->server, far->key) == 1);
    SSL_CTX_set_alpn_select_cb(far->server, on_protocols, NULL);
    SSL_CTX_set_verify(far->client, SSL_VERIFY_NONE, NULL);
    return far;
}

void tls_far_trust(struct tls_far *far, const struct tls_far *other, const char *name)
{
    need(X509_STORE_add_cert(SSL_CTX_get_cert_store(far->client), other->certificate) == 1);
    SSL_CTX_set_verify(far->client, SSL_VERIFY_PEER, NULL);
    peer_give(far->name);
    far->name = peer_take(strlen(name) + 1);
    memcpy(far->name, name, strlen(name) + 1);
}

void tls_far_destroy(struct tls_far *far)
{
    if (far == NULL)
        return;
    SSL_CTX_free(far->client);
    SSL_CTX_free(far->server);
    X509_free(far->certificate);
    EVP_PKEY_free(far->key);
    BIO_free(far->certificate_pem);
    BIO_free(far->key_pem);
    peer_give(far->name);
    peer_give(far);
    method_leave();
    peer_memory_leave();
}

/* ---- one connection ---- */

static void verify_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, name) != 1)
        need(X509_VERIFY_PARAM_set1_host(rules, name, 0) == 1);
    ERR_clear_error();
}

struct tls_end *tls_end_create(struct tls_far *far, bool is_server, enum peer_version version)
{
    struct tls_end *end = peer_take_zeroed(sizeof *end);
    end->version = version;
    end->ssl = SSL_new(is_server ? far->server : far->client);
    BIO *bio = BIO_new(method);
    need(end->ssl != NULL && bio != NULL);
    BIO_set_data(bio, end);
    BIO_set_init(bio, 1);
    SSL_set_bio(end->ssl, bio, bio);
    SSL_set_app_data(end->ssl, end);
    if (is_server) {
        SSL_set_accept_state(end->ssl);
        return end;
    }
    SSL_set_connect_state(end->ssl);
    const unsigned char *offered = version == PEER_HTTP_2 ? protocols : protocols + 3;
    need(SSL_set_alpn_protos(end->ssl, offered, offered[0] + 1u) == 0); /* this one says 0 for success */
    if (far->name != NULL)
        verify_name(end->ssl, far->name);
    return end;
}

void tls_end_destroy(struct tls_end *end)
{
    if (end == NULL)
        return;
    SSL_free(end->ssl);
    bytes_clear(&end->feed);
    bytes_clear(&end->wire);
    peer_give(end);
}

void tls_end_feed(struct tls_end *end, struct text bytes)
{
    bytes_add(&end->feed, bytes);
}

/* Why an operation did not succeed: EAGAIN, ECONNRESET, EPROTO, or 0: the end. */
static int reason_of(struct tls_end *end, int result)
{
    int error = SSL_get_error(end->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return EAGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    /* Reasons above 1000 are the alerts that came. */
    bool is_alert = ERR_GET_REASON(ERR_peek_error()) > SSL_AD_REASON_OFFSET;
    ERR_clear_error();
    return is_alert ? ECONNRESET : EPROTO;
}

enum tls_progress tls_end_handshake(struct tls_end *end)
{
    ERR_clear_error();
    int result = SSL_do_handshake(end->ssl);
    if (result == 1)
        return TLS_DONE;
    int reason = reason_of(end, result);
    if (reason == EAGAIN)
        return TLS_WAITS;
    return reason == EPROTO ? TLS_FAILED : TLS_REFUSED;
}

ptrdiff_t tls_end_read(struct tls_end *end, char *plain, size_t capacity)
{
    ERR_clear_error();
    size_t length = 0;
    int result = SSL_read_ex(end->ssl, plain, capacity, &length);
    if (result == 1)
        return (ptrdiff_t)length;
    int reason = reason_of(end, result);
    errno = reason;
    return reason == 0 ? 0 : -1;
}

void tls_end_write(struct tls_end *end, struct text plain)
{
    ERR_clear_error();
    while (plain.length > 0) {
        size_t written = 0;
        /* It fails only behind a failure to read, which is told. */
        if (SSL_write_ex(end->ssl, plain.bytes, plain.length, &written) != 1)
            break;
        plain = text_of(plain.bytes + written, plain.length - written);
    }
    ERR_clear_error();
}

void tls_end_close(struct tls_end *end)
{
    if (end->closing == TLS_SAID_CLOSE)
        return;
    end->closing = TLS_SAID_CLOSE;
    ERR_clear_error();
    SSL_shutdown(end->ssl);
    ERR_clear_error();
}

struct bytes *tls_end_wire(struct tls_end *end)
{
    return &end->wire;
}

enum peer_version tls_end_version(const struct tls_end *end)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(end->ssl, &name, &length);
    if (length == 0)
        return (enum peer_version)0;
    return length == 2 ? PEER_HTTP_2 : PEER_HTTP_1;
}
