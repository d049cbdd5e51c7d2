#ifndef SLUICE_ROUTING_CLASSIFY_H
#define SLUICE_ROUTING_CLASSIFY_H
/*
 * What a request is. The class follows from method, exact raw path and a few facts of the connection, never from the
 * body. The built-in routes are rows of data (routing/routes.c), one for each route of the database; the operator's own
 * routes are looked up before them.
 *
 * A classifier is made once from a topology, is read-only afterwards, and keeps a pointer to that topology: release it
 * first. Lookup allocates nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/text.h"
#include "topology/topology.h"

/* How often may a request of this route be done? */
enum route_repeat {
    ROUTE_REPEAT_SAFE,   /* doing it twice does no harm: repeat after any failure before the first response byte */
    ROUTE_REPEAT_WRITE,  /* line protocol: twice is harmless if each line carries its timestamp */
    ROUTE_REPEAT_UNSENT, /* only when provably nothing was processed: the node never got the request to its end, which it reads first */
    ROUTE_REPEAT_STREAMED, /* the same, but the node may act on a body that is not complete: nothing of it may have been read */
};

/* Which node(s) a request goes to, once its class is known. */
enum route_target {
    ROUTE_TARGET_ONE,        /* one node that the class's balance policy picks */
    ROUTE_TARGET_NAMED,      /* the node that the header X-Sluice-Node names; without it the request is refused */
    ROUTE_TARGET_NAMED_OR_ONE, /* the named node, else any that can serve it */
    ROUTE_TARGET_NAMED_OR_ALL, /* the named node, else each that can serve it, one after the other */
    ROUTE_TARGET_SLUICE,     /* answered by Sluice itself */
    ROUTE_TARGET_NOBODY,     /* never forwarded: classify refuses it with FAULT_ROUTE_DENIED */
};

struct route {
    const char *methods;      /* "GET", or several with blanks between; "*" for any */
    const char *path;         /* exact; braces stand for any one non-empty segment, which may have escaped separators in it
                                 where they hold a plus; a final asterisk for any rest */
    enum request_class class;
    unsigned capabilities;    /* enum node_capability: a node with any of these can serve it; 0: any but compact-only */
    unsigned preferred;       /* of those, nodes with any of these first; 0: no preference */
    enum route_repeat repeat;
    enum route_target target;
};

/* The built-in rows, for `sluice explain`, the reference and the tests. */
extern const struct route routes_builtin[];
extern const size_t routes_builtin_count;

struct classify_question {
    struct text method;
    struct text path;            /* raw, as the client sent it, without the query */
    bool is_grpc;                /* HTTP/2 and content-type application/grpc...: that is Flight (docs/database.md#grpc) */
    bool is_writeback;           /* arrived on a writeback listener, or from a process-capable node's address */
};

struct classify_answer {
    enum fault refusal;          /* FAULT_NONE, or why it must not be forwarded (denied, ambiguous path, method) */
    enum request_class class;
    const struct route *route;   /* the row that matched ("unknown" has one, too); NULL only with a refusal */
};

struct classifier;

/* NULL when memory is out. */
struct classifier *classifier_create(const struct topology *topology /* ref */);
void classifier_destroy(struct classifier *classifier);

/*
 * In this order: CONNECT and TRACE are refused; the path is checked as classify_check_path does; gRPC is Flight
 * whatever its path; the operator's routes, in the order of the configuration; the built-in rows, exact ones before
 * patterns; "unknown".
 */
struct classify_answer classify(const struct classifier *classifier, const struct classify_question *question);

/*
 * Can the node serve a route that needs any of `capabilities` (struct route)? A node is compact-only when `compact` is the only mode that the
 * operator named, whatever a plugin_dir adds.
 */
bool classify_node_fits(const struct topology_node *node, unsigned capabilities);
/* Can it, and is it one of those that are asked first, while one of them is usable? Without a preference all are. */
bool classify_node_is_preferred(const struct topology_node *node, unsigned capabilities, unsigned preferred);

/*
 * FAULT_REQUEST_PATH_AMBIGUOUS when another reader could take this path for a different one (docs/security.md#paths): empty,
 * "." or ".." segments, plain or escaped (also twice); %2f and %5c outside of a name that may have them, and anywhere when escaped twice;
 * %00, escaped control characters, broken escapes, a backslash; or a path whose decoded, case-folded form, with or without ";..." and
 * trailing slash, would reach another class than the raw form. The operator's routes are compared in the same form. (No route at all is
 * no other class: "/api/v3/engine/" is not ambiguous because "/api/v3/engine" is unknown.) The path
 * of an OPTIONS request may also be "*" (RFC 9112 section 3.2.4).
 */
enum fault classify_check_path(const struct classifier *classifier, struct text method, struct text path);

#endif
