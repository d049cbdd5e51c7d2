#include "net/tls_server.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/tls_channel.h"
#include "net/tls_watch.h"

/* The keys of session tickets are as good as the sessions' own (TLS 1.2), so they do not live for ever. */
#define TICKET_KEYS_MS (24 * 60 * 60 * UINT64_C(1000))
#define TICKET_KEYS_BYTES 80
/* A client keeps one connection's worth of tickets; one for each handshake is enough. */
#define TICKETS 1

/* A name that a certificate is for. */
struct server_name {
    char *name;          /* owned; without the asterisk of a wildcard, so that it begins with the dot */
    bool is_wildcard;
    SSL_CTX *context;    /* ref, held by the shelf */
};

/* All contexts made of one reading of the files. It belongs to the first of them and goes with it, when the last connection has gone. */
struct shelf {
    SSL_CTX **others;    /* owned; of the certificates after the first */
    size_t other_count;
    struct server_name *names;
    size_t name_count;
    bool offers_http2;
};

struct tls_server {
    atomic_uint references;
    struct tls_server_settings settings; /* with texts of our own: */
    struct tls_pair *pairs;
    char **paths;        /* all of them, to be watched and freed */
    size_t path_count;
    struct tls_watch *watch;
    CRYPTO_RWLOCK *lock; /* of `context`: held to take a reference, and to exchange it */
    SSL_CTX *context;
    struct tls_digest digest;
    uint64_t keys_made_ms; /* when the ticket keys were made, by the monotonic clock */
    bool is_failing;     /* the files cannot be used at the moment; that was logged */
};

static int shelf_index = -1;
static CRYPTO_ONCE shelf_once = CRYPTO_ONCE_STATIC_INIT;

static void destroy_shelf(struct shelf *shelf)
{
    if (shelf == NULL)
        return;
    for (size_t i = 0; i < shelf->name_count; i++)
        OPENSSL_free(shelf->names[i].name);
    for (size_t i = 0; i < shelf->other_count; i++)
        SSL_CTX_free(shelf->others[i]);
    free(shelf->names);
    free(shelf->others);
    free(shelf);
}

static void on_context_freed(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    destroy_shelf(pointer);
}

static void make_index(void)
{
    shelf_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
}

/* ---- what the client asks for ---- */

static SSL_CTX *find_name(const struct shelf *shelf, struct text wanted)
{
    ptrdiff_t dot = text_find(wanted, TEXT("."));
    struct text parent = dot > 0 ? text_of(wanted.bytes + dot, wanted.length - (size_t)dot) : TEXT_EMPTY;
    SSL_CTX *by_wildcard = NULL;
    for (size_t i = 0; i < shelf->name_count; i++) {
        const struct server_name *name = &shelf->names[i];
        if (!name->is_wildcard && text_equals_ignoring_case(wanted, text_of_string(name->name)))
            return name->context;
        if (name->is_wildcard && by_wildcard == NULL && parent.length > 0 &&
            text_equals_ignoring_case(parent, text_of_string(name->name)))
            by_wildcard = name->context;
    }
    return by_wildcard;
}

/* SNI: an exact name, else a wildcard for one label, else the first certificate. */
static int on_server_name(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *context = wanted == NULL ? NULL : find_name(argument, text_of_string(wanted));
    if (context != NULL && context != SSL_get_SSL_CTX(ssl))
        SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
}

/* ALPN. A client that knows neither must not be answered in a protocol that it does not expect (RFC 7301 section 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
                        unsigned offered_length, void *argument)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct shelf *shelf = argument;
    (void)ssl;
    size_t skipped = shelf->offers_http2 ? 0 : 3;
    unsigned char *found = NULL;
    if (SSL_select_next_proto(&found, length, ours + skipped, (unsigned)(sizeof ours - 1 - skipped), offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- contexts from files ---- */

static bool add_name(struct shelf *shelf, ASN1_IA5STRING *value, SSL_CTX *context)
{
    struct server_name *names = realloc(shelf->names, (shelf->name_count + 1) * sizeof *names);
    if (names == NULL)
        return false;
    shelf->names = names;
    const char *bytes = (const char *)ASN1_STRING_get0_data(value);
    size_t length = (size_t)ASN1_STRING_length(value);
    bool is_wildcard = length > 2 && bytes[0] == '*' && bytes[1] == '.';
    char *copy = OPENSSL_strndup(bytes + (is_wildcard ? 1 : 0), length - (is_wildcard ? 1 : 0));
    names[shelf->name_count] = (struct server_name){copy, is_wildcard, context};
    shelf->name_count += copy != NULL ? 1 : 0;
    return copy != NULL;
}

