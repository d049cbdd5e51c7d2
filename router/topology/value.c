#include "topology/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>

#define DEFAULT_NODE_PORT 8181
/* A DNS name is at most 253 bytes (RFC 1035 section 2.3.4). */
#define HOST_BYTES_MAXIMUM 253

/* Always false, so that a check can end with it. */
static bool refuse(char *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, VALUE_PROBLEM_CAPACITY, format, arguments);
    va_end(arguments);
    return false;
}

/* Cuts what is shown of a value, so that the remedy after it is never cut. */
static int shown(struct text text)
{
    return text.length > 80 ? 80 : (int)text.length;
}

static bool store_string(struct text text, const char **field, struct topology_storage *storage, char *problem)
{
    char *copy = storage_copy(storage, text);
    if (copy == NULL)
        return refuse(problem, "out of memory; free some and try again");
    *field = copy;
    return true;
}

static bool store_text(const struct schema_row *row, struct text text, const char **field,
                       struct topology_storage *storage, char *problem)
{
    if (text.length < row->minimum)
        return refuse(problem, "is empty; write a value or remove the key");
    if (text.length > row->maximum)
        return refuse(problem, "is %zu characters long; at most %" PRIu64 " are allowed", text.length, row->maximum);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (byte < 0x20 || byte == 0x7f)
            return refuse(problem, "has a control character in it; remove it");
    }
    /* A key whose default is the word none can be written so, too. */
    if (text_equals(text, TEXT("none")) && text_equals(text_of_string(row->fallback), text)) {
        *field = NULL;
        return true;
    }
    return store_string(text, field, storage, problem);
}

static bool store_target(const struct schema_row *row, struct text text, const char **field,
                         struct topology_storage *storage, char *problem)
{
    if (!text_starts_with(text, TEXT("/")))
        return refuse(problem, "\"%.*s\" is no path; begin it with a slash", shown(text), text.bytes);
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        if (byte <= 0x20 || byte >= 0x7f)
            return refuse(problem, "\"%.*s\" has a character that no request path has; write it as %%XX", shown(text),
                          text.bytes);
        if (byte == '?' || byte == '#')
            return refuse(problem, "\"%.*s\" goes on after the path; leave out \"%c\" and what follows", shown(text),
                          text.bytes, byte);
    }
    return store_text(row, text, field, storage, problem);
}

/* A method is a token and its case counts (RFC 9110 section 9.1); every registered one is in upper case. */
static bool store_token(const struct schema_row *row, struct text text, const char **field,
                        struct topology_storage *storage, char *problem)
{
    if (text_equals(text, TEXT("*")))
        return store_text(row, text, field, storage, problem);
    for (size_t i = 0; i < text.length; i++) {
        if (!isupper((unsigned char)text.bytes[i]) && text.bytes[i] != '-')
            return refuse(problem, "\"%.*s\" is no method; write it in upper case, as GET or POST, or * for any",
                          shown(text), text.bytes);
    }
    return store_text(row, text, field, storage, problem);
}

/* "0", "1", or up to three digits behind "0.": in thousandths. */
static bool parse_share(struct text text, uint64_t *value)
{
    struct text rest = text;
    struct text whole = text_cut(&rest, '.');
    uint64_t units, digits;
    if (!text_to_u64(whole, &units) || units > 1)
        return false;
    *value = units * 1000;
    if (rest.bytes == NULL)
        return true;
    if (rest.length == 0 || rest.length > 3 || !text_to_u64(rest, &digits))
        return false;
    for (size_t i = rest.length; i < 3; i++)
        digits *= 10;
    *value += digits;
    return true;
}

static bool parse_quantity(const struct schema_row *row, struct text text, uint64_t *value, char *problem)
{
    uint64_t number;
    switch (row->type) {
    case SCHEMA_DURATION:
        if (text_to_duration_ms(text, value))
            return true;
        if (text_to_u64(text, &number))
            return refuse(problem, "\"%" PRIu64 "\" has no unit; write %" PRIu64 "ms, %" PRIu64 "s or %" PRIu64 "m",
                          number, number, number, number);
        return refuse(problem, "\"%.*s\" is no duration; write a whole number with ms, s, m or h, as 500ms%s%s", shown(text), text.bytes,
                      row->words != NULL ? ", or one of: " : "", row->words != NULL ? row->words : "");
    case SCHEMA_SIZE:
        if (text_to_size_bytes(text, value))
            return true;
        return refuse(problem, "\"%.*s\" is no size; write a whole number with B, KiB, MiB or GiB, as 64KiB",
                      shown(text), text.bytes);
    case SCHEMA_SHARE:
        if (parse_share(text, value))
            return true;
        return refuse(problem, "\"%.*s\" is no share; write a number from 0 to 1, as 0.5", shown(text), text.bytes);
    default:
        if (text_to_u64(text, value))
            return true;
        return refuse(problem, "\"%.*s\" is no whole number; write digits only", shown(text), text.bytes);
    }
}

