#include "base/network.h"

#include <arpa/inet.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool parse_address(struct text text, struct network *network)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.length == 0 || text.length >= sizeof copy || memchr(text.bytes, '\0', text.length) != NULL)
        return false;
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    network->address_bytes = 4;
    if (inet_pton(AF_INET, copy, network->bytes) == 1)
        return true;
    network->address_bytes = 16;
    return inet_pton(AF_INET6, copy, network->bytes) == 1;
}

static bool parse_prefix(struct text text, unsigned maximum, uint8_t *prefix)
{
    uint64_t value;
    if (!text_to_u64(text, &value) || value > maximum || (text.length > 1 && text.bytes[0] == '0'))
        return false;
    *prefix = (uint8_t)value;
    return true;
}

/* Clears the bits behind the prefix; true when there were any. */
static bool clear_host_bits(struct network *network)
{
    bool had_any = false;
    for (unsigned i = 0; i < network->address_bytes; i++) {
        unsigned first_bit = i * 8;
        unsigned kept = network->prefix_bits <= first_bit ? 0 : network->prefix_bits - first_bit;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00u >> kept);
        had_any = had_any || (network->bytes[i] & (uint8_t)~mask) != 0;
        network->bytes[i] &= mask;
    }
    return had_any;
}

static void unmap(struct network *network)
{
    if (network->address_bytes != 16 || network->prefix_bits < 96 || memcmp(network->bytes, mapped_prefix, 12) != 0)
        return;
    memmove(network->bytes, network->bytes + 12, 4);
    memset(network->bytes + 4, 0, 12);
    network->address_bytes = 4;
    network->prefix_bits = (uint8_t)(network->prefix_bits - 96);
}

enum network_problem network_parse(struct text text, struct network *network)
{
    *network = (struct network){0};
    struct text rest = text;
    struct text address = text_cut(&rest, '/');
    if (!parse_address(address, network))
        return NETWORK_NO_ADDRESS;
    unsigned maximum = network->address_bytes * 8u;
    network->prefix_bits = (uint8_t)maximum;
    if (rest.bytes != NULL && !parse_prefix(rest, maximum, &network->prefix_bits))
        return NETWORK_NO_PREFIX;
    bool had_host_bits = clear_host_bits(network);
    unmap(network);
    return had_host_bits ? NETWORK_HOST_BITS : NETWORK_GOOD;
}

bool network_contains(const struct network *network, const uint8_t *address, size_t address_bytes)
{
    if (network->address_bytes != address_bytes)
        return false;
    unsigned whole = network->prefix_bits / 8u;
    unsigned left = network->prefix_bits % 8u;
    if (memcmp(network->bytes, address, whole) != 0)
        return false;
    return left == 0 || ((network->bytes[whole] ^ address[whole]) & (0xff00u >> left) & 0xffu) == 0;
}

const char *network_format(const struct network *network, char *buffer, size_t capacity)
{
    char host[INET6_ADDRSTRLEN];
    inet_ntop(network->address_bytes == 4 ? AF_INET : AF_INET6, network->bytes, host, sizeof host);
    if (network->prefix_bits == network->address_bytes * 8u)
        text_append(buffer, capacity, 0, "%s", host);
    else
        text_append(buffer, capacity, 0, "%s/%u", host, network->prefix_bits);
    return buffer;
}
