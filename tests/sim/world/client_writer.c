/*
 * Writers, each with the retry rules of its original (docs/clients.md#write-statuses): which statuses make it drop a batch, and which make it send the
 * batch again, how often and when. A batch that is sent again is a new try, so its lines carry another number.
 */
#include "world/client_state.h"

enum writer_pause {
    PAUSE_NONE,    /* the next flush */
    PAUSE_SECONDS, /* 5 to 10 s, doubled each time */
    PAUSE_SHORT,   /* 250 ms, doubled each time */
};

/* What the answers below do to a batch, one letter each: K it is kept, T it is kept and the writer slows down, S it is split, D it is dropped. */
enum { ANSWER_200, ANSWER_400, ANSWER_401, ANSWER_404, ANSWER_413, ANSWER_429, ANSWER_500, ANSWER_503, ANSWER_NONE, ANSWERS };

/* What some add to a request by HTTP/1.1. */
enum writer_habit {
    HABIT_NONE,
    HABIT_EXPECTS,  /* Expect: 100-continue */
    HABIT_UPGRADES, /* offers Upgrade: h2c with each request */
};

struct writer {
    const char *name;
    struct text path;
    struct text agent;
    enum client_framing framing;
    unsigned budget_s;
    unsigned tries_maximum;  /* of a batch; 0: for as long as there is room */
    unsigned concurrency;    /* batches under way at a time */
    enum writer_pause pause;
    enum writer_habit habit;
    char reactions[ANSWERS + 1];
    const char *kept;        /* what was reached */
    const char *lost;
};

#define TEXT_LITERAL(literal) {literal, sizeof(literal) - 1}

/* clang-format off */
static const struct writer writers[] = {
    {"telegraf_v1", TEXT_LITERAL("/write?db=d1&rp=autogen&consistency=any"), TEXT_LITERAL("Telegraf/1.39.3 Go/1.26"), CLIENT_CHUNKED,
     5, 0, 1, PAUSE_NONE, HABIT_NONE, "KDDDDDKKK", "client: telegraf v1 keeps a batch", "client: telegraf v1 drops a batch"},
    {"telegraf_v2", TEXT_LITERAL("/api/v2/write?org=o&bucket=d1"), TEXT_LITERAL("Telegraf/1.39.3 Go/1.26"), CLIENT_CHUNKED,
     5, 0, 1, PAUSE_NONE, HABIT_NONE, "-DKDSTKTK", "client: telegraf v2 keeps a batch", "client: telegraf v2 drops a batch"},
    {"telegraf_v3", TEXT_LITERAL("/api/v3/write_lp?db=d1"), TEXT_LITERAL("Telegraf/1.39.3 Go/1.26"), CLIENT_CHUNKED,
     5, 0, 1, PAUSE_NONE, HABIT_NONE, "-DKDSTKTK", "client: telegraf v3 keeps a batch", "client: telegraf v3 drops a batch"},
    {"js_v2", TEXT_LITERAL("/api/v2/write?org=o&bucket=d1&precision=ns"), TEXT_LITERAL("influxdb-client-js/1.35.0"), CLIENT_LENGTH,
     10, 6, 2, PAUSE_SECONDS, HABIT_NONE, "DDDDDKKKK", "client: the v2 library of JavaScript retries", "client: the v2 library of JavaScript loses a batch"},
    {"python_v3", TEXT_LITERAL("/api/v2/write?org=o&bucket=d1&precision=ns"), TEXT_LITERAL("influxdb3-python/0.16.0"), CLIENT_LENGTH,
     10, 6, 4, PAUSE_SECONDS, HABIT_NONE, "-DDDDKKKK", "client: the library of Python retries", "client: the library of Python loses a batch"},
    {"go_v2", TEXT_LITERAL("/api/v2/write?org=o&bucket=d1&precision=ns"), TEXT_LITERAL("influxdb-client-go/2.14.0"), CLIENT_LENGTH,
     20, 6, 2, PAUSE_SECONDS, HABIT_NONE, "-DDDDKKKK", "client: the v2 library of Go retries", "client: the v2 library of Go loses a batch"},
    {"go_v3", TEXT_LITERAL("/api/v3/write_lp?db=d1&precision=nanosecond"), TEXT_LITERAL("influxdb3-go/2.9.0"), CLIENT_LENGTH,
     10, 1, 4, PAUSE_NONE, HABIT_NONE, "-DDDDDDDD", "client: the v3 library of Go retries", "client: the v3 library of Go tells its caller"},
    {"rust_v3", TEXT_LITERAL("/api/v3/write_lp?db=d1"), TEXT_LITERAL("influxdb3-rust/0.3.0"), CLIENT_LENGTH,
     10, 4, 4, PAUSE_SHORT, HABIT_NONE, "-DDDDKKKK", "client: the v3 library of Rust retries", "client: the v3 library of Rust loses a batch"},
    {"java_v3", TEXT_LITERAL("/api/v2/write?org=o&bucket=d1&precision=ns"), TEXT_LITERAL("influxdb3-java/1.9.0"), CLIENT_LENGTH,
     30, 1, 4, PAUSE_NONE, HABIT_UPGRADES, "-DDDDDDDD", "client: the v3 library of Java retries", "client: the v3 library of Java tells its caller"},
    {"curl", TEXT_LITERAL("/api/v3/write_lp?db=d1"), TEXT_LITERAL("curl/8.14.1"), CLIENT_LENGTH,
     30, 3, 2, PAUSE_SHORT, HABIT_EXPECTS, "-DDDDKKKK", "client: curl retries", "client: curl gives up"},
};
/* A plugin's own client: one budget, no retry. */
static const struct writer plugin = {
    "plugin", TEXT_LITERAL("/api/v3/write_lp?db=d1"), TEXT_LITERAL("python-httpx/0.27.0"), CLIENT_LENGTH,
    5, 1, 4, PAUSE_NONE, HABIT_NONE, "-DDDDDDDD", "client: a plugin retries", "client: a plugin tells its caller"};