/* Two words of a duration stand for what no duration is. */
static bool store_word_for_duration(const struct schema_row *row, struct text text, uint64_t *field)
{
    unsigned index;
    if (row->words == NULL || !schema_word_index(row, text, &index))
        return false;
    *field = index == 0 ? 0 : UINT64_MAX;
    return true;
}

static bool store_quantity(const struct schema_row *row, struct text text, void *field, char *problem)
{
    uint64_t value;
    if (row->type == SCHEMA_DURATION && store_word_for_duration(row, text, field))
        return true;
    if (!parse_quantity(row, text, &value, problem))
        return false;
    bool is_allowed_zero = value == 0 && row->zero != NULL;
    if (!is_allowed_zero && (value < row->minimum || value > row->maximum)) {
        char minimum[32];
        char maximum[32];
        schema_describe_quantity(row, row->minimum, minimum, sizeof minimum);
        schema_describe_quantity(row, row->maximum, maximum, sizeof maximum);
        return refuse(problem, "%.*s is out of range; write %s to %s%s%s", shown(text), text.bytes, minimum, maximum,
                      row->zero != NULL ? ", or 0: " : "", row->zero != NULL ? row->zero : "");
    }
    if (row->width == sizeof(unsigned))
        *(unsigned *)field = (unsigned)value;
    else
        *(uint64_t *)field = value;
    return true;
}

static bool store_boolean(struct text text, bool *field, char *problem)
{
    bool is_true = text_equals(text, TEXT("true"));
    if (is_true || text_equals(text, TEXT("false"))) {
        *field = is_true;
        return true;
    }
    return refuse(problem, "\"%.*s\" is no truth value; write true or false", shown(text), text.bytes);
}

static bool refuse_word(const struct schema_row *row, struct text text, const char *what, char *problem)
{
    struct text near = schema_suggest_word(row->words, text);
    if (near.length > 0)
        return refuse(problem, "\"%.*s\" is no %s; did you mean \"%.*s\"?", shown(text), text.bytes, what,
                      TEXT_ARGUMENTS(near));
    return refuse(problem, "\"%.*s\" is no %s; write one of: %s", shown(text), text.bytes, what, row->words);
}

static bool store_word(const struct schema_row *row, struct text text, void *base, struct topology_storage *storage,
                       char *problem)
{
    unsigned index;
    void *field = (char *)base + row->offset;
    if (!schema_word_index(row, text, &index)) {
        const char *what = row->type == SCHEMA_CLASS ? "class that can be set here" : "word known here";
        return refuse_word(row, text, what, problem);
    }
    if (row->type == SCHEMA_WORD)
        return store_string(text, field, storage, problem);
    if (row->type == SCHEMA_CLASS)
        return request_class_from_name(text.bytes, text.length, field);
    *(unsigned *)field = index; /* an enum without negative values is an unsigned in every ABI that we build for */
    return true;
}

static bool store_modes(const struct schema_row *row, struct text text, unsigned *field, char *problem)
{
    unsigned modes = *field;
    if (text_trim(text).length == 0)
        return refuse(problem, "is empty; write one of: %s", row->words);
    for (struct text rest = text; rest.bytes != NULL;) {
        struct text name = text_trim(text_cut(&rest, ','));
        enum node_mode mode;
        if (name.length == 0)
            return refuse(problem, "\"%.*s\" has an empty mode in it; remove the extra comma", shown(text), text.bytes);
        if (!node_mode_from_name(name.bytes, name.length, &mode))
            return refuse_word(row, name, "mode of influxdb3", problem);
        if ((modes & (unsigned)mode) != 0)
            return refuse(problem, "names %s twice; remove one", node_mode_name(mode));
        modes |= (unsigned)mode;
    }
    *field = modes;
    return true;
}

static bool refuse_network(enum network_problem found, struct text name, const struct network *network, char *problem)
{
    char cleared[NETWORK_TEXT_BYTES];
    switch (found) {
    case NETWORK_NO_PREFIX:
        return refuse(problem, "\"%.*s\" has no prefix length behind its slash; write 0 to %u", shown(name), name.bytes,
                      network->address_bytes * 8u);
    case NETWORK_HOST_BITS:
        return refuse(problem, "\"%.*s\" has bits set behind its prefix; write %s, or the one address without a slash",
                      shown(name), name.bytes, network_format(network, cleared, sizeof cleared));
    default:
        return refuse(problem, "\"%.*s\" is no address or network; write 10.1.2.3, 10.0.0.0/8 or 2001:db8::/32",
                      shown(name), name.bytes);
    }
}

