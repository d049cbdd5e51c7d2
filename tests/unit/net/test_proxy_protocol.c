/* The PROXY protocol's headers: what passes, what does not, and that no cut of the bytes changes either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BEHIND "GET / HTTP/1.1\r\n"
#define V4 "\xc0\0\2\7" "\xc0\0\2\1" "\x12\x34" "\1\xbb"
#define ZEROS8 "\0\0\0\0\0\0\0\0"
#define V6 "\x20\1\x0d\xb8" "\0\0\0\0" "\0\0\0\0" "\0\0\0\7" ZEROS8 ZEROS8 "\xff\xff" "\1\xbb"
#define ZEROS24 ZEROS8 ZEROS8 ZEROS8
#define ZEROS216 ZEROS24 ZEROS24 ZEROS24 ZEROS24 ZEROS24 ZEROS24 ZEROS24 ZEROS24 ZEROS24

struct row {
    const char *name;
    struct text bytes;
    const char *client; /* NULL: none is announced */
};
#define GOOD(name, bytes, client) {name, {bytes, sizeof(bytes) - 1}, client}
#define V2(command, family, length, block) SIGNATURE command family length block

static const struct row good[] = {
    GOOD("v1 TCP4", "PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n", "192.0.2.7:56324"),
    GOOD("v1 smallest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"),
    GOOD("v1 TCP4 largest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
    GOOD("v1 TCP6", "PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "[2001:db8::7]:1"),
    GOOD("v1 TCP6 upper case", "PROXY TCP6 2001:DB8::AB ::1 1 2\r\n", "[2001:db8::ab]:1"),
    GOOD("v1 TCP6 largest",
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    GOOD("v1 TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n", "192.0.2.7:1"),
    GOOD("v1 UNKNOWN", "PROXY UNKNOWN\r\n", NULL),
    GOOD("v1 UNKNOWN with something", "PROXY UNKNOWN ff:: any thing  at all\r\n", NULL),
    GOOD("v1 UNKNOWN largest",
         "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL),
    GOOD("v2 TCP4", V2("\x21", "\x11", "\0\x0c", V4), "192.0.2.7:4660"),
    GOOD("v2 UDP4", V2("\x21", "\x12", "\0\x0c", V4), "192.0.2.7:4660"),
    GOOD("v2 TCP6", V2("\x21", "\x21", "\0\x24", V6), "[2001:db8::7]:65535"),
    GOOD("v2 UDP6", V2("\x21", "\x22", "\0\x24", V6), "[2001:db8::7]:65535"),
    GOOD("v2 UNIX", V2("\x21", "\x31", "\0\xd8", ZEROS216), NULL),
    GOOD("v2 UNIX datagram", V2("\x21", "\x32", "\0\xd8", ZEROS216), NULL),
    GOOD("v2 UNSPEC", V2("\x21", "\0", "\0\0", ""), NULL),
    GOOD("v2 UNSPEC with something", V2("\x21", "\0", "\0\5", "abcde"), NULL),
    GOOD("v2 LOCAL", V2("\x20", "\0", "\0\0", ""), NULL),
    GOOD("v2 LOCAL with addresses", V2("\x20", "\x11", "\0\x0c", V4), NULL),
    GOOD("v2 LOCAL, no such family", V2("\x20", "\xee", "\0\1", "x"), NULL),
    GOOD("v2 TLV", V2("\x21", "\x11", "\0\x10", V4 "\4\0\1x"), "192.0.2.7:4660"),
    GOOD("v2 empty TLV", V2("\x21", "\x11", "\0\x0f", V4 "\4\0\0"), "192.0.2.7:4660"),
    GOOD("v2 three TLVs", V2("\x21", "\x21", "\0\x31", V6 "\1\0\2h2\4\0\0\xea\0\2\1\1"), "[2001:db8::7]:65535"),
};

static const struct row bad[] = {
    GOOD("HTTP", "GET / HTTP/1.1\r\n\r\n", NULL),
    GOOD("TLS", "\x16\3\1\2\0\1", NULL),
    GOOD("h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL),
    GOOD("empty line", "\r\n", "MORE"), /* the signature begins so */
    GOOD("empty lines and a request", "\r\n\r\nGET / HTTP/1.1\r\n", NULL),
    GOOD("NUL", "\0", NULL),
    GOOD("lower case", "proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("blank in front", " PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("tab", "PROXY\tTCP4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("two blanks", "PROXY  TCP4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("two blanks later", "PROXY TCP4 192.0.2.7  192.0.2.1 1 2\r\n", NULL),
    GOOD("blank at the end", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n", NULL),
    GOOD("one more word", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n", NULL),
    GOOD("no ports", "PROXY TCP4 192.0.2.7 192.0.2.1\r\n", NULL),
    GOOD("one port", "PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n", NULL),
    GOOD("nothing", "PROXY \r\n", NULL),
    GOOD("only the family", "PROXY TCP4\r\n", NULL),
    GOOD("LF alone", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n", NULL),
    GOOD("CR alone", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\rG", NULL),
    GOOD("CR CR LF", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\r\n", NULL),
    GOOD("NUL inside", "PROXY TCP4 192.0.2.7\0 192.0.2.1 1 2\r\n", NULL),
    GOOD("high byte in UNKNOWN", "PROXY UNKNOWN \xff\r\n", NULL),
    GOOD("UDP4", "PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("family in lower case", "PROXY tcp4 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("unknown in lower case", "PROXY unknown\r\n", NULL),
    GOOD("UNKNOWN goes on", "PROXY UNKNOWNS\r\n", NULL),
    GOOD("leading zero in a port", "PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n", NULL),
    GOOD("two zeros", "PROXY TCP4 192.0.2.7 192.0.2.1 1 00\r\n", NULL),
    GOOD("port too large", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n", NULL),
    GOOD("port far too large", "PROXY TCP4 192.0.2.7 192.0.2.1 1 4294967297\r\n", NULL),
    GOOD("signed port", "PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n", NULL),
    GOOD("negative port", "PROXY TCP4 192.0.2.7 192.0.2.1 1 -2\r\n", NULL),
    GOOD("hexadecimal port", "PROXY TCP4 192.0.2.7 192.0.2.1 0x1 2\r\n", NULL),
    GOOD("TCP4 with IPv6", "PROXY TCP4 ::1 ::2 1 2\r\n", NULL),
    GOOD("TCP6 with IPv4", "PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("destination of the other family", "PROXY TCP4 192.0.2.7 ::1 1 2\r\n", NULL),
    GOOD("short IPv4", "PROXY TCP4 192.0.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("IPv4 with a leading zero", "PROXY TCP4 192.00.2.7 192.0.2.1 1 2\r\n", NULL),
    GOOD("IPv4 out of range", "PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n", NULL),
    GOOD("asterisk", "PROXY TCP4 * * 1 2\r\n", NULL),
    GOOD("zone", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n", NULL),
    GOOD("brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", NULL),
    GOOD("name", "PROXY TCP4 localhost 192.0.2.1 1 2\r\n", NULL),
    GOOD("v1 too long",
         "PROXY UNKNOWN fffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL),
    GOOD("signature broken at its end", "\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c" V4, NULL),
    GOOD("version 1 in binary", V2("\x11", "\x11", "\0\x0c", V4), NULL),
    GOOD("version 3", V2("\x31", "\x11", "\0\x0c", V4), NULL),
    GOOD("command 2", V2("\x22", "\x11", "\0\x0c", V4), NULL),
    GOOD("INET without transport", V2("\x21", "\x10", "\0\x0c", V4), NULL),
    GOOD("INET, transport 3", V2("\x21", "\x13", "\0\x0c", V4), NULL),
    GOOD("transport without family", V2("\x21", "\1", "\0\x0c", V4), NULL),
    GOOD("family 4", V2("\x21", "\x41", "\0\x0c", V4), NULL),
    GOOD("INET too short", V2("\x21", "\x11", "\0\x0b", V4), NULL),
    GOOD("INET6 too short", V2("\x21", "\x21", "\0\x23", V6), NULL),
    GOOD("INET6 with a block of INET", V2("\x21", "\x21", "\0\x0c", V4), NULL),
    GOOD("UNIX too short", V2("\x21", "\x31", "\0\xd7", ZEROS216), NULL),
    GOOD("TLV cut in its head", V2("\x21", "\x11", "\0\x0e", V4 "\4\0"), NULL),
    GOOD("TLV longer than the block", V2("\x21", "\x11", "\0\x10", V4 "\4\0\2x"), NULL),
    GOOD("block too large", V2("\x21", "\x11", "\x08\x01", V4), NULL),
    GOOD("block far too large", V2("\x20", "\0", "\xff\xff", ""), NULL),
};

/* The bytes stand at the end of their memory, so that a sanitizer sees a read behind them. */
static enum proxy_protocol_result parse(const char *bytes, size_t length, struct proxy_protocol_header *header)
{
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy + 1, bytes, length);
    memset(header, 0xee, sizeof *header);
    enum proxy_protocol_result verdict = proxy_protocol_parse(text_of(copy + 1, length), header);
    free(copy);
    return verdict;
}

static void assert_client(const struct row *row, const struct proxy_protocol_header *header)
{
    char text[ADDRESS_TEXT_BYTES];
    if (row->client == NULL) {
        if (header->client.length != 0)
            fail_msg("%s: an address", row->name);
        return;
    }
    if (header->client.length == 0 || strcmp(address_format(&header->client, text, sizeof text), row->client) != 0)
        fail_msg("%s: not %s", row->name, row->client);
}

static void a_header_is_whole_with_its_last_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct proxy_protocol_header header;
        for (size_t length = 0; length < good[i].bytes.length; length++) {
            if (parse(good[i].bytes.bytes, length, &header) != PROXY_PROTOCOL_MORE)
                fail_msg("%s: not MORE after %zu bytes", good[i].name, length);
        }
        if (parse(good[i].bytes.bytes, good[i].bytes.length, &header) != PROXY_PROTOCOL_WHOLE)
            fail_msg("%s: not WHOLE", good[i].name);
        assert_int_equal(header.length, good[i].bytes.length);
        assert_client(&good[i], &header);
    }
}

static void what_comes_behind_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char bytes[512];
        struct proxy_protocol_header header;
        memcpy(bytes, good[i].bytes.bytes, good[i].bytes.length);
        memcpy(bytes + good[i].bytes.length, BEHIND, strlen(BEHIND));
        for (size_t more = 1; more <= strlen(BEHIND); more++) {
            if (parse(bytes, good[i].bytes.length + more, &header) != PROXY_PROTOCOL_WHOLE)
                fail_msg("%s: not WHOLE with %zu more", good[i].name, more);
            assert_int_equal(header.length, good[i].bytes.length);
            assert_client(&good[i], &header);
        }
    }
}

/* Once bad, bad for ever; and never whole on the way. */
static void bad_ones_are_refused_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct proxy_protocol_header header;
        bool is_bad = false;
        for (size_t length = 0; length <= bad[i].bytes.length; length++) {
            enum proxy_protocol_result verdict = parse(bad[i].bytes.bytes, length, &header);
            if (verdict == PROXY_PROTOCOL_WHOLE || (is_bad && verdict != PROXY_PROTOCOL_BAD))
                fail_msg("%s: verdict %d after %zu bytes", bad[i].name, (int)verdict, length);
            is_bad = verdict == PROXY_PROTOCOL_BAD;
        }
        if (is_bad != (bad[i].client == NULL))
            fail_msg("%s: %s", bad[i].name, is_bad ? "refused" : "not refused");
    }
}

/* A request in place of a header is refused with its first byte, so nobody waits for a deadline. */
static void what_cannot_begin_a_header_is_refused_at_once(void **state)
{
    (void)state;
    for (int first = 0; first < 256; first++) {
        char byte = (char)first;
        struct proxy_protocol_header header;
        bool may_begin = byte == 'P' || byte == '\r';
        assert_int_equal(parse(&byte, 1, &header), may_begin ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD);
    }
}

static void no_header_is_waited_for_beyond_its_bound(void **state)
{
    (void)state;
    char bytes[PROXY_PROTOCOL_BYTES_MAXIMUM];
    struct proxy_protocol_header header;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "PROXY UNKNOWN ", 14);
    assert_int_equal(parse(bytes, PROXY_PROTOCOL_V1_BYTES - 1, &header), PROXY_PROTOCOL_MORE);
    assert_int_equal(parse(bytes, PROXY_PROTOCOL_V1_BYTES, &header), PROXY_PROTOCOL_BAD);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, SIGNATURE "\x20\0\x08\0", 16);
    assert_int_equal(parse(bytes, PROXY_PROTOCOL_BYTES_MAXIMUM - 1, &header), PROXY_PROTOCOL_MORE);
    assert_int_equal(parse(bytes, PROXY_PROTOCOL_BYTES_MAXIMUM, &header), PROXY_PROTOCOL_WHOLE);
    assert_int_equal(header.length, PROXY_PROTOCOL_BYTES_MAXIMUM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_whole_with_its_last_byte),
        cmocka_unit_test(what_comes_behind_changes_nothing),
        cmocka_unit_test(bad_ones_are_refused_at_every_cut),
        cmocka_unit_test(what_cannot_begin_a_header_is_refused_at_once),
        cmocka_unit_test(no_header_is_waited_for_beyond_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
