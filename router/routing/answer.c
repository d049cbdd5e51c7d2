#include "routing/answer.h"

#include "routing/policy.h"

/* Who is asked about, as the policy's refusals tell the classes apart. */
enum family {
    FAMILY_WRITE = 1 << 0,
    FAMILY_ENGINE = 1 << 1,
    FAMILY_OTHER = 1 << 2,
};

static enum family family_of(enum request_class class)
{
    switch (policy_of(class)->refusal) {
    case POLICY_REFUSAL_WRITE:
        return FAMILY_WRITE;
    case POLICY_REFUSAL_ENGINE:
        return FAMILY_ENGINE;
    case POLICY_REFUSAL_NONE:
        break;
    }
    return FAMILY_OTHER;
}

/* An error begins with these words, in any case. The first row that fits counts. */
#define ANY 0 /* 400 or any 5xx */
static const struct {
    unsigned families;
    unsigned status;
    const char *beginning;
    enum answer_cause cause;
} rows[] = {
    {FAMILY_WRITE, ANY, "cannot write to a read-only server", ANSWER_CAUSE_ROLE},
    {FAMILY_WRITE, ANY, "cannot write to a compactor-only server", ANSWER_CAUSE_ROLE},
    {FAMILY_WRITE, ANY, "wal is shutdown", ANSWER_CAUSE_SHUTDOWN},
    {FAMILY_WRITE, ANY, "wal is shutting down", ANSWER_CAUSE_SHUTDOWN},
    {FAMILY_WRITE, ANY, "node is running an older version", ANSWER_CAUSE_VERSION},
    {FAMILY_WRITE, ANY, "wal buffer full", ANSWER_CAUSE_MEMORY},
    {FAMILY_WRITE, ANY, "error writing wal file", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "resources exhausted", ANSWER_CAUSE_MEMORY},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "object store error", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "generic s3 error", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "generic gcs error", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "generic microsoftazure error", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE | FAMILY_OTHER, ANY, "generic localfilesystem error", ANSWER_CAUSE_OBJECT_STORE},
    {FAMILY_WRITE, ANY, "update to schema would exceed", ANSWER_CAUSE_LIMIT},
    {FAMILY_WRITE, ANY, "adding a new database would exceed", ANSWER_CAUSE_LIMIT},
    {FAMILY_WRITE, 400, "partial write of line protocol", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "line protocol parsing error", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "parsing failed for write_lp endpoint", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "parsing for line protocol failed", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "unable to parse", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "incoming write was empty", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "invalid", ANSWER_CAUSE_CLIENT},
    {FAMILY_WRITE, 400, "the request was not authenticated", ANSWER_CAUSE_CLIENT},
};

/* ---- the error's own words ---- */

static struct text skip(struct text t, size_t count)
{
    return text_of(t.bytes + count, t.length - count);
}

/* The whole body, or in JSON what follows `"message":"` or else `"error":"`. */
static struct text error_words(struct text body)
{
    static const struct text keys[] = {{"\"message\":", 10}, {"\"error\":", 8}};
    body = text_trim(body);
    if (body.length == 0 || body.bytes[0] != '{')
        return body;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ptrdiff_t at = text_find(body, keys[i]);
        if (at < 0)
            continue;
        struct text words = text_trim(skip(body, (size_t)at + keys[i].length));
        return words.length > 0 && words.bytes[0] == '"' ? skip(words, 1) : TEXT_EMPTY;
    }
    return TEXT_EMPTY;
}

static bool begins_with(struct text t, struct text beginning)
{
    return t.length >= beginning.length && text_equals_ignoring_case(text_of(t.bytes, beginning.length), beginning);
}

/*
 * The length of one layer that an error puts before its cause, "error from wal: "; 0 when there is none. Plain words only, so a layer
 * never reaches into line protocol or SQL that a node quotes.
 */
#define LAYER_BYTES 40
#define LAYERS_MAXIMUM 4
static size_t layer_length(struct text words)
{
    for (size_t i = 0; i < words.length && i < LAYER_BYTES; i++) {
        char c = text_lower(words.bytes[i]);
        if (c == ':')
            return i > 0 && i + 1 < words.length && words.bytes[i + 1] == ' ' ? i + 2 : 0;
        if (c != ' ' && (c < 'a' || c > 'z'))
            return 0;
    }
    return 0;
}

/* A writer's lines may stand behind any layer but these. */
static bool may_have_layers(enum family family, struct text words)
{
    return family != FAMILY_WRITE || begins_with(words, TEXT("write buffer error: ")) || begins_with(words, TEXT("catalog modification failed: "));
}

static bool row_fits(size_t row, enum family family, unsigned status, struct text words)
{
    if ((rows[row].families & family) == 0 || !begins_with(words, text_of_string(rows[row].beginning)))
        return false;
    return rows[row].status == ANY ? status == 400 || status >= 500 : status == rows[row].status;
}

static enum answer_cause find_words(enum family family, unsigned status, struct text body)
{
    struct text words = error_words(body);
    for (unsigned layers = 0; layers <= LAYERS_MAXIMUM; layers++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            if (row_fits(i, family, status, words))
                return rows[i].cause;
        }
        if (layers == 0 && !may_have_layers(family, words))
            break;
        words = skip(words, layer_length(words));
    }
    return ANSWER_CAUSE_NONE;
}

/* ---- REST ---- */

static enum answer_cause cause_in_engine(unsigned status, struct text words)
{
    if (status == 405 || (status == 404 && text_equals(words, TEXT("{error: \"not found\"}"))))
        return ANSWER_CAUSE_ROLE;
    return status >= 500 ? ANSWER_CAUSE_UNKNOWN : ANSWER_CAUSE_CLIENT;
}

