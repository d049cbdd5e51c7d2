#ifndef SLUICE_FAKE_MEASURED_H
#define SLUICE_FAKE_MEASURED_H
/*
 * Raw inputs whose fate with llhttp alone was measured, row by row, and the one result that a strict router gives
 * each of them. Whoever reads requests writes down what it saw:
 *
 *   METHOD target[body]   a message, complete      (NNN)   refused with this status, and nothing more is read
 *   ;                     between messages         close   the connection ends after the message before
 *
 * Rows 29 and 35 also have large inputs, which the tests build; rows 36 to 39 are responses.
 */
#include <stddef.h>

struct measured {
    unsigned row;
    const char *input;
    size_t length;
    const char *expected;
};

#define MEASURED(row, input, expected) {row, input, sizeof(input) - 1, expected}
#define GET_HEAD "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST_HEAD "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED_HEAD POST_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define NEXT "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct measured measured_requests[] = {
    MEASURED(1, POST_HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(1, POST_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(2, POST_HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "(400)"),
    MEASURED(2, POST_HEAD "Content-Length: 3, 3\r\n\r\nabc", "(400)"),
    MEASURED(3, POST_HEAD "Content-Length: +3\r\n\r\nabc", "(400)"),
    MEASURED(3, POST_HEAD "Content-Length: -1\r\n\r\nabc", "(400)"),
    MEASURED(3, POST_HEAD "Content-Length: 0x3\r\n\r\nabc", "(400)"),
    MEASURED(3, POST_HEAD "Content-Length:\r\n\r\nabc", "(400)"),
    /* No body has such a length: not too large but not a length at all. */
    MEASURED(4, POST_HEAD "Content-Length: 9223372036854775808\r\n\r\nabc", "(400)"),
    MEASURED(4, POST_HEAD "Content-Length: 18446744073709551615\r\n\r\nabc", "(400)"),
    MEASURED(5, POST_HEAD "Content-Length: 18446744073709551616\r\n\r\nabc", "(400)"),
    MEASURED(6, POST_HEAD "Content-Length:\r\n 3\r\n\r\nabc", "(400)"),
    MEASURED(7, "GET / HTTP/1.1\r\nHost: h\r\n Content-Length: 3\r\n\r\nabc", "(400)"),
    MEASURED(8, POST_HEAD "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(8, POST_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(8, POST_HEAD "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(8, POST_HEAD "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(8, POST_HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(9, POST_HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "(501)"),
    MEASURED(10, POST_HEAD "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(11, GET_HEAD "X-A : 1\r\n\r\n", "(400)"),
    MEASURED(11, GET_HEAD "X A: 1\r\n\r\n", "(400)"),
    MEASURED(12, GET_HEAD ": 1\r\n\r\n", "(400)"),
    MEASURED(13, POST_HEAD "X: \rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(13, POST_HEAD "X: \rxTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(14, GET_HEAD "\rX" NEXT, "(400)"),
    MEASURED(15, "GET / HTTP/1.1\nHost: h\r\n\r\n", "(400)"),
    MEASURED(16, GET_HEAD "\n", "(400)"),
    MEASURED(17, "GET / HTTP/1.1\r\nHost: h\n\r\n", "(400)"),
    MEASURED(18, GET_HEAD "X: a\r\n b\r\n\r\n", "(400)"),
    MEASURED(18, GET_HEAD "X:\r\n b\r\n\r\n", "(400)"),
    MEASURED(19, "\n\r\r\n" NEXT, "(400)"),
    MEASURED(19, "\r\n\r\n" NEXT, "(400)"),
    MEASURED(19, "\n" NEXT, "(400)"),
    MEASURED(19, "\r\r\n" NEXT, "(400)"),
    MEASURED(19, "\r\n" NEXT "\r\n" NEXT, "GET /next[];GET /next[]"),
    MEASURED(20, "GET   /   HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(21, "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(21, "GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(22, "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(22, "GET *abc HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(22, "GET http://a@b@c/ HTTP/1.1\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(23, "GET /\r\n\r\n", "(400)"),
    /* A version that could be: RFC 9110 section 15.6.6 has a status for it. */
    MEASURED(23, "GET / HTTP/0.9\r\nHost: h\r\n\r\n", "(505)"),
    MEASURED(23, "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "(505)"),
    MEASURED(24, "GET / RTSP/1.0\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(24, "SOURCE / ICE/1.0\r\nHost: h\r\n\r\n", "(400)"),
    MEASURED(25, "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "(400)"),
    MEASURED(26, "GET / HTTP/1.1\r\n\r\n", "(400)"),
    MEASURED(26, GET_HEAD "Host: h\r\n\r\n", "(400)"),
    MEASURED(26, "GET / HTTP/1.1\r\nHost: a/b?c@d e\r\n\r\n", "(400)"),
    MEASURED(27, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "(405)"),
    MEASURED(28, GET_HEAD "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" NEXT, "GET /[];GET /next[]"),
    MEASURED(29, CHUNKED_HEAD "3;a=b;c\r\nabc\r\n0;d\r\n\r\n" NEXT, "POST /[abc];GET /next[]"),
    MEASURED(30, CHUNKED_HEAD "FFFFFFFFFFFFFFFF\r\nabc", "POST /[(400)"),
    MEASURED(31, CHUNKED_HEAD "3\rXabc\r\n0\r\n\r\n", "POST /[(400)"),
    MEASURED(31, CHUNKED_HEAD "3\r\nabcXX0\r\n\r\n", "POST /[abc(400)"),
    MEASURED(32, CHUNKED_HEAD "0\r\n\n" NEXT, "POST /[(400)"),
    MEASURED(33, CHUNKED_HEAD "0\r\nContent-Length: 30\r\n\r\n" NEXT, "POST /[];GET /next[]"),
    MEASURED(33, CHUNKED_HEAD "0\r\nAuthorization: Token t\r\nUpgrade: h2c\r\n\r\n" NEXT, "POST /[];GET /next[]"),
    MEASURED(34, GET_HEAD "Connection: close\t\r\n\r\n" NEXT, "GET /[] close"),
};
#define MEASURED_REQUESTS (sizeof measured_requests / sizeof measured_requests[0])

#endif
