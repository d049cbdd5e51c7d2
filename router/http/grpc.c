#include "http/grpc.h"

#include "base/hex.h"

/* ---- what is a call ---- */

bool grpc_is_content_type(struct text value)
{
    const struct text type = TEXT("application/grpc");
    if (!text_starts_with(value, type))
        return false;
    if (value.length == type.length)
        return true;
    char next = value.bytes[type.length];
    return next == '+' || next == ';' || next == ' ' || next == '\t';
}

bool grpc_is_request(const struct message_head *head)
{
    if (head->version != MESSAGE_HTTP_2)
        return false;
    const struct header_field *type = message_find(head, HEADER_CONTENT_TYPE);
    return type != NULL && grpc_is_content_type(type->value);
}

/* ---- how long it may take ---- */

#define TIMEOUT_DIGITS_MAXIMUM 8
#define TIMEOUT_VALUE_MAXIMUM 99999999u

/* From the coarsest to the finest. One of the two numbers is 1. */
static const struct timeout_unit {
    char letter;
    uint64_t ms;      /* milliseconds in a unit */
    uint64_t per_ms;  /* units in a millisecond */
} units[] = {
    {'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1}, {'m', 1, 1}, {'u', 1, 1000}, {'n', 1, 1000000},
};

static const struct timeout_unit *read_timeout(struct text value, uint64_t *amount)
{
    if (value.length < 2 || value.length > TIMEOUT_DIGITS_MAXIMUM + 1)
        return NULL;
    if (!text_to_u64(text_of(value.bytes, value.length - 1), amount))
        return NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].letter == value.bytes[value.length - 1])
            return &units[i];
    }
    return NULL;
}

bool grpc_parse_timeout(struct text value, uint64_t *timeout_ms)
{
    uint64_t amount;
    const struct timeout_unit *unit = read_timeout(value, &amount);
    if (unit == NULL)
        return false;
    /* At most 3.6e14: eight digits of hours are far below what the type holds. */
    *timeout_ms = (amount * unit->ms + unit->per_ms - 1) / unit->per_ms;
    return true;
}

struct text grpc_shorten_timeout(struct text value, uint64_t spent_ms, char buffer[GRPC_TIMEOUT_BYTES])
{
    uint64_t amount;
    const struct timeout_unit *unit = read_timeout(value, &amount);
    if (unit == NULL || spent_ms == 0)
        return value;
    /* Rounded down, and in the finest unit of at least a millisecond that eight digits hold: never longer than what came. */
    uint64_t whole_ms = amount * unit->ms / unit->per_ms;
    uint64_t left_ms = whole_ms > spent_ms ? whole_ms - spent_ms : 0;
    if (left_ms == 0)
        return TEXT("1n"); /* a timeout is a positive number; to the node this one is over, too */
    size_t i = sizeof units / sizeof units[0] - 1;
    while (units[i].per_ms > 1 || left_ms / units[i].ms > TIMEOUT_VALUE_MAXIMUM)
        i--; /* ends: an hour's worth of eight digits is more than any timeout */
    size_t length = text_append(buffer, GRPC_TIMEOUT_BYTES, 0, "%llu%c",
                                (unsigned long long)(left_ms / units[i].ms), units[i].letter);
    return text_of(buffer, length);
}

/* ---- how it ended ---- */

struct text grpc_encode_message(struct text message, char *buffer, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < message.length; i++) {
        unsigned char c = (unsigned char)message.bytes[i];
        bool is_plain = c >= 0x20 && c <= 0x7e && c != '%';
        if (capacity - used < (is_plain ? 1 : 3))
            break;
        if (is_plain) {
            buffer[used++] = (char)c;
            continue;
        }
        buffer[used++] = '%';
        hex_put_byte(buffer + used, HEX_UPPER, c);
        used += 2;
    }
    return text_of(buffer, used);
}

bool grpc_read_status(const struct message_head *head, enum grpc_status *status)
{
    const struct header_field *field = message_find(head, HEADER_GRPC_STATUS);
    if (field == NULL)
        return false;
    uint64_t code;
    bool is_code = text_to_u64(field->value, &code) && code < GRPC_STATUS_COUNT;
    *status = is_code ? (enum grpc_status)code : GRPC_STATUS_UNKNOWN;
    return true;
}

void grpc_add_fault(struct message_head *head, size_t capacity, enum fault fault, struct grpc_room *room)
{
    const struct fault_row *row = fault_row(fault);
    size_t length = text_append(room->status, sizeof room->status, 0, "%u", row->grpc_status);
    message_add(head, capacity, HEADER_GRPC_STATUS, TEXT("grpc-status"), text_of(room->status, length));
    message_add(head, capacity, HEADER_OTHER, TEXT("grpc-message"),
                grpc_encode_message(text_of_string(row->text), room->message, sizeof room->message));
}
