/*
 * The lookup behind classify.h. Exact paths are found in a hash table that is built once; the few patterns, the gRPC
 * rows and the operator's routes are short lists that are walked in order.
 */
#include "routing/classify.h"

#include <stdlib.h>

#include "base/hash.h"
#include "routing/path_check.h"

/* The methods that rows name, one bit each; all others share a bit and are told apart by their name. */
enum method_bit {
    METHOD_BIT_GET = 1 << 0,
    METHOD_BIT_POST = 1 << 1,
    METHOD_BIT_PUT = 1 << 2,
    METHOD_BIT_DELETE = 1 << 3,
    METHOD_BIT_PATCH = 1 << 4,
    METHOD_BIT_HEAD = 1 << 5,
    METHOD_BIT_OPTIONS = 1 << 6,
    METHOD_BIT_OTHER = 1 << 7,
};
#define METHOD_BITS_ALL 0xff

#define ANY_CAPABILITY                                                                                                 \
    (NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY | NODE_CAPABILITY_COMPACT | NODE_CAPABILITY_PROCESS)

enum entry_kind { ENTRY_EXACT, ENTRY_PREFIX, ENTRY_PATTERN };

struct entry {
    struct text path;   /* of a prefix, without the asterisk */
    struct text method; /* the one method of an operator's route when it has no bit of its own; else empty */
    enum entry_kind kind;
    unsigned methods; /* enum method_bit */
    const struct route *route;
    const struct route *writeback; /* what a write gets that came back from a plugin; NULL unless class is write */
    struct entry *next;            /* exact built-in rows: the next one of this hash bucket */
};

#define BUCKET_COUNT 256

struct classifier {
    const struct topology *topology; /* ref */
    struct entry *entries;           /* one a row, in the order of the table, then the operator's */
    struct entry *buckets[BUCKET_COUNT];
    const struct entry **patterns; /* built-in rows without an exact path */
    size_t pattern_count;
    const struct entry **flights; /* built-in rows of class flight */
    size_t flight_count;
    const struct entry *operators; /* topology->route_count of them */
    struct entry *lenient;         /* the same, their paths as the most lenient reader takes them */
    bool operators_fold;           /* such a path differs from the one that was written: then plain paths need care, too */
    size_t longest_path;           /* of the exact rows: longer paths need no hash */
    struct route *operator_rows;   /* two for each of the operator's routes: plain, then as writeback */
    char *operator_paths;          /* their prefixes, with the asterisk that the topology dropped */
    char *lenient_paths;
};

/* RFC 9110 section 9.2.1: a safe method asks for nothing to change. */
static const struct route unknown_safe = {
    "GET HEAD", "*", REQUEST_CLASS_UNKNOWN, 0, NODE_CAPABILITY_QUERY, ROUTE_REPEAT_SAFE, ROUTE_TARGET_ONE};
static const struct route unknown_unsafe = {
    "*", "*", REQUEST_CLASS_UNKNOWN, 0, NODE_CAPABILITY_QUERY, ROUTE_REPEAT_STREAMED, ROUTE_TARGET_ONE};

/* Methods are case-sensitive (RFC 9110 section 9.1). */
static unsigned method_bit(struct text method)
{
    switch (method.length) {
    case 3:
        if (memcmp(method.bytes, "GET", 3) == 0)
            return METHOD_BIT_GET;
        return memcmp(method.bytes, "PUT", 3) == 0 ? METHOD_BIT_PUT : METHOD_BIT_OTHER;
    case 4:
        if (memcmp(method.bytes, "POST", 4) == 0)
            return METHOD_BIT_POST;
        return memcmp(method.bytes, "HEAD", 4) == 0 ? METHOD_BIT_HEAD : METHOD_BIT_OTHER;
    case 5:
        return memcmp(method.bytes, "PATCH", 5) == 0 ? METHOD_BIT_PATCH : METHOD_BIT_OTHER;
    case 6:
        return memcmp(method.bytes, "DELETE", 6) == 0 ? METHOD_BIT_DELETE : METHOD_BIT_OTHER;
    case 7:
        return memcmp(method.bytes, "OPTIONS", 7) == 0 ? METHOD_BIT_OPTIONS : METHOD_BIT_OTHER;
    default:
        return METHOD_BIT_OTHER;
    }
}