static bool add_network(struct text name, struct topology_networks *networks, struct topology_storage *storage,
                        char *problem)
{
    struct network network;
    enum network_problem found = network_parse(name, &network);
    if (found != NETWORK_GOOD)
        return refuse_network(found, name, &network, problem);
    for (size_t i = 0; i < networks->count; i++) {
        if (memcmp(&networks->items[i], &network, sizeof network) == 0)
            return refuse(problem, "names %.*s twice; remove one", shown(name), name.bytes);
    }
    if (networks->count == TOPOLOGY_NETWORKS_MAXIMUM)
        return refuse(problem, "has more than %d networks; join neighbours to larger ones", TOPOLOGY_NETWORKS_MAXIMUM);
    if (networks->items == NULL)
        networks->items = storage_take(storage, TOPOLOGY_NETWORKS_MAXIMUM, sizeof *networks->items);
    if (networks->items == NULL)
        return refuse(problem, "out of memory; free some and try again");
    networks->items[networks->count++] = network;
    return true;
}

static bool store_networks(struct text text, struct topology_networks *networks, struct topology_storage *storage,
                           char *problem)
{
    if (text_trim(text).length == 0)
        return refuse(problem, "is empty; write an address or a network, as 10.0.0.0/8");
    size_t before = networks->count;
    for (struct text rest = text; rest.bytes != NULL;) {
        if (!add_network(text_trim(text_cut(&rest, ',')), networks, storage, problem)) {
            networks->count = before;
            return false;
        }
    }
    return true;
}

/* Three octal digits, or four with a zero in front: no sticky or set-id bits, which mean nothing for a socket. */
static bool store_file_mode(struct text text, unsigned *field, char *problem)
{
    unsigned mode = 0;
    bool is_good = text.length == 3 || (text.length == 4 && text.bytes[0] == '0');
    for (size_t i = 0; i < text.length && is_good; i++) {
        is_good = text.bytes[i] >= '0' && text.bytes[i] <= '7';
        mode = mode * 8 + (unsigned)(text.bytes[i] - '0');
    }
    if (!is_good)
        return refuse(problem, "\"%.*s\" is no file mode; write three octal digits behind a zero, as \"0660\"",
                      shown(text), text.bytes);
    if ((mode & 0222) == 0)
        return refuse(problem, "\"%.*s\" lets nobody write, which connecting takes; write \"0660\"", shown(text),
                      text.bytes);
    *field = mode;
    return true;
}

/* Letters, digits, hyphens, dots and underscores: what resolvers take; an address literal otherwise. */
static bool is_host(struct text host, bool is_bracketed)
{
    char copy[HOST_BYTES_MAXIMUM + 1];
    struct in6_addr address;
    if (host.length == 0 || host.length > HOST_BYTES_MAXIMUM)
        return false;
    memcpy(copy, host.bytes, host.length);
    copy[host.length] = '\0';
    if (is_bracketed)
        return inet_pton(AF_INET6, copy, &address) == 1;
    bool is_numeric = true;
    for (size_t i = 0; i < host.length; i++) {
        char byte = host.bytes[i];
        if (!isalnum((unsigned char)byte) && byte != '-' && byte != '.' && byte != '_')
            return false;
        is_numeric = is_numeric && (isdigit((unsigned char)byte) || byte == '.');
    }
    /* A resolver would take "1.2" for an address of its own making. */
    return !is_numeric || inet_pton(AF_INET, copy, &address) == 1;
}

/* Cuts the host off the front of `*rest`; what stays begins with the colon before the port, or is empty. */
static bool cut_host(struct text *rest, struct text *host)
{
    bool is_bracketed = text_starts_with(*rest, TEXT("["));
    ptrdiff_t end = text_find(*rest, is_bracketed ? TEXT("]") : TEXT(":"));
    if (end < 0 && is_bracketed)
        return false;
    size_t length = end < 0 ? rest->length : (size_t)end;
    *host = is_bracketed ? text_of(rest->bytes + 1, length - 1) : text_of(rest->bytes, length);
    size_t taken = is_bracketed ? length + 1 : length;
    *rest = text_of(rest->bytes + taken, rest->length - taken);
    return is_host(*host, is_bracketed);
}

