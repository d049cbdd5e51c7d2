/*
 * Paths and classes: what the strict reading puts into a class, no lenient reading of the same bytes puts into another one. The lenient
 * readers are made here, one for each set of liberties, and look the path up in the table of routes by themselves.
 *
 * The input is a method and a flag (the first byte), then the path.
 */
#include "fuzz/fuzz.h"
#include "routing/classify.h"

static struct topology_route operator_routes[] = {
    {.method = "POST", .path = "/ingest/special", .class = REQUEST_CLASS_WRITE},
    {.method = "POST", .path = "/ingest/", .is_prefix = true, .class = REQUEST_CLASS_WRITEBACK},
    {.method = "GET", .path = "/Mixed/Case", .class = REQUEST_CLASS_QUERY},
    {.method = "*", .path = "/UI/", .is_prefix = true, .class = REQUEST_CLASS_QUERY},
    {.method = "GET", .path = "/a%20b", .class = REQUEST_CLASS_NODE},
    {.method = "PURGE", .path = "/cache", .class = REQUEST_CLASS_NODE},
    {.method = "*", .path = "/whatever", .class = REQUEST_CLASS_UNKNOWN},
};

static const char *const methods[] = {"POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE", "CONNECT", "TRACE", "get"};
#define METHODS (sizeof methods / sizeof methods[0])

/* ---- the table, read without the classifier ---- */

static bool names_method(const char *row, const char *method)
{
    if (strcmp(row, "*") == 0)
        return true;
    for (struct text rest = text_of_string(row); rest.bytes != NULL;) {
        if (text_equals(text_cut(&rest, ' '), text_of_string(method)))
            return true;
    }
    return false;
}

static bool is_pattern(const char *path)
{
    return strpbrk(path, "{*") != NULL;
}

static bool is_same_byte(char a, char b, bool folds_case)
{
    return a == b || (folds_case && text_lower(a) == text_lower(b));
}

static bool fits(const char *pattern, struct text path, bool folds_case)
{
    size_t at = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '*' && p[1] == '\0')
            return true;
        if (*p == '{') {
            size_t start = at;
            while (at < path.length && path.bytes[at] != '/')
                at++;
            if (at == start)
                return false;
            p = strchr(p, '}');
        } else if (at < path.length && is_same_byte(path.bytes[at], *p, folds_case)) {
            at++;
        } else {
            return false;
        }
    }
    return at == path.length;
}

/* Rows of these classes are never found by their path alone. */
static bool is_found_by_path(const struct route *row)
{
    return row->class != REQUEST_CLASS_FLIGHT && row->class != REQUEST_CLASS_WRITEBACK;
}

static bool fits_operator(const struct topology_route *route, struct text path, bool folds_case)
{
    struct text own = text_of_string(route->path);
    if (route->is_prefix && path.length > own.length)
        path.length = own.length;
    return folds_case ? text_equals_ignoring_case(path, own) : text_equals(path, own);
}

static enum request_class class_in_table(const char *method, struct text path, bool folds_case)
{
    for (size_t i = 0; i < sizeof operator_routes / sizeof operator_routes[0]; i++) {
        if (fits_operator(&operator_routes[i], path, folds_case) && names_method(operator_routes[i].method, method))
            return operator_routes[i].class;
    }
    for (int patterns = 0; patterns < 2; patterns++) {
        for (size_t i = 0; i < routes_builtin_count; i++) {
            const struct route *row = &routes_builtin[i];
            if (is_found_by_path(row) && fits(row->path, path, folds_case) && is_pattern(row->path) == (patterns == 1) &&
                names_method(row->methods, method))
                return row->class;
        }
    }
    return REQUEST_CLASS_UNKNOWN;
}

/* ---- lenient readers ---- */

enum liberty {
    DECODES = 3, /* so many times */
    MERGES_SLASHES = 4,
    RESOLVES_DOTS = 8,
    DROPS_PARAMETERS = 16,
    DROPS_LAST_SLASH = 32,
    TURNS_BACKSLASHES = 64,
    CUTS_QUERY = 128,
    FOLDS_CASE = 256, /* in the lookup */
};
#define LIBERTIES 256

static int digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, text_lower(c));
    return found == NULL ? -1 : (int)(found - digits);
}

static size_t decode(char *path, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++, used++) {
        path[used] = path[i];
        if (path[i] == '%' && i + 2 < length && digit(path[i + 1]) >= 0 && digit(path[i + 2]) >= 0) {
            path[used] = (char)(digit(path[i + 1]) * 16 + digit(path[i + 2]));
            i += 2;
        }
    }
    return used;
}

/* Segment by segment into `out`; a path keeps its slashes where nobody merges them. */
static size_t walk(struct text path, unsigned liberties, char *out)
{
    size_t used = 0;
    struct text rest = text_of(path.bytes + 1, path.length - 1);
    for (bool more = true; more;) {
        struct text segment = text_cut(&rest, '/');
        more = rest.bytes != NULL;
        if ((liberties & DROPS_PARAMETERS) != 0)
            segment = text_cut(&(struct text){segment.bytes, segment.length}, ';');
        bool is_dots = (liberties & RESOLVES_DOTS) != 0 && (text_equals(segment, TEXT(".")) || text_equals(segment, TEXT("..")));
        if (is_dots && segment.length == 2) {
            while (used > 0 && out[--used] != '/')
                ;
        }
        /* The last segment of "/a/" is empty: that is its slash. */
        if (is_dots || ((liberties & MERGES_SLASHES) != 0 && segment.length == 0 && more))
            continue;
        out[used++] = '/';
        if (segment.length > 0)
            memcpy(out + used, segment.bytes, segment.length);
        used += segment.length;
    }
    return used;
}

