#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <string.h>

static const struct text v1_word = {"PROXY ", 6};
static const struct text v2_signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* ---- version 1 ---- */

/* Decimal, 0 to 65535, without leading zeros. */
static bool parse_port(struct text text, uint16_t *port)
{
    uint64_t value;
    if (!text_to_u64(text, &value) || value > UINT16_MAX || (text.length > 1 && text.bytes[0] == '0'))
        return false;
    *port = (uint16_t)value;
    return true;
}

/* A literal of the stated family and no other; inet_pton takes neither leading zeros nor zones. */
static bool parse_host(struct text text, sa_family_t family, uint16_t port, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char ignored[sizeof(struct in6_addr)];
    if (text.length == 0 || text.length >= sizeof copy)
        return false;
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    return inet_pton(family, copy, ignored) == 1 && address_parse(copy, port, address);
}

/* "TCP4 SOURCE DESTINATION PORT PORT": one blank between each two, nothing behind. */
static bool parse_v1_words(struct text line, struct address *client)
{
    struct text words[5];
    for (size_t i = 0; i < 5; i++) {
        if (line.bytes == NULL)
            return false;
        words[i] = text_cut(&line, ' ');
    }
    bool is_v4 = text_equals(words[0], TEXT("TCP4"));
    if (line.bytes != NULL || (!is_v4 && !text_equals(words[0], TEXT("TCP6"))))
        return false;
    sa_family_t family = is_v4 ? AF_INET : AF_INET6;
    uint16_t source_port;
    uint16_t destination_port;
    struct address destination;
    return parse_port(words[3], &source_port) && parse_port(words[4], &destination_port) &&
           parse_host(words[1], family, source_port, client) &&
           parse_host(words[2], family, destination_port, &destination);
}

static enum proxy_protocol_result parse_v1(struct text bytes, struct proxy_protocol_header *header)
{
    size_t searched = bytes.length < PROXY_PROTOCOL_V1_BYTES ? bytes.length : PROXY_PROTOCOL_V1_BYTES;
    size_t end = v1_word.length;
    /* Text up to CR: a stray byte is refused when it comes, not when the line has ended. */
    while (end < searched && bytes.bytes[end] >= 0x20 && bytes.bytes[end] < 0x7f)
        end++;
    if (end + 1 >= searched) {
        bool may_go_on = searched < PROXY_PROTOCOL_V1_BYTES && (end == searched || bytes.bytes[end] == '\r');
        return may_go_on ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD;
    }
    if (bytes.bytes[end] != '\r' || bytes.bytes[end + 1] != '\n')
        return PROXY_PROTOCOL_BAD;
    struct text line = text_of(bytes.bytes + v1_word.length, end - v1_word.length);
    *header = (struct proxy_protocol_header){.length = end + 2};
    /* What follows this word is to be ignored. */
    if (text_equals(line, TEXT("UNKNOWN")) || text_starts_with(line, TEXT("UNKNOWN ")))
        return PROXY_PROTOCOL_WHOLE;
    return parse_v1_words(line, &header->client) ? PROXY_PROTOCOL_WHOLE : PROXY_PROTOCOL_BAD;
}

/* ---- version 2 ---- */

/* Command 1 and what byte 14 may say with it: family and transport, and the bytes of the two addresses. */
static const struct {
    unsigned char family;
    sa_family_t socket_family;
    size_t address_bytes;
} v2_families[] = {
    {0x00, AF_UNSPEC, 0}, {0x11, AF_INET, 12},  {0x12, AF_INET, 12},  {0x21, AF_INET6, 36},
    {0x22, AF_INET6, 36}, {0x31, AF_UNIX, 216}, {0x32, AF_UNIX, 216},
};

static size_t read_u16(const char *bytes)
{
    return (size_t)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
}