/* No client puts anything into the table, so nobody can make its buckets long. */
static size_t bucket_of(struct text path)
{
    return hash_text(path, 0) % BUCKET_COUNT;
}

/* A segment in braces stands for any one non-empty segment, a final asterisk for any rest. */
static bool pattern_matches(struct text pattern, struct text path)
{
    size_t i = 0, j = 0;
    while (i < pattern.length) {
        if (pattern.bytes[i] == '*' && i + 1 == pattern.length)
            return true;
        if (pattern.bytes[i] != '{') {
            if (j >= path.length || path.bytes[j] != pattern.bytes[i])
                return false;
            i++;
            j++;
            continue;
        }
        size_t start = j;
        while (j < path.length && path.bytes[j] != '/')
            j++;
        if (j == start)
            return false;
        while (pattern.bytes[i] != '}')
            i++;
        i++;
    }
    return j == path.length;
}

static bool entry_matches(const struct entry *entry, unsigned bit, struct text method, struct text path)
{
    if ((entry->methods & bit) == 0 || (entry->method.length > 0 && !text_equals(entry->method, method)))
        return false;
    switch (entry->kind) {
    case ENTRY_EXACT:
        return text_equals(entry->path, path);
    case ENTRY_PREFIX:
        return text_starts_with(path, entry->path);
    case ENTRY_PATTERN:
        break;
    }
    return pattern_matches(entry->path, path);
}

/* The entry for a request that is not gRPC, or NULL when nobody knows it. `operators` are the operator's, as written or lenient. */
static const struct entry *find_entry(const struct classifier *classifier, const struct entry *operators, struct text method,
                                      struct text path)
{
    unsigned bit = method_bit(method);
    for (size_t i = 0; i < classifier->topology->route_count; i++) {
        if (entry_matches(&operators[i], bit, method, path))
            return &operators[i];
    }
    if (path.length <= classifier->longest_path) {
        const struct entry *entry = classifier->buckets[bucket_of(path)];
        for (; entry != NULL; entry = entry->next) {
            if ((entry->methods & bit) != 0 && text_equals(entry->path, path))
                return entry;
        }
    }
    for (size_t i = 0; i < classifier->pattern_count; i++) {
        if (entry_matches(classifier->patterns[i], bit, method, path))
            return classifier->patterns[i];
    }
    return NULL;
}

static const struct route *find_flight_route(const struct classifier *classifier, struct text method, struct text path)
{
    unsigned bit = method_bit(method);
    size_t i = 0;
    while (!entry_matches(classifier->flights[i], bit, method, path))
        i++; /* ends: the last row of class flight takes everything */
    return classifier->flights[i]->route;
}

static enum request_class class_of_entry(const struct entry *entry)
{
    return entry == NULL ? REQUEST_CLASS_UNKNOWN : entry->route->class;
}

/* What the path would be for one lenient reader after the other, against what it is here. */
static bool reaches_another_class(const struct classifier *classifier, struct text method, struct text path,
                                  enum request_class class)
{
    char buffer[PATH_CANONICAL_BYTES + 1];
    path.length = path.length < PATH_CANONICAL_BYTES ? path.length : PATH_CANONICAL_BYTES;
    for (unsigned reading = 0; reading < PATH_READINGS; reading++) {
        struct text canonical = text_of(buffer, path_canonical(path, reading, buffer));
        enum request_class lenient = class_of_entry(find_entry(classifier, classifier->lenient, method, canonical));
        if (lenient != class && lenient != REQUEST_CLASS_UNKNOWN)
            return true;
    }
    return false;
}

/* The name at the place of {+name} is the user's and may have separators in it, for which there is no other way than an escape. */
static bool takes_separators(const struct entry *entry)
{
    return entry != NULL && entry->kind == ENTRY_PATTERN && text_find(entry->path, TEXT("{+")) >= 0;
}

/* `entry` is what the path reaches as it is. */
static bool is_ambiguous(const struct classifier *classifier, enum path_shape shape, struct text method, struct text path,
                         const struct entry *entry)
{
    if (shape == PATH_SHAPE_PLAIN)
        return false;
    return (shape == PATH_SHAPE_ESCAPED_SEPARATOR && !takes_separators(entry)) ||
           reaches_another_class(classifier, method, path, class_of_entry(entry));
}

