#include "topology/lint_rules.h"

/* In the order of the configuration; findings are sorted by place anyway. */
static lint_rule *const rules[] = {
    lint_settings_cluster_id,
    lint_addresses_listen_missing,
    lint_addresses_listen_twice,
    lint_addresses_only_writeback,
    lint_addresses_writeback_without_ingest,
    lint_addresses_admin_public,
    lint_listeners_proxy_from_missing,
    lint_listeners_proxy_from_unused,
    lint_listeners_proxy_from_anyone,
    lint_listeners_mode_without_file,
    lint_nodes_exist,
    lint_nodes_too_many_compactors,
    lint_nodes_all_beside_others,
    lint_nodes_all_and_more,
    lint_nodes_process_without_plugin_dir,
    lint_nodes_process_without_query,
    lint_nodes_webui_alone,
    lint_nodes_no_ingest,
    lint_nodes_no_query,
    lint_nodes_no_compactor,
    lint_nodes_plugin_dir_missing,
    lint_nodes_same_id,
    lint_nodes_id_is_cluster_id,
    lint_nodes_id_characters,
    lint_threads_over_cores,
    lint_threads_capped,
    lint_threads_ingest,
    lint_threads_uneven_weights,
    lint_addresses_url_missing,
    lint_addresses_url_twice,
    lint_addresses_url_wildcard,
    lint_addresses_url_is_sluice,
    lint_tls_listener_certificates,
    lint_tls_listener_names,
    lint_tls_listener_clients,
    lint_tls_nodes_files,
    lint_tls_nodes_names,
    lint_tls_nodes_unverified,
    lint_tls_nodes_clear_text,
    lint_settings_route_shadowed,
    lint_settings_route_without_node,
    lint_settings_access_log,
    lint_settings_write_deadline,
    lint_settings_connect,
    lint_settings_queue,
    lint_settings_nothing_ends,
    lint_settings_target_over_head,
    lint_settings_replay_over_total,
    lint_settings_health_timeout,
    lint_settings_token_file,
};

struct place lint_place(const struct lint *lint, const void *base, const char *path)
{
    return origins_place(lint->origins, base, path);
}

void lint_out_of_memory(const struct lint *lint)
{
    findings_error(lint->findings, lint_place(lint, lint->topology, "nodes"), "out of memory; free some and try again");
}

const char *lint_node_name(const struct topology_node *node)
{
    return node->node_id != NULL ? node->node_id : "(without node_id)";
}

bool lint_has_mode(const struct topology_node *node, unsigned modes)
{
    return (node->modes & modes) != 0;
}

bool lint_has_capability(const struct topology *topology, enum node_capability capability)
{
    for (size_t i = 0; i < topology->node_count; i++) {
        if ((topology->nodes[i].capabilities & (unsigned)capability) != 0)
            return true;
    }
    return false;
}

void lint_topology(const struct topology *topology, const struct origins *origins, enum topology_purpose purpose,
                   bool is_complete, struct findings *findings)
{
    struct lint lint = {
        .topology = topology,
        .origins = origins,
        .findings = findings,
        .purpose = purpose,
        .is_serving = purpose == TOPOLOGY_PURPOSE_SERVE || origins_has(origins, topology, "listen"),
        .is_complete = is_complete,
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        rules[i](&lint);
}
