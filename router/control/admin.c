#include "control/admin.h"

#include <stdlib.h>

#include "downstream/reply.h"
#include "downstream/session.h"
#include "http/h1.h"
#include "net/listener.h"
#include "net/socket.h"
#include "observe/metrics.h"
#include "upstream/cluster.h"
#include "upstream/probe.h"
#include "worker/fleet.h"
#include "worker/opening.h"

#define STATUS_BYTES 65536
#define WORKERS_MAXIMUM 256

struct admin {
    struct loop *loop;
    struct admin_settings settings;
    struct opening opening;
    struct listener *listener;
    struct list sessions;
    struct buffer_pool buffers;
    struct h1_settings h1;
    struct session_settings session;
};

/* ---- routes ---- */

typedef void admin_route(struct admin *admin, struct stream *stream);

static void answer(struct stream *stream, unsigned status, struct text content_type, struct text body)
{
    struct reply reply = {.status = status, .content_type = content_type, .body = body};
    reply_send(stream, &reply);
}

static void answer_out_of_memory(struct stream *stream)
{
    struct reply_fault reply = {.fault = FAULT_OUT_OF_MEMORY};
    reply_send_fault(stream, &reply);
}

static size_t put_node(const struct admin *admin, unsigned index, uint64_t usable, char *body, size_t used)
{
    const struct topology_node *node = &admin->settings.cluster->topology->nodes[index];
    const struct cluster_node *shared = &admin->settings.cluster->nodes[index];
    uint64_t changed_ms = prober_changed_ms(admin->settings.prober, index);
    uint64_t now_ms = loop_now_ms(admin->loop);
    char modes[64];
    used = text_append(body, STATUS_BYTES, used, "%s\n    {\"node_id\": \"%s\", \"mode\": \"%s", index == 0 ? "" : ",",
                       node->node_id, node_modes_describe(node->modes, modes, sizeof modes));
    return text_append(body, STATUS_BYTES, used,
                       "\", \"url\": \"%s\", \"health\": \"%s\", \"since_s\": %llu, \"last_probe\": \"%s\", "
                       "\"usable\": %s, \"outstanding\": %u, \"requests\": %lu, \"failures\": %lu}",
                       node->url, health_state_name((enum health_state)atomic_load(&shared->health)),
                       (unsigned long long)(changed_ms == 0 ? 0 : (now_ms - changed_ms) / 1000),
                       prober_last_result(admin->settings.prober, index), (usable >> index & 1) != 0 ? "true" : "false",
                       atomic_load(&shared->outstanding), atomic_load(&shared->requests),
                       atomic_load(&shared->failures));
}

static void answer_status(struct admin *admin, struct stream *stream)
{
    const struct cluster *cluster = admin->settings.cluster;
    char *body = malloc(STATUS_BYTES);
    if (body == NULL) {
        answer_out_of_memory(stream);
        return;
    }
    uint64_t usable = cluster_usable_nodes(cluster);
    size_t used = text_append(body, STATUS_BYTES, 0,
                              "{\n  \"version\": \"%s\", \"cluster_id\": \"%s\", \"uptime_s\": %llu, \"workers\": %zu, "
                              "\"sessions\": %zu, \"draining\": %s,\n  \"nodes\": [",
                              SLUICE_VERSION, cluster->topology->cluster_id,
                              (unsigned long long)((loop_now_ms(admin->loop) - cluster->started_ms) / 1000),
                              fleet_worker_count(admin->settings.fleet), fleet_session_count(admin->settings.fleet),
                              atomic_load(&cluster->draining) != 0 ? "true" : "false");
    for (unsigned i = 0; i < cluster->topology->node_count; i++)
        used = put_node(admin, i, usable, body, used);
    used = text_append(body, STATUS_BYTES, used, "\n  ]\n}\n");
    answer(stream, 200, TEXT("application/json"), text_of(body, used));
    free(body);
}