#define PATH_BYTES 512

/* What the path is to such a reader, into `walked`; 0 when it is none. */
static size_t read_leniently(struct text path, unsigned liberties, char *walked)
{
    char bytes[PATH_BYTES];
    size_t length = path.length;
    memcpy(bytes, path.bytes, length);
    for (unsigned times = liberties & DECODES; times > 0; times--)
        length = decode(bytes, length);
    for (size_t i = 0; i < length; i++) {
        if ((liberties & CUTS_QUERY) != 0 && (bytes[i] == '?' || bytes[i] == '#'))
            length = i;
        else if ((liberties & TURNS_BACKSLASHES) != 0 && bytes[i] == '\\')
            bytes[i] = '/';
    }
    if (length == 0 || bytes[0] != '/')
        return 0;
    size_t used = walk(text_of(bytes, length), liberties, walked);
    while ((liberties & DROPS_LAST_SLASH) != 0 && used > 1 && walked[used - 1] == '/')
        used--;
    return used;
}

/* ---- the property ---- */

static void expect_class(const char *method, struct text path, unsigned liberties, enum request_class class)
{
    enum request_class lenient = class_in_table(method, path, (liberties & FOLDS_CASE) != 0);
    if (lenient != class && lenient != REQUEST_CLASS_UNKNOWN)
        fprintf(stderr, "%s, but %s as %s %.*s to a reader who takes the liberties 0x%x\n", request_class_name(class),
                request_class_name(lenient), method, TEXT_ARGUMENTS(path), liberties);
    expect(lenient == class || lenient == REQUEST_CLASS_UNKNOWN);
}

static void expect_one_class(const char *method, struct text path, enum request_class class)
{
    expect_class(method, path, 0, class);
    expect_class(method, path, FOLDS_CASE, class);
    char last[PATH_BYTES + 1];
    size_t last_length = 0;
    for (unsigned liberties = 0; liberties < LIBERTIES; liberties++) {
        char walked[PATH_BYTES + 1];
        size_t length = read_leniently(path, liberties, walked);
        /* What reads as before, or as the path itself, has been looked up. */
        if ((length == last_length && memcmp(walked, last, length) == 0) || text_equals(text_of(walked, length), path))
            continue;
        memcpy(last, walked, last_length = length);
        expect_class(method, text_of(walked, length), liberties, class);
        expect_class(method, text_of(walked, length), liberties | FOLDS_CASE, class);
    }
}

/* A path in which nobody could read anything else: it is not refused but where the case of an operator's route is another. */
static void expect_reason(const char *method, struct text path)
{
    enum request_class class = class_in_table(method, path, false);
    bool is_plain = path.bytes[path.length - 1] != '/' || path.length == 1;
    for (size_t i = 0; i < path.length; i++) {
        char c = path.bytes[i];
        is_plain = is_plain && ((c >= 'a' && c <= 'z') || c == '_' || (c == '/' && (i == 0 || path.bytes[i - 1] != '/')));
    }
    enum request_class other = class_in_table(method, path, true);
    expect(!is_plain || (other != class && other != REQUEST_CLASS_UNKNOWN));
}

static struct classifier *classifier_with(enum topology_unknown unknown)
{
    static struct topology topologies[2];
    topologies[unknown].routes = operator_routes;
    topologies[unknown].route_count = sizeof operator_routes / sizeof operator_routes[0];
    topologies[unknown].unknown = unknown;
    struct classifier *made = classifier_create(&topologies[unknown]);
    expect(made != NULL);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct classifier *forwards, *denies;
    if (forwards == NULL) {
        forwards = classifier_with(TOPOLOGY_UNKNOWN_CATALOG);
        denies = classifier_with(TOPOLOGY_UNKNOWN_DENY);
    }
    struct tape tape = {data, size};
    unsigned choice = tape_byte(&tape);
    const char *method = methods[choice % METHODS];
    struct text path = fuzz_copy(tape_text(&tape, PATH_BYTES));
    struct classify_question question = {.method = text_of_string(method), .path = path};
    struct classify_answer answer = classify(forwards, &question);
    struct classify_answer strict = classify(denies, &question);
    enum fault checked = classify_check_path(forwards, question.method, path);
    bool is_path = path.length > 0 && path.bytes[0] == '/';

    /* A refusal for the path is one however it is asked; what is let through has a row, and the row is the table's. */
    bool is_answered = strcmp(method, "CONNECT") != 0 && strcmp(method, "TRACE") != 0;
    expect(!is_answered || (answer.refusal == FAULT_REQUEST_PATH_AMBIGUOUS) == (checked != FAULT_NONE));
    expect(answer.refusal != FAULT_NONE || answer.route != NULL);
    if (answer.refusal == FAULT_NONE && is_path) {
        expect(answer.class == class_in_table(method, path, false));
        expect_one_class(method, path, answer.class);
        expect(strict.refusal == (answer.class == REQUEST_CLASS_UNKNOWN ? FAULT_ROUTE_DENIED : FAULT_NONE));
    }
    if (checked != FAULT_NONE && is_path)
        expect_reason(method, path);
    /* Where it comes from changes a write and nothing else; gRPC is Flight or refused. */
    question.is_writeback = true;
    struct classify_answer back = classify(forwards, &question);
    bool is_turned = answer.class == REQUEST_CLASS_WRITE && back.class == REQUEST_CLASS_WRITEBACK;
    expect(back.refusal == answer.refusal && (back.class == answer.class || is_turned));
    question.is_grpc = true;
    struct classify_answer call = classify(forwards, &question);
    expect(call.refusal != FAULT_NONE || call.class == REQUEST_CLASS_FLIGHT);
    fuzz_free(path);
    return 0;
}
