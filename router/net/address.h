#ifndef SLUICE_NET_ADDRESS_H
#define SLUICE_NET_ADDRESS_H
/*
 * Socket addresses as plain data: IPv4 or IPv6 with a port. A client on a Unix-domain socket has no more than the family AF_UNIX:
 * a path would make every connection larger, and says nothing about who connects.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/network.h"

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t length; /* 0: no address */
};

/* Longest text of address_format with its NUL: "[" IPv6 "]:65535". */
#define ADDRESS_TEXT_BYTES 56
/* The host of a client on a Unix-domain socket, in logs. */
#define ADDRESS_HOST_UNIX "unix:"

/* Parses a literal such as "127.0.0.1" or "::1" (no names); "" and "*" mean any IPv4 address. False otherwise. */
bool address_parse(const char *host, uint16_t port, struct address *address);

/* "127.0.0.1:8181", "[::1]:8181", "unix:". Returns `buffer`. */
const char *address_format(const struct address *address, char *buffer, size_t capacity);
/* The same without the port and the brackets, as X-Forwarded-For wants it; IPv4-mapped IPv6 as IPv4. */
const char *address_format_host(const struct address *address, char *buffer, size_t capacity);

uint16_t address_port(const struct address *address);
bool address_is_loopback(const struct address *address);
/* Same host, whatever the ports; an IPv4-mapped IPv6 address equals its IPv4 form. */
bool address_same_host(const struct address *a, const struct address *b);
/* An IPv4-mapped IPv6 address counts as IPv4; a Unix-domain one is in no network. */
bool address_is_in(const struct address *address, const struct network *network);
static inline bool address_is_unix(const struct address *address)
{
    return address->length > 0 && address->socket.any.sa_family == AF_UNIX;
}

#endif
