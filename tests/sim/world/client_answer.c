#include "world/client_answer.h"

#include "check/answer.h"

#define GRPC_PREFIX_BYTES 5

static bool has(const struct client_answer *answer, enum answer_fact fact)
{
    return (answer->facts & (unsigned)fact) != 0;
}

static bool is_write(const struct client_answer *answer)
{
    return answer->kind == TRY_WRITE_STAMPED || answer->kind == TRY_WRITE_PLAIN || answer->kind == TRY_WRITEBACK;
}

/* Is a 200 the answer that belongs to the try, byte for byte? */
static bool is_question(const struct client_answer *answer)
{
    return answer->kind == TRY_QUERY || answer->kind == TRY_ENGINE || answer->kind == TRY_FLIGHT;
}

/* One finding for each answer: what follows from it says no more. */
static void report(struct client_answer *answer, const char *rule, const char *words)
{
    if (has(answer, ANSWER_IS_WRONG))
        return;
    answer->facts |= ANSWER_IS_WRONG;
    ledger_violation(rule, "client %u, try %llu, status %u, code %d, %llu of %llu bytes: %s: %.*s", answer->client,
                     (unsigned long long)answer->number, answer->status, answer->code, (unsigned long long)answer->received,
                     (unsigned long long)(is_question(answer) ? answer_length(answer->number) : 0), words, (int)answer->word_count, answer->words);
}

void client_answer_begin(struct client_answer *answer, enum try_kind kind, uint64_t number, unsigned client, unsigned facts)
{
    answer->number = number;
    answer->kind = kind;
    answer->client = client;
    answer->facts = facts;
    answer->code = ANSWER_NO_CODE;
}

/* ---- heads ---- */

static void read_code(struct client_answer *answer, const struct peer_field *field)
{
    uint64_t code;
    if (text_equals(field->name, TEXT("grpc-status")))
        answer->code = text_to_u64(field->value, &code) && code <= 16 ? (int)code : 2;
    if (text_equals(field->name, TEXT("grpc-message"))) {
        answer->word_count = field->value.length < ANSWER_WORDS_BYTES ? field->value.length : ANSWER_WORDS_BYTES;
        memcpy(answer->words, field->value.bytes, answer->word_count);
    }
}

void client_answer_head(struct client_answer *answer, const struct peer_head *head)
{
    if (head->status < 200) {
        if (head->status == 101)
            report(answer, "odd_status", "101 without an Upgrade that was followed");
        return;
    }
    answer->status = head->status;
    answer->maker = ANSWER_OF_NODE;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct peer_field *field = &head->fields[i];
        if (text_equals(field->name, TEXT("server")) && text_equals(field->value, TEXT("sluice")))
            answer->maker = ANSWER_OF_SLUICE;
        else if (text_equals(field->name, TEXT("retry-after")))
            answer->facts |= ANSWER_HAS_RETRY_AFTER;
        else if (text_equals(field->name, TEXT("content-type")) && text_equals(field->value, TEXT("application/json")))
            answer->facts |= ANSWER_IS_JSON;
        else if (text_equals(field->name, TEXT("x-sluice-node")) && has(answer, ANSWER_OF_NAMED) &&
                 !text_equals(field->value, TEXT(ANSWER_NAMED_NODE)))
            report(answer, "other_node", "another node answers than the one that was named");
        else
            read_code(answer, field);
    }
}

void client_answer_trailers(struct client_answer *answer, const struct peer_head *fields)
{
    if (!has(answer, ANSWER_IS_CALL))
        return;
    for (size_t i = 0; i < fields->field_count; i++)
        read_code(answer, &fields->fields[i]);
}

/* ---- bodies ---- */

static void take_answer(struct client_answer *answer, struct text piece)
{
    if (!has(answer, ANSWER_IS_WRONG) && !answer_is(answer->number, answer->received, piece))
        report(answer, "wrong_answer", "these bytes are not the try's own");
    answer->received += piece.length;
}

static void take_messages(struct client_answer *answer, struct text piece)
{
    struct answer_messages *messages = &answer->messages;
    while (piece.length > 0) {
        size_t taken = 1;
        if (messages->prefix < GRPC_PREFIX_BYTES) {
            messages->left = messages->prefix == 0 ? 0 : messages->left << 8 | (uint8_t)piece.bytes[0];
            messages->prefix++;
        } else {
            taken = messages->left < piece.length ? (size_t)messages->left : piece.length;
            take_answer(answer, text_of(piece.bytes, taken));
            messages->left -= taken;
        }
        if (messages->prefix == GRPC_PREFIX_BYTES && messages->left == 0)
            messages->prefix = 0;
        piece = text_of(piece.bytes + taken, piece.length - taken);
    }
}

static void keep_words(struct client_answer *answer, struct text piece)
{
    size_t room = ANSWER_WORDS_BYTES - answer->word_count;
    size_t count = piece.length < room ? piece.length : room;
    memcpy(answer->words + answer->word_count, piece.bytes, count);
    answer->word_count += count;
    answer->received += piece.length;
}

