/*
 * responder: a stand-in for an InfluxDB 3 node that costs as little as it can.
 *
 *     responder PORT NAME [ADDRESSES]      PORT 0 takes a free one; "listening on N" goes to standard output
 *
 * It plays ADDRESSES nodes at the same port: those of 127.0.0.1, 127.0.0.2 and so on. Without a number it is one.
 * One thread, one epoll, HTTP/1.1 with keep-alive and pipelining. It reads each request to its end (Content-Length or
 * chunked), throws the body away and answers by path from bytes rendered at start. Every answer names the responder in
 * `x-node`, so that the harness can see where a proxy sent a request.
 *
 * It trusts its peers: it finds the end of a message, but does not judge whether the message is valid. A connection is
 * owned by the epoll set; it is closed and freed only in serve_connection, after its one event of a turn, so no later
 * event can name a freed one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 65536,  /* also the longest head */
    OUTPUT_BYTES = 16384, /* answers not yet taken by the peer */
    ANSWER_BYTES = 1024,  /* one rendered answer */
    EVENTS_PER_TURN = 128,
};

struct route {
    const char *path;
    const char *status;
    const char *fields; /* of the answer, each with its CRLF */
    const char *body;   /* NULL: none, and no Content-Length (204) */
};

/* The last row answers what no other row knows. */
static const struct route routes[] = {
    {"/api/v3/write_lp", "204 No Content", "", NULL},
    {"/api/v2/write", "204 No Content", "", NULL},
    {"/write", "204 No Content", "", NULL},
    {"/api/v3/query_sql", "200 OK", "content-type: application/json\r\n",
     "[{\"host\":\"server01\",\"region\":\"us-west\",\"time\":\"2024-01-01T00:00:00\",\"usage_user\":42.5,"
     "\"usage_system\":7.25},"
     "{\"host\":\"server02\",\"region\":\"us-west\",\"time\":\"2024-01-01T00:00:00\",\"usage_user\":12.5}]"},
    {"/api/v3/enterprise/backup", "200 OK", "content-type: application/json\r\n", "[]"},
    {"/ready", "200 OK", "content-type: text/plain\r\n", "OK"},
    {"/health", "200 OK", "content-type: text/plain\r\n", "OK"},
    {"/ping", "200 OK", "content-type: application/json\r\nx-influxdb-version: 3.9.0\r\n",
     "{\"product_name\":\"responder\",\"version\":\"3.9.0\",\"revision\":\"bench\",\"process_id\":\"bench\"}"},
    {NULL, "404 Not Found", "content-type: text/plain\r\n", "Not found"},
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

struct answer {
    size_t length;
    char bytes[ANSWER_BYTES];
};

struct responder {
    int epoll_fd;      /* connections, and listeners_fd with NULL for its data */
    int listeners_fd;  /* the epoll set of the listening sockets */
    struct answer answers[ROUTE_COUNT];
};

enum reading {
    READING_HEAD,
    READING_SIZED_BODY,  /* remaining_bytes left of it */
    READING_CHUNK_SIZE,
    READING_CHUNK_DATA,  /* remaining_bytes left, the CRLF behind the data included */
    READING_TRAILERS,
    READING_NOTHING,     /* the peer asked for the end: close when the output is gone */
};

struct connection {
    int fd;
    enum reading reading;
    bool is_last;                /* the request in progress is the last one */
    bool wants_writable;         /* EPOLLOUT is set */
    const struct answer *answer; /* ref: responder; of the request in progress */
    uint64_t remaining_bytes;
    size_t input_start, input_end;
    size_t output_start, output_end;
    char input[INPUT_BYTES];
    char output[OUTPUT_BYTES];
};

static void fail(const char *what)
{
    fprintf(stderr, "responder: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void render_answers(struct responder *responder, const char *name)
{
    time_t now = time(NULL);
    struct tm parts;
    char date[64];

    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        struct answer *answer = &responder->answers[i];
        char length[64] = "";
        if (route->body != NULL)
            snprintf(length, sizeof length, "content-length: %zu\r\n", strlen(route->body));
        int written = snprintf(answer->bytes, ANSWER_BYTES, "HTTP/1.1 %s\r\nx-node: %s\r\n%s%sdate: %s\r\n\r\n%s",
                               route->status, name, route->fields, length, date,
                               route->body != NULL ? route->body : "");
        if (written < 0 || written >= ANSWER_BYTES) {
            fprintf(stderr, "responder: the answer for %s does not fit in %d bytes\n", route->path, ANSWER_BYTES);
            exit(1);
        }
        answer->length = (size_t)written;
    }
}

static const struct answer *find_answer(const struct responder *responder, const char *path, size_t length)
{
    size_t i = 0;

    while (routes[i].path != NULL && (strlen(routes[i].path) != length || memcmp(routes[i].path, path, length) != 0))
        i++;
    return &responder->answers[i];
}

/* Is the field `line` named `name` (lower case, with the colon)? Then its value, leading blanks skipped; else NULL. */
static const char *field_value(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0)
        return NULL;
    return line + length + strspn(line + length, " \t");
}

/* Takes the head in [head, end), where end[-1] is the last LF; decides how the body is read. False: not a request. */
static bool take_head(struct connection *connection, const struct responder *responder, const char *head,
                      const char *end)
{
    const char *target = memchr(head, ' ', (size_t)(end - head));
    const char *line_end = memchr(head, '\n', (size_t)(end - head));
    const char *next;

    if (target == NULL || line_end == NULL || ++target >= line_end || line_end - target < 10)
        return false;
    connection->answer = find_answer(responder, target, strcspn(target, "? \r\n"));
    connection->is_last = memcmp(line_end - 4, "1.0", 3) == 0;
    connection->remaining_bytes = 0;
    bool is_chunked = false;
    for (const char *line = line_end + 1; line < end; line = next + 1) {
        const char *value;
        next = memchr(line, '\n', (size_t)(end - line));
        if ((value = field_value(line, "content-length:")) != NULL)
            connection->remaining_bytes = strtoull(value, NULL, 10);
        else if ((value = field_value(line, "transfer-encoding:")) != NULL)
            is_chunked = strncasecmp(value, "chunked", 7) == 0;
        else if ((value = field_value(line, "connection:")) != NULL && strncasecmp(value, "close", 5) == 0)
            connection->is_last = true;
    }
    connection->reading = is_chunked ? READING_CHUNK_SIZE : READING_SIZED_BODY;
    return true;
}

/* The whole request was read: queue its answer. The caller has checked that there is room. */
static void finish_request(struct connection *connection)
{
    memcpy(connection->output + connection->output_end, connection->answer->bytes, connection->answer->length);
    connection->output_end += connection->answer->length;
    connection->reading = connection->is_last ? READING_NOTHING : READING_HEAD;
}

/* Drops body bytes; true when none is left to come. */
static bool skip_body(struct connection *connection)
{
    size_t available = connection->input_end - connection->input_start;
    size_t skipped = connection->remaining_bytes < available ? (size_t)connection->remaining_bytes : available;

    connection->input_start += skipped;
    connection->remaining_bytes -= skipped;
    return connection->remaining_bytes == 0;
}

/* Takes a line with its LF from the input and gives its start; NULL while it is incomplete. */
static const char *take_line(struct connection *connection)
{
    const char *line = connection->input + connection->input_start;
    const char *end = memchr(line, '\n', connection->input_end - connection->input_start);

    if (end == NULL)
        return NULL;
    connection->input_start = (size_t)(end + 1 - connection->input);
    return line;
}

enum step { STEP_MOVED, STEP_STARVED, STEP_BROKEN };

/* One move of the reading state; STARVED when it needs more input, or room for an answer. */
static enum step step(struct connection *connection, const struct responder *responder)
{
    const char *input = connection->input + connection->input_start;
    size_t available = connection->input_end - connection->input_start;
    const char *line;

    switch (connection->reading) {
    case READING_HEAD: {
        const char *end = available < 4 ? NULL : memmem(input, available, "\r\n\r\n", 4);
        if (end == NULL || sizeof connection->output - connection->output_end < ANSWER_BYTES)
            return STEP_STARVED;
        connection->input_start += (size_t)(end + 4 - input);
        return take_head(connection, responder, input, end + 2) ? STEP_MOVED : STEP_BROKEN;
    }
    case READING_SIZED_BODY:
        if (!skip_body(connection))
            return STEP_STARVED;
        finish_request(connection);
        return STEP_MOVED;
    case READING_CHUNK_SIZE:
        if ((line = take_line(connection)) == NULL)
            return STEP_STARVED;
        connection->remaining_bytes = strtoull(line, NULL, 16);
        connection->reading = connection->remaining_bytes == 0 ? READING_TRAILERS : READING_CHUNK_DATA;
        connection->remaining_bytes += 2;
        return STEP_MOVED;
    case READING_CHUNK_DATA:
        if (!skip_body(connection))
            return STEP_STARVED;
        connection->reading = READING_CHUNK_SIZE;
        return STEP_MOVED;
    case READING_TRAILERS:
        if ((line = take_line(connection)) == NULL)
            return STEP_STARVED;
        if (*line == '\r' || *line == '\n')
            finish_request(connection);
        return STEP_MOVED;
    case READING_NOTHING:
        return STEP_STARVED;
    }
    return STEP_BROKEN;
}

/* Sends what is queued. False when the connection is done for: broken, or finished. */
static bool flush_output(struct connection *connection, const struct responder *responder)
{
    size_t pending = connection->output_end - connection->output_start;

    if (pending > 0) {
        ssize_t sent = send(connection->fd, connection->output + connection->output_start, pending, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        connection->output_start += sent > 0 ? (size_t)sent : 0;
    }
    bool is_empty = connection->output_start == connection->output_end;
    if (is_empty)
        connection->output_start = connection->output_end = 0;
    if (connection->wants_writable == is_empty) {
        connection->wants_writable = !is_empty;
        /* While the peer does not take answers, no further request is read. */
        struct epoll_event event = {.events = is_empty ? EPOLLIN : EPOLLOUT, .data.ptr = connection};
        epoll_ctl(responder->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return !is_empty || connection->reading != READING_NOTHING;
}

/* One read behind what is kept of the input. False when the connection is done for. */
static bool read_input(struct connection *connection)
{
    size_t kept = connection->input_end - connection->input_start;

    if (kept > 0 && connection->input_start > 0)
        memmove(connection->input, connection->input + connection->input_start, kept);
    connection->input_start = 0;
    connection->input_end = kept;
    /* One byte stays free: a NUL behind the input stops strcspn and strtoull. */
    size_t room = sizeof connection->input - 1 - kept;
    if (room == 0)
        return false;
    ssize_t received = recv(connection->fd, connection->input + kept, room, 0);
    if (received == 0)
        return false;
    if (received < 0)
        return errno == EAGAIN;
    connection->input_end += (size_t)received;
    connection->input[connection->input_end] = '\0';
    return true;
}

/* Answers every complete request of the input. False when the connection is done for. */
static bool answer_requests(struct connection *connection, const struct responder *responder)
{
    for (;;) {
        enum step result;
        while ((result = step(connection, responder)) == STEP_MOVED)
            continue;
        if (result == STEP_BROKEN)
            return false;
        bool had_output = connection->output_end > 0;
        if (!flush_output(connection, responder))
            return false;
        /* What was sent may have made the room that the next pipelined request waited for: look again. */
        if (!had_output || connection->wants_writable)
            return true;
    }
}

static void serve_connection(struct connection *connection, const struct responder *responder, uint32_t events)
{
    bool is_alive = true;

    if (events & EPOLLOUT)
        is_alive = flush_output(connection, responder);
    else
        is_alive = read_input(connection);
    if (is_alive && !connection->wants_writable)
        is_alive = answer_requests(connection, responder);
    if (!is_alive) {
        close(connection->fd);
        free(connection);
    }
}

static void accept_connection(const struct responder *responder)
{
    int one = 1;
    struct epoll_event ready;

    if (epoll_wait(responder->listeners_fd, &ready, 1, 0) != 1)
        return;
    int fd = accept4(ready.data.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) {
        close(fd);
        return;
    }
    memset(connection, 0, offsetof(struct connection, input));
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(responder->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(connection);
    }
}

/* Listens on one address; gives the port, which is a free one when `port` is 0. */
static uint16_t open_listener(const struct responder *responder, uint32_t host, uint16_t port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0)
        fail("bind");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(responder->listeners_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

static void open_listeners(struct responder *responder, uint16_t port, uint32_t addresses)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    responder->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    responder->listeners_fd = epoll_create1(EPOLL_CLOEXEC);
    if (responder->epoll_fd < 0 || responder->listeners_fd < 0 ||
        epoll_ctl(responder->epoll_fd, EPOLL_CTL_ADD, responder->listeners_fd, &event) != 0)
        fail("epoll");
    for (uint32_t i = 0; i < addresses; i++)
        port = open_listener(responder, INADDR_LOOPBACK + i, port);
    printf("listening on %u\n", port);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct responder responder;
    struct epoll_event events[EVENTS_PER_TURN];

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: responder PORT NAME [ADDRESSES]\n");
        return 2;
    }
    render_answers(&responder, argv[2]);
    open_listeners(&responder, (uint16_t)atoi(argv[1]), argc == 4 ? (uint32_t)atoi(argv[3]) : 1);
    for (;;) {
        int count = epoll_wait(responder.epoll_fd, events, EVENTS_PER_TURN, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_connection(&responder);
            else
                serve_connection(events[i].data.ptr, &responder, events[i].events);
        }
    }
}
