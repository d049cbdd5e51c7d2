#ifndef SLUICE_BASE_NETWORK_H
#define SLUICE_BASE_NETWORK_H
/* A set of IP addresses as the operator writes it: "10.0.0.0/8", "2001:db8::/32", or one address. Plain data. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct network {
    uint8_t bytes[16];      /* network order; an IPv4 one uses the first four */
    uint8_t address_bytes;  /* 4 or 16 */
    uint8_t prefix_bits;
};

/* Longest text of network_format with its NUL: IPv6 "/128". */
#define NETWORK_TEXT_BYTES 52

enum network_problem {
    NETWORK_GOOD,
    NETWORK_NO_ADDRESS,  /* the part before the slash is no literal */
    NETWORK_NO_PREFIX,   /* the part behind it is no number in range, or has leading zeros */
    NETWORK_HOST_BITS,   /* bits behind the prefix are set; `network` then has them cleared */
};

/* IPv4-mapped IPv6 networks become IPv4 ones, because that is how their clients are seen. */
enum network_problem network_parse(struct text text, struct network *network);

/* `address` has `address_bytes` (4 or 16) bytes in network order; the families never contain each other. */
bool network_contains(const struct network *network, const uint8_t *address, size_t address_bytes);

/* "10.0.0.0/8"; one address is printed without its prefix. Returns `buffer`. */
const char *network_format(const struct network *network, char *buffer, size_t capacity);

#endif
