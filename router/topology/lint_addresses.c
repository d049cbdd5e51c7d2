#include <arpa/inet.h>

#include "topology/lint_rules.h"
#include "topology/seen.h"

/* A host as an address, where it is a literal. */
struct literal {
    int family; /* AF_INET, AF_INET6, or 0 for a name */
    unsigned char bytes[16];
};

static struct literal literal_of(const char *host)
{
    struct literal literal = {0};
    if (inet_pton(AF_INET, host, literal.bytes) == 1)
        literal.family = AF_INET;
    else if (inet_pton(AF_INET6, host, literal.bytes) == 1)
        literal.family = AF_INET6;
    return literal;
}

static bool is_wildcard(const char *host)
{
    static const unsigned char zeros[16];
    struct literal literal = literal_of(host);
    return literal.family != 0 && memcmp(literal.bytes, zeros, literal.family == AF_INET ? 4 : 16) == 0;
}

static bool is_localhost(const char *host)
{
    return text_equals_ignoring_case(text_of_string(host), TEXT("localhost"));
}

static bool is_loopback(const char *host)
{
    static const unsigned char one[16] = {[15] = 1};
    struct literal literal = literal_of(host);
    if (literal.family == AF_INET)
        return literal.bytes[0] == 127;
    return literal.family == AF_INET6 ? memcmp(literal.bytes, one, 16) == 0 : is_localhost(host);
}

static bool is_same_host(const char *a, const char *b)
{
    struct literal left = literal_of(a);
    struct literal right = literal_of(b);
    if (left.family != 0 && left.family == right.family)
        return memcmp(left.bytes, right.bytes, sizeof left.bytes) == 0;
    if (left.family == 0 && right.family == 0)
        return text_equals_ignoring_case(text_of_string(a), text_of_string(b));
    return (is_localhost(a) && is_loopback(b)) || (is_localhost(b) && is_loopback(a));
}

/* Would both want the same file, or the same port of the same interface? A wildcard takes every interface of its family. */
static bool overlaps(const struct topology_listener *a, const struct topology_listener *b)
{
    if (a->path != NULL && b->path != NULL)
        return strcmp(a->path, b->path) == 0;
    if (a->host == NULL || b->host == NULL || a->port != b->port || a->port == 0)
        return false;
    if (is_same_host(a->host, b->host))
        return true;
    int left = literal_of(a->host).family;
    int right = literal_of(b->host).family;
    return (is_wildcard(a->host) || is_wildcard(b->host)) && (left == right || left == 0 || right == 0);
}

static const char *word_of(const struct topology_listener *listener)
{
    return listener->path != NULL ? "path" : "port";
}

/* Would a connection to `host` and `port` arrive at the listener? */
static bool is_reached(const struct topology_listener *listener, const char *host, uint16_t port)
{
    if (listener->host == NULL || listener->port != port)
        return false;
    return is_same_host(listener->host, host) || (is_wildcard(listener->host) && is_loopback(host));
}

void lint_addresses_listen_missing(const struct lint *lint)
{
    if (lint->is_serving && lint->is_complete && lint->topology->listener_count == 0)
        findings_error(lint->findings, lint_place(lint, lint->topology, "listen"),
                       "listen is missing or empty, so no client could connect; add listen: [\"0.0.0.0:8181\"]");
}

void lint_addresses_listen_twice(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *listener = &topology->listeners[i];
        struct place place = lint_place(lint, listener, "listen[].address");
        for (size_t j = 0; j < i; j++) {
            if (!overlaps(&topology->listeners[j], listener))
                continue;
            findings_error(lint->findings, place, "%s takes the %s of %s on line %u; give each listener its own %s",
                           listener->address, word_of(listener), topology->listeners[j].address,
                           topology->listeners[j].line, word_of(listener));
            break;
        }
        if (overlaps(&topology->admin, listener))
            findings_error(lint->findings, lint_place(lint, topology, "admin.address"),
                           "admin: %s takes the %s of the listener %s on line %u; give it its own %s",
                           topology->admin.address, word_of(listener), listener->address, listener->line,
                           word_of(listener));
    }
}

/* On a write-back listener every write follows the plugins' rules: round robin, and one hop at most. */
void lint_addresses_only_writeback(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->listener_count; i++) {
        if (topology->listeners[i].class != REQUEST_CLASS_WRITEBACK)
            return;
    }
    if (topology->listener_count > 0 && lint->is_complete)
        findings_warning(
            lint->findings, lint_place(lint, &topology->listeners[0], "listen[].class"),
            "every listener is for write-back, so the clients' writes are balanced as if from plugins; add a "
            "listener without class");
}

void lint_addresses_writeback_without_ingest(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    if (!lint->is_complete || topology->node_count == 0 || lint_has_capability(topology, NODE_CAPABILITY_INGEST))
        return;
    for (size_t i = 0; i < topology->listener_count; i++) {
        if (topology->listeners[i].class == REQUEST_CLASS_WRITEBACK)
            findings_error(
                lint->findings, lint_place(lint, &topology->listeners[i], "listen[].class"),
                "a write-back listener, but no node ingests; add a node with mode ingest, or remove the listener");
    }
}

