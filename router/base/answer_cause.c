#include "base/answer_cause.h"

const char *answer_cause_name(enum answer_cause cause)
{
    static const char *const names[ANSWER_CAUSE_COUNT] = {
        [ANSWER_CAUSE_NONE] = "none",
        [ANSWER_CAUSE_CLIENT] = "client",
        [ANSWER_CAUSE_LIMIT] = "limit",
        [ANSWER_CAUSE_ROLE] = "role",
        [ANSWER_CAUSE_SHUTDOWN] = "shutdown",
        [ANSWER_CAUSE_VERSION] = "version",
        [ANSWER_CAUSE_OBJECT_STORE] = "object_store",
        [ANSWER_CAUSE_MEMORY] = "memory",
        [ANSWER_CAUSE_GATEWAY] = "gateway",
        [ANSWER_CAUSE_UNAVAILABLE] = "unavailable",
        [ANSWER_CAUSE_UNKNOWN] = "unknown",
    };
    return names[cause];
}