static bool is_asterisk_form(struct text method, struct text path)
{
    return text_equals(path, TEXT("*")) && text_equals(method, TEXT("OPTIONS"));
}

/* Beside an operator's route that is not its own lenient form, no path is plain. */
static enum path_shape shape_beside_operators(const struct classifier *classifier, struct text method, struct text path)
{
    if (is_asterisk_form(method, path))
        return PATH_SHAPE_PLAIN;
    enum path_shape shape = path_shape(path);
    return shape == PATH_SHAPE_PLAIN && classifier->operators_fold ? PATH_SHAPE_FOLDABLE : shape;
}

enum fault classify_check_path(const struct classifier *classifier, struct text method, struct text path)
{
    enum path_shape shape = shape_beside_operators(classifier, method, path);
    if (shape == PATH_SHAPE_PLAIN)
        return FAULT_NONE;
    if (shape == PATH_SHAPE_REFUSED)
        return FAULT_REQUEST_PATH_AMBIGUOUS;
    const struct entry *entry = find_entry(classifier, classifier->operators, method, path);
    return is_ambiguous(classifier, shape, method, path, entry) ? FAULT_REQUEST_PATH_AMBIGUOUS : FAULT_NONE;
}

static struct classify_answer refuse(enum fault fault, const struct route *route)
{
    return (struct classify_answer){fault, route == NULL ? REQUEST_CLASS_UNKNOWN : route->class, route};
}

static struct classify_answer accept_route(const struct route *route)
{
    if (route->target == ROUTE_TARGET_NOBODY)
        return refuse(FAULT_ROUTE_DENIED, route);
    return (struct classify_answer){FAULT_NONE, route->class, route};
}

static struct classify_answer answer_unknown(const struct classifier *classifier, struct text method)
{
    bool is_safe = (method_bit(method) & (METHOD_BIT_GET | METHOD_BIT_HEAD)) != 0;
    const struct route *route = is_safe ? &unknown_safe : &unknown_unsafe;
    if (classifier->topology->unknown == TOPOLOGY_UNKNOWN_DENY)
        return refuse(FAULT_ROUTE_DENIED, route);
    return accept_route(route);
}

struct classify_answer classify(const struct classifier *classifier, const struct classify_question *question)
{
    struct text method = question->method, path = question->path;
    if (text_equals(method, TEXT("CONNECT")) || text_equals(method, TEXT("TRACE")))
        return refuse(FAULT_REQUEST_METHOD, NULL);
    enum path_shape shape = shape_beside_operators(classifier, method, path);
    if (shape == PATH_SHAPE_REFUSED || (shape == PATH_SHAPE_ESCAPED_SEPARATOR && question->is_grpc))
        return refuse(FAULT_REQUEST_PATH_AMBIGUOUS, NULL);
    /* Any other reading of the path is Flight as well: the node does not look at it before it has seen gRPC. */
    if (question->is_grpc)
        return accept_route(find_flight_route(classifier, method, path));
    const struct entry *entry = find_entry(classifier, classifier->operators, method, path);
    if (is_ambiguous(classifier, shape, method, path, entry))
        return refuse(FAULT_REQUEST_PATH_AMBIGUOUS, NULL);
    if (class_of_entry(entry) == REQUEST_CLASS_UNKNOWN)
        return answer_unknown(classifier, method);
    return accept_route(question->is_writeback && entry->writeback != NULL ? entry->writeback : entry->route);
}

static unsigned method_bits(const char *methods)
{
    if (strcmp(methods, "*") == 0)
        return METHOD_BITS_ALL;
    unsigned bits = 0;
    for (struct text rest = text_of_string(methods); rest.bytes != NULL;)
        bits |= method_bit(text_cut(&rest, ' '));
    return bits;
}

static struct entry entry_of_route(const struct route *route)
{
    struct text path = text_of_string(route->path);
    struct entry entry = {.path = path, .methods = method_bits(route->methods), .route = route};
    if (memchr(path.bytes, '{', path.length) != NULL) {
        entry.kind = ENTRY_PATTERN;
    } else if (path.length > 0 && path.bytes[path.length - 1] == '*') {
        entry.kind = ENTRY_PREFIX;
        entry.path.length--;
    }
    return entry;
}

