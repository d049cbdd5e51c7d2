#include <ctype.h>

#include "topology/lint_rules.h"
#include "topology/seen.h"

void lint_nodes_exist(const struct lint *lint)
{
    if (lint->topology->node_count == 0 && lint->is_complete)
        findings_error(lint->findings, lint_place(lint, lint->topology, "nodes"),
                       "no nodes; list the cluster's influxdb3 processes under nodes");
}

/*
 * Two compactors write compacted data to the same place of the object store and corrupt it. `all` compacts, too.
 * Nothing switches this rule off: there is no cluster for which two are right.
 */
void lint_nodes_too_many_compactors(const struct lint *lint)
{
    const struct topology_node *first = NULL;
    FOR_EACH_NODE (node, lint->topology) {
        if (!lint_has_mode(node, NODE_MODE_COMPACT | NODE_MODE_ALL))
            continue;
        if (first == NULL) {
            first = node;
            continue;
        }
        struct place place = lint_place(lint, first, "nodes[].mode");
        findings_error(
            lint->findings, lint_place(lint, node, "nodes[].mode"),
            "a second compactor: \"%s\" compacts (mode %s), and so does \"%s\" (mode %s) at %s:%u; two of them "
            "corrupt the stored data, so leave compaction to one node",
            lint_node_name(node), lint_has_mode(node, NODE_MODE_COMPACT) ? "compact" : "all", lint_node_name(first),
            lint_has_mode(first, NODE_MODE_COMPACT) ? "compact" : "all", place.file, place.line);
    }
}

/* Replication and the catalog refresh between nodes are not made for nodes in mode `all`. */
void lint_nodes_all_beside_others(const struct lint *lint)
{
    if (lint->topology->node_count < 2)
        return;
    FOR_EACH_NODE (node, lint->topology) {
        if (lint_has_mode(node, NODE_MODE_ALL))
            findings_error(
                lint->findings, lint_place(lint, node, "nodes[].mode"),
                "\"%s\" runs in mode all beside %zu other node(s); all is for a single node, so name the modes "
                "that it needs, as ingest,query",
                lint_node_name(node), lint->topology->node_count - 1);
    }
}

void lint_nodes_all_and_more(const struct lint *lint)
{
    FOR_EACH_NODE (node, lint->topology) {
        if (lint_has_mode(node, NODE_MODE_ALL) &&
            lint_has_mode(node, NODE_MODE_INGEST | NODE_MODE_QUERY | NODE_MODE_COMPACT | NODE_MODE_PROCESS))
            findings_warning(lint->findings, lint_place(lint, node, "nodes[].mode"),
                             "all holds the other modes already; write only all, or only the others");
    }
}

/*
 * influxdb3 refuses to start. InfluxData's own medium and large layouts leave the option out, so in a layout, which is a
 * plan and no cluster that runs, it is a warning: `plan` adds the option.
 */
void lint_nodes_process_without_plugin_dir(const struct lint *lint)
{
    FOR_EACH_NODE (node, lint->topology) {
        if (!lint_has_mode(node, NODE_MODE_PROCESS) || origins_has(lint->origins, node, "nodes[].plugin_dir"))
            continue;
        struct place place = lint_place(lint, node, "nodes[].mode");
        if (lint->is_serving || origins_has(lint->origins, node, "nodes[].url"))
            findings_error(
                lint->findings, place,
                "\"%s\" has mode process without plugin_dir, and influxdb3 does not start so; add plugin_dir, or "
                "remove process",
                lint_node_name(node));
        else
            findings_warning(
                lint->findings, place,
                "\"%s\" has mode process without plugin_dir, and influxdb3 does not start so; `sluice plan` adds the "
                "option to the command, or add plugin_dir here",
                lint_node_name(node));
    }
}

/* A plugin's own queries then leave the node, or fail before 3.11. */
void lint_nodes_process_without_query(const struct lint *lint)
{
    FOR_EACH_NODE (node, lint->topology) {
        if (lint_has_mode(node, NODE_MODE_PROCESS) && !lint_has_mode(node, NODE_MODE_QUERY | NODE_MODE_ALL))
            findings_warning(
                lint->findings, lint_place(lint, node, "nodes[].mode"),
                "\"%s\" runs plugins without query, so they cannot query on their own node; add query to its modes",
                lint_node_name(node));
    }
}

void lint_nodes_webui_alone(const struct lint *lint)
{
    FOR_EACH_NODE (node, lint->topology) {
        if (node->modes == NODE_MODE_WEBUI)
            findings_error(lint->findings, lint_place(lint, node, "nodes[].mode"),
                           "\"%s\" serves the web interface only, to which Sluice routes nothing; remove the node",
                           lint_node_name(node));
    }
}

