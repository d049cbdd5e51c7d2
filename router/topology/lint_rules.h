#ifndef SLUICE_TOPOLOGY_LINT_RULES_H
#define SLUICE_TOPOLOGY_LINT_RULES_H
/* What lint.c and the files with its rules share; nobody else includes this. */
#include "topology/lint.h"

struct lint {
    const struct topology *topology;
    const struct origins *origins;
    struct findings *findings;
    enum topology_purpose purpose;
    bool is_serving;  /* meant to be run: asked by `serve`, or the file has listeners */
    bool is_complete; /* nothing was left out after an error */
};

/* A rule looks at the whole and adds findings; it never changes anything. */
typedef void lint_rule(const struct lint *lint);

#define FOR_EACH_NODE(node, topology)                                                                                  \
    for (const struct topology_node *node = (topology)->nodes; node < (topology)->nodes + (topology)->node_count;      \
         node++)

/* lint_nodes.c: modes, names */
lint_rule lint_nodes_exist, lint_nodes_too_many_compactors, lint_nodes_all_beside_others, lint_nodes_all_and_more,
    lint_nodes_process_without_plugin_dir, lint_nodes_process_without_query, lint_nodes_webui_alone,
    lint_nodes_no_ingest, lint_nodes_no_query, lint_nodes_no_compactor, lint_nodes_plugin_dir_missing;
lint_rule lint_nodes_same_id, lint_nodes_id_is_cluster_id, lint_nodes_id_characters;
/* lint_threads.c: cores, threads and the weights that follow from them */
lint_rule lint_threads_over_cores, lint_threads_capped, lint_threads_ingest, lint_threads_uneven_weights;

/* lint_addresses.c: where Sluice listens and what it connects to */
lint_rule lint_addresses_listen_missing, lint_addresses_listen_twice, lint_addresses_only_writeback,
    lint_addresses_writeback_without_ingest, lint_addresses_admin_public;
lint_rule lint_addresses_url_missing, lint_addresses_url_twice, lint_addresses_url_wildcard,
    lint_addresses_url_is_sluice;

/* lint_listeners.c: PROXY protocol, Unix-domain sockets */
lint_rule lint_listeners_proxy_from_missing, lint_listeners_proxy_from_unused, lint_listeners_proxy_from_anyone,
    lint_listeners_mode_without_file;
/* lint_tls.c: certificates and keys, on both sides */
lint_rule lint_tls_listener_certificates, lint_tls_listener_names, lint_tls_listener_clients, lint_tls_nodes_files,
    lint_tls_nodes_names, lint_tls_nodes_unverified, lint_tls_nodes_clear_text;

/* lint_settings.c: timeouts, limits, health, routes */
lint_rule lint_settings_cluster_id, lint_settings_write_deadline, lint_settings_write_response, lint_settings_connect, lint_settings_queue,
    lint_settings_nothing_ends, lint_settings_target_over_head, lint_settings_replay_over_total, lint_settings_memory, lint_settings_hedge,
    lint_settings_health_timeout, lint_settings_token_files, lint_settings_access_log;
lint_rule lint_settings_route_shadowed, lint_settings_route_without_node;

/* The place of a key of a node, a listener, a route or the topology: "nodes[].mode". */
struct place lint_place(const struct lint *lint, const void *base, const char *path);
/* A rule that cannot be judged for want of memory must not pass as kept. */
void lint_out_of_memory(const struct lint *lint);
/* For messages; never NULL. */
const char *lint_node_name(const struct topology_node *node);
/* Does the node name any of these modes? */
bool lint_has_mode(const struct topology_node *node, unsigned modes);
bool lint_has_capability(const struct topology *topology, enum node_capability capability);

#endif
