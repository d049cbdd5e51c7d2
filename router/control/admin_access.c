#include "control/admin_access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/file.h"
#include "net/address.h"
#include "topology/topology.h"

#define TOKEN_BYTES 4096

/* ---- Host ---- */

/* Without the port, and without the brackets of an IPv6 address. */
static struct text host_of(struct text authority)
{
    if (authority.length > 0 && authority.bytes[0] == '[') {
        struct text rest = text_of(authority.bytes + 1, authority.length - 1);
        struct text host = text_cut(&rest, ']');
        bool is_whole = rest.bytes != NULL && (rest.length == 0 || rest.bytes[0] == ':');
        return is_whole ? host : TEXT_EMPTY;
    }
    return text_cut(&authority, ':');
}

static bool is_literal(struct text host)
{
    char copy[64];
    struct address address;
    /* Our own word for any address is none that a browser asks. */
    if (host.length == 0 || host.length >= sizeof copy || text_equals(host, TEXT("*")))
        return false;
    text_append(copy, sizeof copy, 0, "%.*s", (int)host.length, host.bytes);
    return address_parse(copy, 0, &address);
}

static bool is_listed(const char *names, struct text host)
{
    struct text rest = names == NULL ? TEXT_EMPTY : text_of_string(names);
    while (rest.length > 0) {
        if (text_equals_ignoring_case(text_trim(text_cut(&rest, ',')), host))
            return true;
    }
    return false;
}

static bool is_known_host(const struct topology *topology, struct text authority)
{
    struct text host = host_of(authority);
    return is_literal(host) || text_equals_ignoring_case(host, TEXT("localhost")) || is_listed(topology->admin_hosts, host);
}

/* ---- the token ---- */

static struct text first_line(const char *bytes, size_t length)
{
    struct text rest = text_of(bytes, length);
    struct text line = text_cut(&rest, '\n');
    return text_trim(text_cut(&line, '\r'));
}

/* The time that it takes tells nothing of the token but its length. */
static bool is_same_secret(struct text a, struct text b)
{
    return a.length == b.length && CRYPTO_memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Basic: the password of user:password in base64 (RFC 7617). The result lies in `buffer`. */
static struct text password_of(struct text base64, char buffer[TOKEN_BYTES])
{
    if (base64.length == 0 || base64.length % 4 != 0 || base64.length / 4 * 3 > TOKEN_BYTES)
        return TEXT_EMPTY;
    int length = EVP_DecodeBlock((unsigned char *)buffer, (const unsigned char *)base64.bytes, (int)base64.length);
    if (length < 0)
        return TEXT_EMPTY;
    size_t padding = (size_t)(base64.bytes[base64.length - 1] == '=') + (size_t)(base64.bytes[base64.length - 2] == '=');
    struct text rest = text_of(buffer, (size_t)length - padding);
    text_cut(&rest, ':');
    return rest;
}

static bool brings_token(const struct message_head *head, struct text token)
{
    char buffer[TOKEN_BYTES];
    const struct header_field *field = message_find(head, HEADER_AUTHORIZATION);
    struct text value = field == NULL ? TEXT_EMPTY : field->value;
    struct text scheme = text_cut(&value, ' ');
    value = text_trim(value);
    if (text_equals_ignoring_case(scheme, TEXT("Bearer")))
        return is_same_secret(value, token);
    return text_equals_ignoring_case(scheme, TEXT("Basic")) && is_same_secret(password_of(value, buffer), token);
}

static unsigned check_token(const char *path, const struct message_head *head, const char **error)
{
    char buffer[TOKEN_BYTES];
    ptrdiff_t length = file_read_beginning(path, buffer, sizeof buffer);
    struct text token = length <= 0 ? TEXT_EMPTY : first_line(buffer, (size_t)length);
    if (token.length == 0) {
        *error = "admin.token_file cannot be read or is empty; nobody gets in until it has a token on its first line";
        return 503;
    }
    if (brings_token(head, token))
        return 0;
    *error = "the token of admin.token_file is missing or wrong; send it as Authorization: Bearer";
    return 401;
}

/* ---- all together ---- */

static bool has_field(const struct message_head *head, struct text name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_equals_ignoring_case(head->fields[i].name, name))
            return true;
    }
    return false;
}

unsigned admin_refuses(const struct topology *topology, const struct message_head *head, const char **error)
{
    bool is_post = text_equals(head->method, TEXT("POST"));
    if (!is_known_host(topology, head->authority)) {
        *error = "Host is neither an address of this machine nor localhost; use one of them, or add the name to admin.hosts";
        return 403;
    }
    if ((!is_post && !text_equals(head->method, TEXT("GET"))) || head->body != BODY_NONE) {
        *error = "only GET and POST are served here, and without a body";
        return 405;
    }
    if (topology->admin_token_file != NULL)
        return check_token(topology->admin_token_file, head, error);
    if (is_post && !has_field(head, TEXT("X-Sluice-Admin"))) {
        *error = "a change needs the header X-Sluice-Admin: 1, which no web page can send by itself";
        return 403;
    }
    return 0;
}
