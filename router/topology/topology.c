#include "topology/topology.h"

#include "base/text.h"
#include "topology/storage.h"

static const struct text class_names[REQUEST_CLASS_COUNT] = {
    [REQUEST_CLASS_WRITE] = {"write", 5},     [REQUEST_CLASS_WRITEBACK] = {"writeback", 9},
    [REQUEST_CLASS_QUERY] = {"query", 5},     [REQUEST_CLASS_FLIGHT] = {"flight", 6},
    [REQUEST_CLASS_ENGINE] = {"engine", 6},   [REQUEST_CLASS_CATALOG] = {"catalog", 7},
    [REQUEST_CLASS_PLUGIN] = {"plugin", 6},   [REQUEST_CLASS_COMPACTION] = {"compaction", 10},
    [REQUEST_CLASS_NODE] = {"node", 4},       [REQUEST_CLASS_SYSTEM] = {"system", 6},
    [REQUEST_CLASS_UNKNOWN] = {"unknown", 7},
};

/* By bit number of enum node_mode. */
static const struct text mode_names[NODE_MODE_COUNT] = {
    {"ingest", 6}, {"query", 5}, {"compact", 7}, {"process", 7}, {"all", 3}, {"webui", 5},
};

static const char *const engine_names[STORAGE_ENGINE_COUNT] = {"upgraded", "parquet"};

const char *request_class_name(enum request_class class)
{
    return class_names[class].bytes;
}

bool request_class_from_name(const char *name, size_t length, enum request_class *class)
{
    for (unsigned i = 0; i < REQUEST_CLASS_COUNT; i++) {
        if (text_equals(class_names[i], text_of(name, length))) {
            *class = (enum request_class)i;
            return true;
        }
    }
    return false;
}

const char *node_mode_name(enum node_mode mode)
{
    for (unsigned i = 0; i < NODE_MODE_COUNT; i++) {
        if ((unsigned)mode == 1u << i)
            return mode_names[i].bytes;
    }
    return "none";
}

bool node_mode_from_name(const char *name, size_t length, enum node_mode *mode)
{
    for (unsigned i = 0; i < NODE_MODE_COUNT; i++) {
        if (text_equals(mode_names[i], text_of(name, length))) {
            *mode = (enum node_mode)(1u << i);
            return true;
        }
    }
    return false;
}

const char *node_modes_describe(unsigned modes, char *buffer, size_t capacity)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (unsigned i = 0; i < NODE_MODE_COUNT; i++) {
        if ((modes & 1u << i) != 0)
            used = text_append(buffer, capacity, used, "%s%s", used > 0 ? "," : "", mode_names[i].bytes);
    }
    return buffer;
}

const char *storage_engine_name(enum storage_engine engine)
{
    return engine_names[engine];
}

void topology_retain(struct topology *topology)
{
    atomic_fetch_add_explicit(&topology->references, 1, memory_order_relaxed);
}

void topology_release(struct topology *topology)
{
    if (topology == NULL)
        return;
    /* The last reader's reads must be over before another thread frees: release here, acquire for whoever frees. */
    if (atomic_fetch_sub_explicit(&topology->references, 1, memory_order_acq_rel) == 1)
        storage_destroy(topology->storage);
}