static bool parse_port(struct text text, uint16_t *port)
{
    uint64_t value;
    if (!text_to_u64(text, &value) || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

bool value_split_address(struct text address, struct text *host, uint16_t *port)
{
    struct text rest = address;
    if (!cut_host(&rest, host) || !text_starts_with(rest, TEXT(":")))
        return false;
    return parse_port(text_of(rest.bytes + 1, rest.length - 1), port);
}

/* An absolute path, because a relative one would depend on where Sluice was started; "@" would be Linux's abstract name. */
static bool store_unix_address(struct text text, struct topology_listener *listener, struct topology_storage *storage,
                               char *problem)
{
    struct text path = text_of(text.bytes + strlen("unix:"), text.length - strlen("unix:"));
    const size_t maximum = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (!text_starts_with(path, TEXT("/")) || path.bytes[path.length - 1] == '/')
        return refuse(problem, "\"%.*s\" is no absolute path of a file; write it as unix:/run/sluice/sluice.sock",
                      shown(text), text.bytes);
    if (path.length > maximum)
        return refuse(problem, "the path is %zu characters long, and a socket's has at most %zu; choose a shorter one",
                      path.length, maximum);
    for (size_t i = 0; i < path.length; i++) {
        unsigned char byte = (unsigned char)path.bytes[i];
        if (byte <= 0x20 || byte == 0x7f)
            return refuse(problem, "has a blank or a control character in its path; choose another one");
    }
    return store_string(text, &listener->address, storage, problem) &&
           store_string(path, &listener->path, storage, problem);
}

static bool store_address(struct text text, struct topology_listener *listener, struct topology_storage *storage,
                          char *problem)
{
    struct text host;
    uint16_t port;
    if (text_starts_with(text, TEXT("unix:")))
        return store_unix_address(text, listener, storage, problem);
    if (!value_split_address(text, &host, &port))
        return refuse(problem, "\"%.*s\" is no address; write host:port, as 0.0.0.0:8181 or [::]:8181", shown(text),
                      text.bytes);
    if (!store_string(text, &listener->address, storage, problem) ||
        !store_string(host, &listener->host, storage, problem))
        return false;
    listener->port = port;
    return true;
}

static bool store_url(struct text text, struct topology_node *node, struct topology_storage *storage, char *problem)
{
    struct text rest = text;
    struct text host;
    uint16_t port = DEFAULT_NODE_PORT;
    bool is_tls = text_starts_with(text, TEXT("https://"));
    /* First, so that no other finding shows the password. */
    if (text_find(text, TEXT("@")) >= 0)
        return refuse(problem, "has a user in it; leave it out, Sluice passes on the client's own credentials");
    if (!is_tls && !text_starts_with(text, TEXT("http://")))
        return refuse(problem, "\"%.*s\" does not begin with http:// or https://; write http://host:8181", shown(text),
                      text.bytes);
    size_t scheme = is_tls ? strlen("https://") : strlen("http://");
    rest = text_of(text.bytes + scheme, text.length - scheme);
    ptrdiff_t slash = text_find(rest, TEXT("/"));
    if (slash >= 0 && (size_t)slash + 1 < rest.length)
        return refuse(problem, "\"%.*s\" has a path; leave it out, Sluice sends each request's own path", shown(text),
                      text.bytes);
    if (slash >= 0)
        rest.length = (size_t)slash;
    bool is_good = cut_host(&rest, &host);
    if (is_good && rest.length > 0)
        is_good = rest.bytes[0] == ':' && parse_port(text_of(rest.bytes + 1, rest.length - 1), &port) && port != 0;
    if (!is_good)
        return refuse(problem, "\"%.*s\" is no URL of a node; write http://host:8181", shown(text), text.bytes);
    if (!store_string(text, &node->url, storage, problem) || !store_string(host, &node->host, storage, problem))
        return false;
    node->port = port;
    node->is_tls = is_tls;
    return true;
}

bool value_store(const struct schema_row *row, struct text text, void *base, struct topology_storage *storage,
                 char *problem)
{
    void *field = (char *)base + row->offset;
    switch (row->type) {
    case SCHEMA_TEXT:
        return store_text(row, text, field, storage, problem);
    case SCHEMA_TARGET:
        return store_target(row, text, field, storage, problem);
    case SCHEMA_TOKEN:
        return store_token(row, text, field, storage, problem);
    case SCHEMA_INTEGER:
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
    case SCHEMA_SHARE:
        return store_quantity(row, text, field, problem);
    case SCHEMA_BOOLEAN:
        return store_boolean(text, field, problem);
    case SCHEMA_MODES:
        return store_modes(row, text, field, problem);
    case SCHEMA_NETWORKS:
        return store_networks(text, field, storage, problem);
    case SCHEMA_FILE_MODE:
        return store_file_mode(text, field, problem);
    case SCHEMA_ADDRESS:
        return store_address(text, field, storage, problem);
    case SCHEMA_URL:
        return store_url(text, field, storage, problem);
    case SCHEMA_CLASS:
    case SCHEMA_CHOICE:
    case SCHEMA_WORD:
        return store_word(row, text, base, storage, problem);
    case SCHEMA_SECTION:
    case SCHEMA_LIST:
        break;
    }
    return refuse(problem, "takes no single value; write its keys below it");
}
