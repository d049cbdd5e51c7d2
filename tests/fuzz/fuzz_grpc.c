/*
 * What gRPC writes into heads. The timeout is compared with the same sum in wider numbers, a shortened one is never longer than what is left;
 * a message that was encoded says the same when it is decoded.
 *
 * The input: how much time was spent (4 bytes), how much room there is for the message (1 byte), a line, the rest. The line is a timeout, a
 * content type and a status; the rest is the message.
 */
#include "fuzz/fuzz.h"
#include "http/grpc.h"

typedef unsigned __int128 wide;

/* In nanoseconds; false when it is no timeout. */
static bool read_timeout(struct text value, wide *ns)
{
    static const char letters[] = "HMSmun";
    static const uint64_t each[] = {UINT64_C(3600000000000), UINT64_C(60000000000), 1000000000, 1000000, 1000, 1};
    if (value.length < 2 || value.length > 9)
        return false;
    *ns = 0;
    for (size_t i = 0; i + 1 < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
        *ns = *ns * 10 + (wide)(value.bytes[i] - '0');
    }
    const char *letter = value.bytes[value.length - 1] == '\0' ? NULL : strchr(letters, value.bytes[value.length - 1]);
    *ns *= letter == NULL ? 0 : each[letter - letters];
    return letter != NULL;
}

static void try_timeout(struct text value, uint64_t spent_ms)
{
    uint64_t ms = 0;
    wide ns, left_ns;
    bool is_timeout = grpc_parse_timeout(value, &ms);
    expect(is_timeout == read_timeout(value, &ns));
    if (!is_timeout)
        return;
    expect(ms == (uint64_t)((ns + 999999) / 1000000));
    char buffer[GRPC_TIMEOUT_BYTES];
    struct text left = grpc_shorten_timeout(value, spent_ms, buffer);
    expect(read_timeout(left, &left_ns));
    wide spent_ns = (wide)spent_ms * 1000000;
    if (spent_ms == 0)
        expect(text_equals(left, value));
    else
        expect(ns > spent_ns && ns - spent_ns >= 1000000 ? left_ns <= ns - spent_ns : left_ns <= 1000000);
    /* A timeout of nothing is none, unless the client said so itself. */
    expect(left_ns > 0 || ns == 0);
}

static void try_message(struct text message, size_t capacity)
{
    char *buffer = malloc(capacity + 1);
    expect(buffer != NULL);
    ASAN_POISON_MEMORY_REGION(buffer + capacity, 1);
    struct text encoded = grpc_encode_message(message, buffer, capacity);
    expect(encoded.length <= capacity);
    size_t at = 0;
    for (size_t i = 0; i < encoded.length; i++, at++) {
        char c = encoded.bytes[i];
        expect(c >= 0x20 && c <= 0x7e && at < message.length);
        if (c == '%') {
            unsigned byte = 0;
            expect(encoded.length - i >= 3);
            char digits[3] = {encoded.bytes[i + 1], encoded.bytes[i + 2], '\0'};
            expect(sscanf(digits, "%2X", &byte) == 1);
            c = (char)byte;
            i += 2;
        }
        expect(c == message.bytes[at]);
    }
    /* Only what found no room is left out. */
    expect(at == message.length || capacity - encoded.length < 3);
    ASAN_UNPOISON_MEMORY_REGION(buffer + capacity, 1);
    free(buffer);
}

static void try_head(struct text value)
{
    struct header_field field = {TEXT("content-type"), value, HEADER_CONTENT_TYPE};
    struct message_head head = {.version = MESSAGE_HTTP_2, .fields = &field, .field_count = 1};
    const size_t type = strlen("application/grpc");
    bool is_call = value.length >= type && memcmp(value.bytes, "application/grpc", type) == 0 &&
                   (value.length == type || (value.bytes[type] != '\0' && strchr("+; \t", value.bytes[type]) != NULL));
    expect(grpc_is_request(&head) == is_call);
    head.version = MESSAGE_HTTP_1_1;
    expect(!grpc_is_request(&head));

    enum grpc_status status = GRPC_STATUS_OK;
    field = (struct header_field){TEXT("grpc-status"), value, HEADER_GRPC_STATUS};
    expect(grpc_read_status(&head, &status));
    bool is_zero = value.length > 0;
    for (size_t i = 0; i < value.length; i++)
        is_zero = is_zero && value.bytes[i] == '0';
    /* Only a zero is a success. */
    expect((status == GRPC_STATUS_OK) == is_zero && status < GRPC_STATUS_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape tape = {data, size};
    uint64_t spent_ms = (uint64_t)tape_u16(&tape) << 16;
    spent_ms |= tape_u16(&tape);
    spent_ms <<= spent_ms & 7;
    size_t capacity = tape_byte(&tape);
    struct text value = fuzz_copy(tape_line(&tape, '\n'));
    struct text message = fuzz_copy(tape_text(&tape, 1024));
    try_timeout(value, spent_ms);
    try_head(value);
    try_message(message, capacity);
    fuzz_free(value);
    fuzz_free(message);
    return 0;
}
