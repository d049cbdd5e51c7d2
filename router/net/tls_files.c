#include "net/tls_files.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "net/tls_context.h"

/* The system's file with all public authorities has a fifth of this. */
#define FILE_BYTES_MAXIMUM ((size_t)1 << 20)

struct pem_file {
    BIO *contents;
    bool is_open_to_all; /* any user of the machine may read it */
};

static bool refuse(struct tls_trouble *trouble, bool is_about_key, const char *path, const char *what, const char *remedy)
{
    trouble->is_about_key = is_about_key;
    trouble->is_missing = false;
    text_append(trouble->text, sizeof trouble->text, 0, "%s: %s; %s", path, what, remedy);
    ERR_clear_error();
    return false;
}

static void add_to_digest(struct tls_digest *digest, BIO *contents)
{
    unsigned char both[2 * sizeof digest->bytes];
    char *bytes = NULL;
    long length = BIO_get_mem_data(contents, &bytes);
    memcpy(both, digest->bytes, sizeof digest->bytes);
    SHA256((const unsigned char *)bytes, (size_t)length, both + sizeof digest->bytes);
    SHA256(both, sizeof both, digest->bytes);
}

/* `error`: the errno, or EFBIG for a file that is too large. */
static bool refuse_unread(int error, bool is_key, const char *path, const struct file_facts *facts, struct tls_trouble *trouble)
{
    static const char may_read[] = "put the PEM file there and let Sluice's user read it";
    if (error == ENXIO)
        return refuse(trouble, is_key, path, "is no file", may_read);
    if (error == ENOMEM)
        return refuse(trouble, is_key, path, strerror(error), "free some memory and try again");
    if (facts->is_regular)
        return refuse(trouble, is_key, path, error == EFBIG ? "is larger than 1 MiB" : "cannot be read", may_read);
    refuse(trouble, is_key, path, strerror(error), may_read);
    trouble->is_missing = true;
    return false;
}

/* Reads the whole file at once, so that what is judged, taken and remembered is the same. */
static bool read_file(const char *path, bool is_key, struct pem_file *file, struct tls_digest *digest,
                      struct tls_trouble *trouble)
{
    struct file_facts facts;
    size_t length = 0;
    char *bytes = file_read_regular(path, FILE_BYTES_MAXIMUM, &length, &facts);
    if (bytes == NULL)
        return refuse_unread(errno, is_key, path, &facts, trouble);
    file->is_open_to_all = facts.is_open_to_all;
    file->contents = length > FILE_BYTES_MAXIMUM ? NULL : BIO_new(BIO_s_mem());
    bool is_kept = file->contents != NULL && BIO_write(file->contents, bytes, (int)length) == (int)length;
    OPENSSL_cleanse(bytes, length);
    free(bytes);
    if (!is_kept) {
        BIO_free(file->contents);
        return refuse_unread(length > FILE_BYTES_MAXIMUM ? EFBIG : ENOMEM, is_key, path, &facts, trouble);
    }
    if (digest != NULL)
        add_to_digest(digest, file->contents);
    return true;
}

/* ---- a certificate and its key ---- */

static bool read_chain(const char *path, BIO *contents, struct tls_identity *identity, struct tls_trouble *trouble)
{
    X509 *next;
    identity->chain = sk_X509_new_null();
    identity->certificate = PEM_read_bio_X509(contents, NULL, NULL, NULL);
    if (identity->certificate == NULL || identity->chain == NULL)
        return refuse(trouble, false, path, "has no certificate in it",
                      "write one in PEM form, with those that lead to its authority behind it");
    while ((next = PEM_read_bio_X509(contents, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(identity->chain, next) == 0) {
            X509_free(next);
            return refuse(trouble, false, path, "out of memory", "free some and try again");
        }
    }
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return refuse(trouble, false, path, "has a certificate behind the first one that is damaged",
                      "write the whole chain in PEM form");
    ERR_clear_error();
    return true;
}

/* Keys with a passphrase would need somebody at the terminal. */
static int no_passphrase(char *buffer, int size, int is_writing, void *was_asked)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static bool read_key(const char *path, BIO *contents, struct tls_identity *identity, struct tls_trouble *trouble)
{
    bool has_passphrase = false;
    identity->key = PEM_read_bio_PrivateKey(contents, NULL, no_passphrase, &has_passphrase);
    if (identity->key == NULL && has_passphrase)
        return refuse(trouble, true, path, "has a key with a passphrase", "write the key without one and chmod the file to 600");
    if (identity->key == NULL)
        return refuse(trouble, true, path, "has no private key in it", "write it in PEM form");
    if (X509_check_private_key(identity->certificate, identity->key) != 1)
        return refuse(trouble, true, path, "does not belong to the certificate", "name the key that the certificate was made with");
    return true;
}

/* `is_open_to_all` tells of the file with the key. */
static bool read_pair(const struct tls_pair *pair, struct tls_identity *identity, bool *is_open_to_all,
                      struct tls_digest *digest, struct tls_trouble *trouble)
{
    struct pem_file certificate;
    struct pem_file key;
    const char *key_path = pair->key != NULL ? pair->key : pair->certificate;
    *identity = (struct tls_identity){0};
    if (!read_file(pair->certificate, false, &certificate, digest, trouble))
        return false;
    bool is_good = read_chain(pair->certificate, certificate.contents, identity, trouble);
    BIO_free(certificate.contents);
    if (is_good && read_file(key_path, true, &key, digest, trouble)) {
        is_good = read_key(key_path, key.contents, identity, trouble);
        *is_open_to_all = key.is_open_to_all;
        BIO_free(key.contents);
    } else {
        is_good = false;
    }
    if (!is_good)
        tls_identity_clear(identity);
    return is_good;
}

bool tls_identity_read(const struct tls_pair *pair, struct tls_identity *identity, struct tls_digest *digest,
                       struct tls_trouble *trouble)
{
    bool is_open_to_all;
    return read_pair(pair, identity, &is_open_to_all, digest, trouble);
}

void tls_identity_clear(struct tls_identity *identity)
{
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = (struct tls_identity){0};
}

/* ---- authorities ---- */

bool tls_authorities_read(const char *path, struct x509_store_st *store, struct stack_st_X509_NAME *names,
                          struct tls_digest *digest, struct tls_trouble *trouble)
{
    struct pem_file file;
    size_t count = 0;
    bool is_good = true;
    X509 *certificate;
    if (!read_file(path, false, &file, digest, trouble))
        return false;
    while (is_good && (certificate = PEM_read_bio_X509(file.contents, NULL, NULL, NULL)) != NULL) {
        X509_NAME *name = names == NULL ? NULL : X509_NAME_dup(X509_get_subject_name(certificate));
        count++;
        is_good = (store == NULL || X509_STORE_add_cert(store, certificate) == 1) &&
                  (names == NULL || (name != NULL && sk_X509_NAME_push(names, name) > 0));
        X509_free(certificate);
    }
    bool is_whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(file.contents);
    ERR_clear_error();
    if (!is_good)
        return refuse(trouble, false, path, "out of memory", "free some and try again");
    if (count == 0 || !is_whole)
        return refuse(trouble, false, path, count == 0 ? "has no certificate in it" : "has a certificate in it that is damaged",
                      "write the authorities' certificates in PEM form");
    return true;
}

/* ---- judging ---- */

static bool has_names(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool is_named = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = sk_GENERAL_NAME_value(names, i)->type;
        is_named = is_named || type == GEN_DNS || type == GEN_IPADD;
    }
    GENERAL_NAMES_free(names);
    return is_named;
}

