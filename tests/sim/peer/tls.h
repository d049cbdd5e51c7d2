#ifndef SLUICE_SIM_PEER_TLS_H
#define SLUICE_SIM_PEER_TLS_H
/*
 * TLS of the far ends, on memory. Whoever has a certificate made it itself when the world began; nothing here asks a clock, and what is drawn comes
 * from OpenSSL's RAND, which the world seeds.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "peer/memory.h"
#include "peer/peer.h"

#define TLS_RECORD_BYTES 16384

/* ---- what the connections of one kind of far end share ---- */

struct tls_far;

/*
 * Makes a key (P-256) and a certificate that is its own authority. `names` is its subjectAltName as OpenSSL writes it: "DNS:n1.sim,IP:10.0.0.1". A
 * client that it is used for verifies nothing until tls_far_trust.
 */
struct tls_far *tls_far_create(const char *names);
/* NULL is allowed. Its connections must be gone. */
void tls_far_destroy(struct tls_far *far);
/* For Sluice's configuration: PEM, by sim_file_write. A path that is NULL is not written. */
void tls_far_write(const struct tls_far *far, const char *certificate_path, const char *key_path);
/* The certificate in a file of several; sim_file_write may be given what they are together. Valid as long as `far`. */
struct text tls_far_certificate(const struct tls_far *far);
struct text tls_far_key(const struct tls_far *far);
/* A client of `far` takes the certificate of `other` for `name` (a name, or an address as text) and no other one. */
void tls_far_trust(struct tls_far *far, const struct tls_far *other, const char *name);

/* ---- one connection; peer.c alone uses these ---- */

struct tls_end;

enum tls_progress {
    TLS_WAITS,   /* for what tls_end_feed brings */
    TLS_DONE,
    TLS_REFUSED, /* the other side sent an alert */
    TLS_FAILED,  /* what came is no TLS, or not to be trusted */
};

/* A client offers `version` and nothing else; a server takes the highest that is offered up to `version`. */
struct tls_end *tls_end_create(struct tls_far *far, bool is_server, enum peer_version version);
void tls_end_destroy(struct tls_end *end);
/* Encrypted bytes have come. */
void tls_end_feed(struct tls_end *end, struct text bytes);
enum tls_progress tls_end_handshake(struct tls_end *end);
/* As recv without waiting: 0 after close_notify; -1 with EAGAIN, ECONNRESET (an alert) or EPROTO. */
ptrdiff_t tls_end_read(struct tls_end *end, char *plain, size_t capacity);
/* Encrypts all of it. */
void tls_end_write(struct tls_end *end, struct text plain);
/* Says close_notify, once. */
void tls_end_close(struct tls_end *end);
/* What is to be sent. */
struct bytes *tls_end_wire(struct tls_end *end);
/* By ALPN; 0: nothing was agreed on. */
enum peer_version tls_end_version(const struct tls_end *end);

#endif
