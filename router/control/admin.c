#include "control/admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "control/admin_access.h"
#include "control/config.h"
#include "control/reload.h"
#include "control/state.h"
#include "control/status.h"
#include "control/steer.h"
#include "downstream/reply.h"
#include "observe/metrics.h"
#include "topology/findings.h"
#include "topology/topology.h"
#include "upstream/epoch.h"
#include "worker/fleet.h"

/* How often a request that waits for a node to become idle looks. */
#define WAIT_LOOK_MS 20

struct admin {
    struct control *control;
    struct log_limit refusals;  /* of the lines about orders that were refused */
    struct list waits;          /* of struct wait */
};

/* A request whose answer comes later: a reload, or a node that is to become idle. */
struct wait {
    struct list_node node;
    struct admin *admin;
    const struct session *session; /* ref: whose stream it is */
    struct stream *stream;      /* owned */
    struct reload_waiter reload;
    struct steering steering;
    uint64_t until_ms;
    struct loop_timer timer;
};

/* A request under its route. */
struct admin_call {
    struct admin *admin;
    struct session *session;
    struct stream *stream;
    const struct message_head *head;
    struct text query;
    struct text node_id;        /* of /nodes/{node_id}/... as it came */
    enum node_admin order;      /* of the same */
};

/* ---- answers ---- */

static void answer(struct stream *stream, unsigned status, struct text content_type, struct text body)
{
    struct reply reply = {.status = status, .content_type = content_type, .body = body, .origins = REPLY_ORIGINS_OWN};
    reply_send(stream, &reply);
}

static void answer_out_of_memory(struct stream *stream)
{
    answer(stream, 503, TEXT("application/json"), TEXT("{\"error\": \"out of memory\"}\n"));
}

/* Takes over `body`. */
static void answer_json(struct stream *stream, unsigned status, json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(body);
    if (text == NULL) {
        answer_out_of_memory(stream);
        return;
    }
    answer(stream, status, TEXT("application/json"), text_of_string(text));
    free(text);
}

static void answer_error(struct stream *stream, unsigned status, const char *error)
{
    answer_json(stream, status, json_pack("{s:s}", "error", error));
}

/* One line for each change: who asked for what, and what came of it. What is refused anybody may ask for, as often as it likes. */
static void log_change(const struct admin_call *call, unsigned status)
{
    char quoted[600];
    unsigned suppressed = 0;
    enum log_level level = LOG_LEVEL_INFO;
    if (status >= 300)
        level = log_limit_level(&call->admin->refusals, level, loop_now_ms(call->admin->control->loop), &suppressed);
    log_line(level, "event=admin client=%s request=%s status=%u suppressed=%u", call->session->client_host,
             log_quote(quoted, sizeof quoted, call->head->target), status, suppressed);
}

/* ---- reading ---- */

static void get_status(struct admin_call *call)
{
    size_t length;
    char *body = status_format(call->admin->control, &length);
    if (body == NULL) {
        answer_out_of_memory(call->stream);
        return;
    }
    answer(call->stream, 200, TEXT("application/json"), text_of(body, length));
    free(body);
}

static void get_metrics(struct admin_call *call)
{
    const struct control *control = call->admin->control;
    size_t count = fleet_worker_count(control->fleet);
    const struct metrics **slices = malloc(count * sizeof *slices);
    size_t length = 0;
    for (size_t i = 0; slices != NULL && i < count; i++)
        slices[i] = fleet_metrics(control->fleet, i);
    char *text = slices == NULL ? NULL : metrics_format(slices, count, &length);
    free(slices);
    text = status_append_metrics(control, text, &length);
    if (text == NULL) {
        answer_out_of_memory(call->stream);
        return;
    }
    answer(call->stream, 200, TEXT("text/plain; version=0.0.4"), text_of(text, length));
    free(text);
}

static void get_config(struct admin_call *call)
{
    answer_json(call->stream, 200, config_format(call->admin->control->epoch->topology));
}

static void get_health(struct admin_call *call)
{
    answer(call->stream, 200, TEXT("text/plain"), TEXT("OK\n"));
}

/* ---- waiting ---- */

static void destroy_wait(void *object)
{
    free(object);
}

