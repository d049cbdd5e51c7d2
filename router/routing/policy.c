#include "routing/policy.h"

#define ATTEMPTS 4

/* clang-format off */
static const struct policy policies[REQUEST_CLASS_COUNT] = {
    /*                            balance                    attempts  deadline                  refusal                 memory                 fin                  hedge */
    [REQUEST_CLASS_WRITE]      = {BALANCE_WEIGHTED,          ATTEMPTS, POLICY_DEADLINE_WRITE,    POLICY_REFUSAL_WRITE,   POLICY_MEMORY_NONE,    POLICY_FIN_MAY_READ, POLICY_HEDGE_NEVER},
    /* Plugin write-back: exactly one fallback hop. */
    [REQUEST_CLASS_WRITEBACK]  = {BALANCE_ROUND_ROBIN,       2,        POLICY_DEADLINE_WRITE,    POLICY_REFUSAL_WRITE,   POLICY_MEMORY_NONE,    POLICY_FIN_MAY_READ, POLICY_HEDGE_NEVER},
    [REQUEST_CLASS_QUERY]      = {BALANCE_LEAST_OUTSTANDING, ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_SLOW},
    [REQUEST_CLASS_FLIGHT]     = {BALANCE_LEAST_OUTSTANDING, ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    /* Triggers run on every process-capable node unless they are pinned. */
    [REQUEST_CLASS_ENGINE]     = {BALANCE_LEAST_OUTSTANDING, ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_ENGINE,  POLICY_MEMORY_PATH,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    /* Other nodes learn of a change only after the catalog sync interval. */
    [REQUEST_CLASS_CATALOG]    = {BALANCE_STICKY,            ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_CLUSTER, POLICY_FIN_MAY_READ, POLICY_HEDGE_NEVER},
    /* State of one process: the same node each time, or the named one. */
    [REQUEST_CLASS_PLUGIN]     = {BALANCE_FIRST,             ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    [REQUEST_CLASS_COMPACTION] = {BALANCE_FIRST,             ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    [REQUEST_CLASS_NODE]       = {BALANCE_FIRST,             ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    [REQUEST_CLASS_SYSTEM]     = {BALANCE_LEAST_OUTSTANDING, ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
    [REQUEST_CLASS_UNKNOWN]    = {BALANCE_STICKY,            ATTEMPTS, POLICY_DEADLINE_RESPONSE, POLICY_REFUSAL_NONE,    POLICY_MEMORY_NONE,    POLICY_FIN_GONE,     POLICY_HEDGE_NEVER},
};
/* clang-format on */

const struct policy *policy_of(enum request_class class)
{
    return &policies[class];
}

enum topology_affinity policy_affinity_of(const struct topology *topology, enum request_class class)
{
    switch (class) {
    case REQUEST_CLASS_WRITE:
        return topology->writes_affinity;
    case REQUEST_CLASS_QUERY:
    case REQUEST_CLASS_FLIGHT:
        return topology->queries_affinity;
    default:
        return TOPOLOGY_AFFINITY_NONE;
    }
}
