#include "swarm/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swarm/swarm_plan.h"

static bool refuse(const char *option, const char *what)
{
    fprintf(stderr, "sim: %s %s: this is not known here\n", option, what);
    return false;
}

/* ---- nodes ---- */

static unsigned role_of(char letter)
{
    switch (letter) {
    case 'i': return PLAN_ROLE_INGEST;
    case 'q': return PLAN_ROLE_QUERY;
    case 'c': return PLAN_ROLE_COMPACT;
    case 'p': return PLAN_ROLE_PROCESS | PLAN_ROLE_QUERY;
    default: return 0;
    }
}

static bool apply_nodes(struct plan *plan, const char *letters)
{
    plan->node_count = (unsigned)strlen(letters);
    if (plan->node_count > PLAN_NODES_MAXIMUM)
        return refuse("--nodes", letters);
    for (unsigned i = 0; i < plan->node_count; i++) {
        plan->nodes[i] = (struct plan_node){.roles = role_of(letters[i]), .http = 1 + i % 2};
        if (plan->nodes[i].roles == 0)
            return refuse("--nodes", letters);
    }
    return true;
}

/* ---- key=number,key=number ---- */

typedef bool pair(struct plan *plan, const char *key, unsigned number);

static bool each_pair(struct plan *plan, const char *option, const char *list, pair *apply)
{
    char copy[512];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        char *number = strchr(word, '=');
        if (number == NULL)
            return refuse(option, word);
        *number++ = '\0';
        if (!apply(plan, word, (unsigned)strtoul(number, NULL, 10)))
            return refuse(option, word);
    }
    return true;
}

static bool apply_rate(struct plan *plan, const char *key, unsigned number)
{
    enum fault_kind kind = swarm_fault_of(key);
    if (kind == FAULT_KIND_COUNT)
        return false;
    plan->rate[kind] = number;
    return true;
}

static bool apply_key(struct plan *plan, const char *key, unsigned number)
{
    struct plan_case *fixed = &plan->fixed;
    const struct {
        const char *word;
        unsigned *value;
    } rows[] = {
        {"sick", &fixed->sick},           {"error", &fixed->error_status},       {"silent_ms", &fixed->silent_ms},
        {"late_ms", &fixed->late_ms},     {"patience_ms", &fixed->patience_ms},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].word, key) != 0)
            continue;
        *rows[i].value = number + (rows[i].value == &fixed->sick);
        return true;
    }
    return false;
}

bool case_apply(struct plan *plan, const struct case_options *options)
{
    bool is_case = options->nodes != NULL || options->rates != NULL || options->keys != NULL;
    plan->bounds = options->bounds;
    if (is_case)
        memset(plan->rate, 0, sizeof plan->rate);
    return (options->nodes == NULL || apply_nodes(plan, options->nodes)) &&
           (options->rates == NULL || each_pair(plan, "--rate", options->rates, apply_rate)) &&
           (options->keys == NULL || each_pair(plan, "--case", options->keys, apply_key));
}