/* Nobody hears its end any more. */
static void forget(struct wait *wait)
{
    struct loop *loop = wait->admin->control->loop;
    reload_forget(&wait->reload);
    steering_end(&wait->steering);
    loop_timer_clear(loop, &wait->timer);
    list_remove(&wait->admin->waits, &wait->node);
    loop_bury(loop, wait, destroy_wait);
}

static void on_nothing(void *owner, struct text bytes)
{
    (void)owner;
    (void)bytes;
}

static void on_event(void *owner)
{
    (void)owner;
}

static void on_caller_gone(void *owner, enum fault fault)
{
    (void)fault;
    struct wait *wait = owner;
    stream_release(wait->stream);
    forget(wait);
}

void admin_on_evict(void *owner, struct session *session)
{
    struct admin *admin = owner;
    struct list_node *at = admin->waits.head.next;
    while (at != &admin->waits.head) {
        struct wait *wait = LIST_OWNER(at, struct wait, node);
        at = at->next;
        if (wait->session == session)
            on_caller_gone(wait, FAULT_NONE);
    }
}

static const struct stream_events wait_events = {
    .on_data = on_nothing,
    .on_end = on_event,
    .on_drained = on_event,
    .on_failed = on_caller_gone,
};

static void answer_steered(struct stream *stream, const struct steering *steering)
{
    unsigned outstanding = steering_outstanding(steering);
    answer_json(stream, 200, json_pack("{s:s, s:o, s:i, s:b}", "node_id", steering->node->node_id, "admin",
                                       status_admin_of(steering->node), "outstanding", (int)outstanding, "done",
                                       steering_is_done(steering) ? 1 : 0));
}

static void on_wait_look(void *owner)
{
    struct wait *wait = owner;
    struct loop *loop = wait->admin->control->loop;
    if (!steering_is_done(&wait->steering) && loop_now_ms(loop) < wait->until_ms) {
        loop_timer_set(loop, &wait->timer, loop_now_ms(loop) + WAIT_LOOK_MS);
        return;
    }
    answer_steered(wait->stream, &wait->steering);
    forget(wait);
}

static struct wait *begin_wait(const struct admin_call *call)
{
    struct wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL)
        return NULL;
    wait->admin = call->admin;
    wait->session = call->session;
    wait->stream = call->stream;
    loop_timer_init(&wait->timer, on_wait_look, wait);
    list_node_init(&wait->node);
    list_append(&call->admin->waits, &wait->node);
    stream_set_owner(call->stream, &wait_events, wait);
    return wait;
}

/* ---- reload ---- */

static void add_finding(void *owner, enum finding_level level, struct place place, const char *text)
{
    json_array_append_new(owner, json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", place.file, "line", (int)place.line, "column",
                                           (int)place.column, "severity", level == FINDING_ERROR ? "error" : "warning", "text", text));
}

static void on_reloaded(void *owner, const struct reload_result *result)
{
    struct wait *wait = owner;
    json_t *findings = json_array();
    if (result->findings != NULL)
        findings_visit(result->findings, add_finding, findings);
    json_t *body = json_pack("{s:b, s:I, s:o}", "applied", result->is_applied ? 1 : 0, "epoch", (json_int_t)result->epoch, "findings",
                             findings);
    answer_json(wait->stream, result->is_applied ? 200 : 422, body);
    forget(wait);
}

static void post_reload(struct admin_call *call)
{
    struct wait *wait = begin_wait(call);
    if (wait == NULL) {
        answer_out_of_memory(call->stream);
        return;
    }
    log_change(call, 202);
    wait->reload.on_done = on_reloaded;
    wait->reload.owner = wait;
    reload_ask(call->admin->control->reloads, &wait->reload);
}

/* ---- steering ---- */

static void post_order(struct admin_call *call)
{
    struct control *control = call->admin->control;
    struct steering steering;
    struct steering_order order = {.state = call->order, .node_id = call->node_id, .query = call->query};
    const char *error = "";
    unsigned status = steering_begin(&steering, control->epoch, &order, &error);
    log_change(call, status);
    if (status != 200) {
        answer_error(call->stream, status, error);
        return;
    }
    struct wait *wait = order.wait_ms == 0 || steering_is_done(&steering) ? NULL : begin_wait(call);
    if (wait == NULL) {
        answer_steered(call->stream, &steering);
        steering_end(&steering);
        return;
    }
    wait->steering = steering;
    wait->until_ms = loop_now_ms(control->loop) + order.wait_ms;
    loop_timer_set(control->loop, &wait->timer, loop_now_ms(control->loop) + WAIT_LOOK_MS);
}

