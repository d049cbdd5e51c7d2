#ifndef SLUICE_HTTP_H1_PARSE_H
#define SLUICE_HTTP_H1_PARSE_H
/*
 * From the bytes of one HTTP/1 head to a message_head: validates it (h1_validator), lets llhttp take it apart, decides the framing of the
 * body (RFC 9112 section 6.3) and what becomes of the connection (section 9.3), and removes what concerns this hop only. Pure.
 */
#include <stdbool.h>

#include "http/h1_validator.h"
#include "http/message.h"

/* How the end of the body is told (RFC 9112 section 6.3). */
enum h1_delimiter {
    H1_DELIMITER_LENGTH,  /* Content-Length, or there is no body */
    H1_DELIMITER_CHUNKS,
    H1_DELIMITER_CLOSE,   /* responses: the body ends with the connection */
};

/* What the head says about the bytes behind it and about the connection. */
struct h1_framing {
    enum h1_delimiter delimiter;
    bool keep_alive;  /* the sender will take (send) another message on this connection */
};

/*
 * Parses one head of exactly `bytes.length` bytes into `head`, whose `fields` has room for MESSAGE_FIELDS_MAXIMUM. The texts of
 * `head` point into `bytes`. A request that has a fault leaves in `head` what was understood before (h1_parse_partial).
 * `to_head_request`: a response to HEAD, which has no body whatever it says.
 */
enum fault h1_parse_request(struct text bytes, const struct h1_limits *limits, struct message_head *head,
                            struct h1_framing *framing);
enum fault h1_parse_response(struct text bytes, const struct h1_limits *limits, bool to_head_request,
                             struct message_head *head, struct h1_framing *framing);

/* Is it a method that some RFC has registered? Others are refused, whichever HTTP they come by. */
bool h1_is_method(struct text method);

#endif
