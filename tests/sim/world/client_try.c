#include "world/client_try.h"

#include "kernel/memory.h"
#include "world/bodies.h"

#define TARGET_BYTES 640
#define FIELDS_MAXIMUM 12
#define NUMBER_BYTES 24
#define PIECE_BYTES 16384
/* No try lasts longer than until this long before the run's end. */
#define LAST_MOMENT_US SIM_S

enum client_pace {
    PACE_ORDINARY,
    PACE_SLOW_BODY,
    PACE_STOPPED_BODY,  /* sends a part and never the rest */
    PACE_SLOW_READER,
    PACE_NO_READER,
    PACE_EXPECTS,       /* sends its body after 100, or when that does not come in time */
};

/* As curl does. */
#define EXPECTATION_US SIM_S

struct client_try {
    struct list_node node;
    struct client_asker *asker;
    struct client_link *link;
    struct peer_stream *stream;
    struct client_answer answer;
    struct text body;             /* ref, unless it is a write */
    uint64_t body_length;
    uint64_t body_sent;
    uint64_t piece_bytes;         /* of the body at a time */
    enum client_framing framing;
    enum client_pace pace;
    unsigned tag;
    bool half_closes;
    bool leaves_early;
    struct sim_timer patience;    /* the original's, or the moment at which this one leaves */
    struct sim_timer next_step;   /* of a slow body or reader */
};

/* ---- the end ---- */

static void forget(struct client_try *try)
{
    sim_timer_clear(&try->patience);
    sim_timer_clear(&try->next_step);
    list_remove(&try->asker->tries, &try->node);
    world_free(try);
}

static void end_with(struct client_try *try, enum try_end end, enum peer_cut cut)
{
    struct client_asker *asker = try->asker;
    struct client_end word = {.end = end, .status = client_answer_status(&try->answer), .cut = cut, .tag = try->tag};
    uint64_t number = try->answer.number;
    if (try->stream != NULL)
        peer_stream_release(try->stream);
    if (try->link->streams > 0)
        try->link->streams--;
    forget(try);
    ledger_end(number, end, word.status);
    asker->on_end(asker->owner, &word);
}

/* ---- what comes ---- */

static void on_response(void *owner, const struct peer_head *head)
{
    struct client_try *try = owner;
    client_answer_head(&try->answer, head);
    if (head->status != 100 || try->pace != PACE_EXPECTS)
        return;
    reached("client: 100, and its body follows");
    sim_timer_in(&try->next_step, 0);
}

static void on_body(void *owner, struct text piece)
{
    struct client_try *try = owner;
    client_answer_body(&try->answer, piece);
    if (try->pace != PACE_SLOW_READER)
        return;
    peer_stream_pause(try->stream, true);
    sim_timer_in(&try->next_step, draw_between(try->asker->random, SIM_MS, SIM_S));
}

static void on_trailers(void *owner, const struct peer_head *fields)
{
    struct client_try *try = owner;
    client_answer_trailers(&try->answer, fields);
}

static void on_end(void *owner)
{
    struct client_try *try = owner;
    if (try->body_sent < try->body_length)
        reached("client: an answer before the body was sent");
    end_with(try, client_answer_end(&try->answer), PEER_CUT_CLOSED);
}

static void on_cut(void *owner, enum peer_cut why)
{
    struct client_try *try = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "client %u, try %llu: what came is no HTTP: %s", try->asker->client,
                         (unsigned long long)try->answer.number, try->link->peer == NULL ? "" : peer_fault(try->link->peer));
    if (try->answer.status != 0)
        reached("client: an answer was cut in its middle");
    end_with(try, TRY_CUT, why);
}

/* ---- the body ---- */

static struct text next_piece(const struct client_try *try, char *buffer, size_t maximum)
{
    if (try->body.length == 0)
        return text_of(buffer, body_copy(try->answer.number, try->answer.kind, try->body_sent, buffer, maximum));
    size_t left = try->body.length - (size_t)try->body_sent;
    return text_of(try->body.bytes + try->body_sent, left < maximum ? left : maximum);
}

static void finish_body(struct client_try *try)
{
    peer_send_end(try->stream, NULL);
    if (!try->half_closes)
        return;
    client_link_half_close(try->link);
    reached("client: a FIN behind its request");
}

