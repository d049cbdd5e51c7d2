#ifndef SLUICE_CONTROL_ADMIN_ACCESS_H
#define SLUICE_CONTROL_ADMIN_ACCESS_H
/*
 * Who may ask the admin listener. A web page that its operator visits must not be able to: not by a name that an attacker's DNS points at this
 * machine (so Host must be one that is known), and not by a form (so a change needs a header that a form cannot send, or the token). Pure but
 * for the token's file, which is read for each request.
 */
#include "base/text.h"
#include "http/message.h"

struct topology;

/* 0 when the request may be served, else the status of the refusal and its words. */
unsigned admin_refuses(const struct topology *topology, const struct message_head *head, const char **error);


#endif
