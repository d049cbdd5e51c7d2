#ifndef SLUICE_TOPOLOGY_SIZING_H
#define SLUICE_TOPOLOGY_SIZING_H
/*
 * Threads and memory of a node from its modes and cores, by the ratios that InfluxData documents for clusters
 * ("Configure specialized cluster nodes"). Between the documented sizes the numbers are interpolated. Pure; for the
 * Parquet engine, whose two thread pools must share the cores.
 */
#include <stdint.h>

struct sizing {
    unsigned io_threads;
    unsigned datafusion_threads; /* the rest of the cores */
    unsigned
        memory_percent; /* of the machine, for query execution; 0: nothing documented, keep the database's default */
    uint64_t file_cache_bytes; /* 0: keep the database's default */
    const char *io_reason;     /* one line each, for comments */
    const char *datafusion_reason;
    const char *memory_reason; /* NULL when memory_percent is 0 */
};

/* `modes`: enum node_mode bits, at least one; `cores` at least 2; `memory_bytes` of the machine, or 0 when not known.
 */
struct sizing sizing_of(unsigned modes, unsigned cores, uint64_t memory_bytes);

#endif
