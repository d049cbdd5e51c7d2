#include "control/status.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory_account.h"
#include "base/text.h"
#include "control/state.h"
#include "net/loop.h"
#include "observe/metrics.h"
#include "upstream/epoch.h"
#include "upstream/probe.h"
#include "upstream/serving.h"
#include "upstream/standings.h"
#include "worker/fleet.h"

/* ---- JSON ---- */

struct json_t *status_admin_of(const struct roster_node *node)
{
    json_t *admin = json_object();
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        unsigned state = atomic_load_explicit(&node->admin[class], memory_order_relaxed);
        json_object_set_new(admin, request_class_name((enum request_class) class), json_string(node_admin_name((enum node_admin)state)));
    }
    return admin;
}

static json_t *modes_of(const struct topology_node *node)
{
    json_t *modes = json_array();
    for (unsigned i = 0; i < NODE_MODE_COUNT; i++) {
        if ((node->modes & 1u << i) != 0)
            json_array_append_new(modes, json_string(node_mode_name((enum node_mode)(1u << i))));
    }
    return modes;
}

/* The classes for which its own answers have set it aside. */
static json_t *ejected_of(const struct roster_node *node)
{
    json_t *classes = json_array();
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++) {
        if (standings_is_aside(node, (enum request_class)class))
            json_array_append_new(classes, json_string(request_class_name((enum request_class)class)));
    }
    return classes;
}

/* The classes that are served by nodes which probes call down. */
static json_t *classes_of(unsigned all_down)
{
    json_t *classes = json_array();
    for (unsigned i = 0; i < SERVING_KINDS; i++) {
        if ((all_down & 1u << i) != 0)
            json_array_append_new(classes, json_string(serving_kinds[i].name.bytes));
    }
    return classes;
}

static json_t *node_of(const struct control *control, unsigned index, unsigned all_down)
{
    const struct topology_node *node = &control->epoch->topology->nodes[index];
    const struct roster_node *shared = control->epoch->nodes[index];
    uint64_t changed_ms = prober_changed_ms(control->prober, shared);
    uint64_t since_s = changed_ms == 0 ? 0 : (loop_now_ms(control->loop) - changed_ms) / 1000;
    return json_pack("{s:s, s:o, s:s, s:o, s:s, s:b, s:o, s:I, s:s, s:I, s:I, s:I}",
                     "node_id", node->node_id,
                     "mode", modes_of(node),
                     "url", node->url,
                     "admin", status_admin_of(shared),
                     "health", health_state_name((enum health_state)atomic_load(&shared->health)),
                     "usable", serving_takes_any(control->epoch, index, all_down) ? 1 : 0,
                     "ejected", ejected_of(shared),
                     "since_s", (json_int_t)since_s,
                     "last_probe", prober_last_result(control->prober, shared),
                     "outstanding", (json_int_t)atomic_load(&shared->outstanding),
                     "requests", (json_int_t)atomic_load(&shared->requests),
                     "failures", (json_int_t)atomic_load(&shared->failures));
}

char *status_format(const struct control *control, size_t *length)
{
    const struct topology *topology = control->epoch->topology;
    unsigned all_down = serving_all_down(control->epoch);
    json_t *nodes = json_array();
    for (unsigned i = 0; i < topology->node_count; i++)
        json_array_append_new(nodes, node_of(control, i, all_down));
    json_t *status = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:b, s:o, s:o, s:[]}",
                               "version", SLUICE_VERSION,
                               "epoch", (json_int_t)control->epoch->number,
                               "cluster_id", topology->cluster_id,
                               "uptime_s", (json_int_t)((loop_now_ms(control->loop) - control->roster->started_ms) / 1000),
                               "workers", (json_int_t)fleet_worker_count(control->fleet),
                               "sessions", (json_int_t)fleet_session_count(control->fleet),
                               "draining", atomic_load(&control->roster->draining) != 0 ? 1 : 0,
                               "all_down", classes_of(all_down),
                               "nodes", nodes,
                               "alarms");
    if (status == NULL)
        return NULL;
    bool is_whole = json_array_size(json_object_get(status, "nodes")) == topology->node_count;
    char *text = is_whole ? json_dumps(status, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
    json_decref(status);
    *length = text == NULL ? 0 : strlen(text);
    return text;
}

/* ---- metrics ---- */

typedef uint64_t node_value(const struct roster_node *node, unsigned class);

static uint64_t value_of_health(const struct roster_node *node, unsigned class)
{
    (void)class;
    return atomic_load_explicit(&node->health, memory_order_relaxed) != HEALTH_DOWN;
}

static uint64_t value_of_outstanding(const struct roster_node *node, unsigned class)
{
    return atomic_load_explicit(&node->outstanding_of[class], memory_order_relaxed);
}

static uint64_t value_of_waiting(const struct roster_node *node, unsigned class)
{
    (void)class;
    return atomic_load_explicit(&node->waiting, memory_order_relaxed);
}

static uint64_t value_of_admin(const struct roster_node *node, unsigned class)
{
    return atomic_load_explicit(&node->admin[class], memory_order_relaxed);
}

static uint64_t value_of_ejected(const struct roster_node *node, unsigned class)
{
    return standings_is_aside(node, (enum request_class)class);
}

static const struct {
    const char *name;
    const char *help;
    bool is_by_class;
    node_value *value;
} node_metrics[] = {
    {"sluice_node_up", "0 while health checks say that the node is down.", false, value_of_health},
    {"sluice_node_outstanding", "Attempts under way on the node.", true, value_of_outstanding},
    {"sluice_node_waiting", "Attempts that wait for a connection to the node, and none is on its way to them.", false, value_of_waiting},
    {"sluice_node_ejected", "1 while the node's own answers have set it aside for the class.", true, value_of_ejected},
    {"sluice_node_admin", "What the operator has said: 0 ready, 1 drain, 2 maint. Only classes that are not ready are shown.", true, value_of_admin},
};