/* Adds an exact row behind those of its bucket, so that the table's order holds. */
static void add_exact(struct classifier *classifier, struct entry *entry)
{
    struct entry **place = &classifier->buckets[bucket_of(entry->path)];
    while (*place != NULL)
        place = &(*place)->next;
    *place = entry;
    if (entry->path.length > classifier->longest_path)
        classifier->longest_path = entry->path.length;
}

static const struct route *find_writeback_row(const struct route *write)
{
    for (size_t i = 0; i < routes_builtin_count; i++) {
        const struct route *row = &routes_builtin[i];
        if (row->class == REQUEST_CLASS_WRITEBACK && strcmp(row->path, write->path) == 0)
            return row;
    }
    return NULL;
}

static void add_builtin_rows(struct classifier *classifier)
{
    for (size_t i = 0; i < routes_builtin_count; i++) {
        struct entry *entry = &classifier->entries[i];
        *entry = entry_of_route(&routes_builtin[i]);
        switch (entry->route->class) {
        case REQUEST_CLASS_FLIGHT:
            classifier->flights[classifier->flight_count++] = entry;
            continue;
        case REQUEST_CLASS_WRITEBACK:
            continue;
        case REQUEST_CLASS_WRITE:
            entry->writeback = find_writeback_row(entry->route);
            break;
        default:
            break;
        }
        if (entry->kind == ENTRY_EXACT)
            add_exact(classifier, entry);
        else
            classifier->patterns[classifier->pattern_count++] = entry;
    }
}