/* OpenSSL has a mind of its own about which keys and signatures are good enough; it is asked as it will be when Sluice starts. */
static bool may_be_shown(const struct tls_identity *identity, bool is_shown_to_clients, const char *path,
                         struct tls_trouble *trouble)
{
    struct ssl_ctx_st *context = tls_context_create(is_shown_to_clients, TLS_VERSION_1_2);
    bool is_good = context != NULL && tls_context_show(context, identity);
    char what[120];
    if (!is_good) {
        text_append(what, sizeof what, 0, "OpenSSL refuses it (%s)", tls_context_error());
        refuse(trouble, false, path, what, "make another one, with a key of P-256 or RSA of 2048 bits, and SHA-256");
    }
    SSL_CTX_free(context);
    return is_good;
}

void tls_pair_judge(const struct tls_pair *pair, bool is_shown_to_clients, tls_complain *complain, void *owner)
{
    struct tls_identity identity;
    struct tls_trouble trouble = {0};
    bool is_open_to_all = false;
    if (!read_pair(pair, &identity, &is_open_to_all, NULL, &trouble)) {
        complain(owner, true, &trouble);
        return;
    }
    const char *key_path = pair->key != NULL ? pair->key : pair->certificate;
    if (!may_be_shown(&identity, is_shown_to_clients, pair->certificate, &trouble))
        complain(owner, true, &trouble);
    if (is_open_to_all) {
        refuse(&trouble, true, key_path, "the private key can be read by every user", "chmod it to 600 or 640");
        complain(owner, false, &trouble);
    }
    if (X509_cmp_current_time(X509_get0_notAfter(identity.certificate)) < 0) {
        refuse(&trouble, false, pair->certificate, "the certificate has expired", "renew it");
        complain(owner, false, &trouble);
    } else if (X509_cmp_current_time(X509_get0_notBefore(identity.certificate)) > 0) {
        refuse(&trouble, false, pair->certificate, "the certificate is not valid yet", "look at the clocks");
        complain(owner, false, &trouble);
    }
    if (is_shown_to_clients && !has_names(identity.certificate)) {
        refuse(&trouble, false, pair->certificate, "the certificate names no host (subjectAltName)",
               "make one with the names that clients connect to; they look nowhere else");
        complain(owner, false, &trouble);
    }
    tls_identity_clear(&identity);
}

char *tls_pair_names(const struct tls_pair *pair)
{
    struct tls_identity identity;
    struct tls_trouble ignored;
    if (!tls_identity_read(pair, &identity, NULL, &ignored))
        return NULL;
    GENERAL_NAMES *names = X509_get_ext_d2i(identity.certificate, NID_subject_alt_name, NULL, NULL);
    size_t capacity = 1;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        capacity += name->type == GEN_DNS ? (size_t)ASN1_STRING_length(name->d.dNSName) + 1 : 0;
    }
    char *lines = calloc(1, capacity);
    size_t used = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && lines != NULL; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            used = text_append(lines, capacity, used, "%.*s\n", ASN1_STRING_length(name->d.dNSName),
                               (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    tls_identity_clear(&identity);
    return lines;
}
