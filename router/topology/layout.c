#include "topology/layout.h"

#include "topology/schema.h"

struct alias {
    const char *option;
    const char *key;
};

/* Options of influxdb3 whose names in the schema are shorter. */
static const struct alias aliases[] = {
    {"num_cores", "cores"},
    {"num_io_threads", "io_threads"},
    {"datafusion_num_threads", "datafusion_threads"},
    {"num_datafusion_threads", "datafusion_threads"},
};

/*
 * The other options of `influxdb3 serve`, as InfluxData's reference page of that command lists them, with underscores
 * for hyphens. Some are deprecated names that older layouts still hold.
 */
static const char *const serve_options[] = {
    "admin_token_file", "admin_token_recovery_http_bind", "admin_token_recovery_tcp_listener_file_path",
    "aws_access_key_id", "aws_allow_http", "aws_credentials_file", "aws_default_region", "aws_endpoint",
    "aws_secret_access_key", "aws_session_token", "aws_skip_signature", "azure_allow_http", "azure_endpoint",
    "azure_storage_access_key", "azure_storage_account", "bucket", "catalog_sync_interval",
    "compaction_check_interval", "compaction_cleanup_wait", "compaction_gen2_duration",
    "compaction_max_num_files_per_plan", "compaction_multipliers", "compaction_row_limit", "conn_info", "data_dir",
    "datafusion_config", "datafusion_max_parquet_fanout", "datafusion_runtime_disable_lifo_slot",
    "datafusion_runtime_event_interval", "datafusion_runtime_global_queue_interval",
    "datafusion_runtime_max_blocking_threads", "datafusion_runtime_max_io_events_per_tick",
    "datafusion_runtime_thread_keep_alive", "datafusion_runtime_thread_priority", "datafusion_runtime_type",
    "datafusion_use_cached_parquet_loader", "delete_grace_period", "disable_authz", "disable_file_cache",
    "disable_parquet_mem_cache", "disable_telemetry_upload", "distinct_cache_eviction_interval",
    "distinct_value_cache_disable_from_history", "exec_mem_pool_bytes", "exec_mem_pool_size", "file_cache_recency",
    "file_cache_size", "force_snapshot_mem_size", "force_snapshot_mem_threshold", "gen1_duration",
    "gen1_lookback_duration", "google_service_account", "hard_delete_default_duration", "http_bind",
    "internode_bind_addr", "jwt_default_ttl_seconds", "jwt_issuer", "jwt_key_id", "jwt_private_key",
    "last_cache_eviction_interval", "last_value_cache_disable_from_history", "license_email", "license_file",
    "license_type", "log_destination", "log_filter", "log_format", "max_concurrent_queries", "max_http_request_size",
    "node_id_from_env", "num_database_limit", "num_table_limit", "num_total_columns_per_table_limit",
    "oauth_audience", "oauth_client_id", "oauth_issuer", "oauth_scopes", "object_store",
    "object_store_cache_endpoint", "object_store_connection_limit", "object_store_http2_max_frame_size",
    "object_store_http2_only", "object_store_max_retries", "object_store_retry_timeout", "package_manager",
    "parquet_mem_cache_prune_interval", "parquet_mem_cache_prune_percentage",
    "parquet_mem_cache_query_path_duration", "parquet_mem_cache_size", "permission_tokens_file", "plugin_dir_only",
    "plugin_repo", "preemptive_cache_age", "query_file_limit", "query_log_max_entries", "query_log_size",
    "rbac_authoring_disabled", "replication_interval", "restrict_plugin_triggers_to", "retention_check_interval",
    "shutdown_timeout", "snapshotted_wal_files_to_keep", "table_index_cache_concurrency_limit",
    "table_index_cache_max_entries", "tcp_listener_file_path", "telemetry_disable_upload", "telemetry_endpoint",
    "tls_cert", "tls_key", "tls_minimum_version", "traces_exporter", "traces_exporter_jaeger_agent_host",
    "traces_exporter_jaeger_agent_port", "traces_exporter_jaeger_service_name",
    "traces_exporter_jaeger_trace_context_header_name", "traces_jaeger_debug_name",
    "traces_jaeger_max_msgs_per_second", "traces_jaeger_tags", "upgrade_pacha_tree", "use_pacha_tree",
    "user_auth_type", "verbose", "virtual_env_location", "wait_for_running_ingester", "wal_buffer_size",
    "wal_files_per_snapshot", "wal_flush_interval", "wal_max_buffered_writes", "wal_max_write_buffer_size",
    "wal_replay_concurrency_limit", "wal_replay_fail_on_error", "wal_snapshot_size", "without_auth",
    "without_user_auth",
};

/* "--num-cores" becomes "num_cores"; a longer key than any option is cut, and then matches none. */
static void normalise(struct text key, char name[LAYOUT_NAME_CAPACITY])
{
    while (text_starts_with(key, TEXT("-")))
        key = text_of(key.bytes + 1, key.length - 1);
    size_t length = key.length < LAYOUT_NAME_CAPACITY ? key.length : LAYOUT_NAME_CAPACITY - 1;
    for (size_t i = 0; i < length; i++)
        name[i] = key.bytes[i] == '-' ? '_' : key.bytes[i];
    name[length] = '\0';
}

static bool is_serve_option(struct text name)
{
    for (size_t i = 0; i < sizeof serve_options / sizeof serve_options[0]; i++) {
        if (text_equals(text_of_string(serve_options[i]), name))
            return true;
    }
    return false;
}

enum layout_key layout_key_find(struct text key, char name[LAYOUT_NAME_CAPACITY])
{
    normalise(key, name);
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (text_equals(text_of_string(aliases[i].option), text_of_string(name)))
            normalise(text_of_string(aliases[i].key), name);
    }
    struct text known = text_of_string(name);
    if (schema_find_key("nodes[]", known) != NULL)
        return LAYOUT_KEY_NODE;
    if (text_equals(known, TEXT("cluster_id")) || text_equals(known, TEXT("storage_engine")))
        return LAYOUT_KEY_CLUSTER;
    if (text_equals(known, TEXT("count")))
        return LAYOUT_KEY_COUNT;
    return is_serve_option(known) ? LAYOUT_KEY_SERVE : LAYOUT_KEY_UNKNOWN;
}

bool layout_is_node(const struct yaml_node *document)
{
    if (document->kind != YAML_MAPPING)
        return false;
    bool has_node_key = false;
    for (const struct yaml_node *member = document->first; member != NULL; member = member->next) {
        char name[LAYOUT_NAME_CAPACITY];
        struct text key = member->key->text;
        enum layout_key found = layout_key_find(key, name);
        if (found == LAYOUT_KEY_NODE && text_equals(text_of_string(name), TEXT("mode")))
            return true;
        /* Without a mode the keys decide: one of Sluice's own makes it a part of Sluice's configuration. */
        if (found != LAYOUT_KEY_CLUSTER && schema_find_key("", key) != NULL)
            return false;
        has_node_key = has_node_key || found == LAYOUT_KEY_NODE || found == LAYOUT_KEY_SERVE;
    }
    return has_node_key;
}
