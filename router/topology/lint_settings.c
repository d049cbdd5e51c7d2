#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory_limit.h"
#include "topology/lint_rules.h"

/* Telegraf's default timeout of a write. */
#define CLIENT_PATIENCE_MS 5000
/* A write is acknowledged after the next WAL flush, once a second by default, and an upload to the object store. */
#define FLUSH_AND_UPLOAD_MS 2000

/* Of two values that do not go together, the first one that was written; the other has its default then. */
static struct place place_of_either(const struct lint *lint, const char *path, const char *other)
{
    const struct topology *topology = lint->topology;
    return lint_place(lint, topology, origins_has(lint->origins, topology, path) ? path : other);
}

void lint_settings_cluster_id(const struct lint *lint)
{
    if (lint->is_serving && lint->is_complete && lint->topology->cluster_id == NULL)
        findings_error(lint->findings, lint_place(lint, lint->topology, "cluster_id"),
                       "cluster_id is missing; add it: the --cluster-id of every node");
}

void lint_settings_write_deadline(const struct lint *lint)
{
    uint64_t deadline = lint->topology->timeouts.write_deadline_ms;
    struct place place = lint_place(lint, lint->topology, "timeouts.write_deadline");
    if (deadline >= CLIENT_PATIENCE_MS)
        findings_warning(
            lint->findings, place,
            "timeouts.write_deadline is not below 5s: no attempt need begin when Telegraf has given up; use 4s");
}

void lint_settings_write_response(const struct lint *lint)
{
    if (lint->topology->timeouts.write_response_ms < FLUSH_AND_UPLOAD_MS)
        findings_warning(lint->findings, lint_place(lint, lint->topology, "timeouts.write_response"),
                         "timeouts.write_response is below 2s, but a node holds a write for about 1s until the WAL is "
                         "flushed; use 30s");
}

void lint_settings_connect(const struct lint *lint)
{
    if (lint->topology->timeouts.connect_ms >= lint->topology->timeouts.write_deadline_ms)
        findings_warning(lint->findings, place_of_either(lint, "timeouts.connect", "timeouts.write_deadline"),
                         "timeouts.connect leaves a write no time for a second node (write_deadline is %" PRIu64
                         "ms); use 1s",
                         lint->topology->timeouts.write_deadline_ms);
}

void lint_settings_queue(const struct lint *lint)
{
    if (lint->topology->timeouts.queue_ms >= lint->topology->timeouts.write_deadline_ms)
        findings_warning(lint->findings, place_of_either(lint, "timeouts.queue", "timeouts.write_deadline"),
                         "timeouts.queue lets a write wait past its deadline (write_deadline is %" PRIu64 "ms); use 2s",
                         lint->topology->timeouts.write_deadline_ms);
}

void lint_settings_nothing_ends(const struct lint *lint)
{
    if (lint->topology->timeouts.response_ms == 0 && lint->topology->timeouts.idle_ms == 0)
        findings_warning(
            lint->findings, place_of_either(lint, "timeouts.idle", "timeouts.response"),
            "timeouts.response and timeouts.idle are both off, so nothing ends an exchange whose node hangs; "
            "set one of them");
}

void lint_settings_target_over_head(const struct lint *lint)
{
    if (lint->topology->limits.target_bytes > lint->topology->limits.head_bytes)
        findings_error(lint->findings, place_of_either(lint, "limits.target", "limits.head"),
                       "limits.target is above limits.head, which holds the target; raise limits.head or lower this");
}

/* The default may be above a small total: then the total is what bounds a body. */
void lint_settings_replay_over_total(const struct lint *lint)
{
    const struct topology_limits *limits = &lint->topology->limits;
    if (origins_has(lint->origins, lint->topology, "limits.replay") && limits->replay_bytes > limits->replay_total_bytes)
        findings_error(
            lint->findings, place_of_either(lint, "limits.replay", "limits.replay_total"),
            "limits.replay is above limits.replay_total, which holds all such bodies; raise the total or lower this");
}

/* With workers: one a core, `check` may run on another machine than Sluice: then only what is too little for a single one is known to be wrong. */
void lint_settings_memory(const struct lint *lint)
{
    const struct topology_limits *limits = &lint->topology->limits;
    unsigned workers = lint->topology->workers == 0 ? 1 : lint->topology->workers;
    uint64_t least_bytes = memory_limit_least_bytes(workers);
    if (limits->memory_bytes == 0)
        return;
    if (limits->memory_bytes < least_bytes)
        findings_error(lint->findings, lint_place(lint, lint->topology, "limits.memory"),
                       "limits.memory is below %" PRIu64 "MiB, which Sluice needs with %u worker%s; raise it, or lower workers",
                       least_bytes >> 20, workers, workers == 1 ? "" : "s");
    else if (origins_has(lint->origins, lint->topology, "limits.replay_total") && limits->replay_total_bytes > limits->memory_bytes / 2)
        findings_warning(lint->findings, lint_place(lint, lint->topology, "limits.replay_total"),
                         "limits.replay_total is above half of limits.memory, and kept bodies take no more than that; raise limits.memory or "
                         "lower this");
}

