#ifndef SLUICE_HTTP_MESSAGE_H
#define SLUICE_HTTP_MESSAGE_H
/*
 * The head of a request or response, free of any HTTP version: what a codec hands up and what it is given to send. Framing
 * (Content-Length, Transfer-Encoding) and hop-by-hop fields are not among the fields; the codec turns them into
 * body_kind and content_length, and writes its own.
 *
 * A head does not own its text. One that came from a codec is valid during its event only; message_head_copy makes one that lasts.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"
#include "base/text.h"

/* Names that Sluice looks at; every other field is HEADER_OTHER and passes through. */
enum header_name {
    HEADER_OTHER,
    HEADER_ACCEPT_ENCODING,
    HEADER_AUTHORIZATION,
    HEADER_CONNECTION,
    HEADER_CONTENT_ENCODING,
    HEADER_CONTENT_LENGTH,
    HEADER_CONTENT_TYPE,
    HEADER_DATE,
    HEADER_EXPECT,
    HEADER_FORWARDED,
    HEADER_GRPC_STATUS,
    HEADER_GRPC_TIMEOUT,
    HEADER_HOST,
    HEADER_HTTP2_SETTINGS,
    HEADER_KEEP_ALIVE,
    HEADER_PROXY_AUTHENTICATE,
    HEADER_PROXY_AUTHORIZATION,
    HEADER_PROXY_CONNECTION,
    HEADER_RETRY_AFTER,
    HEADER_TE,
    HEADER_TRAILER,
    HEADER_TRANSFER_ENCODING,
    HEADER_UPGRADE,
    HEADER_USER_AGENT,
    HEADER_VIA,
    HEADER_X_FORWARDED_FOR,
    HEADER_X_FORWARDED_HOST,
    HEADER_X_FORWARDED_PROTO,
    HEADER_X_REAL_IP,
    HEADER_X_REQUEST_ID,
    HEADER_X_SLUICE_NODE,
    HEADER_NAME_COUNT
};

struct header_field {
    struct text name;
    struct text value; /* without blanks at its ends; may be empty */
    enum header_name known;
};

/* More fields than this in one head are refused whatever the configuration says. */
#define MESSAGE_FIELDS_MAXIMUM 256

enum message_version { MESSAGE_HTTP_1_1, MESSAGE_HTTP_1_0, MESSAGE_HTTP_2 };
#define MESSAGE_VERSION_COUNT 3

enum body_kind {
    BODY_NONE,    /* the message ends with its head */
    BODY_LENGTH,  /* content_length bytes, at least 1 */
    BODY_STREAM,  /* of unknown length; its end is signalled */
};

/* Facts of a head: bits of one set, because each is about messages of another kind and none depends on another. */
enum message_flag {
    MESSAGE_EXPECTS_CONTINUE = 1, /* requests: Expect: 100-continue */
    MESSAGE_ACCEPTS_TRAILERS = 2, /* requests: te: trailers; from an HTTP/2 client only, because HTTP/1 drops trailers here */
    MESSAGE_ANNOUNCES_LENGTH = 4, /* content_length is to be sent although body is BODY_NONE */
    MESSAGE_ENDS_CONNECTION = 8,  /* responses we make: the client is not to be heard on this connection again, where HTTP allows */
};

struct message_head {
    struct text method;        /* requests */
    struct text target;        /* requests: path and query, as sent (an absolute form is reduced to it) */
    struct text path;          /* requests: target without the query */
    struct text authority;     /* requests: host and port */
    unsigned status;           /* responses */
    enum message_version version; /* what the sender speaks */
    unsigned flags;            /* of enum message_flag */
    enum body_kind body;
    uint64_t content_length;   /* with BODY_LENGTH; also with BODY_NONE for what a HEAD or 304 answer announces */
    size_t field_count;
    struct header_field *fields;
    struct text raw;           /* the memory that all texts of a received head point into */
};

static inline bool message_has(const struct message_head *head, enum message_flag flag)
{
    return (head->flags & flag) != 0;
}

static inline void message_set(struct message_head *head, enum message_flag flag, bool value)
{
    head->flags = value ? head->flags | flag : head->flags & ~(unsigned)flag;
}

/* Which known name this is, whatever its case. */
enum header_name header_name_of(struct text name);

/* A known name in lower case. */
struct text header_name_text(enum header_name known);

/* The first field of that name, or NULL. */
const struct header_field *message_find(const struct message_head *head, enum header_name known);

/* One object of the slab that holds the head, its fields and its text; slab_give() it. NULL when memory is out. */
struct message_head *message_head_copy(const struct message_head *head, struct slab *slab);

/*
 * Adds a field; false when `capacity` fields are there already. The text is not copied.
 */
bool message_add(struct message_head *head, size_t capacity, enum header_name known, struct text name, struct text value);

/* The reason phrase of a status code, "Unknown" for one that RFC 9110 does not name: some clients show nothing else. */
const char *message_reason(unsigned status);

/*
 * Visits the elements of a comma-separated list (RFC 9110 section 5.6.1): cuts the next non-empty element, trimmed, off `*rest`;
 * false when there is none left.
 */
bool message_list_next(struct text *rest, struct text *element);

#endif