static bool add_names(struct shelf *shelf, X509 *certificate, SSL_CTX *context)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool is_good = true;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && is_good; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            is_good = add_name(shelf, name->d.dNSName, context);
    }
    GENERAL_NAMES_free(names);
    return is_good;
}

static bool ask_for_client_certificate(SSL_CTX *context, const struct tls_server_settings *settings,
                                       struct tls_digest *digest, struct tls_trouble *trouble)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    if (names == NULL || !tls_authorities_read(settings->client_ca, SSL_CTX_get_cert_store(context), names, digest, trouble)) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return false;
    }
    SSL_CTX_set_client_CA_list(context, names);
    bool is_required = settings->client_certificate == TLS_CLIENT_CERTIFICATE_REQUIRED;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return true;
}

/* One certificate's context; all of a listener differ in nothing but the certificate. */
static SSL_CTX *make_context(const struct tls_server_settings *settings, size_t index, struct shelf *shelf,
                             struct tls_digest *digest, struct tls_trouble *trouble)
{
    static const unsigned char session_context[] = "sluice";
    struct tls_identity identity;
    text_append(trouble->text, sizeof trouble->text, 0, "out of memory");
    SSL_CTX *context = tls_context_create(true, settings->minimum_version);
    if (context == NULL || !tls_identity_read(&settings->pairs[index], &identity, digest, trouble)) {
        SSL_CTX_free(context);
        return NULL;
    }
    bool is_good = tls_context_show(context, &identity);
    if (!is_good)
        text_append(trouble->text, sizeof trouble->text, 0, "%s: %s; use another certificate",
                    settings->pairs[index].certificate, tls_context_error());
    is_good = is_good && add_names(shelf, identity.certificate, context) &&
              SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1) == 1 &&
              (settings->client_certificate == TLS_CLIENT_CERTIFICATE_NONE ||
               ask_for_client_certificate(context, settings, digest, trouble));
    tls_identity_clear(&identity);
    if (!is_good) {
        SSL_CTX_free(context);
        return NULL;
    }
    /* Sessions live in tickets at the clients; a cache here would be a lock that all workers share. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, TICKETS);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, shelf);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, shelf);
    return context;
}

/* All files once; NULL with *trouble. The first context of the result carries the others. */
static SSL_CTX *make_contexts(const struct tls_server_settings *settings, struct tls_digest *digest,
                              struct tls_trouble *trouble)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    SSL_CTX *first = NULL;
    text_append(trouble->text, sizeof trouble->text, 0, "out of memory");
    if (CRYPTO_THREAD_run_once(&shelf_once, make_index) != 1 || shelf_index < 0 || shelf == NULL)
        goto fail;
    shelf->offers_http2 = settings->offers_http2;
    shelf->others = calloc(settings->pair_count, sizeof *shelf->others);
    if (shelf->others == NULL)
        goto fail;
    first = make_context(settings, 0, shelf, digest, trouble);
    if (first == NULL)
        goto fail;
    for (size_t i = 1; i < settings->pair_count; i++) {
        SSL_CTX *context = make_context(settings, i, shelf, digest, trouble);
        if (context == NULL)
            goto fail;
        shelf->others[shelf->other_count++] = context;
    }
    if (SSL_CTX_set_ex_data(first, shelf_index, shelf) != 1)
        goto fail;
    return first;
fail:
    SSL_CTX_free(first);
    destroy_shelf(shelf);
    return NULL;
}

/*
 * Sessions go on over a new certificate. Not where clients are verified: a session that an authority vouched for must not outlive the
 * trust in it.
 */