static void answer_metrics(struct admin *admin, struct stream *stream)
{
    const struct metrics *slices[WORKERS_MAXIMUM];
    size_t count = fleet_worker_count(admin->settings.fleet);
    size_t length = 0;
    for (size_t i = 0; i < count && i < WORKERS_MAXIMUM; i++)
        slices[i] = fleet_metrics(admin->settings.fleet, i);
    char *text = metrics_format(slices, count < WORKERS_MAXIMUM ? count : WORKERS_MAXIMUM, &length);
    if (text == NULL) {
        answer_out_of_memory(stream);
        return;
    }
    answer(stream, 200, TEXT("text/plain; version=0.0.4"), text_of(text, length));
    free(text);
}

static void answer_health(struct admin *admin, struct stream *stream)
{
    (void)admin;
    answer(stream, 200, TEXT("text/plain"), TEXT("OK\n"));
}

static const struct {
    struct text path;
    admin_route *route;
} routes[] = {
    {{"/status", 7}, answer_status},
    {{"/metrics", 8}, answer_metrics},
    {{"/health", 7}, answer_health},
};

/* ---- sessions ---- */

static void on_request(void *owner, struct session *session, struct stream *stream, const struct message_head *head)
{
    (void)session;
    /* Every answer is sent and released within this call, so no stream event can come. */
    static const struct stream_events no_events;
    stream_set_owner(stream, &no_events, owner);
    if (!text_equals(head->method, TEXT("GET")) || head->body != BODY_NONE) {
        answer(stream, 405, TEXT("text/plain"), TEXT("only GET without a body is served here\n"));
        return;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (text_equals(head->path, routes[i].path)) {
            routes[i].route(owner, stream);
            return;
        }
    }
    answer(stream, 404, TEXT("text/plain"), TEXT("try /status, /metrics or /health\n"));
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

static const struct session_handler handler = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_session_closed = on_session_closed,
};

/* Few people read a status page at a time; a flood of them must not take the router's descriptors. */
#define SESSIONS_MAXIMUM 64

static void on_accept(void *owner, int fd)
{
    struct admin *admin = owner;
    if (admin->sessions.count >= SESSIONS_MAXIMUM)
        session_close(LIST_OWNER(list_first(&admin->sessions), struct session, node));
    session_create(admin->loop, fd, NULL, &admin->session, &admin->sessions);
}

struct admin *admin_create(struct loop *loop, const struct admin_settings *settings, char *reason, size_t capacity)
{
    const struct topology *topology = settings->cluster->topology;
    struct opening opening;
    const char *why = "";
    bool is_open = opening_open(&opening, &topology->admin, &why);
    int fd = is_open ? opening_take(&opening, &why) : -1;
    if (fd < 0) {
        opening_close(&opening);
        text_append(reason, capacity, 0, "cannot listen on %s: %s", topology->admin.address, why);
        return NULL;
    }
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin != NULL) {
        admin->loop = loop;
        admin->settings = *settings;
        admin->opening = opening;
        list_init(&admin->sessions);
        admin->h1 = (struct h1_settings){
            .limits = {16384, 4096, 100},
            .body_limit_bytes = 1,
            .linger_ms = 1000,
            .fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field)),
        };
        admin->session = (struct session_settings){
            .handler = &handler,
            .owner = admin,
            .h1 = &admin->h1,
            .buffers = &admin->buffers,
            .request_head_ms = 10000,
            .keep_alive_ms = 60000,
            .buffer_bytes = STATUS_BYTES,
        };
        admin->listener = listener_create(loop, fd, on_accept, admin);
    }
    if (admin == NULL || admin->listener == NULL || admin->h1.fields == NULL) {
        text_append(reason, capacity, 0, "out of memory");
        if (admin == NULL) {
            socket_close(fd);
            opening_close(&opening);
        }
        admin_destroy(admin);
        return NULL;
    }
    return admin;
}

static void destroy_admin(void *object)
{
    struct admin *admin = object;
    buffer_pool_clear(&admin->buffers);
    free(admin->h1.fields);
    free(admin);
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL)
        return;
    opening_close(&admin->opening);
    listener_close(admin->listener);
    struct list_node *node;
    while ((node = list_first(&admin->sessions)) != NULL)
        session_close(LIST_OWNER(node, struct session, node));
    /* After the conns, which were buried before and give their blocks back. */
    loop_bury(admin->loop, admin, destroy_admin);
}
