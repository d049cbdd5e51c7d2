#include "cli/node_states.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/admin_answer.h"

static const struct status_node *find_node(const struct status_report *report, const char *node_id)
{
    for (size_t i = 0; i < report->node_count; i++) {
        if (strcmp(report->nodes[i].node_id, node_id) == 0)
            return &report->nodes[i];
    }
    return NULL;
}

/* "query-01: up, drain:query,flight; it gets no new requests of class query" */
static void print_node(const struct status_report *report, const char *node_id, const char *class)
{
    const struct status_node *node = find_node(report, node_id);
    printf("            %s: ", node_id);
    if (node == NULL) {
        printf("not in the configuration that is in force there\n");
        return;
    }
    print_printable(node->health, stdout);
    printf(", %s", node->admin.text);
    if (status_report_admin(report, (size_t)(node - report->nodes), class) != ADMIN_READY)
        printf("; it gets no new requests of class %s", class);
    else if (status_report_is_ejected(report, (size_t)(node - report->nodes), class))
        printf("; its answers have set it aside for class %s", class);
    printf("\n");
}

bool node_states_print(const struct admin_options *admin, const struct options *options, const struct topology *topology,
                       const struct node_set *nodes, enum request_class class)
{
    bool is_answered = true;
    for (size_t i = 0; i < admin->count; i++) {
        char problem[ADMIN_PROBLEM_CAPACITY];
        struct status_report report;
        if (admin_ask_status(admin, admin->addresses[i], &report, problem) != ADMIN_ANSWERED) {
            admin_print_problem(options, admin->addresses[i], problem);
            is_answered = false;
            continue;
        }
        printf("now         as %s says, epoch %" PRIu64 "%s\n", admin->addresses[i], report.epoch,
               report.is_draining ? "; it drains and takes no new connections" : "");
        for (unsigned each = 0; each < topology->node_count; each++) {
            if (node_set_has(nodes, each))
                print_node(&report, topology->nodes[each].node_id, request_class_name(class));
        }
        status_report_clear(&report);
    }
    return is_answered;
}
