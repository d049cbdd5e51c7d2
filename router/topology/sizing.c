#include "topology/sizing.h"

/* Every documented query node has a file cache of 1 GB for each 8 cores. */
#define CORES_PER_CACHE_GIGABYTE 8
#define GIGABYTE 1000000000u
/* The upgraded engine's default for --replica-max-buffer-size: half of the memory, at most this. */
#define REPLICA_BYTES_MAXIMUM (16ull * GIGABYTE)

static unsigned clamp(unsigned value, unsigned minimum, unsigned maximum)
{
    return value < minimum ? minimum : value > maximum ? maximum : value;
}

/* Documented: 12 of 32, 16 of 48, 20 of 96; straight lines between them, the first ratio below, the last slope above.
 */
static unsigned ingest_io_threads(unsigned cores)
{
    if (cores <= 32)
        return (cores * 12 + 16) / 32;
    if (cores <= 48)
        return 12 + (cores - 32) / 4;
    return 16 + (cores - 48) / 12;
}

static void choose_io(struct sizing *sizing, unsigned modes, unsigned cores)
{
    bool has_ingest = (modes & (NODE_MODE_INGEST | NODE_MODE_ALL)) != 0;
    bool has_query = (modes & (NODE_MODE_QUERY | NODE_MODE_ALL)) != 0;
    if (has_ingest && has_query) {
        sizing->io_threads = cores / 4; /* documented: 12 of 48, 8 of 32 */
        sizing->io_reason = "for parsing line protocol, about one for each concurrent writer; queries need the rest";
    } else if (has_ingest) {
        sizing->io_threads = ingest_io_threads(cores);
        sizing->io_reason = "for parsing line protocol; each concurrent writer keeps about one busy";
    } else if ((modes & NODE_MODE_PROCESS) != 0) {
        sizing->io_threads = clamp(cores / 4, 2, 4); /* documented: 4 of 16, 4 of 32 */
        sizing->io_reason = "for requests and what the plugins fetch and write back";
    } else if (has_query) {
        sizing->io_threads = clamp(cores / 8, 2, 4); /* documented: 4 of 32, of 48 and of 64 */
        sizing->io_reason = "for requests and results, which take little";
    } else {
        sizing->io_threads = 2; /* documented: 2 of 32 */
        sizing->io_reason = "compaction needs hardly any";
    }
}

static void choose_memory(struct sizing *sizing, unsigned modes, unsigned cores, uint64_t memory_bytes)
{
    bool has_ingest = (modes & (NODE_MODE_INGEST | NODE_MODE_ALL)) != 0;
    bool has_query = (modes & (NODE_MODE_QUERY | NODE_MODE_ALL)) != 0;
    bool is_query_node = has_query && !has_ingest && (modes & (NODE_MODE_COMPACT | NODE_MODE_PROCESS)) == 0;
    if (has_ingest) {
        sizing->memory_percent = has_query ? 75 : 60;
        sizing->memory_reason = has_query ? "queries share the memory with the write buffers"
                                          : "the write buffers and snapshots need the rest";
    } else if (is_query_node) {
        sizing->memory_percent = 90;
        sizing->memory_reason = "large aggregations and sorts stay in memory";
        sizing->file_cache_bytes = (uint64_t)(cores / CORES_PER_CACHE_GIGABYTE) * GIGABYTE;
        /* The cache has to fit beside the pool. */
        uint64_t rest = memory_bytes / 10 / GIGABYTE * GIGABYTE;
        if (memory_bytes > 0 && sizing->file_cache_bytes > rest)
            sizing->file_cache_bytes = rest;
    }
}

static const char *datafusion_reason_of(unsigned modes)
{
    if ((modes & (NODE_MODE_QUERY | NODE_MODE_ALL)) != 0)
        return "for running queries";
    if ((modes & NODE_MODE_INGEST) != 0)
        return "for turning the write-ahead log into Parquet files";
    return (modes & NODE_MODE_COMPACT) != 0 ? "for sorting and merging files" : "for what the plugins query";
}

/* On a node that only ingests nobody reads stored files, and the database does not see that by itself. */
static struct sizing sizing_of_upgraded(unsigned modes, uint64_t memory_bytes)
{
    uint64_t half = memory_bytes / 2;
    return (struct sizing){
        .has_no_file_cache = (modes & ~(unsigned)NODE_MODE_PROCESS) == NODE_MODE_INGEST,
        .has_replica_buffer = (modes & NODE_MODE_QUERY) != 0,
        .replica_bytes = half < REPLICA_BYTES_MAXIMUM ? half : REPLICA_BYTES_MAXIMUM,
    };
}

struct sizing sizing_of(enum storage_engine engine, unsigned modes, unsigned cores, uint64_t memory_bytes)
{
    struct sizing sizing = {0};
    if (engine == STORAGE_ENGINE_UPGRADED)
        return sizing_of_upgraded(modes, memory_bytes);
    choose_io(&sizing, modes, cores);
    /* On few cores the database's own defaults hold: 1 of 2 and of 3, then at least 2. */
    sizing.io_threads = cores <= 3 ? 1 : clamp(sizing.io_threads, 2, cores - 1);
    sizing.datafusion_threads = cores - sizing.io_threads;
    sizing.datafusion_reason = datafusion_reason_of(modes);
    choose_memory(&sizing, modes, cores, memory_bytes);
    return sizing;
}