void client_answer_body(struct client_answer *answer, struct text piece)
{
    if (has(answer, ANSWER_IS_CALL) && answer->status == 200)
        take_messages(answer, piece);
    else if (is_question(answer) && answer->status == 200)
        take_answer(answer, piece);
    else
        keep_words(answer, piece);
}

/* ---- the end ---- */

/* docs/clients.md#words-in-errors */
static bool has_forbidden_words(struct text words)
{
    static const struct text forbidden[] = {
        {"database not found", 18},      {"retention policy not found", 26},      {"hinted handoff queue not empty", 30},
        {"partial write", 13},           {"points beyond retention policy", 30},  {"unable to parse", 15},
        {"field type conflict", 19},     {"cache-max-memory-size exceeded", 30},  {"authorization failed", 20},
        {"user is required", 16},        {"line protocol parsing error", 27},     {"parsing failed for write_lp endpoint", 36},
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (text_find(words, forbidden[i]) >= 0)
            return true;
    }
    return false;
}

static bool is_role_refusal(struct text words)
{
    return text_find(words, TEXT("cannot write to a read-only server")) >= 0 ||
           text_find(words, TEXT("cannot write to a compactor-only server")) >= 0 || text_find(words, TEXT("wal is shut")) >= 0;
}

/* What an honest client may hear from Sluice itself. */
static bool is_status_of_sluice(const struct client_answer *answer)
{
    switch (answer->status) {
    case 502:
    case 503:
    case 504:
        return true;
    case 408:
        return has(answer, ANSWER_OF_SLOW_BODY);
    case 421: /* a reload may have taken it out */
        return has(answer, ANSWER_OF_NAMED);
    case 200:
    case 204:
        return answer->kind == TRY_LOCAL || has(answer, ANSWER_IS_CALL);
    default:
        return false;
    }
}

static bool is_status_of_node(unsigned status)
{
    return (status >= 200 && status <= 206) || (status >= 400 && status <= 431) || (status >= 500 && status <= 504);
}

static void check_words_of_sluice(struct client_answer *answer)
{
    struct text words = text_of(answer->words, answer->word_count);
    if (has_forbidden_words(words))
        report(answer, "forbidden_words", "Sluice says what clients act on");
    if (is_write(answer) && answer->status != 503)
        report(answer, "drops_data", "of Sluice itself a write may only hear 503");
    if (is_write(answer) && has(answer, ANSWER_HAS_RETRY_AFTER))
        report(answer, "retry_after", "Sluice says Retry-After to a writer");
    if (!is_status_of_sluice(answer))
        report(answer, "odd_status", "Sluice says this to an honest client");
    if (answer->status >= 400 && (!has(answer, ANSWER_IS_JSON) || answer->word_count == 0 || answer->words[0] != '{'))
        report(answer, "odd_answer", "an error of Sluice that is not its JSON");
}

static void check_words_of_node(struct client_answer *answer)
{
    if (is_write(answer) && is_role_refusal(text_of(answer->words, answer->word_count)))
        report(answer, "drops_data", "a node's refusal of its role has reached a writer");
    if (has(answer, ANSWER_MISREADS_RETRY) && has(answer, ANSWER_HAS_RETRY_AFTER))
        report(answer, "retry_after", "this library reads its seconds as milliseconds");
    if (!is_status_of_node(answer->status))
        report(answer, "odd_status", "no node says this");
}

static void check_length(struct client_answer *answer)
{
    if (answer->received < answer_length(answer->number))
        report(answer, "cut_ends_cleanly", "the answer ended in order before it was whole");
}

static enum try_end end_call(struct client_answer *answer)
{
    if (answer->status != 200)
        return TRY_REFUSED;
    if (answer->code == ANSWER_NO_CODE)
        report(answer, "no_grpc_status", "the call ended without a status");
    if (answer->maker == ANSWER_OF_SLUICE && has_forbidden_words(text_of(answer->words, answer->word_count)))
        report(answer, "forbidden_words", "Sluice says to a call what clients act on");
    if (answer->code != 0)
        return TRY_REFUSED;
    if (answer->messages.prefix != 0)
        report(answer, "cut_ends_cleanly", "the call ended in order in the middle of a message");
    check_length(answer);
    return TRY_DONE;
}

enum try_end client_answer_end(struct client_answer *answer)
{
    if (answer->status == 0) {
        report(answer, "odd_answer", "an end without an answer");
        return TRY_CUT;
    }
    if (has(answer, ANSWER_IS_CALL))
        return end_call(answer);
    if (answer->maker == ANSWER_OF_SLUICE)
        check_words_of_sluice(answer);
    else
        check_words_of_node(answer);
    if (answer->status == 204 && answer->received > 0)
        report(answer, "odd_answer", "a 204 with a body");
    if (answer->status >= 300)
        return TRY_REFUSED;
    if (is_question(answer))
        check_length(answer);
    return TRY_DONE;
}

unsigned client_answer_status(const struct client_answer *answer)
{
    static const uint16_t status_of_code[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
    if (!has(answer, ANSWER_IS_CALL) || answer->status != 200)
        return answer->status;
    return answer->code >= 0 && answer->code <= 16 ? status_of_code[answer->code] : 500;
}
