#include "net/tls_client.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "net/tls_channel.h"
#include "net/tls_watch.h"

/* TLS 1.3 tickets are for one connection each (RFC 8446 appendix C.4), and dials come in bursts. */
#define SESSIONS_MAXIMUM 8

struct tls_client {
    struct tls_client_settings settings; /* with texts of our own: */
    char *paths[3];       /* owned; NULL for none */
    struct tls_watch *watch;
    CRYPTO_RWLOCK *lock;  /* of `context`: held to take a reference, and to exchange it */
    SSL_CTX *context;
    uintptr_t generation; /* of the context, which carries the number, too: sessions do not go over from one to the next */
    struct tls_digest digest;
    bool is_failing;      /* the files cannot be used at the moment; that was logged */
};

struct tls_peer {
    atomic_uint references;    /* the owner's, and one of each open channel, whose tickets come at any time */
    struct tls_client *client; /* ref; for tls_peer_open only */
    char *name;                /* owned */
    bool is_address;
    CRYPTO_RWLOCK *lock;       /* of the sessions */
    SSL_SESSION *sessions[SESSIONS_MAXIMUM];
    size_t session_count;
    uintptr_t session_generation;
};

/* ---- a channel's peer ---- */

/* Where an SSL has its peer. */
static int peer_place = -1;
static CRYPTO_ONCE peer_place_once = CRYPTO_ONCE_STATIC_INIT;

static void on_channel_freed(void *ssl, void *peer, CRYPTO_EX_DATA *data, int place, long number, void *argument)
{
    (void)ssl;
    (void)data;
    (void)place;
    (void)number;
    (void)argument;
    tls_peer_destroy(peer);
}

static void find_peer_place(void)
{
    peer_place = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_channel_freed);
}

static bool set_peer(SSL *ssl, struct tls_peer *peer)
{
    if (CRYPTO_THREAD_run_once(&peer_place_once, find_peer_place) != 1 || SSL_set_ex_data(ssl, peer_place, peer) != 1)
        return false;
    atomic_fetch_add_explicit(&peer->references, 1, memory_order_relaxed);
    return true;
}

/* ---- sessions ---- */

static void drop_sessions(struct tls_peer *peer)
{
    for (size_t i = 0; i < peer->session_count; i++)
        SSL_SESSION_free(peer->sessions[i]);
    peer->session_count = 0;
}

static uintptr_t generation_of(const SSL *ssl)
{
    return (uintptr_t)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* The node has given a ticket; 1: it is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_peer *peer = SSL_get_ex_data(ssl, peer_place);
    bool is_kept = false;
    CRYPTO_THREAD_write_lock(peer->lock);
    if (generation_of(ssl) == peer->session_generation && peer->session_count < SESSIONS_MAXIMUM) {
        peer->sessions[peer->session_count++] = session;
        is_kept = true;
    }
    CRYPTO_THREAD_unlock(peer->lock);
    return is_kept ? 1 : 0;
}

/* The newest session, or NULL. What an earlier context trusted is forgotten. */
static SSL_SESSION *take_session(struct tls_peer *peer, uintptr_t generation)
{
    CRYPTO_THREAD_write_lock(peer->lock);
    if (peer->session_generation != generation)
        drop_sessions(peer);
    peer->session_generation = generation;
    SSL_SESSION *session = peer->session_count == 0 ? NULL : peer->sessions[--peer->session_count];
    CRYPTO_THREAD_unlock(peer->lock);
    return session;
}

/* ---- contexts from files ---- */

static bool trust(SSL_CTX *context, const struct tls_client_settings *settings, struct tls_digest *digest,
                  struct tls_trouble *trouble)
{
    if (settings->is_unverified)
        return true;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (settings->ca != NULL)
        return tls_authorities_read(settings->ca, SSL_CTX_get_cert_store(context), NULL, digest, trouble);
    return SSL_CTX_set_default_verify_paths(context) == 1;
}

static bool show(SSL_CTX *context, const struct tls_client_settings *settings, struct tls_digest *digest,
                 struct tls_trouble *trouble)
{
    struct tls_identity identity;
    if (settings->pair.certificate == NULL)
        return true;
    if (!tls_identity_read(&settings->pair, &identity, digest, trouble))
        return false;
    bool is_good = tls_context_show(context, &identity);
    tls_identity_clear(&identity);
    if (!is_good)
        text_append(trouble->text, sizeof trouble->text, 0, "%s: %s; use another certificate", settings->pair.certificate,
                    tls_context_error());
    return is_good;
}

static SSL_CTX *make_context(const struct tls_client_settings *settings, uintptr_t generation, struct tls_digest *digest,
                             struct tls_trouble *trouble)
{
    text_append(trouble->text, sizeof trouble->text, 0, "out of memory");
    SSL_CTX *context = tls_context_create(false, settings->minimum_version);
    if (context == NULL)
        return NULL;
    if (!trust(context, settings, digest, trouble) || !show(context, settings, digest, trouble)) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_app_data(context, (void *)generation);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    return context;
}

static void exchange(struct tls_client *client, SSL_CTX *fresh, const struct tls_digest *digest)
{
    CRYPTO_THREAD_write_lock(client->lock);
    SSL_CTX *old = client->context;
    client->context = fresh;
    CRYPTO_THREAD_unlock(client->lock);
    client->generation++;
    client->digest = *digest;
    SSL_CTX_free(old);
}

