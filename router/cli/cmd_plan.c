#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "topology/build.h"
#include "topology/schema.h"
#include "topology/sizing.h"
#include "topology/value.h"

static const char usage[] =
    "usage: sluice plan --cores N --mode M [--memory SIZE] [--storage-engine ENGINE]\n"
    "       sluice plan [--memory SIZE] [--storage-engine ENGINE] FILE\n"
    "\n"
    "Proposes threads and memory for a node by what InfluxData documents, as an influxdb3 command with the reason for\n"
    "each number. With FILE, a configuration or a cluster layout, does so for each of its nodes. SIZE is the memory of\n"
    "the machine, as 64GiB. ENGINE is upgraded or parquet; by default what FILE says, else upgraded.\n";

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
    bool is_help;
};

/* What a node's plan depends on beside the node. */
struct plan {
    enum storage_engine engine;
    const char *cluster_id; /* or NULL */
    uint64_t memory_bytes;  /* of the machine, or 0 when not known */
    bool has_plugins;       /* some node runs plugins, so all of them need the files */
};

static int complain(const char *option, const char *problem)
{
    fprintf(stderr, "sluice plan: %s: %s\n", option, problem);
    return COMMAND_MISUSED;
}

static int take_engine(struct request *request, const char *value)
{
    unsigned index;
    const struct schema_row *row = schema_find(TEXT("storage_engine"));
    if (!schema_word_index(row, text_of_string(value), &index))
        return complain("--storage-engine", "is no engine; write upgraded or parquet");
    request->engine = (enum storage_engine)index;
    request->has_engine = true;
    return COMMAND_OK;
}

static int take_option(struct request *request, const char *option, const char *value)
{
    char problem[VALUE_PROBLEM_CAPACITY];
    if (value == NULL)
        return complain(option, "needs a value after it");
    if (strcmp(option, "--memory") == 0) {
        bool is_good = text_to_size_bytes(text_of_string(value), &request->memory_bytes) && request->memory_bytes > 0;
        return is_good ? COMMAND_OK : complain(option, "is no size; write it as 64GiB");
    }
    if (strcmp(option, "--storage-engine") == 0)
        return take_engine(request, value);
    const char *path = strcmp(option, "--cores") == 0 ? "nodes[].cores" : "nodes[].mode";
    const struct schema_row *row = schema_find(text_of_string(path));
    /* Modes and cores are numbers in the node: no storage is needed. */
    if (!value_store(row, text_of_string(value), &request->node, NULL, problem))
        return complain(option, problem);
    return COMMAND_OK;
}

/* Both "--cores 8" and "--cores=8". */
static int parse_argument(struct request *request, char **argv, int *position)
{
    static const char *const options[] = {"--cores", "--mode", "--memory", "--storage-engine"};
    const char *argument = argv[*position];
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        size_t length = strlen(options[i]);
        if (strncmp(argument, options[i], length) != 0)
            continue;
        if (argument[length] == '=')
            return take_option(request, options[i], argument + length + 1);
        if (argument[length] == '\0')
            return take_option(request, options[i], argv[++*position]);
    }
    if (argument[0] == '-')
        return complain(argument, "is no option; see sluice plan --help");
    if (request->path != NULL)
        return complain(argument, "is a second file; name one");
    request->path = argument;
    return COMMAND_OK;
}

static int parse_arguments(struct request *request, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        request->is_help = request->is_help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (request->is_help)
            return COMMAND_OK;
        int status = parse_argument(request, argv, &i);
        if (status != COMMAND_OK)
            return status;
    }
    if (request->path != NULL && (request->node.cores > 0 || request->node.modes != 0))
        return complain(request->path, "has cores and modes of its own; leave out --cores and --mode");
    if (request->path == NULL && (request->node.cores == 0 || request->node.modes == 0)) {
        fputs(usage, stderr);
        return COMMAND_MISUSED;
    }
    return COMMAND_OK;
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
    int status = parse_arguments(&request, argc, argv);
    if (status != COMMAND_OK)
        return status;
    if (request.is_help) {
        fputs(usage, stdout);
        return COMMAND_OK;
    }
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
