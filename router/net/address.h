#ifndef SLUICE_NET_ADDRESS_H
#define SLUICE_NET_ADDRESS_H
/* Socket addresses as plain data: IPv4 or IPv6 with a port. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

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

/* Parses a literal such as "127.0.0.1" or "::1" (no names); "" and "*" mean any IPv4 address. False otherwise. */
bool address_parse(const char *host, uint16_t port, struct address *address);

/* "127.0.0.1:8181", "[::1]:8181". Returns `buffer`. */
const char *address_format(const struct address *address, char *buffer, size_t capacity);
/* The same without the port and the brackets, as X-Forwarded-For wants it; IPv4-mapped IPv6 as IPv4. */
const char *address_format_host(const struct address *address, char *buffer, size_t capacity);

uint16_t address_port(const struct address *address);
bool address_is_loopback(const struct address *address);
/* Same host, whatever the ports; an IPv4-mapped IPv6 address equals its IPv4 form. */
bool address_same_host(const struct address *a, const struct address *b);

#endif
