/*
 * What is wrong in each row is what docs/security.md says a strict proxy refuses. In all of them the first request must be refused, or be one that
 * Sluice answers itself; what stands behind it must be no request.
 */
#include "world/hostile_bytes.h"

#define TEXT_LITERAL(literal) {literal, sizeof(literal) - 1}
#define NOTHING {NULL, 0}

#define TARGET "/api/v3/write_lp?db=d1&try=" HOSTILE_MARK
#define LINE "m,try=" HOSTILE_MARK " v=1i\n" /* 24 bytes, 0x18 */
#define FIRST "POST " TARGET " HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define LENGTH "Content-Length: 24\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CHUNKS "18\r\n" LINE "\r\n0\r\n\r\n"
#define INNER FIRST HOST LENGTH "\r\n" LINE
#define HEALTH "GET /health HTTP/1.1\r\n" HOST
/* A right head, whose body will be wrong. */
#define UPLOAD "POST /api/v3/write_lp?db=d1&try=" UPLOAD_MARK " HTTP/1.1\r\n" HOST CHUNKED "\r\n"

#define ONE(name, bytes) {"hostile: " name, ATTACK_AT_ONCE, TEXT_LITERAL(bytes), NOTHING, 0, NOTHING}
#define MANY(name, beginning, middle, count, end) \
    {"hostile: " name, ATTACK_AT_ONCE, TEXT_LITERAL(beginning), TEXT_LITERAL(middle), count, TEXT_LITERAL(end)}