/* As much as the peer takes now; of a slow body one piece. */
static void send_body(struct client_try *try)
{
    static char buffer[PIECE_BYTES];
    bool is_slow = try->pace == PACE_SLOW_BODY || try->pace == PACE_STOPPED_BODY;
    while (try->body_sent < try->body_length) {
        struct text piece = next_piece(try, buffer, (size_t)try->piece_bytes);
        size_t taken = peer_send_body(try->stream, piece);
        try->body_sent += taken;
        if (taken < piece.length)
            return;
        if (is_slow && try->body_sent < try->body_length) {
            sim_timer_in(&try->next_step, draw_between(try->asker->random, 5 * SIM_MS, 3 * SIM_S));
            return;
        }
    }
    finish_body(try);
}

static void on_writable(void *owner)
{
    struct client_try *try = owner;
    bool is_paced = sim_timer_is_set(&try->next_step) || try->pace == PACE_STOPPED_BODY || try->pace == PACE_EXPECTS;
    if (try->body_sent < try->body_length && !is_paced)
        send_body(try);
}

static void on_step(void *owner)
{
    struct client_try *try = owner;
    switch (try->pace) {
    case PACE_SLOW_BODY:
        send_body(try);
        break;
    case PACE_STOPPED_BODY:
        reached("client: its body stopped half-way");
        break;
    case PACE_EXPECTS:
        try->pace = PACE_ORDINARY;
        send_body(try);
        break;
    case PACE_SLOW_READER:
        peer_stream_pause(try->stream, false);
        break;
    case PACE_ORDINARY:
    case PACE_NO_READER:
        break;
    }
}

/* ---- leaving ---- */

static bool is_alone_on_link(const struct client_try *try)
{
    return try->link->streams <= 1;
}

/* Gives up: by closing, by a reset of the connection, or of the stream. */
static void on_patience_over(void *owner)
{
    struct client_try *try = owner;
    struct client_asker *asker = try->asker;
    struct client_link *link = try->link;
    bool is_http_1 = asker->links->version == PEER_HTTP_1;
    unsigned manner = try->leaves_early ? (unsigned)draw_below(asker->random, 3) : 0;
    reached(try->leaves_early ? "client: leaves early" : "client: has waited too long");
    if (!try->leaves_early && try->answer.status == 0)
        client_link_doubt(link);
    /* The whole connection goes, and the stream with it. */
    if (is_alone_on_link(try) && (is_http_1 || manner > 0)) {
        if (manner == 1)
            client_link_abort(link);
        else
            client_link_close(link);
    }
    end_with(try, TRY_LEFT, PEER_CUT_CLOSED);
}

/* ---- the beginning ---- */

static void draw_body_fault(struct client_try *try)
{
    struct client_asker *asker = try->asker;
    if (try->body_length < 2 || !draw_chance(asker->random, plan_rate(asker->plan, FAULT_KIND_CLIENT_SLOW_BODY)))
        return;
    try->pace = draw_below(asker->random, 3) == 0 ? PACE_STOPPED_BODY : PACE_SLOW_BODY;
    try->piece_bytes = draw_between(asker->random, 1, try->body_length - 1);
    if (try->piece_bytes > PIECE_BYTES)
        try->piece_bytes = PIECE_BYTES;
    try->answer.facts |= ANSWER_OF_SLOW_BODY;
}

static void expect(struct client_try *try)
{
    if (try->pace != PACE_ORDINARY)
        return;
    try->pace = PACE_EXPECTS;
    sim_timer_in(&try->next_step, EXPECTATION_US);
}

static void draw_reader_fault(struct client_try *try)
{
    struct client_asker *asker = try->asker;
    if (try->pace != PACE_ORDINARY || !draw_chance(asker->random, plan_rate(asker->plan, FAULT_KIND_CLIENT_SLOW_READER)))
        return;
    try->pace = draw_below(asker->random, 4) == 0 ? PACE_NO_READER : PACE_SLOW_READER;
    reached(try->pace == PACE_NO_READER ? "client: does not read" : "client: reads slowly");
}

static uint64_t draw_faults(struct client_try *try, uint64_t budget_us)
{
    struct client_asker *asker = try->asker;
    if (asker->plan->fixed.patience_ms > 0)
        budget_us = asker->plan->fixed.patience_ms * SIM_MS;
    draw_body_fault(try);
    draw_reader_fault(try);
    if (try->pace != PACE_ORDINARY)
        budget_us += draw_between(asker->random, SIM_S, 80 * SIM_S);
    if (draw_chance(asker->random, plan_rate(asker->plan, FAULT_KIND_CLIENT_LEAVES))) {
        try->leaves_early = true;
        budget_us = draw_below(asker->random, draw_below(asker->random, 2) == 0 ? 20 * SIM_MS : 3 * SIM_S);
    } else if (asker->links->version == PEER_HTTP_1 && try->link->streams == 1) {
        try->half_closes = draw_chance(asker->random, plan_rate(asker->plan, FAULT_KIND_CLIENT_HALF_CLOSE));
    }
    uint64_t left_us = asker->end_us - LAST_MOMENT_US - sim_now_us();
    return budget_us < left_us ? budget_us : left_us;
}

