#ifndef SLUICE_TOPOLOGY_SIZING_H
#define SLUICE_TOPOLOGY_SIZING_H
/*
 * Threads and memory of a node from its modes and cores, as InfluxData documents them. Pure.
 *
 * Parquet engine: its two thread pools share the cores, by the ratios of "Configure specialized cluster nodes"
 * (https://docs.influxdata.com/influxdb3/enterprise/admin/clustering/); between the documented sizes the numbers are
 * interpolated. Upgraded engine: both pools have a thread for each core by default, and beside the query memory a query node
 * holds a replica buffer of up to half of the memory, so there is little to choose ("Storage engine configuration reference",
 * https://docs.influxdata.com/influxdb3/enterprise/reference/storage-engine-config-options/).
 */
#include <stdbool.h>
#include <stdint.h>

#include "topology/topology.h"

struct sizing {
    unsigned io_threads;         /* 0: keep the database's default, one for each core */
    unsigned datafusion_threads; /* the rest of the cores; 0 as above */
    unsigned
        memory_percent; /* of the machine, for query execution; 0: nothing documented, keep the database's default */
    uint64_t file_cache_bytes; /* 0: keep the database's default */
    bool has_no_file_cache;    /* switch it off: the node never reads the files that it writes */
    bool has_replica_buffer;   /* the database takes memory for what ingest nodes have not stored yet */
    uint64_t replica_bytes;    /* so much of it; 0: the memory is not known */
    const char *io_reason;     /* one line each, for comments; NULL where the number is 0 */
    const char *datafusion_reason;
    const char *memory_reason; /* NULL when memory_percent is 0 */
};

/* `modes`: enum node_mode bits, at least one; `cores` at least 2; `memory_bytes` of the machine, or 0 when not known.
 */
struct sizing sizing_of(enum storage_engine engine, unsigned modes, unsigned cores, uint64_t memory_bytes);

#endif
