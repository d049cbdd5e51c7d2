#include "topology/lint_rules.h"

/* From here on the Parquet engine's own default of 2 IO threads leaves most of an ingest node idle. */
#define MANY_CORES 8
#define DEFAULT_IO_THREADS 2

/*
 * The Parquet engine refuses more threads than cores, and each of its pools has at least one. In the upgraded engine
 * each pool by itself may have a thread for each core.
 */
void lint_threads_over_cores(const struct lint *lint)
{
    if (lint->topology->storage_engine != STORAGE_ENGINE_PARQUET)
        return;
    FOR_EACH_NODE (node, lint->topology) {
        unsigned io = node->io_threads;
        unsigned datafusion = node->datafusion_threads;
        if (node->cores == 0 || (io > 0 ? io : 1) + (datafusion > 0 ? datafusion : 1) <= node->cores)
            continue;
        if (io > 0 && datafusion > 0)
            findings_error(
                lint->findings, lint_place(lint, node, "nodes[].datafusion_threads"),
                "\"%s\" has %u IO and %u DataFusion threads, but only %u cores; lower one so that the sum fits",
                lint_node_name(node), io, datafusion, node->cores);
        else
            findings_error(
                lint->findings, lint_place(lint, node, io > 0 ? "nodes[].io_threads" : "nodes[].datafusion_threads"),
                "\"%s\" has %u %s threads on %u cores, which leaves none for the other pool; lower the number",
                lint_node_name(node), io + datafusion, io > 0 ? "IO" : "DataFusion", node->cores);
    }
}

/* The upgraded engine starts all the same, with fewer threads than the operator believes. */
void lint_threads_capped(const struct lint *lint)
{
    if (lint->topology->storage_engine != STORAGE_ENGINE_UPGRADED)
        return;
    FOR_EACH_NODE (node, lint->topology) {
        const struct {
            const char *path;
            const char *name;
            unsigned threads;
        } pools[] = {
            {"nodes[].io_threads", "IO", node->io_threads},
            {"nodes[].datafusion_threads", "DataFusion", node->datafusion_threads},
        };
        for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
            if (node->cores > 0 && pools[i].threads > node->cores)
                findings_warning(lint->findings, lint_place(lint, node, pools[i].path),
                                 "\"%s\" has %u %s threads, of which influxdb3 takes only %u, one for each core; lower "
                                 "the number, or leave it out",
                                 lint_node_name(node), pools[i].threads, pools[i].name, node->cores);
        }
    }
}

/* One writer keeps about one IO thread busy; the Parquet engine's default is 2, however many cores there are. */
void lint_threads_ingest(const struct lint *lint)
{
    if (lint->topology->storage_engine != STORAGE_ENGINE_PARQUET)
        return;
    FOR_EACH_NODE (node, lint->topology) {
        bool is_few = node->io_threads <= DEFAULT_IO_THREADS; /* 0: not given, so influxdb3 takes its default */
        if (!lint_has_mode(node, NODE_MODE_INGEST | NODE_MODE_ALL) || !is_few || node->cores < MANY_CORES)
            continue;
        findings_warning(lint->findings, lint_place(lint, node, "nodes[].io_threads"),
                         "\"%s\" ingests with %u IO threads%s on %u cores, so writes use only those; see "
                         "`sluice plan --storage-engine parquet --cores %u --mode ingest`",
                         lint_node_name(node), node->io_threads > 0 ? node->io_threads : DEFAULT_IO_THREADS,
                         node->io_threads > 0 ? "" : " (the default)", node->cores, node->cores);
    }
}

/* What a node's weight was taken from: the better it tells what the node can take, the higher. */
enum weight_ground { WEIGHT_GROUND_NOTHING, WEIGHT_GROUND_IO_THREADS, WEIGHT_GROUND_CORES, WEIGHT_GROUND_GIVEN };

static enum weight_ground weight_ground_of(enum storage_engine engine, const struct topology_node *node)
{
    if (node->given_weight > 0)
        return WEIGHT_GROUND_GIVEN;
    if (engine == STORAGE_ENGINE_UPGRADED && node->cores > 0)
        return WEIGHT_GROUND_CORES;
    return node->io_threads > 0 ? WEIGHT_GROUND_IO_THREADS : WEIGHT_GROUND_NOTHING;
}

static const char *const weight_paths[] = {
    [WEIGHT_GROUND_IO_THREADS] = "nodes[].io_threads",
    [WEIGHT_GROUND_CORES] = "nodes[].cores",
    [WEIGHT_GROUND_GIVEN] = "nodes[].weight",
};

/* Weights share out the writes, so they have to be numbers of the same thing. */
void lint_threads_uneven_weights(const struct lint *lint)
{
    enum storage_engine engine = lint->topology->storage_engine;
    const struct topology_node *best = NULL;
    const struct topology_node *worst = NULL;
    FOR_EACH_NODE (node, lint->topology) {
        if ((node->capabilities & NODE_CAPABILITY_INGEST) == 0)
            continue;
        if (best == NULL || weight_ground_of(engine, node) > weight_ground_of(engine, best))
            best = node;
        if (worst == NULL || weight_ground_of(engine, node) < weight_ground_of(engine, worst))
            worst = node;
    }
    if (!lint->is_complete || best == NULL || weight_ground_of(engine, best) == weight_ground_of(engine, worst))
        return;
    const char *path = weight_paths[weight_ground_of(engine, best)];
    const char *key = path + strlen("nodes[].");
    findings_warning(lint->findings, lint_place(lint, worst, path),
                     "\"%s\" has no %s and counts as %u where \"%s\" counts as %u when writes are shared out; add %s",
                     lint_node_name(worst), key, worst->weight, lint_node_name(best), best->weight, key);
}