/* clang-format off */
const struct attack hostile_attacks[] = {
    /* framing */
    ONE("a length and chunks", FIRST HOST LENGTH CHUNKED "\r\n" CHUNKS INNER),
    ONE("chunks and a length", FIRST HOST CHUNKED "Content-Length: 4\r\n\r\n18\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("no length and chunks", FIRST HOST "Content-Length: 0\r\n" CHUNKED "\r\n0\r\n\r\n" INNER),
    ONE("two lengths", FIRST HOST LENGTH "Content-Length: 0\r\n\r\n" LINE INNER),
    ONE("the same length twice", FIRST HOST LENGTH LENGTH "\r\n" LINE),
    ONE("two lengths in one", FIRST HOST "Content-Length: 24, 24\r\n\r\n" LINE),
    ONE("a length with a sign", FIRST HOST "Content-Length: +24\r\n\r\n" LINE),
    ONE("a length in hex", FIRST HOST "Content-Length: 0x18\r\n\r\n" LINE),
    ONE("a length with a blank", FIRST HOST "Content-Length: 2 4\r\n\r\n" LINE),
    ONE("an empty length", FIRST HOST "Content-Length: \r\n\r\n" INNER),
    ONE("a length of 2^63", FIRST HOST "Content-Length: 9223372036854775808\r\n\r\n" LINE),
    ONE("a length of 2^64", FIRST HOST "Content-Length: 18446744073709551640\r\n\r\n" LINE),
    ONE("an unknown coding", FIRST HOST "Transfer-Encoding: xchunked\r\n\r\n" CHUNKS INNER),
    ONE("two codings", FIRST HOST "Transfer-Encoding: chunked, identity\r\n\r\n" CHUNKS INNER),
    ONE("gzip and chunks", FIRST HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" CHUNKS INNER),
    ONE("chunks twice", FIRST HOST CHUNKED CHUNKED "\r\n" CHUNKS INNER),
    ONE("a quoted coding", FIRST HOST "Transfer-Encoding: \"chunked\"\r\n\r\n" CHUNKS INNER),
    ONE("a coding behind a vertical tab", FIRST HOST "Transfer-Encoding: \x0b" "chunked\r\n\r\n" CHUNKS INNER),
    ONE("a blank before the colon", FIRST HOST "Transfer-Encoding : chunked\r\n\r\n" CHUNKS INNER),
    ONE("a tab before the colon", FIRST HOST LENGTH "Transfer-Encoding\t: chunked\r\n\r\n" CHUNKS INNER),
    ONE("a coding in HTTP/1.0", "POST " TARGET " HTTP/1.0\r\n" HOST CHUNKED "\r\n" CHUNKS INNER),
    ONE("no length in HTTP/1.0", "POST " TARGET " HTTP/1.0\r\n" HOST "\r\n" LINE INNER),
    ONE("a look-alike of a coding", FIRST HOST LENGTH "Transfer_Encoding: chunked\r\n\r\n" LINE INNER),
    ONE("a look-alike of a length", FIRST HOST "Content_Length: 0\r\n" LENGTH "\r\n" LINE INNER),
    ONE("a body of a request that is answered here", HEALTH "Content-Length: 110\r\nConnection: close\r\n\r\n" INNER),
    ONE("a request behind the last one", HEALTH "Connection: close\r\n\r\n" INNER),

    /* chunks: their head is right, so a node may see the beginning */
    ONE("a chunk size of 17 digits", UPLOAD "00000000000000018\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("a chunk size with 0x", UPLOAD "0x18\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("a chunk size with a sign", UPLOAD "+18\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("a chunk size behind a blank", UPLOAD " 18\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("a chunk size of 2^64 - 1", UPLOAD "FFFFFFFFFFFFFFFF\r\n" LINE "\r\n0\r\n\r\n" INNER),
    ONE("a chunk without its line end", UPLOAD "18\r\n" LINE "XX0\r\n\r\n" INNER),
    ONE("a chunk that ends by a line feed", UPLOAD "18\n" LINE "\n0\n\n" INNER),
    ONE("a last chunk that ends by line feeds", UPLOAD "18\r\n" LINE "\r\n0\r\n\n" INNER),
    ONE("an extension with a line feed", UPLOAD "18;a\nX\r\n" LINE "\r\n0\r\n\r\n" INNER),
    MANY("an endless extension", UPLOAD "18;a=", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 640, "\r\n" LINE "\r\n0\r\n\r\n" INNER),
    MANY("endless trailers", UPLOAD "18\r\n" LINE "\r\n0\r\n", "Trailer-Field: aaaaaaaaaaaaaaaa\r\n", 640, "\r\n" INNER),
    ONE("a line end too many in a trailer", UPLOAD "18\r\n" LINE "\r\n0\r\nA : b\r\n\r\n" INNER),

    /* lines, names, values */
    ONE("line feeds alone", "POST " TARGET " HTTP/1.1\nHost: a\nContent-Length: 24\n\n" LINE),
    ONE("a line feed behind the first line", "POST " TARGET " HTTP/1.1\n" HOST LENGTH "\r\n" LINE),
    ONE("a line feed as the empty line", FIRST HOST LENGTH "\n" LINE),
    ONE("a carriage return alone", FIRST HOST "X: a\rContent-Length: 0\r\n" LENGTH "\r\n" LINE),
    ONE("two carriage returns", FIRST HOST "X: a\r\r\n" LENGTH "\r\n" LINE),
    ONE("a fold", FIRST HOST "X: a\r\n Transfer-Encoding: chunked\r\n" LENGTH "\r\n" LINE),
    ONE("a fold of an empty line", FIRST HOST "X:\r\n\tb\r\n" LENGTH "\r\n" LINE),
    ONE("a NUL in a value", FIRST HOST "X: a\0b\r\n" LENGTH "\r\n" LINE),
    ONE("a NUL in the target", "POST /api/v3/write_lp\0?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("a control character in a value", FIRST HOST "X: a\x01\r\n" LENGTH "\r\n" LINE),
    ONE("a blank in a name", FIRST HOST "X Y: a\r\n" LENGTH "\r\n" LINE),
    ONE("a name that is empty", FIRST HOST ": a\r\n" LENGTH "\r\n" LINE),
    ONE("a line without a colon", FIRST HOST "XY\r\n" LENGTH "\r\n" LINE),
    ONE("a blank before the first field", FIRST " Host: a\r\n" LENGTH "\r\n" LINE),
    MANY("line ends without number", "", "\r\n", 1000, INNER),
    ONE("blanks in the first line", "POST  " TARGET "  HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("a method in lower case", "post " TARGET " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("CONNECT", "CONNECT a:80 HTTP/1.1\r\n" HOST LENGTH "\r\n" INNER),
    ONE("TRACE", "TRACE " TARGET " HTTP/1.1\r\n" HOST "\r\n"),
    ONE("a fragment", "POST " TARGET "#x HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("a target of 8 bits", "POST " TARGET "\xff HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("an asterisk", "POST *" TARGET " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("a user in the authority", "POST http://u@a" TARGET " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("no host", FIRST LENGTH "\r\n" LINE),
    ONE("two hosts", FIRST HOST "Host: b\r\n" LENGTH "\r\n" LINE),
    ONE("HTTP/0.9", "POST " TARGET "\r\n\r\n" INNER),
    ONE("HTTP/2.0 as text", "POST " TARGET " HTTP/2.0\r\n" HOST LENGTH "\r\n" LINE),
    ONE("HTTP/1.10", "POST " TARGET " HTTP/1.10\r\n" HOST LENGTH "\r\n" LINE),
    ONE("RTSP", "POST " TARGET " RTSP/1.0\r\n" HOST LENGTH "\r\n" LINE),

    /* hops and paths */
    ONE("Connection names Authorization", FIRST HOST LENGTH "Connection: close, Authorization\r\n\r\n" LINE),
    ONE("Connection names Host", FIRST HOST LENGTH "Connection: Host\r\n\r\n" LINE),
    ONE("an unknown expectation", FIRST HOST LENGTH "Expect: 200-ok\r\n\r\n" LINE),
    ONE("dots in the path", "POST /api/v3/x/../write_lp?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("an empty segment", "POST //api/v3/write_lp?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("an escaped separator", "POST /api/v3%2fwrite_lp?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("an escaped NUL", "POST /api/v3/write_lp%00?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("a path in capitals", "POST /API/V3/WRITE_LP?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),
    ONE("an escaped letter", "POST /api/v3/write%5flp?try=" HOSTILE_MARK " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),

    /* size */
    MANY("a head without end", FIRST HOST, "X-Field: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 1600, "\r\n"),
    ONE("a length above the limit", FIRST HOST "Content-Length: 99000000\r\n\r\n" LINE),
    ONE("a chunk above the limit", UPLOAD "5E69EC0\r\n" LINE),
    MANY("too many fields", FIRST HOST LENGTH, "A: b\r\n", 101, "\r\n" LINE),
    MANY("a value without end", FIRST HOST "X: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1600, "\r\n\r\n"),
    MANY("a target without end", "POST " TARGET "&x=", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1100, " HTTP/1.1\r\n" HOST LENGTH "\r\n" LINE),

    /* no HTTP at all */
    ONE("PRI and garbage", "PRI * HTTP/2.0\r\n\r\nSM\r\nX\n" INNER),
    ONE("a preface and HTTP/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" INNER),
    ONE("a TLS greeting to clear text", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" INNER),
    ONE("zeros", "\0\0\0\0\0\0\0\0\0\0\0\0" INNER),
    ONE("nothing", ""),
    ONE("a line end and no more", "\r\n"),

    /* slowness */
    {"hostile: a head byte by byte", ATTACK_DRIPS, TEXT_LITERAL(FIRST HOST), TEXT_LITERAL("X: a\r\n"), 60, NOTHING},
    {"hostile: a first byte and no more", ATTACK_SILENT, TEXT_LITERAL("P"), NOTHING, 0, NOTHING},
    {"hostile: half a head", ATTACK_SILENT, TEXT_LITERAL(FIRST HOST), NOTHING, 0, NOTHING},
    {"hostile: a body that does not come", ATTACK_SILENT,
     TEXT_LITERAL("POST /api/v3/write_lp?db=d1&try=" UPLOAD_MARK " HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n" LINE), NOTHING, 0, NOTHING},
    {"hostile: questions without reading an answer", ATTACK_SILENT, NOTHING, TEXT_LITERAL(HEALTH "\r\n"), 400, NOTHING},
};
/* clang-format on */

const size_t hostile_attack_count = sizeof hostile_attacks / sizeof hostile_attacks[0];