/* What a class means for a route of which nothing else is known. */
static struct route row_of_class(enum request_class class)
{
    static const struct route rows[REQUEST_CLASS_COUNT] = {
#define DEFAULTS(class, capabilities, preferred, repeat, target)                                                       \
    [REQUEST_CLASS_##class] = {                                                                                        \
        NULL, NULL, REQUEST_CLASS_##class, capabilities, preferred, ROUTE_REPEAT_##repeat, ROUTE_TARGET_##target}
        DEFAULTS(WRITE, NODE_CAPABILITY_INGEST, 0, WRITE, ONE),
        DEFAULTS(WRITEBACK, NODE_CAPABILITY_INGEST, 0, UNSENT, ONE),
        DEFAULTS(QUERY, NODE_CAPABILITY_QUERY, 0, SAFE, ONE),
        DEFAULTS(FLIGHT, NODE_CAPABILITY_QUERY, 0, SAFE, ONE),
        DEFAULTS(ENGINE, NODE_CAPABILITY_PROCESS, NODE_CAPABILITY_QUERY, UNSENT, ONE),
        DEFAULTS(CATALOG, 0, NODE_CAPABILITY_QUERY, UNSENT, ONE),
        DEFAULTS(PLUGIN, NODE_CAPABILITY_PROCESS, 0, UNSENT, NAMED_OR_ONE),
        DEFAULTS(COMPACTION, NODE_CAPABILITY_COMPACT, 0, STREAMED, ONE),
        DEFAULTS(NODE, ANY_CAPABILITY, 0, UNSENT, NAMED),
        DEFAULTS(SYSTEM, ANY_CAPABILITY, 0, UNSENT, ONE), /* as /ping: Sluice itself knows no answer to it */
        DEFAULTS(UNKNOWN, 0, NODE_CAPABILITY_QUERY, STREAMED, ONE),
#undef DEFAULTS
    };
    return rows[class];
}

static struct route row_of_operator_route(const struct topology_route *route, enum request_class class,
                                          const char *path)
{
    struct route row = row_of_class(class);
    row.methods = route->method;
    row.path = path;
    bool is_safe_method = strcmp(route->method, "GET") == 0 || strcmp(route->method, "HEAD") == 0;
    if (is_safe_method && (row.repeat == ROUTE_REPEAT_UNSENT || row.repeat == ROUTE_REPEAT_STREAMED))
        row.repeat = ROUTE_REPEAT_SAFE;
    return row;
}

static void add_operator_routes(struct classifier *classifier)
{
    const struct topology *topology = classifier->topology;
    struct entry *entries = classifier->entries + routes_builtin_count;
    char *paths = classifier->operator_paths;
    for (size_t i = 0; i < topology->route_count; i++) {
        const struct topology_route *route = &topology->routes[i];
        struct text path = text_of_string(route->path);
        struct route *row = &classifier->operator_rows[2 * i];
        char *row_path = paths;
        memcpy(paths, path.bytes, path.length);
        paths += path.length;
        if (route->is_prefix)
            *paths++ = '*';
        *paths++ = '\0';
        row[0] = row_of_operator_route(route, route->class, row_path);
        row[1] = row_of_operator_route(route, REQUEST_CLASS_WRITEBACK, row_path);
        struct entry *entry = &entries[i];
        *entry = (struct entry){.path = path, .methods = method_bits(route->method), .route = &row[0]};
        entry->kind = route->is_prefix ? ENTRY_PREFIX : ENTRY_EXACT;
        if (entry->methods == METHOD_BIT_OTHER)
            entry->method = text_of_string(route->method);
        if (route->class == REQUEST_CLASS_WRITE)
            entry->writeback = &row[1];
    }
    classifier->operators = entries;
}

/* Each of the operator's entries once more, with what path_canonical makes of its path; a slash at its end stays. */
static void add_lenient_routes(struct classifier *classifier)
{
    char *at = classifier->lenient_paths;
    for (size_t i = 0; i < classifier->topology->route_count; i++) {
        struct entry *entry = &classifier->lenient[i];
        *entry = classifier->operators[i];
        struct text own = entry->path;
        if (own.length == 0 || own.length > PATH_CANONICAL_BYTES || own.bytes[0] != '/')
            continue;
        char buffer[PATH_CANONICAL_BYTES + 1];
        size_t length = path_canonical(own, PATH_READING_KEEPS_SLASH, buffer);
        memcpy(at, buffer, length);
        entry->path = text_of(at, length);
        at += length;
        classifier->operators_fold = classifier->operators_fold || !text_equals(own, entry->path);
    }
}

static size_t operator_path_bytes(const struct topology *topology)
{
    size_t total = 0;
    for (size_t i = 0; i < topology->route_count; i++)
        total += strlen(topology->routes[i].path) + sizeof("*");
    return total;
}

struct classifier *classifier_create(const struct topology *topology)
{
    struct classifier *classifier = calloc(1, sizeof(*classifier));
    if (classifier == NULL)
        return NULL;
    classifier->topology = topology;
    classifier->entries = calloc(routes_builtin_count + topology->route_count, sizeof(*classifier->entries));
    classifier->patterns = calloc(routes_builtin_count, sizeof(*classifier->patterns));
    classifier->flights = calloc(routes_builtin_count, sizeof(*classifier->flights));
    /* One more of each, so that no routes are no special case. */
    classifier->operator_rows = calloc(2 * topology->route_count + 1, sizeof(*classifier->operator_rows));
    classifier->operator_paths = calloc(operator_path_bytes(topology) + 1, 1);
    classifier->lenient = calloc(topology->route_count + 1, sizeof(*classifier->lenient));
    classifier->lenient_paths = calloc(operator_path_bytes(topology) + 1, 1);
    if (classifier->entries == NULL || classifier->patterns == NULL || classifier->flights == NULL ||
        classifier->operator_rows == NULL || classifier->operator_paths == NULL || classifier->lenient == NULL ||
        classifier->lenient_paths == NULL) {
        classifier_destroy(classifier);
        return NULL;
    }
    add_builtin_rows(classifier);
    add_operator_routes(classifier);
    add_lenient_routes(classifier);
    return classifier;
}

void classifier_destroy(struct classifier *classifier)
{
    if (classifier == NULL)
        return;
    free(classifier->entries);
    free(classifier->patterns);
    free(classifier->flights);
    free(classifier->operator_rows);
    free(classifier->operator_paths);
    free(classifier->lenient);
    free(classifier->lenient_paths);
    free(classifier);
}

/* Every node should have a plugin_dir, which makes it process-capable: that does not make a compactor serve clients. */
bool classify_node_fits(const struct topology_node *node, unsigned capabilities)
{
    return capabilities == 0 ? node->modes != NODE_MODE_COMPACT : (node->capabilities & capabilities) != 0;
}

bool classify_node_is_preferred(const struct topology_node *node, unsigned capabilities, unsigned preferred)
{
    return classify_node_fits(node, capabilities) && (preferred == 0 || (node->capabilities & preferred) != 0);
}