/* ---- life ---- */

static bool keep_settings(struct tls_client *client, const struct tls_client_settings *settings)
{
    const char *const given[] = {settings->is_unverified ? NULL : settings->ca, settings->pair.certificate, settings->pair.key};
    for (size_t i = 0; i < 3; i++) {
        client->paths[i] = given[i] == NULL ? NULL : strdup(given[i]);
        if (given[i] != NULL && client->paths[i] == NULL)
            return false;
    }
    client->settings = *settings;
    client->settings.ca = client->paths[0];
    client->settings.pair = (struct tls_pair){client->paths[1], client->paths[2]};
    client->watch = tls_watch_create((const char *const *)client->paths, 3);
    return client->watch != NULL;
}

struct tls_client *tls_client_create(const struct tls_client_settings *settings, char *reason, size_t capacity)
{
    struct tls_digest digest = {{0}};
    struct tls_trouble trouble = {0};
    struct tls_client *client = calloc(1, sizeof *client);
    text_append(reason, capacity, 0, "out of memory");
    if (client == NULL)
        return NULL;
    client->lock = CRYPTO_THREAD_lock_new();
    if (client->lock == NULL || !keep_settings(client, settings)) {
        tls_client_destroy(client);
        return NULL;
    }
    /* Before the files are read: what changes meanwhile is seen at the next look. */
    tls_watch_look(client->watch);
    SSL_CTX *context = make_context(settings, 1, &digest, &trouble);
    if (context == NULL) {
        text_append(reason, capacity, 0, "%s", trouble.text);
        tls_client_destroy(client);
        return NULL;
    }
    exchange(client, context, &digest);
    return client;
}

void tls_client_destroy(struct tls_client *client)
{
    if (client == NULL)
        return;
    SSL_CTX_free(client->context);
    CRYPTO_THREAD_lock_free(client->lock);
    tls_watch_destroy(client->watch);
    for (size_t i = 0; i < 3; i++)
        free(client->paths[i]);
    free(client);
}

void tls_client_refresh(struct tls_client *client)
{
    struct tls_digest digest = {{0}};
    struct tls_trouble trouble = {0};
    const char *path = client->paths[0] != NULL ? client->paths[0] : client->paths[1];
    if (!tls_watch_look(client->watch) && !client->is_failing)
        return;
    SSL_CTX *fresh = make_context(&client->settings, client->generation + 1, &digest, &trouble);
    if (fresh == NULL) {
        char quoted[2 * sizeof trouble.text];
        if (!client->is_failing)
            log_line(LOG_LEVEL_ERROR, "event=certificate_not_loaded certificate=%s reason=%s remedy=\"the one before stays in use\"",
                     path, log_quote(quoted, sizeof quoted, text_of_string(trouble.text)));
        client->is_failing = true;
        return;
    }
    client->is_failing = false;
    if (memcmp(&digest, &client->digest, sizeof digest) == 0) {
        SSL_CTX_free(fresh);
        return;
    }
    exchange(client, fresh, &digest);
    log_line(LOG_LEVEL_INFO, "event=certificate_loaded certificate=%s side=upstream", path);
}

struct tls_peer *tls_peer_create(struct tls_client *client, const char *name)
{
    struct tls_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    atomic_init(&peer->references, 1);
    peer->client = client;
    peer->name = strdup(name);
    peer->lock = CRYPTO_THREAD_lock_new();
    if (peer->name == NULL || peer->lock == NULL) {
        tls_peer_destroy(peer);
        return NULL;
    }
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    peer->is_address = address != NULL;
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return peer;
}

void tls_peer_destroy(struct tls_peer *peer)
{
    if (peer == NULL || atomic_fetch_sub_explicit(&peer->references, 1, memory_order_acq_rel) != 1)
        return;
    drop_sessions(peer);
    CRYPTO_THREAD_lock_free(peer->lock);
    free(peer->name);
    free(peer);
}

/* Who must answer: the name goes into the hello (not an address, RFC 6066 section 3) and is looked for in the certificate. */
static bool set_name(SSL *ssl, const struct tls_peer *peer)
{
    if (peer->is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), peer->name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, peer->name) == 1 && SSL_set_tlsext_host_name(ssl, peer->name) == 1;
}

static bool set_offer(SSL *ssl, enum tls_offer offer)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    const unsigned char *first = offer == TLS_OFFER_HTTP_1_1 ? protocols + 3 : protocols;
    const unsigned char *end = offer == TLS_OFFER_HTTP_2 ? protocols + 3 : protocols + sizeof protocols - 1;
    return SSL_set_alpn_protos(ssl, first, (unsigned)(end - first)) == 0; /* this one says 0 for success */
}

struct tls_channel *tls_peer_open(struct tls_peer *peer, enum tls_offer offer)
{
    struct tls_client *client = peer->client;
    CRYPTO_THREAD_read_lock(client->lock);
    SSL *ssl = SSL_new(client->context);
    CRYPTO_THREAD_unlock(client->lock);
    if (ssl == NULL || !set_name(ssl, peer) || !set_offer(ssl, offer) || !set_peer(ssl, peer)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_SESSION *session = take_session(peer, generation_of(ssl));
    if (session != NULL) {
        SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
    }
    SSL_set_connect_state(ssl);
    return tls_channel_create(ssl, false);
}