/* clang-format on */

/* Batches of libraries without timestamps, of a hundred. Telegraf always puts them. */
#define PLAIN_PERCENT 30

static const struct writer *writer_of(const struct client *client)
{
    return client->model == &client_writeback ? &plugin : &writers[client->row];
}

static void begin_writeback(struct client *client)
{
    client->links.port = CLIENT_PORT_WRITEBACK;
}

/* ---- batches ---- */

static unsigned count_sent(const struct client *client)
{
    unsigned sent = 0;
    for (size_t i = 0; i < BATCHES_MAXIMUM; i++)
        sent += client->batches[i].state == BATCH_IS_SENT;
    return sent;
}

static struct batch *oldest(struct client *client, enum batch_state state, uint64_t due_until_us)
{
    struct batch *found = NULL;
    for (size_t i = 0; i < BATCHES_MAXIMUM; i++) {
        struct batch *batch = &client->batches[i];
        if (batch->state == state && batch->due_us <= due_until_us && (found == NULL || batch->order < found->order))
            found = batch;
    }
    return found;
}

static enum try_kind draw_kind(struct client *client)
{
    if (client->model == &client_writeback)
        return TRY_WRITEBACK;
    bool may_be_plain = writer_of(client)->framing != CLIENT_CHUNKED;
    return may_be_plain && draw_below(&client->random, 100) < PLAIN_PERCENT ? TRY_WRITE_PLAIN : TRY_WRITE_STAMPED;
}

/* New measurements. In a full buffer they take the place of the oldest ones that wait. */
static struct batch *fill_batch(struct client *client)
{
    struct batch *batch = oldest(client, BATCH_NONE, UINT64_MAX);
    if (batch == NULL) {
        batch = oldest(client, BATCH_WAITS, UINT64_MAX);
        reached("client: its buffer is full");
    }
    if (batch != NULL)
        *batch = (struct batch){.state = BATCH_WAITS, .kind = draw_kind(client), .order = ++client->batch_order};
    return batch;
}

#define FIELDS_MAXIMUM 6

static size_t put_fields(const struct client *client, const struct writer *writer, struct peer_field fields[FIELDS_MAXIMUM])
{
    size_t count = 0;
    fields[count++] = (struct peer_field){TEXT("user-agent"), writer->agent};
    fields[count++] = (struct peer_field){TEXT("content-type"), TEXT("text/plain; charset=utf-8")};
    fields[count++] = (struct peer_field){TEXT("authorization"), TEXT("Token apiv3_secret")};
    if (client->links.version != PEER_HTTP_1)
        return count;
    if (writer->habit == HABIT_EXPECTS)
        fields[count++] = (struct peer_field){TEXT("expect"), TEXT("100-continue")};
    if (writer->habit == HABIT_UPGRADES) {
        fields[count++] = (struct peer_field){TEXT("connection"), TEXT("Upgrade, HTTP2-Settings")};
        fields[count++] = (struct peer_field){TEXT("upgrade"), TEXT("h2c")};
        fields[count++] = (struct peer_field){TEXT("http2-settings"), TEXT("AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA")};
    }
    return count;
}

