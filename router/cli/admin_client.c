#include "cli/admin_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "topology/value.h"

#define UNIX_PREFIX "unix:"
#define HEAD_BYTES_MAXIMUM 65536
#define READ_BYTES 65536
#define REQUEST_BYTES (ADMIN_TARGET_CAPACITY + 8192)

/* One call from connect to the last byte. */
struct transfer {
    const char *address;                 /* ref */
    const struct admin_request *request; /* ref */
    struct admin_reply *reply;           /* ref */
    uint64_t deadline_ms;
    int fd;
    enum admin_outcome outcome; /* of the step that failed */
    size_t capacity;            /* of reply->body */
};

/* ---- addresses ---- */

static bool is_unix(const char *address)
{
    return text_starts_with(text_of_string(address), TEXT(UNIX_PREFIX));
}

bool admin_address_is_valid(const char *address)
{
    struct text host;
    uint16_t port;
    if (is_unix(address))
        return address[strlen(UNIX_PREFIX)] == '/' &&
               strlen(address) - strlen(UNIX_PREFIX) < sizeof((struct sockaddr_un *)0)->sun_path;
    return value_split_address(text_of_string(address), &host, &port) && port > 0;
}

size_t admin_target_append(char *target, size_t used, struct text text)
{
    for (size_t i = 0; i < text.length && used < ADMIN_TARGET_CAPACITY; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        bool is_unreserved = is_letter || (byte != '\0' && strchr("-._~", byte) != NULL);
        size_t length = is_unreserved ? 1 : 3;
        if (used + length >= ADMIN_TARGET_CAPACITY)
            return ADMIN_TARGET_CAPACITY;
        used = text_append(target, ADMIN_TARGET_CAPACITY, used, is_unreserved ? "%c" : "%%%02X", byte);
    }
    return used;
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool fail(struct transfer *transfer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct transfer *transfer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(transfer->reply->problem, ADMIN_PROBLEM_CAPACITY, format, arguments);
    va_end(arguments);
    transfer->outcome = ADMIN_FAILED;
    return false;
}

/* Until the socket is ready for `events`. False at the time limit, and when the call is cancelled. */
static bool wait_for(struct transfer *transfer, short events)
{
    for (;;) {
        uint64_t now = now_ms();
        uint64_t left_ms = transfer->deadline_ms > now ? transfer->deadline_ms - now : 0;
        struct pollfd fds[2] = {{.fd = transfer->fd, .events = events}, {.fd = transfer->request->cancel_fd, .events = POLLIN}};
        int ready = poll(fds, 2, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return fail(transfer, "cannot wait for the answer: %s", strerror(errno));
        if (ready > 0 && fds[1].revents != 0) {
            transfer->outcome = ADMIN_CANCELLED;
            return false;
        }
        if (ready > 0)
            return true;
        if (ready == 0 && left_ms == 0)
            return fail(transfer, "no whole answer within %llu ms; see whether that Sluice is alive, or give it more time with --timeout",
                        (unsigned long long)transfer->request->limit_ms);
    }
}

/* ---- connecting ---- */

static bool refuse_connect(struct transfer *transfer, int error)
{
    const char *remedy = "see whether the address is right (admin.address of the configuration)";
    if (error == ECONNREFUSED || error == ENOENT)
        remedy = "nobody listens there: start sluice serve, or name its admin.address with --admin";
    else if (error == EACCES)
        remedy = "the socket belongs to Sluice's user: run this as that user, or change admin.mode";
    return fail(transfer, "cannot connect: %s; %s", strerror(error), remedy);
}

static bool try_connect(struct transfer *transfer, const struct sockaddr *name, socklen_t length)
{
    int error = 0;
    socklen_t error_length = sizeof error;
    transfer->fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (transfer->fd < 0)
        return refuse_connect(transfer, errno);
    if (connect(transfer->fd, name, length) == 0)
        return true;
    if (errno != EINPROGRESS)
        return refuse_connect(transfer, errno);
    if (!wait_for(transfer, POLLOUT))
        return false;
    if (getsockopt(transfer->fd, SOL_SOCKET, SO_ERROR, &error, &error_length) != 0)
        error = errno;
    return error == 0 || refuse_connect(transfer, error);
}

static void close_socket(struct transfer *transfer)
{
    if (transfer->fd >= 0)
        close(transfer->fd);
    transfer->fd = -1;
}

static bool connect_unix(struct transfer *transfer)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", transfer->address + strlen(UNIX_PREFIX));
    return try_connect(transfer, (const struct sockaddr *)&name, sizeof name);
}

/* A name may have several addresses: the first that takes the connection. */
static bool connect_tcp(struct transfer *transfer)
{
    struct text host_text;
    uint16_t port = 0;
    char host[NI_MAXHOST], service[8];
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    value_split_address(text_of_string(transfer->address), &host_text, &port);
    snprintf(host, sizeof host, "%.*s", TEXT_ARGUMENTS(host_text));
    snprintf(service, sizeof service, "%u", port);
    int problem = getaddrinfo(host, service, &hints, &found);
    if (problem != 0)
        return fail(transfer, "no address of %s is found: %s; write an IP address, as 127.0.0.1:8180", host, gai_strerror(problem));
    bool is_connected = false;
    for (const struct addrinfo *each = found; each != NULL && !is_connected; each = each->ai_next) {
        close_socket(transfer);
        is_connected = try_connect(transfer, each->ai_addr, each->ai_addrlen);
        if (!is_connected && transfer->outcome == ADMIN_CANCELLED)
            break;
    }
    freeaddrinfo(found);
    return is_connected;
}

/* ---- the request ---- */

static bool send_request(struct transfer *transfer)
{
    char bytes[REQUEST_BYTES];
    const struct admin_request *request = transfer->request;
    bool is_change = strcmp(request->method, "GET") != 0;
    size_t used = text_append(bytes, sizeof bytes, 0,
                              "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice/" SLUICE_VERSION "\r\nConnection: close\r\n%s",
                              request->method, request->target, is_unix(transfer->address) ? "localhost" : transfer->address,
                              is_change ? "X-Sluice-Admin: 1\r\nContent-Length: 0\r\n" : "");
    if (request->token != NULL)
        used = text_append(bytes, sizeof bytes, used, "Authorization: Bearer %s\r\n", request->token);
    used = text_append(bytes, sizeof bytes, used, "\r\n");
    for (size_t sent = 0; sent < used;) {
        ssize_t count = send(transfer->fd, bytes + sent, used - sent, MSG_NOSIGNAL);
        if (count >= 0)
            sent += (size_t)count;
        else if (errno == EPIPE || errno == ECONNRESET)
            return true; /* an answer may have come before the end of the request */
        else if (errno != EINTR && errno != EAGAIN)
            return fail(transfer, "cannot send: %s; try again", strerror(errno));
        if (sent < used && !wait_for(transfer, POLLOUT))
            return false;
    }
    return true;
}

/* ---- the answer ---- */

/* Bytes read, 0 at the connection's end, -1 after a failure. */
static ssize_t read_some(struct transfer *transfer, char *bytes, size_t capacity)
{
    for (;;) {
        if (!wait_for(transfer, POLLIN))
            return -1;
        ssize_t count = recv(transfer->fd, bytes, capacity, 0);
        if (count >= 0)
            return count;
        if (errno != EINTR && errno != EAGAIN) {
            fail(transfer, "the answer breaks off: %s; try again", strerror(errno));
            return -1;
        }
    }
}

static bool refuse_protocol(struct transfer *transfer)
{
    return fail(transfer, "what listens there does not answer in HTTP/1.1; name the admin.address of a Sluice with --admin");
}

static bool start_body(struct transfer *transfer, struct text head_bytes, const struct h1_limits *limits, struct h1_body *body)
{
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct message_head head = {.fields = fields};
    struct h1_framing framing;
    /* An interim answer is not asked for, so none may come (RFC 9110 section 10.1.1). */
    if (h1_parse_response(head_bytes, limits, false, &head, &framing) != FAULT_NONE || head.status < 200)
        return refuse_protocol(transfer);
    transfer->reply->status = head.status;
    if (framing.delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(body, ADMIN_BODY_BYTES_MAXIMUM);
    else if (framing.delimiter == H1_DELIMITER_CLOSE)
        h1_body_start_until_close(body);
    else
        h1_body_start_length(body, head.body == BODY_LENGTH ? head.content_length : 0, ADMIN_BODY_BYTES_MAXIMUM);
    return true;
}

/* Reads until the head is whole; `bytes` has HEAD_BYTES_MAXIMUM, *rest is what came behind the head. */
static bool read_head(struct transfer *transfer, char *bytes, struct text *rest, struct h1_body *body)
{
    const struct h1_limits limits = {HEAD_BYTES_MAXIMUM, ADMIN_TARGET_CAPACITY, MESSAGE_FIELDS_MAXIMUM};
    struct h1_search search = {0};
    enum fault fault;
    size_t used = 0;
    size_t length = 0;
    for (;;) {
        ssize_t count = used < HEAD_BYTES_MAXIMUM ? read_some(transfer, bytes + used, HEAD_BYTES_MAXIMUM - used) : 0;
        if (count < 0)
            return false;
        if (count == 0 && used == 0)
            return fail(transfer, "the connection was closed without an answer; try again, and look into the log of that Sluice");
        if (count == 0 && used < HEAD_BYTES_MAXIMUM && text_starts_with(text_of(bytes, used), TEXT("HTTP/1.")))
            return fail(transfer, "the answer breaks off in its head; try again");
        if (count == 0)
            return refuse_protocol(transfer);
        used += (size_t)count;
        switch (h1_find_head_end(&search, text_of(bytes, used), H1_ROLE_RESPONSE, &limits, &length, &fault)) {
        case H1_SEARCH_MORE:
            continue;
        case H1_SEARCH_BAD:
            return refuse_protocol(transfer);
        case H1_SEARCH_FOUND:
            break;
        }
        *rest = text_of(bytes + length, used - length);
        return start_body(transfer, text_of(bytes, length), &limits, body);
    }
}

static bool refuse_size(struct transfer *transfer)
{
    return fail(transfer,
                "the answer has more than %zu MiB, which no admin listener sends; name the admin.address of a Sluice with --admin",
                ADMIN_BODY_BYTES_MAXIMUM >> 20);
}

static bool keep(struct transfer *transfer, struct text piece)
{
    struct admin_reply *reply = transfer->reply;
    size_t wanted = reply->body_bytes + piece.length + 1;
    if (wanted > ADMIN_BODY_BYTES_MAXIMUM + 1)
        return refuse_size(transfer);
    if (wanted > transfer->capacity) {
        size_t capacity = transfer->capacity < READ_BYTES ? READ_BYTES : transfer->capacity;
        while (capacity < wanted)
            capacity *= 2;
        char *larger = realloc(reply->body, capacity);
        if (larger == NULL)
            return fail(transfer, "out of memory for the answer");
        reply->body = larger;
        transfer->capacity = capacity;
    }
    memcpy(reply->body + reply->body_bytes, piece.bytes, piece.length);
    reply->body_bytes += piece.length;
    reply->body[reply->body_bytes] = '\0';
    return true;
}

/* Takes the body's pieces out of the input. False when the call has failed; *is_whole when the body has ended. */
static bool take_body(struct transfer *transfer, struct h1_body *body, struct text input, bool *is_whole)
{
    for (;;) {
        struct text data = TEXT_EMPTY;
        switch (h1_body_next(body, &input, &data)) {
        case H1_BODY_RESULT_MORE:
            return true;
        case H1_BODY_RESULT_DATA:
            if (!keep(transfer, data))
                return false;
            break;
        case H1_BODY_RESULT_END:
            *is_whole = true;
            return true;
        case H1_BODY_RESULT_BAD:
            return refuse_protocol(transfer);
        case H1_BODY_RESULT_TOO_LARGE:
            return refuse_size(transfer);
        }
    }
}

static bool read_answer(struct transfer *transfer)
{
    char bytes[HEAD_BYTES_MAXIMUM];
    struct text rest;
    struct h1_body body;
    bool is_whole = false;
    if (!read_head(transfer, bytes, &rest, &body))
        return false;
    while (take_body(transfer, &body, rest, &is_whole) && !is_whole) {
        ssize_t count = read_some(transfer, bytes, sizeof bytes);
        if (count < 0)
            return false;
        if (count == 0 && !h1_body_ends_with_connection(&body))
            return fail(transfer, "the answer breaks off after %zu bytes of its body; try again", transfer->reply->body_bytes);
        if (count == 0)
            return true;
        rest = text_of(bytes, (size_t)count);
    }
    return is_whole;
}

enum admin_outcome admin_call(const char *address, const struct admin_request *request, struct admin_reply *reply)
{
    struct transfer transfer = {
        .address = address,
        .request = request,
        .reply = reply,
        .deadline_ms = now_ms() + request->limit_ms,
        .fd = -1,
    };
    *reply = (struct admin_reply){0};
    bool is_connected = is_unix(address) ? connect_unix(&transfer) : connect_tcp(&transfer);
    bool is_answered = is_connected && send_request(&transfer) && read_answer(&transfer);
    close_socket(&transfer);
    return is_answered ? ADMIN_ANSWERED : transfer.outcome;
}

void admin_reply_clear(struct admin_reply *reply)
{
    free(reply->body);
    *reply = (struct admin_reply){0};
}
