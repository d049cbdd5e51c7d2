#ifndef SLUICE_FAKE_DISPATCH_STAGE_H
#define SLUICE_FAKE_DISPATCH_STAGE_H
/*
 * Requests to a cluster (fake/cluster_stage.h) through its stream, by callers that write down what they hear. No event may come while one of them is
 * inside a verb.
 */
#include "base/slab.h"
#include "fake/cluster_stage.h"
#include "routing/classify.h"

#define CALLERS 3

struct caller {
    struct stream *stream;      /* NULL before and after */
    struct lease *lease;        /* held, as by an exchange */
    struct message_head *head;  /* owned */
    enum fault refusal;         /* of the opening */
    char events[128];           /* h head, i interim, d data, t trailers, e end, f failed */
    size_t event_count;
    unsigned drains;            /* how often it was told that more is taken */
    unsigned status;
    char fields[2048];
    char trailers[512];
    char body[4096];
    size_t body_length;
    enum fault fault;
    unsigned attempts;          /* when it was over */
    char node_id[32];
};

static struct {
    struct caller callers[CALLERS];
    struct caller *caller; /* the one that acts */
    bool is_in_verb;
} stage;

static inline void expect_no_verb(void)
{
    if (stage.is_in_verb)
        fail_msg("a verb called back before it returned");
}

static inline void note(struct caller *caller, char event)
{
    expect_no_verb();
    assert_true(caller->event_count < sizeof caller->events - 1);
    caller->events[caller->event_count++] = event;
}

/* Lets go of the stream, as soon as the answer is complete or not to come, or earlier. */
static inline void let_go(struct caller *caller)
{
    if (caller->stream == NULL)
        return;
    caller->attempts = dispatch_attempts(caller->stream);
    text_append(caller->node_id, sizeof caller->node_id, 0, "%s", dispatch_node_id(caller->stream));
    stream_release(caller->stream);
    caller->stream = NULL;
    if (caller->lease != NULL)
        lease_release(caller->lease);
    caller->lease = NULL;
    slab_give(loop_slab(cluster.rig.loop), caller->head);
    caller->head = NULL;
}

static inline void on_caller_head(void *owner, const struct message_head *head)
{
    struct caller *caller = owner;
    note(caller, 'h');
    caller->status = head->status;
    fake_stream_put_fields(head, caller->fields, sizeof caller->fields, 0);
}

static inline void on_caller_interim(void *owner, const struct message_head *head)
{
    note(owner, 'i');
    ((struct caller *)owner)->status = head->status;
}

static inline void on_caller_data(void *owner, struct text bytes)
{
    struct caller *caller = owner;
    note(caller, 'd');
    caller->body_length = text_append(caller->body, sizeof caller->body, caller->body_length, "%.*s", TEXT_ARGUMENTS(bytes));
}

static inline void on_caller_trailers(void *owner, const struct message_head *trailers)
{
    struct caller *caller = owner;
    note(caller, 't');
    fake_stream_put_fields(trailers, caller->trailers, sizeof caller->trailers, 0);
}

static inline void on_caller_end(void *owner)
{
    note(owner, 'e');
    let_go(owner);
}

static inline void on_caller_drained(void *owner)
{
    expect_no_verb();
    ((struct caller *)owner)->drains++;
}

static inline void on_caller_failed(void *owner, enum fault fault)
{
    note(owner, 'f');
    ((struct caller *)owner)->fault = fault;
    let_go(owner);
}

static const struct stream_events caller_events = {
    .on_head = on_caller_head,
    .on_interim = on_caller_interim,
    .on_data = on_caller_data,
    .on_trailers = on_caller_trailers,
    .on_end = on_caller_end,
    .on_drained = on_caller_drained,
    .on_failed = on_caller_failed,
};

/* ---- life ---- */

static inline int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    stage.caller = &stage.callers[0];
    cluster_start();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CALLERS; i++)
        let_go(&stage.callers[i]);
    cluster_stop();
    return 0;
}

