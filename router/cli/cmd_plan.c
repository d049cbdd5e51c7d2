#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/options.h"
#include "topology/build.h"
#include "topology/schema.h"
#include "topology/sizing.h"
#include "topology/value.h"

enum { OPTION_CORES = OPTION_LONG_ONLY, OPTION_MODE, OPTION_MEMORY, OPTION_ENGINE };

static const struct option_row option_rows[] = {
    {OPTION_CORES, "cores", "N", "cores of the node"},
    {OPTION_MODE, "mode", "M", "its modes, as query,process"},
    {OPTION_MEMORY, "memory", "SIZE", "memory of the machine, as 64GiB"},
    {OPTION_ENGINE, "storage-engine", "ENGINE", "upgraded or parquet; by default what FILE says, else upgraded"},
};
static const struct manual manual = {
    .command = "plan",
    .forms = "--cores N --mode M [--memory SIZE] [--storage-engine ENGINE]\n[--memory SIZE] [--storage-engine ENGINE] FILE",
    .text = "Proposes threads and memory for a node by what InfluxData documents, as an influxdb3 command with the "
            "reason for each number. With FILE, a configuration or a cluster layout, does so for each of its nodes.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "the plan is printed",
    .status_failed = "FILE has an error",
    .example = "sluice plan --cores 48 --mode ingest --memory 192GiB",
};

static const char *const engine_notes[STORAGE_ENGINE_COUNT] = {
    [STORAGE_ENGINE_UPGRADED] =
        "# For the upgraded storage engine, the default of new clusters from 3.11: both thread pools have one thread for\n"
        "# each core, without an option. For the Parquet engine see --storage-engine parquet.\n",
    [STORAGE_ENGINE_PARQUET] =
        "# For the Parquet storage engine, whose two thread pools share the cores. The upgraded engine needs neither option.\n",
};

struct request {
    struct topology_node node; /* modes and cores from the command line */
    uint64_t memory_bytes;
    enum storage_engine engine;
    bool has_engine; /* otherwise FILE decides */
    const char *path;
};

/* What a node's plan depends on beside the node. */
struct plan {
    enum storage_engine engine;
    const char *cluster_id; /* or NULL */
    uint64_t memory_bytes;  /* of the machine, or 0 when not known */
    bool has_plugins;       /* some node runs plugins, so all of them need the files */
};

static bool take_engine(struct request *request, struct options *options, const char *value)
{
    unsigned index;
    const struct schema_row *row = schema_find(TEXT("storage_engine"));
    if (!schema_word_index(row, text_of_string(value), &index))
        return options_complain(options, "--storage-engine: is no engine; write upgraded or parquet");
    request->engine = (enum storage_engine)index;
    request->has_engine = true;
    return true;
}

static bool take_option(struct request *request, struct options *options, int id, const char *value)
{
    char problem[VALUE_PROBLEM_CAPACITY];
    if (id == OPTION_MEMORY) {
        bool is_good = text_to_size_bytes(text_of_string(value), &request->memory_bytes) && request->memory_bytes > 0;
        return is_good || options_complain(options, "--memory: is no size; write it as 64GiB");
    }
    if (id == OPTION_ENGINE)
        return take_engine(request, options, value);
    const char *path = id == OPTION_CORES ? "nodes[].cores" : "nodes[].mode";
    const struct schema_row *row = schema_find(text_of_string(path));
    /* Modes and cores are numbers in the node: no storage is needed. */
    if (!value_store(row, text_of_string(value), &request->node, NULL, problem))
        return options_complain(options, "--%s: %s", id == OPTION_CORES ? "cores" : "mode", problem);
    return true;
}

static bool judge_request(const struct request *request, struct options *options)
{
    if (request->path != NULL && (request->node.cores > 0 || request->node.modes != 0))
        return options_complain(options, "%s: has cores and modes of its own; leave out --cores and --mode", request->path);
    if (request->path == NULL && (request->node.cores == 0 || request->node.modes == 0))
        return options_complain(options, "no node; describe one with --cores N and --mode M, or name a FILE with nodes");
    return true;
}

