#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool address_parse(const char *host, uint16_t port, struct address *address)
{
    memset(address, 0, sizeof *address);
    if (host[0] == '\0' || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (inet_pton(AF_INET, host, &address->socket.v4.sin_addr) == 1) {
        address->socket.v4.sin_family = AF_INET;
        address->socket.v4.sin_port = htons(port);
        address->length = sizeof address->socket.v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &address->socket.v6.sin6_addr) == 1) {
        address->socket.v6.sin6_family = AF_INET6;
        address->socket.v6.sin6_port = htons(port);
        address->length = sizeof address->socket.v6;
        return true;
    }
    return false;
}

/* The IPv4 address in host order, also of a mapped one (RFC 4291 section 2.5.5.2). */
static bool as_v4(const struct address *address, uint32_t *v4)
{
    if (address->socket.any.sa_family == AF_INET) {
        *v4 = ntohl(address->socket.v4.sin_addr.s_addr);
        return true;
    }
    if (address->socket.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->socket.v6.sin6_addr)) {
        uint32_t raw;
        memcpy(&raw, address->socket.v6.sin6_addr.s6_addr + 12, sizeof raw);
        *v4 = ntohl(raw);
        return true;
    }
    return false;
}

const char *address_format_host(const struct address *address, char *buffer, size_t capacity)
{
    uint32_t v4;
    buffer[0] = '\0';
    if (as_v4(address, &v4))
        snprintf(buffer, capacity, "%u.%u.%u.%u", v4 >> 24, v4 >> 16 & 255, v4 >> 8 & 255, v4 & 255);
    else if (address->socket.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &address->socket.v6.sin6_addr, buffer, (socklen_t)capacity);
    else if (address_is_unix(address))
        snprintf(buffer, capacity, "%s", ADDRESS_HOST_UNIX);
    return buffer;
}

const char *address_format(const struct address *address, char *buffer, size_t capacity)
{
    char host[ADDRESS_TEXT_BYTES];
    address_format_host(address, host, sizeof host);
    if (address_is_unix(address)) {
        snprintf(buffer, capacity, "%s", host);
        return buffer;
    }
    bool brackets = strchr(host, ':') != NULL;
    snprintf(buffer, capacity, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "", address_port(address));
    return buffer;
}

uint16_t address_port(const struct address *address)
{
    if (address->socket.any.sa_family == AF_INET)
        return ntohs(address->socket.v4.sin_port);
    if (address->socket.any.sa_family == AF_INET6)
        return ntohs(address->socket.v6.sin6_port);
    return 0;
}

bool address_is_loopback(const struct address *address)
{
    uint32_t v4;
    if (as_v4(address, &v4))
        return v4 >> 24 == 127;
    return address->socket.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->socket.v6.sin6_addr);
}

bool address_same_host(const struct address *a, const struct address *b)
{
    uint32_t v4_a = 0;
    uint32_t v4_b = 0;
    bool a_is_v4 = as_v4(a, &v4_a);
    bool b_is_v4 = as_v4(b, &v4_b);
    if (a_is_v4 || b_is_v4)
        return a_is_v4 && b_is_v4 && v4_a == v4_b;
    return a->socket.any.sa_family == AF_INET6 && b->socket.any.sa_family == AF_INET6 &&
           memcmp(&a->socket.v6.sin6_addr, &b->socket.v6.sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool address_is_in(const struct address *address, const struct network *network)
{
    uint32_t v4;
    if (as_v4(address, &v4)) {
        uint8_t bytes[4] = {(uint8_t)(v4 >> 24), (uint8_t)(v4 >> 16), (uint8_t)(v4 >> 8), (uint8_t)v4};
        return network_contains(network, bytes, sizeof bytes);
    }
    return address->socket.any.sa_family == AF_INET6 &&
           network_contains(network, address->socket.v6.sin6_addr.s6_addr, sizeof(struct in6_addr));
}
