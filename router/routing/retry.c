#include "routing/retry.h"

#include "routing/policy.h"

static bool has(const struct retry_question *question, enum retry_fact fact)
{
    return (question->facts & (unsigned)fact) != 0;
}

/* May the node get this request a second time, should it have acted on the first? */
static bool is_harmless_twice(const struct retry_question *question)
{
    if (question->class == REQUEST_CLASS_WRITEBACK)
        return false;
    switch (question->repeat) {
    case ROUTE_REPEAT_SAFE:
        return true;
    case ROUTE_REPEAT_WRITE:
        return has(question, RETRY_IS_TIMESTAMPED);
    case ROUTE_REPEAT_UNSENT:
    case ROUTE_REPEAT_STREAMED:
        break;
    }
    return false;
}

/*
 * A node reads the body of a request to its end before it acts, and treats a shorter one as no request at all (RFC 9112 section 8): while
 * its last byte had not left, nothing was processed. Where bodies are streams (gRPC, import), the first message may have done something.
 */
static bool is_never_applied(const struct retry_question *question)
{
    return !has(question, RETRY_REQUEST_HAS_LEFT) && question->repeat != ROUTE_REPEAT_STREAMED;
}

static bool may_repeat(const struct retry_question *question)
{
    if (has(question, RETRY_COMMITTED) || !has(question, RETRY_BODY_IS_KEPT))
        return false;
    if (question->attempts >= policy_of(question->class)->attempts_maximum)
        return false;
    if (question->deadline_ms != 0 && question->now_ms >= question->deadline_ms)
        return false;
    switch (fault_row(question->fault)->repeat) {
    case FAULT_REPEAT_NEVER:
        return false;
    case FAULT_REPEAT_UNSENT:
        return true;
    case FAULT_REPEAT_UNKNOWN:
        break;
    }
    return is_never_applied(question) || is_harmless_twice(question);
}

/*
 * A kept-alive link may have died of age: then the node itself is well, and a fresh link to it will do. So it will for a stream that a
 * link refused because it was full or is going away.
 */
static bool may_be_link_age(const struct retry_question *question)
{
    if (question->fault == FAULT_UPSTREAM_REFUSED_STREAM)
        return true;
    return has(question, RETRY_LINK_WAS_REUSED) &&
           (question->fault == FAULT_LINK_CLOSED_UNREAD || question->fault == FAULT_UPSTREAM_CLOSED ||
            question->fault == FAULT_UPSTREAM_RESET || question->fault == FAULT_LINK_SILENT);
}

enum retry_decision retry_decide(const struct retry_question *question)
{
    if (!may_repeat(question))
        return RETRY_GIVE_UP;
    if (question->fault == FAULT_LINK_CLOSED_UNREAD && has(question, RETRY_LINK_WAS_REUSED))
        return RETRY_AGAIN_HERE;
    if (has(question, RETRY_OTHERS_USABLE))
        return RETRY_AGAIN_ELSEWHERE;
    return may_be_link_age(question) ? RETRY_AGAIN_HERE : RETRY_GIVE_UP;
}

static struct text skip(struct text t, size_t count)
{
    return text_of(t.bytes + count, t.length - count);
}

/*
 * The error's own words: the whole body, or in JSON what follows `"message":"` or else `"error":"`. Only their
 * beginning is compared, because further on a node quotes the client's lines.
 */
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
 * never reaches into line protocol that a node quotes.
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

static bool is_write_refusal(struct text body)
{
    static const struct text beginnings[] = {
        {"cannot write to a read-only server", 34},
        {"cannot write to a compactor-only server", 39},
        {"wal is shutdown", 15},
        {"wal is shutting down", 20},
    };
    struct text words = error_words(body);
    for (unsigned layers = 0; layers <= LAYERS_MAXIMUM; layers++) {
        for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
            if (begins_with(words, beginnings[i]))
                return true;
        }
        if (layers == 0 && !begins_with(words, TEXT("write buffer error: ")))
            return false;
        words = skip(words, layer_length(words));
    }
    return false;
}

bool retry_may_be_refusal(enum request_class class, unsigned status)
{
    switch (policy_of(class)->refusal) {
    case POLICY_REFUSAL_WRITE:
        return status == 400 || status == 500 || status == 503;
    case POLICY_REFUSAL_ENGINE:
        return status == 404 || status == 405;
    case POLICY_REFUSAL_NONE:
        break;
    }
    return false;
}

bool retry_is_refusal(enum request_class class, unsigned status, struct text body)
{
    if (!retry_may_be_refusal(class, status))
        return false;
    if (policy_of(class)->refusal == POLICY_REFUSAL_WRITE)
        return is_write_refusal(body);
    return status == 405 || text_equals(body, TEXT("{error: \"not found\"}"));
}
