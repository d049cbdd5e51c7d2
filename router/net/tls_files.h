#ifndef SLUICE_NET_TLS_FILES_H
#define SLUICE_NET_TLS_FILES_H
/*
 * PEM files with certificates and keys: reading them, and saying what is wrong with them in words that an operator can act on. The
 * contexts read them through here when they are made and again when they change; the lint asks here before anything runs.
 */
#include <stdbool.h>
#include <stddef.h>

struct evp_pkey_st;
struct stack_st_X509;
struct stack_st_X509_NAME;
struct x509_st;
struct x509_store_st;

/* A certificate with what it needs to be shown to somebody. */
struct tls_pair {
    const char *certificate; /* file with the certificate and those that lead to its authority */
    const char *key;         /* file with the private key; NULL: in the same file */
};

struct tls_identity {
    struct x509_st *certificate;
    struct stack_st_X509 *chain; /* the certificates behind the first one; may be empty */
    struct evp_pkey_st *key;
};

/* Stands for the contents of all files that were read into it: equal when nothing has changed. */
struct tls_digest {
    unsigned char bytes[32];
};

/* What is wrong, and how to mend it: "FILE: what; remedy". */
struct tls_trouble {
    bool is_about_key; /* of a pair: of the key rather than of the certificate */
    bool is_missing;   /* there is no such file, or it may not be read */
    char text[400];
};

/* False with *trouble; otherwise the caller ends with tls_identity_clear. `digest` may be NULL. */
bool tls_identity_read(const struct tls_pair *pair, struct tls_identity *identity, struct tls_digest *digest,
                       struct tls_trouble *trouble);
void tls_identity_clear(struct tls_identity *identity);

/*
 * Adds the certificates of a file to what is trusted, and their names to a list to show to clients (each may be NULL). False with
 * *trouble.
 */
bool tls_authorities_read(const char *path, struct x509_store_st *store, struct stack_st_X509_NAME *names,
                          struct tls_digest *digest, struct tls_trouble *trouble);

typedef void tls_complain(void *owner, bool is_error, const struct tls_trouble *trouble);
/* Tells everything that is wrong with a pair; `is_shown_to_clients`: it must carry the names that it is for. */
void tls_pair_judge(const struct tls_pair *pair, bool is_shown_to_clients, tls_complain *complain, void *owner);
/* The DNS names that the pair's certificate is for, each with a line end; NULL when the pair cannot be read. The caller frees them. */
char *tls_pair_names(const struct tls_pair *pair);

#endif
