/* sluice drain, ready, maint: what an operator says about one node of a running Sluice. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/admin_answer.h"
#include "cli/admin_options.h"

enum { OPTION_CLASS = OPTION_LONG_ONLY, OPTION_WAIT };

#define CLASS_ROW                                                                                                               \
    {OPTION_CLASS, "class", "C",                                                                                                \
     "only for requests of this class: write (write-back, too), query (Flight, too), or another one of `sluice explain`; default: all"}
#define WAIT_ROW                                                                                                                \
    {OPTION_WAIT, "wait", "T", "wait so long for the outstanding requests to end, as 30s, at most 10m; default: do not wait"}
#define STATUS_FAILED_WAITED "requests are outstanding still, or it failed; the reason is printed"

static const struct option_row option_rows[] = {CLASS_ROW, WAIT_ROW, ADMIN_OPTION_ROWS};
static const struct option_row ready_option_rows[] = {
    CLASS_ROW, {OPTION_WAIT, "wait", "T", "taken as by drain and maint, but nothing has to end, so it does not wait"}, ADMIN_OPTION_ROWS};

static const struct manual drain_manual = {
    .command = "drain",
    .forms = "[--class C] [--wait T] [-c FILE | --admin ADDRESS...] NODE",
    .text = "Gives a node no new requests; what is under way ends. NODE is its node_id. A node of several modes can be "
            "drained of one class alone. The state outlives reloads that keep the node, until `sluice ready`. So `sluice drain NODE "
            "--wait 5m && ...` goes on when the node may be stopped.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "the node drains, and nothing is outstanding there",
    .status_failed = STATUS_FAILED_WAITED,
    .example = "sluice drain query-01 --wait 30s -c /etc/sluice/sluice.yaml\nsluice drain node-03 --class write --admin 127.0.0.1:8180",
};
static const struct manual ready_manual = {
    .command = "ready",
    .forms = "[--class C] [--wait T] [-c FILE | --admin ADDRESS...] NODE",
    .text = "Takes a node back into service after drain or maint, for all classes or one. It gets requests at once unless its "
            "probes have found it down; then as soon as they find it well. NODE is its node_id.",
    .options = ready_option_rows,
    .option_count = OPTION_COUNT(ready_option_rows),
    .status_ok = "the node is ready",
    .status_failed = "it failed; the reason is printed",
    .example = "sluice ready query-01 -c /etc/sluice/sluice.yaml",
};
static const struct manual maint_manual = {
    .command = "maint",
    .forms = "[--class C] [--wait T] [-c FILE | --admin ADDRESS...] NODE",
    .text = "Takes a node out of service for maintenance: it gets no new requests, as with drain, and is not probed any more "
            "(unless --class leaves it some). `sluice status` tells the two apart. NODE is its node_id. The state outlives "
            "reloads that keep the node, until `sluice ready`.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "the node is in maintenance, and nothing is outstanding there",
    .status_failed = STATUS_FAILED_WAITED,
    .example = "sluice maint query-01 --wait 5m -c /etc/sluice/sluice.yaml",
};

struct node_request {
    struct admin_options admin;
    const char *node_id;
    const char *class; /* NULL: all */
    const char *wait;  /* NULL: none */
    uint64_t wait_ms;
    char target[ADMIN_TARGET_CAPACITY];
};

static bool take_option(struct node_request *request, struct options *options, int id, const char *value)
{
    if (id == OPTION_CLASS) {
        request->class = value;
        return true;
    }
    if (id != OPTION_WAIT)
        return admin_options_take(&request->admin, options, id, value);
    request->wait = value;
    return text_to_duration_ms(text_of_string(value), &request->wait_ms) ||
           options_complain(options, "--wait %s: is no duration; write it as 500ms, 30s or 5m", value);
}

/* /nodes/NODE/drain?class=C&wait=T */
static bool compose_target(struct node_request *request, struct options *options)
{
    char *target = request->target;
    size_t used = text_append(target, ADMIN_TARGET_CAPACITY, 0, "/nodes/");
    used = admin_target_append(target, used, text_of_string(request->node_id));
    used = text_append(target, ADMIN_TARGET_CAPACITY, used, "/%s", options->manual->command);
    if (request->class != NULL) {
        used = text_append(target, ADMIN_TARGET_CAPACITY, used, "?class=");
        used = admin_target_append(target, used, text_of_string(request->class));
    }
    if (request->wait != NULL) {
        used = text_append(target, ADMIN_TARGET_CAPACITY, used, "%swait=", request->class != NULL ? "&" : "?");
        used = admin_target_append(target, used, text_of_string(request->wait));
    }
    return used < ADMIN_TARGET_CAPACITY - 1 ||
           options_complain(options, "NODE and class are longer than any name; write the node_id alone");
}

/* False: the command ends with options->status. */
static bool read_arguments(struct node_request *request, struct options *options)
{
    const char *value;
    size_t count;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (!take_option(request, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **operands = options_operands(options, &count);
    if (count == 0 || operands[0][0] == '\0')
        return options_complain(options, "no NODE; write the node_id, which `sluice status` shows");
    if (count > 1)
        return options_complain(options, "%s: is one argument too many; name one node at a time", operands[1]);
    request->node_id = operands[0];
    return compose_target(request, options) && admin_options_resolve(&request->admin, options);
}

static void print_report(const struct node_request *request, const char *address, const struct drain_report *report)
{
    if (request->admin.count > 1)
        printf("%s: ", address);
    print_printable(report->node_id, stdout);
    printf(": %s, %" PRIu64 " outstanding: %s\n", report->admin.text, report->outstanding, report->is_done ? "done" : "not done");
}

static int tell(const struct node_request *request, const struct options *options, const char *address)
{
    const struct admin_question question = {.method = "POST", .target = request->target, .wait_ms = request->wait_ms};
    struct admin_reply reply;
    struct drain_report report;
    char problem[ADMIN_PROBLEM_CAPACITY];
    int status = COMMAND_FAILED;
    if (admin_ask(&request->admin, address, &question, &reply) != ADMIN_ANSWERED) {
        admin_print_problem(options, address, reply.problem);
    } else if (!drain_report_read(&report, text_of(reply.body, reply.body_bytes), problem)) {
        admin_print_problem(options, address, problem);
    } else {
        print_report(request, address, &report);
        status = report.is_done ? COMMAND_OK : COMMAND_FAILED;
        drain_report_clear(&report);
    }
    admin_reply_clear(&reply);
    return status;
}

static int run(const struct manual *manual, int argc, char **argv)
{
    struct node_request request = {0};
    struct options options;
    admin_options_begin(&request.admin);
    options_begin(&options, manual, argc, argv);
    bool is_good = read_arguments(&request, &options);
    int status = is_good ? COMMAND_OK : options.status;
    for (size_t i = 0; i < request.admin.count && is_good; i++) {
        if (tell(&request, &options, request.admin.addresses[i]) != COMMAND_OK)
            status = COMMAND_FAILED;
    }
    admin_options_clear(&request.admin);
    return status;
}

int command_drain(int argc, char **argv)
{
    return run(&drain_manual, argc, argv);
}

int command_ready(int argc, char **argv)
{
    return run(&ready_manual, argc, argv);
}

int command_maint(int argc, char **argv)
{
    return run(&maint_manual, argc, argv);
}