/* Another one acts from now on. */
static inline void turn_to(unsigned number)
{
    assert_in_range(number, 0, CALLERS - 1);
    stage.caller = &stage.callers[number];
}

/* One more request in the same scene; the one before is over. */
static inline void begin_anew(void)
{
    let_go(stage.caller);
    assert_nothing_under_way();
    memset(stage.caller, 0, sizeof *stage.caller);
    for (unsigned i = 0; i < NODES; i++)
        cluster.pool.nodes[i].attempts = 0;
}

/* ---- what the caller does ---- */

#define IN_VERB(call)                                                                                                  \
    do {                                                                                                               \
        stage.is_in_verb = true;                                                                                       \
        call;                                                                                                          \
        stage.is_in_verb = false;                                                                                      \
    } while (0)

/* Opens a stream for the request; false when that is refused. */
static inline bool open_request(const char *method, const char *target, const char *lines, enum body_kind body)
{
    struct caller *caller = stage.caller;
    struct lease *lease = cluster.dispatch.newest;
    caller->head = message_head_copy(received_request(method, target, lines, body), loop_slab(cluster.rig.loop));
    const struct header_field *type = message_find(caller->head, HEADER_CONTENT_TYPE);
    bool is_grpc = type != NULL && text_starts_with(type->value, TEXT("application/grpc"));
    struct classify_question question = {.method = caller->head->method, .path = caller->head->path, .is_grpc = is_grpc};
    struct classify_answer answer = classify(lease->epoch->classifier, &question);
    assert_int_equal(answer.refusal, FAULT_NONE);
    struct dispatch_request request = {
        .lease = lease,
        .route = answer.route,
        .class = answer.class,
        .head = caller->head,
        .origin = {.client_host = "192.0.2.7", .request_id = TEXT("id-1")},
        .is_grpc = is_grpc,
        .started_ms = loop_now_ms(cluster.rig.loop),
    };
    caller->stream = dispatch_open(&cluster.dispatch, &request, &caller->refusal);
    if (caller->stream == NULL) {
        slab_give(loop_slab(cluster.rig.loop), caller->head);
        caller->head = NULL;
        return false;
    }
    lease_retain(lease);
    caller->lease = lease;
    stream_set_owner(caller->stream, &caller_events, caller);
    return true;
}

static inline void ask(const char *method, const char *target, const char *lines, enum body_kind body)
{
    assert_true(open_request(method, target, lines, body));
    IN_VERB(stream_send_head(stage.caller->stream, stage.caller->head));
}

static inline void send_bytes(struct text bytes)
{
    if (stage.caller->stream != NULL)
        IN_VERB(stream_send_data(stage.caller->stream, bytes));
}

static inline void send_words(const char *words)
{
    send_bytes(text_of_string(words));
}

static inline void send_end(void)
{
    if (stage.caller->stream != NULL)
        IN_VERB(stream_send_end(stage.caller->stream));
}

static inline bool is_congested(void)
{
    return stream_is_congested(stage.caller->stream);
}

#define QUERY "/api/v3/query_sql"
#define WRITE "/api/v3/write_lp?db=a"

static inline void query(void)
{
    ask("POST", QUERY, "content-type: application/json\n", BODY_STREAM);
    send_words("{}");
    send_end();
}

static inline void write_lines(const char *lines)
{
    ask("POST", WRITE, "", BODY_STREAM);
    send_words(lines);
    send_end();
}

/* A whole answer of a node. */
static inline void answer(unsigned node, unsigned status, const char *words)
{
    node_head(node, status, BODY_STREAM, "");
    if (words[0] != '\0')
        node_data(node, words);
    node_end(node);
}

/* ---- what the caller heard ---- */

#define assert_heard(expected) assert_string_equal(stage.caller->events, expected)

static inline void assert_failed(enum fault fault)
{
    if (stage.caller->fault != fault)
        fail_msg("it ended in %s", fault_row(stage.caller->fault)->name);
    assert_null(stage.caller->stream);
}

#endif
