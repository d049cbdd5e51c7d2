#include "upstream/serving.h"

#include "base/log.h"
#include "routing/classify.h"

const struct serving_kind serving_kinds[SERVING_KINDS] = {
    {{"write", 5}, REQUEST_CLASS_WRITE, NODE_CAPABILITY_INGEST},
    {{"query", 5}, REQUEST_CLASS_QUERY, NODE_CAPABILITY_QUERY},
    {{"compaction", 10}, REQUEST_CLASS_COMPACTION, NODE_CAPABILITY_COMPACT},
    {{"engine", 6}, REQUEST_CLASS_ENGINE, NODE_CAPABILITY_PROCESS},
};

bool serving_is_all_down(const struct epoch *epoch, enum request_class class, unsigned capabilities)
{
    const struct topology *topology = epoch->topology;
    bool is_any_down = false;
    if (topology->health.all_down == TOPOLOGY_ALL_DOWN_REFUSE)
        return false;
    for (size_t i = 0; i < topology->node_count; i++) {
        if (!classify_node_fits(&topology->nodes[i], capabilities))
            continue;
        if (roster_node_is_usable(epoch->nodes[i], class))
            return false;
        is_any_down = is_any_down || roster_node_is_down_by_probes(epoch->nodes[i], class);
    }
    return is_any_down;
}

bool serving_takes(const struct roster_node *node, enum request_class class, bool is_all_down)
{
    return roster_node_is_usable(node, class) || (is_all_down && roster_node_is_down_by_probes(node, class));
}

bool serving_any(const struct epoch *epoch, const struct serving_kind *kind)
{
    const struct topology *topology = epoch->topology;
    bool is_all_down = serving_is_all_down(epoch, kind->class, kind->capability);
    for (size_t i = 0; i < topology->node_count && !is_all_down; i++) {
        if (classify_node_fits(&topology->nodes[i], kind->capability) && roster_node_is_usable(epoch->nodes[i], kind->class))
            return true;
    }
    return is_all_down;
}

unsigned serving_all_down(const struct epoch *epoch)
{
    unsigned kinds = 0;
    for (unsigned i = 0; i < SERVING_KINDS; i++) {
        if (serving_is_all_down(epoch, serving_kinds[i].class, serving_kinds[i].capability))
            kinds |= 1u << i;
    }
    return kinds;
}

bool serving_takes_any(const struct epoch *epoch, unsigned index, unsigned all_down)
{
    for (unsigned i = 0; i < SERVING_KINDS; i++) {
        if (classify_node_fits(&epoch->topology->nodes[index], serving_kinds[i].capability) &&
            serving_takes(epoch->nodes[index], serving_kinds[i].class, (all_down & 1u << i) != 0))
            return true;
    }
    return false;
}

unsigned serving_tell_changes(const struct epoch *epoch, unsigned before)
{
    unsigned now = serving_all_down(epoch);
    for (unsigned i = 0; i < SERVING_KINDS; i++) {
        bool is_all_down = (now >> i & 1) != 0;
        if (((now ^ before) >> i & 1) != 0)
            log_line(is_all_down ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "event=all_down class=%s state=%s", serving_kinds[i].name.bytes,
                     is_all_down ? "served_all_the_same" : "over");
    }
    return now;
}