/*
 * Every node that takes writes knows their routes, and creates the database that it does not know: without the route it is a node of another kind, or no
 * InfluxDB at all. Before version 3 a write could name what does not exist, and clients act on these words.
 */
static bool is_missing_route(unsigned status, struct text body)
{
    struct text words = error_words(body);
    return status == 405 || (!begins_with(words, TEXT("database not found")) && !begins_with(words, TEXT("retention policy not found")));
}

enum answer_cause answer_cause_of(enum request_class class, unsigned status, struct text words)
{
    enum family family = family_of(class);
    if (status < 400)
        return ANSWER_CAUSE_NONE;
    if (family == FAMILY_ENGINE)
        return cause_in_engine(status, words);
    if (family == FAMILY_WRITE && (status == 404 || status == 405))
        return is_missing_route(status, words) ? ANSWER_CAUSE_ROLE : ANSWER_CAUSE_CLIENT;
    if (family == FAMILY_WRITE && status == 422)
        return ANSWER_CAUSE_LIMIT;
    if (status == 429)
        return ANSWER_CAUSE_MEMORY;
    enum answer_cause cause = find_words(family, status, words);
    if (cause != ANSWER_CAUSE_NONE)
        return cause;
    if (status >= 502 && status <= 504)
        return ANSWER_CAUSE_GATEWAY;
    bool is_telling = status >= 500 || (family == FAMILY_WRITE && status == 400);
    return is_telling ? ANSWER_CAUSE_UNKNOWN : ANSWER_CAUSE_CLIENT;
}

/* Where twice does no harm, an answer that another node may better: short of memory, or somebody in front of a node that is not there. */
static bool is_telling_of_node(unsigned status)
{
    return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

bool answer_needs_words(enum request_class class, enum route_repeat repeat, unsigned status)
{
    switch (family_of(class)) {
    case FAMILY_WRITE:
        return status == 400 || status == 404 || status == 405 || status == 429 || status >= 500;
    case FAMILY_ENGINE:
        return status == 404 || status == 405;
    case FAMILY_OTHER:
        break;
    }
    return repeat == ROUTE_REPEAT_SAFE && is_telling_of_node(status);
}

enum answer_meaning answer_meaning_of(enum request_class class, enum route_repeat repeat, unsigned status, enum answer_cause cause)
{
    enum family family = family_of(class);
    switch (cause) {
    case ANSWER_CAUSE_ROLE:
    case ANSWER_CAUSE_SHUTDOWN:
    case ANSWER_CAUSE_VERSION:
        return ANSWER_REFUSES;
    case ANSWER_CAUSE_OBJECT_STORE:
        return family == FAMILY_WRITE ? ANSWER_FAILS : ANSWER_IS_THE_CLIENTS;
    case ANSWER_CAUSE_MEMORY:
    case ANSWER_CAUSE_GATEWAY:
        return family == FAMILY_WRITE || (family == FAMILY_OTHER && repeat == ROUTE_REPEAT_SAFE) ? ANSWER_FAILS : ANSWER_IS_THE_CLIENTS;
    case ANSWER_CAUSE_UNKNOWN:
        return family == FAMILY_WRITE && status >= 500 ? ANSWER_FAILS : ANSWER_IS_THE_CLIENTS;
    default:
        return ANSWER_IS_THE_CLIENTS;
    }
}

bool answer_is_hidden(enum request_class class, enum answer_cause cause)
{
    if (family_of(class) != FAMILY_WRITE)
        return false;
    return cause == ANSWER_CAUSE_ROLE || cause == ANSWER_CAUSE_SHUTDOWN || cause == ANSWER_CAUSE_VERSION || cause == ANSWER_CAUSE_OBJECT_STORE ||
           cause == ANSWER_CAUSE_MEMORY;
}

bool answer_counts_against_node(enum request_class class, unsigned status, enum answer_cause cause)
{
    switch (cause) {
    case ANSWER_CAUSE_SHUTDOWN:
    case ANSWER_CAUSE_OBJECT_STORE:
    case ANSWER_CAUSE_MEMORY:
    case ANSWER_CAUSE_GATEWAY:
        return true;
    case ANSWER_CAUSE_UNKNOWN:
        /* What a plugin answers is its own business, and words of a 400 that are not known are most often about the client's lines. */
        return status >= 500 && family_of(class) != FAMILY_ENGINE;
    default:
        return false;
    }
}

/* ---- gRPC ---- */

/* Blanks may be escaped in grpc-message. */
static bool is_own_deadline(struct text message)
{
    return text_find(message, TEXT("grpc-timeout")) >= 0 && text_find(message, TEXT("elapsed")) >= 0;
}

enum answer_cause answer_cause_of_call(enum grpc_status status, struct text message)
{
    switch (status) {
    case GRPC_STATUS_OK:
        return ANSWER_CAUSE_NONE;
    case GRPC_STATUS_UNAVAILABLE:
        return ANSWER_CAUSE_UNAVAILABLE;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return is_own_deadline(message) ? ANSWER_CAUSE_CLIENT : ANSWER_CAUSE_MEMORY;
    case GRPC_STATUS_INTERNAL:
    case GRPC_STATUS_UNKNOWN:
    case GRPC_STATUS_DATA_LOSS:
        return ANSWER_CAUSE_UNKNOWN;
    default:
        return ANSWER_CAUSE_CLIENT;
    }
}

enum answer_meaning answer_meaning_of_call(enum answer_cause cause)
{
    return cause == ANSWER_CAUSE_UNAVAILABLE || cause == ANSWER_CAUSE_MEMORY ? ANSWER_FAILS : ANSWER_IS_THE_CLIENTS;
}
