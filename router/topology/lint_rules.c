#include "topology/lint_rules.h"

struct place lint_place(const struct lint *lint, const void *base, const char *path)
{
    return origins_place(lint->origins, base, path);
}

void lint_out_of_memory(const struct lint *lint)
{
    findings_error(lint->findings, lint_place(lint, lint->topology, "nodes"), "out of memory; free some and try again");
}

const char *lint_node_name(const struct topology_node *node)
{
    return node->node_id != NULL ? node->node_id : "(without node_id)";
}

bool lint_has_mode(const struct topology_node *node, unsigned modes)
{
    return (node->modes & modes) != 0;
}

bool lint_has_capability(const struct topology *topology, enum node_capability capability)
{
    for (size_t i = 0; i < topology->node_count; i++) {
        if ((topology->nodes[i].capabilities & (unsigned)capability) != 0)
            return true;
    }
    return false;
}