static void keep_ticket_keys(const struct tls_server *server, SSL_CTX *fresh)
{
    unsigned char keys[TICKET_KEYS_BYTES];
    if (server->settings.client_certificate == TLS_CLIENT_CERTIFICATE_NONE &&
        SSL_CTX_get_tlsext_ticket_keys(server->context, keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys(fresh, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
}

static void exchange(struct tls_server *server, SSL_CTX *fresh, const struct tls_digest *digest)
{
    CRYPTO_THREAD_write_lock(server->lock);
    SSL_CTX *old = server->context;
    server->context = fresh;
    CRYPTO_THREAD_unlock(server->lock);
    server->digest = *digest;
    SSL_CTX_free(old);
}

/* ---- life ---- */

/* A copy that the server owns; NULL of NULL, and when memory is out, which *is_whole then says. */
static const char *keep_path(struct tls_server *server, const char *path, bool *is_whole)
{
    char *copy = path == NULL ? NULL : strdup(path);
    *is_whole = *is_whole && (path == NULL || copy != NULL);
    server->paths[server->path_count++] = copy;
    return copy;
}

static bool keep_settings(struct tls_server *server, const struct tls_server_settings *settings)
{
    bool is_whole = true;
    server->paths = calloc(2 * settings->pair_count + 1, sizeof *server->paths);
    server->pairs = calloc(settings->pair_count, sizeof *server->pairs);
    if (server->paths == NULL || server->pairs == NULL)
        return false;
    for (size_t i = 0; i < settings->pair_count; i++) {
        server->pairs[i].certificate = keep_path(server, settings->pairs[i].certificate, &is_whole);
        server->pairs[i].key = keep_path(server, settings->pairs[i].key, &is_whole);
    }
    server->settings = *settings;
    server->settings.pairs = server->pairs;
    server->settings.client_ca = keep_path(server, settings->client_ca, &is_whole);
    server->watch = is_whole ? tls_watch_create((const char *const *)server->paths, server->path_count) : NULL;
    return server->watch != NULL;
}

struct tls_server *tls_server_create(const struct tls_server_settings *settings, char *reason, size_t capacity)
{
    struct tls_digest digest = {{0}};
    struct tls_trouble trouble = {0};
    struct tls_server *server = calloc(1, sizeof *server);
    text_append(reason, capacity, 0, "out of memory");
    if (server == NULL)
        return NULL;
    atomic_init(&server->references, 1);
    server->lock = CRYPTO_THREAD_lock_new();
    if (server->lock == NULL || !keep_settings(server, settings)) {
        tls_server_release(server);
        return NULL;
    }
    /* Before the files are read: what changes meanwhile is seen at the next look. */
    tls_watch_look(server->watch);
    SSL_CTX *context = make_contexts(settings, &digest, &trouble);
    if (context == NULL) {
        text_append(reason, capacity, 0, "%s", trouble.text);
        tls_server_release(server);
        return NULL;
    }
    exchange(server, context, &digest);
    server->keys_made_ms = clock_monotonic_ms();
    return server;
}

void tls_server_retain(struct tls_server *server)
{
    if (server != NULL)
        atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
}

void tls_server_release(struct tls_server *server)
{
    if (server == NULL || atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(server->context);
    CRYPTO_THREAD_lock_free(server->lock);
    tls_watch_destroy(server->watch);
    for (size_t i = 0; i < server->path_count; i++)
        free(server->paths[i]);
    free(server->paths);
    free(server->pairs);
    free(server);
}

struct tls_channel *tls_server_open(struct tls_server *server)
{
    CRYPTO_THREAD_read_lock(server->lock);
    SSL *ssl = SSL_new(server->context);
    CRYPTO_THREAD_unlock(server->lock);
    if (ssl == NULL) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return tls_channel_create(ssl, server->settings.kernel);
}

static void complain(struct tls_server *server, const struct tls_trouble *trouble)
{
    char quoted[2 * sizeof trouble->text];
    if (!server->is_failing)
        log_line(LOG_LEVEL_ERROR, "event=certificate_not_loaded certificate=%s reason=%s remedy=\"the one before stays in use\"",
                 server->settings.pairs[0].certificate, log_quote(quoted, sizeof quoted, text_of_string(trouble->text)));
    server->is_failing = true;
}

void tls_server_refresh(struct tls_server *server)
{
    struct tls_digest digest = {{0}};
    struct tls_trouble trouble = {0};
    bool are_keys_old = clock_monotonic_ms() - server->keys_made_ms > TICKET_KEYS_MS;
    if (!tls_watch_look(server->watch) && !server->is_failing && !are_keys_old)
        return;
    SSL_CTX *fresh = make_contexts(&server->settings, &digest, &trouble);
    if (fresh == NULL) {
        complain(server, &trouble);
        return;
    }
    bool has_changed = memcmp(&digest, &server->digest, sizeof digest) != 0;
    server->is_failing = false;
    if (!has_changed && !are_keys_old) {
        SSL_CTX_free(fresh);
        return;
    }
    if (are_keys_old)
        server->keys_made_ms = clock_monotonic_ms();
    else
        keep_ticket_keys(server, fresh);
    exchange(server, fresh, &digest);
    if (has_changed)
        log_line(LOG_LEVEL_INFO, "event=certificate_loaded certificate=%s count=%zu", server->settings.pairs[0].certificate,
                 server->settings.pair_count);
}
