#ifndef SLUICE_HTTP_H1_PARTIAL_H
#define SLUICE_HTTP_H1_PARTIAL_H
/*
 * What can be understood of a request that is refused, so that its answer and its line in the access log say whose it was. Pure.
 */
#include "base/text.h"
#include "http/message.h"

/*
 * Fills `head`, whose `fields` has room for MESSAGE_FIELDS_MAXIMUM, from the bytes of a request's head that is not whole or not valid HTTP
 * (RFC 9112 section 3): everything in front of the first byte that is wrong. Nothing behind it is looked at, because nobody can tell where
 * it belongs. What is missing stays empty; a target may be cut, and `path` is set when the target begins with it. The texts point into
 * `bytes`. Hop-by-hop fields are not removed: such a head is never forwarded.
 */
void h1_parse_partial(struct text bytes, struct message_head *head);

#endif
