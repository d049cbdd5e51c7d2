/*
 * The PROXY header, however it is cut: as long as it is incomplete the result is MORE, from its last byte on it is WHOLE with the same
 * content whatever stands behind it, and what is BAD stays so. No byte behind those that were given is looked at.
 */
#include <arpa/inet.h>

#include "fuzz/fuzz.h"
#include "net/proxy_protocol.h"

static bool is_same(const struct proxy_protocol_header *a, const struct proxy_protocol_header *b)
{
    return a->length == b->length && a->client.length == b->client.length &&
           memcmp(&a->client.socket, &b->client.socket, a->client.length) == 0;
}

/* A client that was announced in words can be announced again. */
static void expect_speakable(const struct address *client)
{
    char host[INET6_ADDRSTRLEN], line[PROXY_PROTOCOL_V1_BYTES + 1];
    bool is_v4 = client->socket.any.sa_family == AF_INET;
    const void *bytes = is_v4 ? (const void *)&client->socket.v4.sin_addr : &client->socket.v6.sin6_addr;
    expect(is_v4 || client->socket.any.sa_family == AF_INET6);
    expect(inet_ntop(client->socket.any.sa_family, bytes, host, sizeof host) != NULL);
    unsigned port = ntohs(is_v4 ? client->socket.v4.sin_port : client->socket.v6.sin6_port);
    int length = snprintf(line, sizeof line, "PROXY TCP%c %s %s %u 1\r\n", is_v4 ? '4' : '6', host, is_v4 ? "1.2.3.4" : "::1", port);
    struct proxy_protocol_header again = {0};
    expect(proxy_protocol_parse(text_of(line, (size_t)length), &again) == PROXY_PROTOCOL_WHOLE);
    expect(again.length == (size_t)length && again.client.length == client->length);
    expect(memcmp(&again.client.socket, &client->socket, client->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2 * PROXY_PROTOCOL_BYTES_MAXIMUM)
        return 0;
    struct text bytes = fuzz_copy(text_of((const char *)data, size));
    struct proxy_protocol_header whole = {0};
    enum proxy_protocol_result result = proxy_protocol_parse(bytes, &whole);
    if (result == PROXY_PROTOCOL_MORE)
        expect(bytes.length < PROXY_PROTOCOL_BYTES_MAXIMUM);
    if (result == PROXY_PROTOCOL_WHOLE) {
        expect(whole.length <= bytes.length && whole.length <= PROXY_PROTOCOL_BYTES_MAXIMUM);
        if (whole.client.length != 0)
            expect_speakable(&whole.client);
    }
    /* From the back: each byte that is no longer given may not be touched. */
    bool was_good = result != PROXY_PROTOCOL_BAD;
    for (size_t length = bytes.length; length-- > 0;) {
        ASAN_POISON_MEMORY_REGION(bytes.bytes + length, 1);
        struct proxy_protocol_header header = {0};
        enum proxy_protocol_result part = proxy_protocol_parse(text_of(bytes.bytes, length), &header);
        if (result == PROXY_PROTOCOL_WHOLE && length >= whole.length)
            expect(part == PROXY_PROTOCOL_WHOLE && is_same(&header, &whole));
        else if (was_good)
            expect(part == PROXY_PROTOCOL_MORE);
        else
            expect(part != PROXY_PROTOCOL_WHOLE);
        was_good = was_good || part == PROXY_PROTOCOL_MORE;
    }
    ASAN_UNPOISON_MEMORY_REGION(bytes.bytes, bytes.length);
    fuzz_free(bytes);
    return 0;
}