static void post_log_level(struct admin_call *call)
{
    char name[16];
    enum log_level level;
    struct text value = text_query_value(call->query, TEXT("level"));
    text_append(name, sizeof name, 0, "%.*s", (int)(value.length < sizeof name ? value.length : 0), value.bytes);
    bool is_known = log_level_from_name(name, &level);
    if (is_known)
        log_set_level(level);
    log_change(call, is_known ? 200 : 400);
    if (is_known)
        answer_json(call->stream, 200, json_pack("{s:s}", "log_level", name));
    else
        answer_error(call->stream, 400, "level is missing or unknown; use ?level=error, warning, info or debug");
}

/* ---- routes ---- */

typedef void admin_route(struct admin_call *call);

static const struct {
    struct text method;
    struct text path;
    admin_route *route;
} routes[] = {
    {{"GET", 3}, {"/status", 7}, get_status},
    {{"GET", 3}, {"/metrics", 8}, get_metrics},
    {{"GET", 3}, {"/health", 7}, get_health},
    {{"GET", 3}, {"/config", 7}, get_config},
    {{"POST", 4}, {"/reload", 7}, post_reload},
    {{"POST", 4}, {"/log-level", 10}, post_log_level},
};

/* "/nodes/{node_id}/drain": false when the path is another. */
static bool is_order(struct admin_call *call)
{
    static const enum node_admin orders[] = {NODE_ADMIN_READY, NODE_ADMIN_DRAIN, NODE_ADMIN_MAINT};
    struct text prefix = TEXT("/nodes/");
    struct text rest = call->head->path;
    if (!text_starts_with(rest, prefix))
        return false;
    rest = text_of(rest.bytes + prefix.length, rest.length - prefix.length);
    call->node_id = text_cut(&rest, '/');
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        call->order = orders[i];
        if (text_equals(rest, text_of_string(node_admin_name(orders[i]))))
            return call->node_id.length > 0;
    }
    return false;
}

static void route_call(struct admin_call *call)
{
    bool is_known_path = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!text_equals(call->head->path, routes[i].path))
            continue;
        is_known_path = true;
        if (text_equals(call->head->method, routes[i].method)) {
            routes[i].route(call);
            return;
        }
    }
    bool is_post = text_equals(call->head->method, TEXT("POST"));
    bool is_known_order = !is_known_path && is_order(call);
    if (is_known_order && is_post)
        post_order(call);
    else if (is_known_order || is_known_path)
        answer_error(call->stream, 405, "this path is read by GET or changes something by POST; the other method is needed");
    else
        answer_error(call->stream, 404,
                     "try GET /status, /metrics, /health, /config; POST /reload, /log-level?level=, /nodes/NODE_ID/drain, /ready, /maint");
}

static void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    /* Answers that are sent within the call cannot fail afterwards: no event comes. */
    static const struct stream_events no_events = {.on_data = on_nothing, .on_end = on_event, .on_drained = on_event};
    struct admin *admin = owner;
    struct admin_call call = {.admin = admin, .session = session, .stream = stream, .head = head};
    struct text rest = head->target;
    const char *error;
    stream_set_owner(stream, &no_events, admin);
    text_cut(&rest, '?');
    call.query = rest;
    unsigned refusal = admin_refuses(admin->control->epoch->topology, head, &error);
    if (refusal != 0)
        answer_error(stream, refusal, error);
    else
        route_call(&call);
}

static void on_refused(void *owner, struct session *session, struct stream *stream, const struct message_head *head,
                       enum fault fault)
{
    (void)owner;
    (void)session;
    (void)head;
    struct reply_fault reply = {.fault = fault};
    reply_send_fault(stream, &reply);
}

static void on_session_closed(void *owner, enum fault fault)
{
    (void)owner;
    (void)fault;
}

const struct session_handler admin_handler = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_session_closed = on_session_closed,
};

/* ---- life ---- */

struct admin *admin_create(struct control *control)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return NULL;
    admin->control = control;
    list_init(&admin->waits);
    return admin;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL)
        return;
    struct list_node *node;
    while ((node = list_first(&admin->waits)) != NULL)
        on_caller_gone(LIST_OWNER(node, struct wait, node), FAULT_DRAINING);
    free(admin);
}