static uint64_t length_of_body(const struct client_request *request, uint64_t number)
{
    if (request->framing == CLIENT_NO_BODY)
        return 0;
    return request->body.length > 0 ? request->body.length : body_length(number, request->kind);
}

static struct client_try *create(struct client_asker *asker, const struct client_request *request, struct client_link *link)
{
    static const uint64_t chunks[] = {64, 512, 4096, PIECE_BYTES};
    struct client_try *try = world_calloc(1, sizeof *try);
    uint64_t number = ledger_begin(request->kind, asker->client);
    client_answer_begin(&try->answer, request->kind, number, asker->client, request->facts);
    try->asker = asker;
    try->link = link;
    try->body = request->body;
    try->framing = request->framing;
    try->body_length = length_of_body(request, number);
    try->piece_bytes = request->framing == CLIENT_CHUNKED && try->body_length <= PIECE_BYTES ? chunks[draw_below(asker->random, 4)] : PIECE_BYTES;
    try->tag = request->tag;
    sim_timer_init(&try->patience, on_patience_over, try);
    sim_timer_init(&try->next_step, on_step, try);
    list_append(&asker->tries, &try->node);
    return try;
}

static void make_head(const struct client_try *try, const struct client_request *request, char target[TARGET_BYTES], char number[NUMBER_BYTES],
                      struct peer_head *head)
{
    bool is_call = (request->facts & ANSWER_IS_CALL) != 0;
    size_t length = text_append(target, TARGET_BYTES, 0, "%.*s", TEXT_ARGUMENTS(request->path));
    size_t digits = text_append(number, NUMBER_BYTES, 0, "%llu", (unsigned long long)try->answer.number);
    if (!is_call)
        length = text_append(target, TARGET_BYTES, length, "%ctry=%s", text_find(request->path, TEXT("?")) < 0 ? '?' : '&', number);
    head->method = request->method;
    head->target = text_of(target, length);
    head->authority = TEXT("sluice.example:8181");
    head->status = 0;
    head->has_length = request->framing == CLIENT_LENGTH;
    head->length = try->body_length;
    head->is_whole = request->framing == CLIENT_NO_BODY;
    head->field_count = request->field_count;
    memcpy(head->fields, request->fields, request->field_count * sizeof *request->fields);
    if (is_call)
        head->fields[head->field_count++] = (struct peer_field){TEXT("x-try"), text_of(number, digits)};
}

struct client_link *client_try_start(struct client_asker *asker, const struct client_request *request, struct client_link *link)
{
    static const struct peer_stream_events events = {
        .on_response = on_response,
        .on_body = on_body,
        .on_trailers = on_trailers,
        .on_end = on_end,
        .on_cut = on_cut,
        .on_writable = on_writable,
    };
    char target[TARGET_BYTES];
    char number[NUMBER_BYTES];
    struct peer_head head;
    if (link == NULL)
        link = client_link_take(asker->links);
    if (link == NULL)
        return NULL;
    struct client_try *try = create(asker, request, link);
    make_head(try, request, target, number, &head);
    link->streams++;
    uint64_t patience_us = draw_faults(try, request->budget_us);
    try->stream = peer_request(link->peer, &head, &events, try);
    if (try->stream == NULL) {
        end_with(try, TRY_CUT, PEER_CUT_CLOSED);
        return link;
    }
    sim_timer_in(&try->patience, patience_us);
    if (try->pace == PACE_SLOW_READER || try->pace == PACE_NO_READER)
        peer_stream_pause(try->stream, true);
    if (try->pace == PACE_SLOW_READER)
        sim_timer_in(&try->next_step, draw_between(asker->random, 10 * SIM_MS, 5 * SIM_S));
    if ((request->facts & ANSWER_IS_EXPECTED) != 0)
        expect(try);
    if (request->framing != CLIENT_NO_BODY && try->pace != PACE_EXPECTS)
        send_body(try);
    else if (request->framing == CLIENT_NO_BODY && try->half_closes)
        client_link_half_close(link);
    return link;
}

void client_tries_drop(struct client_asker *asker)
{
    struct list_node *node;
    while ((node = list_first(&asker->tries)) != NULL) {
        struct client_try *try = LIST_OWNER(node, struct client_try, node);
        if (try->stream != NULL)
            peer_stream_release(try->stream);
        forget(try);
    }
}