/* Each: a type, two bytes of length, the value. What they mean is the sender's business, but they must fill the block. */
static bool are_tlvs(struct text rest)
{
    while (rest.length > 0) {
        if (rest.length < 3 || read_u16(rest.bytes + 1) > rest.length - 3)
            return false;
        size_t taken = 3 + read_u16(rest.bytes + 1);
        rest = text_of(rest.bytes + taken, rest.length - taken);
    }
    return true;
}

static void read_v2_client(struct text block, sa_family_t family, struct address *client)
{
    if (family == AF_INET) {
        client->length = sizeof client->socket.v4;
        client->socket.v4.sin_family = AF_INET;
        memcpy(&client->socket.v4.sin_addr, block.bytes, 4);
        memcpy(&client->socket.v4.sin_port, block.bytes + 8, 2);
    } else if (family == AF_INET6) {
        client->length = sizeof client->socket.v6;
        client->socket.v6.sin6_family = AF_INET6;
        memcpy(&client->socket.v6.sin6_addr, block.bytes, 16);
        memcpy(&client->socket.v6.sin6_port, block.bytes + 32, 2);
    }
}

static bool parse_v2_block(unsigned char family, struct text block, struct address *client)
{
    for (size_t i = 0; i < sizeof v2_families / sizeof v2_families[0]; i++) {
        size_t address_bytes = v2_families[i].address_bytes;
        if (v2_families[i].family != family)
            continue;
        /* Without a family there is nothing that could be taken apart: all of it is skipped. */
        if (family == 0)
            return true;
        if (block.length < address_bytes ||
            !are_tlvs(text_of(block.bytes + address_bytes, block.length - address_bytes)))
            return false;
        read_v2_client(block, v2_families[i].socket_family, client);
        return true;
    }
    return false;
}

static enum proxy_protocol_result parse_v2(struct text bytes, struct proxy_protocol_header *header)
{
    const char *fixed = bytes.bytes;
    unsigned char command = bytes.length > 12 ? (unsigned char)fixed[12] : 0x20;
    if (command != 0x20 && command != 0x21)
        return PROXY_PROTOCOL_BAD;
    if (bytes.length < PROXY_PROTOCOL_V2_FIXED_BYTES)
        return PROXY_PROTOCOL_MORE;
    size_t block_bytes = read_u16(fixed + 14);
    if (block_bytes > PROXY_PROTOCOL_V2_BLOCK_BYTES)
        return PROXY_PROTOCOL_BAD;
    if (bytes.length < PROXY_PROTOCOL_V2_FIXED_BYTES + block_bytes)
        return PROXY_PROTOCOL_MORE;
    *header = (struct proxy_protocol_header){.length = PROXY_PROTOCOL_V2_FIXED_BYTES + block_bytes};
    /* LOCAL: the sender speaks for itself, and family and block are to be ignored. */
    if (command == 0x20)
        return PROXY_PROTOCOL_WHOLE;
    struct text block = text_of(fixed + PROXY_PROTOCOL_V2_FIXED_BYTES, block_bytes);
    bool is_good = parse_v2_block((unsigned char)fixed[13], block, &header->client);
    return is_good ? PROXY_PROTOCOL_WHOLE : PROXY_PROTOCOL_BAD;
}

/* ---- both ---- */

/* Are the bytes as far as they go the beginning of `whole`, or the other way round? */
static bool agrees(struct text bytes, struct text whole)
{
    size_t length = bytes.length < whole.length ? bytes.length : whole.length;
    return memcmp(bytes.bytes, whole.bytes, length) == 0;
}

enum proxy_protocol_result proxy_protocol_parse(struct text bytes, struct proxy_protocol_header *header)
{
    if (bytes.length == 0)
        return PROXY_PROTOCOL_MORE;
    if (agrees(bytes, v1_word))
        return bytes.length <= v1_word.length ? PROXY_PROTOCOL_MORE : parse_v1(bytes, header);
    if (agrees(bytes, v2_signature))
        return bytes.length < v2_signature.length ? PROXY_PROTOCOL_MORE : parse_v2(bytes, header);
    return PROXY_PROTOCOL_BAD;
}