/* Whoever reaches the admin listener drains nodes; and a token that it asks for crosses the network in clear text. */
void lint_addresses_admin_public(const struct lint *lint)
{
    const struct topology_listener *admin = &lint->topology->admin;
    if (admin->host != NULL && !is_loopback(admin->host))
        findings_error(lint->findings, lint_place(lint, lint->topology, "admin.address"),
                       "admin: %s can be reached from other machines, and the admin listener speaks no TLS; use "
                       "127.0.0.1:%u",
                       admin->address, admin->port);
}

void lint_addresses_url_missing(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->node_count && lint->is_serving; i++) {
        const struct topology_node *node = &lint->topology->nodes[i];
        /* A node without even a name has its own finding. */
        if (node->node_id != NULL && !origins_has(lint->origins, node, "nodes[].url"))
            findings_error(lint->findings, lint_place(lint, node, "nodes[].url"),
                           "\"%s\" has no url, so Sluice cannot reach it; add url: \"http://%s:8181\"", node->node_id,
                           node->node_id);
    }
}

/* Two nodes with the same text have the same address. */
#define ADDRESS_TEXT_CAPACITY 300
/* Stands for the first loopback address of a port. No host's name can be it, because it has a blank. */
#define ANY_LOOPBACK "any loopback:%u"

static void describe_address(const struct topology_node *node, char text[ADDRESS_TEXT_CAPACITY])
{
    char host[INET6_ADDRSTRLEN];
    struct literal literal = literal_of(node->host);
    if (literal.family != 0 && inet_ntop(literal.family, literal.bytes, host, sizeof host) != NULL) {
        text_append(text, ADDRESS_TEXT_CAPACITY, 0, "%s:%u", host, node->port);
        return;
    }
    text_append(text, ADDRESS_TEXT_CAPACITY, 0, "%s:%u", node->host, node->port);
    for (char *c = text; *c != '\0'; c++)
        *c = text_lower(*c);
}

/*
 * The first node with the address of node `index`, which is added: `*first` is `index` when there is none. localhost is
 * every loopback address, although these are not one another, so it is looked up by both names. False: out of memory.
 */
static bool find_same_address(struct seen *seen, const struct topology_node *node, size_t index, size_t *first)
{
    char own[ADDRESS_TEXT_CAPACITY];
    char other[ADDRESS_TEXT_CAPACITY];
    describe_address(node, own);
    if (!seen_add(seen, text_of_string(own), index, first))
        return false;
    if (!is_loopback(node->host))
        return true;
    bool is_name = is_localhost(node->host);
    size_t ignored;
    text_append(other, sizeof other, 0, is_name ? ANY_LOOPBACK : "localhost:%u", node->port);
    size_t by_other = seen_find(seen, text_of_string(other));
    if (by_other < *first)
        *first = by_other;
    text_append(other, sizeof other, 0, ANY_LOOPBACK, node->port);
    return is_name || seen_add(seen, text_of_string(other), index, &ignored);
}

/* One process under two names would get twice its share, and its two healths would differ. */
void lint_addresses_url_twice(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    struct seen *seen = seen_create();
    bool is_judged = seen != NULL;
    for (size_t i = 0; i < topology->node_count && is_judged; i++) {
        const struct topology_node *node = &topology->nodes[i];
        size_t first = i;
        if (node->host != NULL)
            is_judged = find_same_address(seen, node, i, &first);
        if (first == i)
            continue;
        const struct topology_node *earlier = &topology->nodes[first];
        struct place place = lint_place(lint, earlier, "nodes[].url");
        findings_error(lint->findings, lint_place(lint, node, "nodes[].url"),
                       "\"%s\" has the address of \"%s\" at %s:%u; give each node its own url",
                       lint_node_name(node), lint_node_name(earlier), place.file, place.line);
    }
    if (!is_judged)
        lint_out_of_memory(lint);
    seen_destroy(seen);
}

void lint_addresses_url_wildcard(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->node_count; i++) {
        const struct topology_node *node = &lint->topology->nodes[i];
        if (node->host != NULL && is_wildcard(node->host))
            findings_error(lint->findings, lint_place(lint, node, "nodes[].url"),
                           "\"%s\": %s is an address to listen on, not to connect to; write the node's own address",
                           lint_node_name(node), node->host);
    }
}

/* Each request would come back to Sluice until the loop guard stops it. */
void lint_addresses_url_is_sluice(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->node_count; i++) {
        const struct topology_node *node = &topology->nodes[i];
        const struct topology_listener *reached = NULL;
        for (size_t j = 0; j < topology->listener_count && node->host != NULL && reached == NULL; j++) {
            if (is_reached(&topology->listeners[j], node->host, node->port))
                reached = &topology->listeners[j];
        }
        if (reached == NULL && node->host != NULL && is_reached(&topology->admin, node->host, node->port))
            reached = &topology->admin;
        if (reached != NULL)
            findings_error(lint->findings, lint_place(lint, node, "nodes[].url"),
                           "\"%s\" is Sluice itself, which listens on %s; write the address of the influxdb3 process",
                           lint_node_name(node), reached->address);
    }
}