static unsigned facts_of(const struct client *client, const struct writer *writer)
{
    bool misreads = text_starts_with(writer->agent, TEXT("influxdb-client-js/"));
    bool expects = writer->habit == HABIT_EXPECTS && client->links.version == PEER_HTTP_1;
    return (misreads ? ANSWER_MISREADS_RETRY : 0u) | (expects ? ANSWER_IS_EXPECTED : 0u);
}

static void send_batch(struct client *client, struct batch *batch)
{
    const struct writer *writer = writer_of(client);
    struct peer_field fields[FIELDS_MAXIMUM];
    struct client_request request = {
        .kind = batch->kind,
        .method = TEXT("POST"),
        .path = writer->path,
        .fields = fields,
        .field_count = put_fields(client, writer, fields),
        .framing = writer->framing,
        .budget_us = writer->budget_s * SIM_S,
        .facts = facts_of(client, writer),
        .tag = (unsigned)(batch - client->batches),
    };
    batch->state = BATCH_IS_SENT;
    batch->tries++;
    if (client_try_start(&client->asker, &request, NULL) == NULL) {
        batch->state = BATCH_WAITS;
        batch->tries--;
    }
}

static void turn(struct client *client)
{
    uint64_t now_us = sim_now_us();
    if (count_sent(client) >= writer_of(client)->concurrency)
        return;
    struct batch *batch = fill_batch(client);
    struct batch *due = now_us < client->throttled_until_us ? NULL : oldest(client, BATCH_WAITS, now_us);
    if (due != NULL)
        send_batch(client, due);
    else if (batch != NULL)
        reached("client: measurements wait for the next flush");
}

/* ---- what an answer does ---- */

static unsigned answer_of(const struct client_end *end)
{
    switch (end->status) {
    case 0:
        return ANSWER_NONE;
    case 401:
    case 403:
        return ANSWER_401;
    case 404:
    case 405:
        return ANSWER_404;
    case 413:
        return ANSWER_413;
    case 429:
        return ANSWER_429;
    case 502:
    case 503:
    case 504:
        return ANSWER_503;
    default:
        return end->status < 300 ? ANSWER_200 : end->status < 500 ? ANSWER_400 : ANSWER_500;
    }
}

static uint64_t pause_us(struct client *client, const struct writer *writer, unsigned tries)
{
    unsigned doubled = tries < 5 ? tries - 1 : 4;
    switch (writer->pause) {
    case PAUSE_SECONDS:
        return draw_between(&client->random, 5 * SIM_S, 10 * SIM_S) << doubled;
    case PAUSE_SHORT:
        return (250 * SIM_MS) << doubled;
    case PAUSE_NONE:
        break;
    }
    return 0;
}

/* Telegraf's outputs wait n * n / 40 s after the n-th failure in a row. */
static void throttle(struct client *client, const struct batch *batch)
{
    uint64_t wait_us = (uint64_t)batch->tries * batch->tries * SIM_S / 40;
    client->throttled_until_us = sim_now_us() + (wait_us < 60 * SIM_S ? wait_us : 60 * SIM_S);
}

static void keep(struct client *client, struct batch *batch, const struct writer *writer)
{
    if (writer->tries_maximum > 0 && batch->tries >= writer->tries_maximum) {
        batch->state = BATCH_NONE;
        reached(writer->lost);
        return;
    }
    batch->state = BATCH_WAITS;
    batch->due_us = sim_now_us() + pause_us(client, writer, batch->tries);
    reached(writer->kept);
}

static void on_end(struct client *client, const struct client_end *end)
{
    const struct writer *writer = writer_of(client);
    struct batch *batch = &client->batches[end->tag];
    bool is_done = end->end == TRY_DONE && (end->status == 204 || writer->reactions[ANSWER_200] == '-');
    if (is_done) {
        if (batch->tries > 1)
            reached("client: a batch that was kept is written");
        batch->state = BATCH_NONE;
        return;
    }
    char reaction = writer->reactions[end->end == TRY_DONE || end->end == TRY_REFUSED ? answer_of(end) : ANSWER_NONE];
    if (reaction == 'T')
        throttle(client, batch);
    if (reaction == 'S')
        reached("client: a batch is split");
    if (reaction == 'D') {
        batch->state = BATCH_NONE;
        reached(writer->lost);
        return;
    }
    keep(client, batch, writer);
}

const struct client_model client_writer = {
    .name = "writer",
    .weight = 46,
    .rows = sizeof writers / sizeof writers[0],
    .turn = turn,
    .on_end = on_end,
};

const struct client_model client_writeback = {
    .name = "writeback",
    .weight = 8,
    .rows = 1,
    .begin = begin_writeback,
    .turn = turn,
    .on_end = on_end,
};
