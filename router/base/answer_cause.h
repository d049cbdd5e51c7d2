#ifndef SLUICE_BASE_ANSWER_CAUSE_H
#define SLUICE_BASE_ANSWER_CAUSE_H
/* Why a node answered with an error; routing/answer.h finds it out. */

enum answer_cause {
    ANSWER_CAUSE_NONE,         /* no error */
    ANSWER_CAUSE_CLIENT,       /* the request is wrong, or not allowed: every node would say so */
    ANSWER_CAUSE_LIMIT,        /* the cluster's own limits (databases, tables, columns): likewise */
    ANSWER_CAUSE_ROLE,         /* the node's mode does not serve it */
    ANSWER_CAUSE_SHUTDOWN,     /* the node is going away */
    ANSWER_CAUSE_VERSION,      /* the node is older than the catalog and may not change it */
    ANSWER_CAUSE_OBJECT_STORE, /* the node cannot write or read what it must */
    ANSWER_CAUSE_MEMORY,       /* the node has no memory or room for it now */
    ANSWER_CAUSE_GATEWAY,      /* 502, 503, 504 without words that are known */
    ANSWER_CAUSE_UNAVAILABLE,  /* gRPC: UNAVAILABLE, which a lack of permission may be, too */
    ANSWER_CAUSE_UNKNOWN,      /* words that are not known */
    ANSWER_CAUSE_COUNT
};

/* "role", "shutdown", ...: a label in metrics and logs. */
const char *answer_cause_name(enum answer_cause cause);

#endif