static void report_missing(const struct lint *lint, const char *text)
{
    struct place place = lint_place(lint, lint->topology, "nodes");
    if (lint->is_serving)
        findings_error(lint->findings, place, "%s", text);
    else
        findings_warning(lint->findings, place, "%s", text);
}

static bool lacks(const struct lint *lint, enum node_capability capability)
{
    return lint->is_complete && lint->topology->node_count > 0 && !lint_has_capability(lint->topology, capability);
}

/* A router that can answer no write loses data from its first minute on. A bare layout may be a part of a cluster. */
void lint_nodes_no_ingest(const struct lint *lint)
{
    if (lacks(lint, NODE_CAPABILITY_INGEST))
        report_missing(lint, "no node ingests, so every write would be refused; add a node with mode ingest");
}

void lint_nodes_no_query(const struct lint *lint)
{
    if (lacks(lint, NODE_CAPABILITY_QUERY))
        report_missing(lint, "no node queries, so every query would be refused; add a node with mode query");
}

/* Only a warning: a compactor may be down or be replaced for a while, and the cluster goes on. */
void lint_nodes_no_compactor(const struct lint *lint)
{
    if (lacks(lint, NODE_CAPABILITY_COMPACT))
        findings_warning(
            lint->findings, lint_place(lint, lint->topology, "nodes"),
            "no node compacts, so queries get slower and backups have no node; add one node with mode compact");
}

/* The catalog knows triggers cluster-wide; each node looks for their files at its start and ends when one is missing.
 */
void lint_nodes_plugin_dir_missing(const struct lint *lint)
{
    const struct topology_node *with = NULL;
    const struct topology_node *without = NULL;
    size_t count = 0;
    FOR_EACH_NODE (node, lint->topology) {
        bool has_directory = origins_has(lint->origins, node, "nodes[].plugin_dir");
        if (has_directory && with == NULL)
            with = node;
        if (!has_directory && without == NULL)
            without = node;
        count += has_directory ? 0 : 1;
    }
    if (with == NULL || without == NULL)
        return;
    findings_warning(
        lint->findings, lint_place(lint, without, "nodes[].node_id"),
        "\"%s\" has plugin_dir, but \"%s\"%s%s not; a node without the plugin files ends at its start as soon as "
        "a trigger exists: give every node the same plugin_dir",
        lint_node_name(with), lint_node_name(without), count > 1 ? " and others" : "", count > 1 ? " have" : " has");
}

static void report_same_id(const struct lint *lint, const struct topology_node *node, const struct topology_node *earlier)
{
    struct place place = lint_place(lint, earlier, "nodes[].node_id");
    findings_error(lint->findings, lint_place(lint, node, "nodes[].node_id"),
                   "node_id \"%s\" is taken at %s:%u; two processes with one --node-id shut each other down, so "
                   "give each its own",
                   node->node_id, place.file, place.line);
}

/* The second process with an id makes the first one shut down. */
void lint_nodes_same_id(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    struct seen *seen = seen_create();
    bool is_judged = seen != NULL;
    for (size_t i = 0; i < topology->node_count && is_judged; i++) {
        const struct topology_node *node = &topology->nodes[i];
        size_t first = i;
        if (node->node_id != NULL)
            is_judged = seen_add(seen, text_of_string(node->node_id), i, &first);
        if (first < i)
            report_same_id(lint, node, &topology->nodes[first]);
    }
    if (!is_judged)
        lint_out_of_memory(lint);
    seen_destroy(seen);
}

/* Both are prefixes in the same object store. */
void lint_nodes_id_is_cluster_id(const struct lint *lint)
{
    const char *cluster_id = lint->topology->cluster_id;
    FOR_EACH_NODE (node, lint->topology) {
        if (cluster_id != NULL && node->node_id != NULL && strcmp(node->node_id, cluster_id) == 0)
            findings_error(lint->findings, lint_place(lint, node, "nodes[].node_id"),
                           "node_id \"%s\" equals the cluster_id, which influxdb3 does not allow; rename one",
                           cluster_id);
    }
}

static void check_characters(const struct lint *lint, const char *name, const char *id, struct place place)
{
    for (const char *c = id; c != NULL && *c != '\0'; c++) {
        if (isalnum((unsigned char)*c) || *c == '-')
            continue;
        findings_error(lint->findings, place,
                       "%s \"%s\" has a character that influxdb3 does not take; use letters, digits and hyphens", name,
                       id);
        return;
    }
}

void lint_nodes_id_characters(const struct lint *lint)
{
    check_characters(lint, "cluster_id", lint->topology->cluster_id, lint_place(lint, lint->topology, "cluster_id"));
    FOR_EACH_NODE (node, lint->topology)
        check_characters(lint, "node_id", node->node_id, lint_place(lint, node, "nodes[].node_id"));
}