static size_t put_node_metric(const struct epoch *epoch, size_t metric, char *text, size_t capacity, size_t used)
{
    used = text_append(text, capacity, used, "# HELP %s %s\n# TYPE %s gauge\n", node_metrics[metric].name, node_metrics[metric].help,
                       node_metrics[metric].name);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        const struct roster_node *node = epoch->nodes[i];
        if (!node_metrics[metric].is_by_class)
            used = text_append(text, capacity, used, "%s{node=\"%s\"} %llu\n", node_metrics[metric].name, node->node_id,
                               (unsigned long long)node_metrics[metric].value(node, 0));
        for (unsigned class = 0; node_metrics[metric].is_by_class && class < REQUEST_CLASS_COUNT; class ++) {
            uint64_t value = node_metrics[metric].value(node, class);
            if (value != 0)
                used = text_append(text, capacity, used, "%s{node=\"%s\",class=\"%s\"} %llu\n", node_metrics[metric].name,
                                   node->node_id, request_class_name((enum request_class) class), (unsigned long long)value);
        }
    }
    return used;
}

static size_t put_all_down(const struct epoch *epoch, char *text, size_t capacity, size_t used)
{
    unsigned all_down = serving_all_down(epoch);
    used = text_append(text, capacity, used, "# HELP sluice_all_down 1 while nodes that probes call down serve the class, because all are.\n"
                                             "# TYPE sluice_all_down gauge\n");
    for (unsigned i = 0; i < SERVING_KINDS; i++)
        used = text_append(text, capacity, used, "sluice_all_down{class=\"%s\"} %u\n", serving_kinds[i].name.bytes, all_down >> i & 1);
    return used;
}

static size_t put_log_lines(char *text, size_t capacity, size_t used)
{
    return text_append(text, capacity, used,
                       "# HELP sluice_log_lines_lost_total Lines that found no room, because nobody reads or the disk is full.\n"
                       "# TYPE sluice_log_lines_lost_total counter\n"
                       "sluice_log_lines_lost_total{log=\"standard_error\"} %lu\n"
                       "sluice_log_lines_lost_total{log=\"access\"} %lu\n"
                       "# HELP sluice_log_lines_suppressed_total Lines of kinds that are written once a second at most.\n"
                       "# TYPE sluice_log_lines_suppressed_total counter\n"
                       "sluice_log_lines_suppressed_total %lu\n",
                       log_lost(LOG_STANDARD_ERROR), log_lost(LOG_ACCESS_LOG), log_suppressed());
}

static size_t put_links(struct roster *roster, char *text, size_t capacity, size_t used)
{
    return text_append(text, capacity, used,
                       "# HELP sluice_upstream_links_open Connections to nodes.\n"
                       "# TYPE sluice_upstream_links_open gauge\n"
                       "sluice_upstream_links_open %zu\n"
                       "# HELP sluice_upstream_links_maximum Connections to nodes that the process has descriptors for.\n"
                       "# TYPE sluice_upstream_links_maximum gauge\n"
                       "sluice_upstream_links_maximum %zu\n",
                       atomic_load(&roster->links.open), atomic_load(&roster->links.maximum));
}

static size_t put_memory(const struct control *control, char *text, size_t capacity, size_t used)
{
    const struct roster *roster = control->epoch->roster;
    used = text_append(text, capacity, used, "# HELP sluice_memory_bytes Memory that traffic takes; windows: granted to HTTP/2 clients.\n"
                                             "# TYPE sluice_memory_bytes gauge\n");
    for (unsigned kind = 0; kind < MEMORY_KIND_COUNT; kind++) {
        unsigned long bytes = 0;
        for (size_t i = 0; i < fleet_worker_count(control->fleet); i++)
            bytes += atomic_load_explicit(&fleet_metrics(control->fleet, i)->memory[kind], memory_order_relaxed);
        used = text_append(text, capacity, used, "sluice_memory_bytes{kind=\"%s\"} %lu\n", memory_kind_name((enum memory_kind)kind), bytes);
    }
    return text_append(text, capacity, used,
                       "sluice_memory_bytes{kind=\"bodies\"} %zu\n"
                       "# HELP sluice_memory_maximum_bytes What traffic may take of limits.memory; from nine tenths on new requests are refused.\n"
                       "# TYPE sluice_memory_maximum_bytes gauge\n"
                       "sluice_memory_maximum_bytes %zu\n",
                       atomic_load(&roster->kept_body_bytes), atomic_load(&roster->memory_maximum_bytes));
}

char *status_append_metrics(const struct control *control, char *text, size_t *length)
{
    const struct epoch *epoch = control->epoch;
    size_t room = 4096;
    for (unsigned i = 0; i < epoch->topology->node_count; i++)
        room += (1 + 3 * REQUEST_CLASS_COUNT) * (96 + strlen(epoch->nodes[i]->node_id));
    char *larger = text == NULL ? NULL : realloc(text, *length + room);
    if (larger == NULL) {
        free(text);
        return NULL;
    }
    size_t used = *length;
    for (size_t i = 0; i < sizeof node_metrics / sizeof node_metrics[0]; i++)
        used = put_node_metric(epoch, i, larger, *length + room, used);
    used = put_all_down(epoch, larger, *length + room, used);
    used = put_links(epoch->roster, larger, *length + room, used);
    used = put_memory(control, larger, *length + room, used);
    *length = put_log_lines(larger, *length + room, used);
    return larger;
}