void lint_settings_hedge(const struct lint *lint)
{
    uint64_t hedge_ms = lint->topology->queries_hedge_ms;
    uint64_t response_ms = lint->topology->timeouts.response_ms;
    if (hedge_ms == TOPOLOGY_HEDGE_OFF || hedge_ms == TOPOLOGY_HEDGE_P95 || response_ms == 0 || hedge_ms < response_ms)
        return;
    findings_warning(lint->findings, place_of_either(lint, "queries.hedge", "timeouts.response"),
                     "queries.hedge is not below timeouts.response, after which a query fails anyhow, so no second node is ever asked beside a "
                     "slow one; lower it");
}

void lint_settings_health_timeout(const struct lint *lint)
{
    if (lint->topology->health.timeout_ms > lint->topology->health.interval_ms)
        findings_warning(
            lint->findings, place_of_either(lint, "health.timeout", "health.interval"),
            "health.timeout is above health.interval, so a node that hangs is probed less often than said; "
            "lower it or raise the interval");
}

/* A file that holds a token, by the key that names it. */
struct token_file {
    const char *key;
    const char *path; /* NULL: none is named */
    struct place place;
};

/* A file that `check` cannot read may still be there where Sluice will run; `serve` has to read it. */
static void report_token_file(const struct lint *lint, const struct token_file *file, const char *problem, const char *remedy)
{
    if (lint->purpose == TOPOLOGY_PURPOSE_SERVE)
        findings_error(lint->findings, file->place, "%s: %s: %s; %s", file->key, file->path, problem, remedy);
    else
        findings_warning(lint->findings, file->place, "%s: %s: %s; %s", file->key, file->path, problem, remedy);
}

static void lint_token_file(const struct lint *lint, const struct token_file *file)
{
    struct file_facts facts;
    if (file->path == NULL)
        return;
    if (!file_examine(file->path, &facts))
        report_token_file(lint, file, strerror(errno), "write the token into it and let Sluice's user read it");
    else if (!facts.is_regular)
        report_token_file(lint, file, "is no file", "name the file that holds the token");
    else if (facts.size_bytes == 0)
        report_token_file(lint, file, "is empty", "write the token into it");
    else if (facts.is_open_to_all)
        findings_error(lint->findings, file->place, "%s: %s can be read by every user; chmod it to 600 or 640", file->key, file->path);
}

/* Without the operator's token nobody could order anything, not even a reload. */
void lint_settings_token_files(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    const struct token_file files[] = {
        {"admin.token_file", topology->admin_token_file, lint_place(lint, topology, "admin.token_file")},
        {"health.token_file", topology->health.token_file, lint_place(lint, topology, "health.token_file")},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        lint_token_file(lint, &files[i]);
}

/* YAML's "off" is a plain text here and would become the name of a file. */
void lint_settings_access_log(const struct lint *lint)
{
    static const char *const words[] = {"off", "no", "false", "null", "stdout", "true", "on", "yes"};
    const char *value = lint->topology->access_log;
    for (size_t i = 0; value != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) == 0)
            findings_error(lint->findings, lint_place(lint, lint->topology, "access_log"),
                           "access_log: \"%s\" would be the name of a file; write none, - for standard output, or ./%s",
                           value, value);
    }
}

/* Does `first` take every request that `second` would? */
static bool covers(const struct topology_route *first, const struct topology_route *second)
{
    if (first->path == NULL || second->path == NULL)
        return false;
    if (strcmp(first->method, "*") != 0 && strcmp(first->method, second->method) != 0)
        return false;
    if (first->is_prefix)
        return strncmp(first->path, second->path, strlen(first->path)) == 0;
    return !second->is_prefix && strcmp(first->path, second->path) == 0;
}

/* Routes are tried in order, so what an earlier one takes never reaches a later one. */
void lint_settings_route_shadowed(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->route_count; i++) {
        const struct topology_route *route = &topology->routes[i];
        for (size_t j = 0; j < i; j++) {
            const struct topology_route *earlier = &topology->routes[j];
            if (!covers(earlier, route))
                continue;
            findings_error(
                lint->findings, lint_place(lint, route, "routes[].path"),
                "never reached: the route %s %s%s on line %u takes these requests first; put the narrower route "
                "before it, or remove one",
                earlier->method, earlier->path, earlier->is_prefix ? "*" : "", earlier->line);
            break;
        }
    }
}

/* The capability that a class of requests cannot do without; 0 for those that any node may serve. */
static unsigned needed_capability(enum request_class class)
{
    switch (class) {
    case REQUEST_CLASS_WRITE:
    case REQUEST_CLASS_WRITEBACK:
        return NODE_CAPABILITY_INGEST;
    case REQUEST_CLASS_QUERY:
    case REQUEST_CLASS_FLIGHT:
        return NODE_CAPABILITY_QUERY;
    case REQUEST_CLASS_ENGINE:
    case REQUEST_CLASS_PLUGIN:
        return NODE_CAPABILITY_PROCESS;
    case REQUEST_CLASS_COMPACTION:
        return NODE_CAPABILITY_COMPACT;
    default:
        return 0;
    }
}

void lint_settings_route_without_node(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    for (size_t i = 0; i < topology->route_count && lint->is_complete; i++) {
        const struct topology_route *route = &topology->routes[i];
        unsigned needed = needed_capability(route->class);
        if (needed != 0 && !lint_has_capability(topology, (enum node_capability)needed))
            findings_warning(
                lint->findings, lint_place(lint, route, "routes[].class"),
                "class %s: no node can serve it, so these requests would be refused; add such a node, or choose "
                "another class",
                request_class_name(route->class));
    }
}
