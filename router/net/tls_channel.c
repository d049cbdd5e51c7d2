#include "net/tls_channel.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

#include "net/socket.h"

/* So much is made ready for one write to the socket; a socket that is full leaves no more than this waiting. */
#define WIRE_BYTES 65536
/* OpenSSL's request to give the kernel a key (openssl/bio.h lists the number, and keeps the name to itself). */
#define SET_KERNEL_KEY 72

/*
 * Where what is encrypted goes:
 *
 *   WIRE            WIRE_OR_KERNEL --the kernel has its key--> KERNEL <--room, no room--> KERNEL_FULL
 *   (no kTLS)       (kTLS is allowed)                          (it encrypts)
 */
enum output_path { PATH_WIRE, PATH_WIRE_OR_KERNEL, PATH_KERNEL, PATH_KERNEL_FULL };

struct tls_channel {
    SSL *ssl;
    enum tls_state state;
    enum output_path path;
    BIO *socket;          /* owned; NULL unless kTLS may be used */
    bool was_closed;      /* close_notify is in `wire` or gone */
    bool has_read;        /* plain text has come */
    struct text feed;     /* ref: what was read and not yet taken */
    struct buffer wire;
    unsigned long error;  /* OpenSSL's, of the failure */
    long verify_result;   /* X509_V_OK, or why the other side is not trusted */
};

/* ---- the BIO: OpenSSL reads from `feed` and writes to `wire` ---- */

