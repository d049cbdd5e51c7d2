#ifndef SLUICE_HTTP_H1_VALIDATOR_H
#define SLUICE_HTTP_H1_VALIDATOR_H
/*
 * The security boundary in front of llhttp: finds the end of a head and checks each raw byte of it. llhttp 8.1, even built strict, lets
 * folds, bare LF, several blanks, empty names and more through, and its callbacks cannot show them (so: validate, then parse).
 * Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "base/text.h"

enum h1_role { H1_ROLE_REQUEST, H1_ROLE_RESPONSE };

struct h1_limits {
    size_t head_bytes;
    size_t target_bytes;
    size_t fields;
};

/* How far the search for a head's end has come; zero it before each head. */
struct h1_search {
    size_t line_start; /* of the line being read */
    size_t looked_at;  /* bytes that hold no unseen line end */
};

enum h1_search_result { H1_SEARCH_MORE, H1_SEARCH_FOUND, H1_SEARCH_BAD };

/*
 * Looks for the empty line that ends the head at the front of `bytes`; call again with more bytes and the same state. FOUND
 * sets *length to the head's bytes, final CRLF included. BAD sets *fault: a bare LF at once, or a limit that is passed.
 */
enum h1_search_result h1_find_head_end(struct h1_search *search, struct text bytes, enum h1_role role,
                                       const struct h1_limits *limits, size_t *length, enum fault *fault);

/*
 * Checks a whole head: line shapes, characters, single blanks, version, no folds (RFC 9112 sections 2.2, 3, 4, 5). FAULT_NONE when it
 * may be given to llhttp. For a response each fault is FAULT_UPSTREAM_MALFORMED or FAULT_UPSTREAM_HEAD_TOO_LARGE.
 */
enum fault h1_validate_head(struct text head, enum h1_role role, const struct h1_limits *limits);

/*
 * The first line of a request, as soon as the search has come behind it: what is no request of HTTP/1 (a line of HTTP/0.9 is whole with it) is
 * not waited for. FAULT_NONE also while the line is not whole.
 */
enum fault h1_validate_begun(const struct h1_search *search, struct text bytes, const struct h1_limits *limits);

/* tchar of RFC 9110 section 5.6.2. */
bool h1_is_token_character(unsigned char c);

/* The longest method that is looked at. */
#define H1_METHOD_BYTES 24

/* A field's line without its CRLF: a name that is a token, a colon, and a value of allowed bytes; no fold, no name that is a framing lookalike. */
bool h1_is_field_line(struct text line);

/* The longest field name that is forwarded. */
#define H1_FIELD_NAME_BYTES 256

/* What HTTP/2 has to ask of its fields as well: visible ASCII without '#'; nothing, or host [":" port] without user information, not a list of them (RFC
 * 3986 section 3.2, RFC 9110 section 7.2); a name that a CGI-like reader takes for Content-Length or Transfer-Encoding. */
bool h1_is_target(struct text target);
bool h1_is_host(struct text host);
bool h1_is_framing_lookalike(struct text name);

#endif