/* False: the command ends with options->status. */
static bool read_arguments(struct request *request, struct options *options)
{
    const char *value;
    size_t count;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (!take_option(request, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **files = options_operands(options, &count);
    if (count > 1)
        return options_complain(options, "%s: is a second file; name one", files[1]);
    request->path = count == 1 ? files[0] : NULL;
    return judge_request(request, options);
}

static void print_memory(const struct sizing *sizing, uint64_t memory_bytes)
{
    if (sizing->has_no_file_cache)
        printf("# no file cache: a node that only ingests never reads stored files\n");
    if (sizing->has_replica_buffer) {
        printf("# memory: the replica buffer takes half of it, at most 16 GB");
        if (sizing->replica_bytes > 0)
            printf(", so %.1f GiB", (double)sizing->replica_bytes / (1 << 30));
        printf("\n");
    }
    if (sizing->memory_percent == 0)
        return;
    printf("# %u%% of the memory for query execution", sizing->memory_percent);
    if (memory_bytes > 0)
        printf(", %.1f GiB of %.1f", (double)memory_bytes * sizing->memory_percent / 100 / (1 << 30),
               (double)memory_bytes / (1 << 30));
    printf(": %s\n", sizing->memory_reason);
    if (sizing->file_cache_bytes > 0)
        printf("# %" PRIu64 " GB file cache: files in frequent use need no second download\n",
               sizing->file_cache_bytes / 1000000000);
}

static void print_differences(const struct topology_node *node, const struct sizing *sizing)
{
    unsigned io = sizing->io_threads > 0 ? sizing->io_threads : node->cores;
    unsigned datafusion = sizing->datafusion_threads > 0 ? sizing->datafusion_threads : node->cores;
    if (node->io_threads > 0 && node->io_threads != io)
        printf("# the file has %u IO threads\n", node->io_threads);
    if (node->datafusion_threads > 0 && node->datafusion_threads != datafusion)
        printf("# the file has %u DataFusion threads\n", node->datafusion_threads);
}

static void print_reasons(const struct topology_node *node, const struct sizing *sizing, const struct plan *plan)
{
    if (sizing->io_threads > 0)
        printf("# %u IO thread%s: %s\n", sizing->io_threads, sizing->io_threads == 1 ? "" : "s", sizing->io_reason);
    if (sizing->datafusion_threads > 0)
        printf("# %u DataFusion thread%s: %s\n", sizing->datafusion_threads, sizing->datafusion_threads == 1 ? "" : "s",
               sizing->datafusion_reason);
    print_memory(sizing, plan->memory_bytes);
    print_differences(node, sizing);
    if (plan->has_plugins && node->plugin_dir == NULL)
        printf("# PLUGIN_DIR: the folder with the plugin files; every node ends at its start when those of a trigger are missing\n");
    if ((node->modes & (NODE_MODE_COMPACT | NODE_MODE_ALL)) != 0)
        printf("# the one node of its cluster that compacts: two of them corrupt the stored data\n");
}

static void print_plan(const struct topology_node *node, const struct plan *plan)
{
    char modes[64];
    struct sizing sizing = sizing_of(plan->engine, node->modes, node->cores, plan->memory_bytes);
    node_modes_describe(node->modes, modes, sizeof modes);
    printf("\n# %s: %s, %u cores\n", node->node_id != NULL ? node->node_id : "a node", modes, node->cores);
    print_reasons(node, &sizing, plan);
    if (sizing.io_threads > 0)
        printf("influxdb3 --num-io-threads=%u serve \\\n", sizing.io_threads);
    else
        printf("influxdb3 serve \\\n");
    printf("  --num-cores=%u \\\n", node->cores);
    if (sizing.datafusion_threads > 0)
        printf("  --datafusion-num-threads=%u \\\n", sizing.datafusion_threads);
    if (sizing.memory_percent > 0)
        printf("  --exec-mem-pool-size=%u%% \\\n", sizing.memory_percent);
    if (sizing.has_no_file_cache)
        printf("  --disable-file-cache \\\n");
    if (sizing.file_cache_bytes > 0)
        printf("  --file-cache-size=%" PRIu64 "GB \\\n", sizing.file_cache_bytes / 1000000000);
    if (plan->has_plugins)
        printf("  --plugin-dir=%s \\\n", node->plugin_dir != NULL ? node->plugin_dir : "PLUGIN_DIR");
    printf("  --mode=%s \\\n  --node-id=%s \\\n  --cluster-id=%s\n", modes,
           node->node_id != NULL ? node->node_id : "NODE_ID", plan->cluster_id != NULL ? plan->cluster_id : "CLUSTER_ID");
}

static bool runs_plugins(const struct topology_node *node)
{
    return node->plugin_dir != NULL || (node->modes & NODE_MODE_PROCESS) != 0;
}

static int plan_file(const struct request *request)
{
    struct findings *findings = findings_create();
    if (findings == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return COMMAND_FAILED;
    }
    struct topology *topology = topology_read(&request->path, 1, TOPOLOGY_PURPOSE_CHECK, findings);
    findings_print(findings, stderr);
    findings_destroy(findings);
    if (topology == NULL)
        return COMMAND_FAILED;
    struct plan plan = {
        .engine = request->has_engine ? request->engine : topology->storage_engine,
        .cluster_id = topology->cluster_id,
        .memory_bytes = request->memory_bytes,
    };
    for (size_t i = 0; i < topology->node_count; i++)
        plan.has_plugins = plan.has_plugins || runs_plugins(&topology->nodes[i]);
    fputs(engine_notes[plan.engine], stdout);
    for (size_t i = 0; i < topology->node_count; i++) {
        const struct topology_node *node = &topology->nodes[i];
        if (node->cores > 0)
            print_plan(node, &plan);
        else
            printf("\n# %s: no plan, because the file does not say how many cores it has; add cores\n", node->node_id);
    }
    topology_release(topology);
    return COMMAND_OK;
}

int command_plan(int argc, char **argv)
{
    struct request request = {0};
    struct options options;
    options_begin(&options, &manual, argc, argv);
    if (!read_arguments(&request, &options))
        return options.status;
    if (request.path != NULL)
        return plan_file(&request);
    struct plan plan = {
        .engine = request.has_engine ? request.engine : STORAGE_ENGINE_UPGRADED,
        .memory_bytes = request.memory_bytes,
        .has_plugins = runs_plugins(&request.node),
    };
    fputs(engine_notes[plan.engine], stdout);
    print_plan(&request.node, &plan);
    return COMMAND_OK;
}
