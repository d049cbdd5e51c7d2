#ifndef SLUICE_NET_PROXY_PROTOCOL_H
#define SLUICE_NET_PROXY_PROTOCOL_H
/*
 * The header with which a load balancer says for whom it connects: versions 1 (a line of text) and 2 (binary) of the PROXY protocol.
 * Pure: bytes in, a result out. Only the exact grammar of the specification passes, because whoever may forge this header
 * may be anyone.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "net/address.h"

/* Version 1 with its CR LF (section 2.1). */
#define PROXY_PROTOCOL_V1_BYTES 107
/* Version 2: its fixed part, then what we put up with of addresses and TLVs; the specification allows 64 KiB. */
#define PROXY_PROTOCOL_V2_FIXED_BYTES 16
#define PROXY_PROTOCOL_V2_BLOCK_BYTES 2048
#define PROXY_PROTOCOL_BYTES_MAXIMUM (PROXY_PROTOCOL_V2_FIXED_BYTES + PROXY_PROTOCOL_V2_BLOCK_BYTES)

enum proxy_protocol_result {
    PROXY_PROTOCOL_MORE,  /* a beginning: all the bytes belong to a header that goes on */
    PROXY_PROTOCOL_WHOLE, /* a header, and perhaps bytes behind it */
    PROXY_PROTOCOL_BAD,   /* no header can begin like this */
};

struct proxy_protocol_header {
    size_t length;         /* of the header */
    struct address client; /* length 0: none is announced, the socket's own address holds (LOCAL, UNKNOWN, AF_UNIX) */
};

/* `header` is set when the result is WHOLE. */
enum proxy_protocol_result proxy_protocol_parse(struct text bytes, struct proxy_protocol_header *header);

#endif