static BIO_METHOD *channel_method;
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static int take_fed(BIO *bio, char *bytes, int length)
{
    struct tls_channel *channel = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (channel->feed.length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = channel->feed.length < (size_t)length ? channel->feed.length : (size_t)length;
    memcpy(bytes, channel->feed.bytes, taken);
    channel->feed = text_of(channel->feed.bytes + taken, channel->feed.length - taken);
    return (int)taken;
}

static int put_wire(BIO *bio, const char *bytes, int length)
{
    struct tls_channel *channel = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (channel->path < PATH_KERNEL)
        return buffer_append(&channel->wire, text_of(bytes, (size_t)length)) ? length : -1;
    int written = BIO_write(channel->socket, bytes, length);
    channel->path = written <= 0 && BIO_should_retry(channel->socket) ? PATH_KERNEL_FULL : PATH_KERNEL;
    if (channel->path == PATH_KERNEL_FULL)
        BIO_set_retry_write(bio);
    return written;
}

/* What is encrypted already must be in the socket before the kernel encrypts the rest. False: it does not take it now. */
static bool empty_wire(struct tls_channel *channel)
{
    while (channel->wire.length > 0) {
        struct text bytes = buffer_first(&channel->wire);
        int written = BIO_write(channel->socket, bytes.bytes, (int)bytes.length);
        if (written <= 0)
            return false;
        buffer_consume(&channel->wire, (size_t)written);
    }
    return true;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    struct tls_channel *channel = BIO_get_data(bio);
    /* What is in `wire` counts as flushed: the conn sends it when the event has been handled. */
    if (command == BIO_CTRL_FLUSH)
        return 1;
    if (channel->socket == NULL)
        return 0;
    bool is_for_writing = number != 0;
    if (command == SET_KERNEL_KEY && (!is_for_writing || !empty_wire(channel)))
        return 0;
    long result = BIO_ctrl(channel->socket, command, number, pointer);
    if (command == SET_KERNEL_KEY && result > 0 && channel->path < PATH_KERNEL)
        channel->path = PATH_KERNEL;
    return result;
}

static void make_method(void)
{
    channel_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
    if (channel_method == NULL)
        return;
    BIO_meth_set_read(channel_method, take_fed);
    BIO_meth_set_write(channel_method, put_wire);
    BIO_meth_set_ctrl(channel_method, control);
}

static bool put_bio(struct tls_channel *channel)
{
    if (CRYPTO_THREAD_run_once(&method_once, make_method) != 1 || channel_method == NULL)
        return false;
    BIO *bio = BIO_new(channel_method);
    if (bio == NULL)
        return false;
    BIO_set_data(bio, channel);
    BIO_set_init(bio, 1);
    SSL_set_bio(channel->ssl, bio, bio);
    return true;
}

/* ---- life ---- */

struct tls_channel *tls_channel_create(struct ssl_st *ssl, bool kernel)
{
    struct tls_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    channel->ssl = ssl;
    channel->path = kernel ? PATH_WIRE_OR_KERNEL : PATH_WIRE;
    if (!put_bio(channel)) {
        tls_channel_destroy(channel);
        return NULL;
    }
    return channel;
}

void tls_channel_attach(struct tls_channel *channel, struct buffer_pool *pool, int fd)
{
    buffer_init(&channel->wire, pool);
    if (channel->path == PATH_WIRE || fd < 0 || !socket_enable_kernel_tls(fd))
        return;
    channel->socket = BIO_new_socket(fd, BIO_NOCLOSE);
    if (channel->socket != NULL)
        SSL_set_options(channel->ssl, SSL_OP_ENABLE_KTLS);
}

void tls_channel_destroy(struct tls_channel *channel)
{
    if (channel == NULL)
        return;
    /* OpenSSL would spoil the session of a connection that was not closed in order; since TLS 1.1 nothing asks for that. */
    if (channel->state == TLS_OPEN || channel->state == TLS_ENDED)
        SSL_set_shutdown(channel->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(channel->ssl);
    BIO_free(channel->socket);
    if (channel->wire.pool != NULL)
        buffer_clear(&channel->wire);
    free(channel);
}

/* ---- bytes ---- */

/* Why an operation did not succeed; true when it only waits for more to be fed, or for room in the socket. */
static bool is_waiting(struct tls_channel *channel, int result)
{
    int error = SSL_get_error(channel->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    if (error == SSL_ERROR_ZERO_RETURN && channel->state == TLS_OPEN) {
        channel->state = TLS_ENDED;
        return false;
    }
    channel->error = ERR_peek_error();
    channel->verify_result = SSL_get_verify_result(channel->ssl);
    bool is_distrusted = channel->verify_result != X509_V_OK && SSL_get_verify_mode(channel->ssl) != SSL_VERIFY_NONE;
    channel->state = channel->state == TLS_HANDSHAKING && is_distrusted ? TLS_UNVERIFIED : TLS_FAILED;
    ERR_clear_error();
    return false;
}

void tls_channel_feed(struct tls_channel *channel, struct text bytes)
{
    channel->feed = bytes;
}

enum tls_state tls_channel_handshake(struct tls_channel *channel)
{
    if (channel->state != TLS_HANDSHAKING)
        return channel->state;
    ERR_clear_error();
    int result = SSL_do_handshake(channel->ssl);
    if (result == 1)
        channel->state = TLS_OPEN;
    else
        is_waiting(channel, result);
    return channel->state;
}

size_t tls_channel_read(struct tls_channel *channel, char *plain, size_t capacity)
{
    size_t used = 0;
    ERR_clear_error();
    while (channel->state == TLS_OPEN && used < capacity) {
        size_t length = 0;
        int result = SSL_read_ex(channel->ssl, plain + used, capacity - used, &length);
        used += length;
        channel->has_read = channel->has_read || length > 0;
        if (result != 1 && is_waiting(channel, result))
            break;
    }
    channel->feed = TEXT_EMPTY;
    return used;
}

bool tls_channel_write(struct tls_channel *channel, struct buffer *output)
{
    if (output->length > 0)
        ERR_clear_error();
    while (output->length > 0 && channel->wire.length < WIRE_BYTES) {
        struct text piece = buffer_first(output);
        size_t written = 0;
        if (SSL_write_ex(channel->ssl, piece.bytes, piece.length, &written) != 1)
            return is_waiting(channel, 0);
        buffer_consume(output, written);
    }
    return true;
}

void tls_channel_close(struct tls_channel *channel)
{
    bool can_close = channel->state == TLS_OPEN || channel->state == TLS_ENDED;
    if (channel->was_closed || !can_close)
        return;
    ERR_clear_error();
    SSL_shutdown(channel->ssl);
    channel->was_closed = channel->path != PATH_KERNEL_FULL;
    ERR_clear_error();
}

bool tls_channel_is_blocked(const struct tls_channel *channel)
{
    return channel->path == PATH_KERNEL_FULL;
}

uint64_t tls_channel_direct_bytes(const struct tls_channel *channel)
{
    return channel->socket == NULL ? 0 : BIO_number_written(channel->socket);
}

bool tls_channel_was_refused(const struct tls_channel *channel)
{
    if (channel->state != TLS_FAILED || channel->has_read || ERR_GET_LIB(channel->error) != ERR_LIB_SSL)
        return false;
    switch (ERR_GET_REASON(channel->error)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return true;
    default:
        return false;
    }
}

struct buffer *tls_channel_wire(struct tls_channel *channel)
{
    return &channel->wire;
}

enum tls_state tls_channel_state(const struct tls_channel *channel)
{
    return channel->state;
}

/* ---- what is known of it ---- */

struct text tls_channel_protocol(const struct tls_channel *channel)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(channel->ssl, &name, &length);
    return text_of((const char *)name, length);
}

bool tls_channel_is_resumed(const struct tls_channel *channel)
{
    return SSL_session_reused(channel->ssl) == 1;
}

const char *tls_channel_subject(const struct tls_channel *channel, char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    X509 *certificate = SSL_get0_peer_certificate(channel->ssl);
    BIO *bio = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
    if (bio == NULL)
        return buffer;
    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    if (length > 0)
        text_append(buffer, capacity, 0, "%.*s", (int)length, bytes);
    BIO_free(bio);
    return buffer;
}

const char *tls_channel_describe(const struct tls_channel *channel, char *buffer, size_t capacity)
{
    if (channel->state == TLS_UNVERIFIED)
        text_append(buffer, capacity, 0, "certificate not accepted: %s", X509_verify_cert_error_string(channel->verify_result));
    else if (channel->error != 0 && ERR_reason_error_string(channel->error) != NULL)
        text_append(buffer, capacity, 0, "%s", ERR_reason_error_string(channel->error));
    else
        text_append(buffer, capacity, 0, "the other side closed the connection");
    return buffer;
}
