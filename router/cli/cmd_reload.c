/* sluice reload: a running Sluice reads its configuration anew; what it finds is printed as `sluice check` does it. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/admin_answer.h"
#include "cli/admin_options.h"

/* A configuration with errors is refused with this status, and the findings are the answer. */
#define STATUS_NOT_APPLIED 422

static const struct option_row option_rows[] = {ADMIN_OPTION_ROWS};
static const struct manual manual = {
    .command = "reload",
    .forms = "[-c FILE | --admin ADDRESS...]",
    .text = "A running Sluice reads the files anew that it was started with, and puts them in force without losing a "
            "connection or a request. If there is an error in them, every complaint is printed as FILE:LINE:COLUMN and "
            "nothing changes. A key that only a restart changes keeps its value, and a warning says so; another cluster_id is an "
            "error. `sluice help config` marks these keys.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "the configuration is in force in every worker; there may be warnings",
    .status_failed = "it is not in force; the reason is printed",
    .example = "sluice check /etc/sluice/sluice.yaml && sluice reload -c /etc/sluice/sluice.yaml",
};

/* False: the command ends with options->status. */
static bool read_arguments(struct admin_options *admin, struct options *options)
{
    const char *value;
    size_t count;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (!admin_options_take(admin, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **operands = options_operands(options, &count);
    if (count > 0)
        return options_complain(options, "%s: is no option; a running Sluice reads the files that it was started with", operands[0]);
    return admin_options_resolve(admin, options);
}

static void print_finding(const struct reload_finding *finding)
{
    print_printable(finding->file, stdout);
    if (finding->line > 0)
        printf(":%" PRIu64 ":%" PRIu64, finding->line, finding->column);
    fputs(finding->file[0] != '\0' ? ": " : "", stdout);
    print_printable(finding->severity, stdout);
    fputs(": ", stdout);
    print_printable(finding->text, stdout);
    fputc('\n', stdout);
}

static void print_report(const struct reload_report *report, const char *address)
{
    size_t errors = 0;
    for (size_t i = 0; i < report->finding_count; i++) {
        print_finding(&report->findings[i]);
        errors += strcmp(report->findings[i].severity, "error") == 0 ? 1 : 0;
    }
    size_t warnings = report->finding_count - errors;
    if (report->is_applied)
        printf("%s: in force: epoch %" PRIu64, address, report->epoch);
    else
        printf("%s: not in force, nothing has changed: %zu error%s", address, errors, errors == 1 ? "" : "s");
    printf(", %zu warning%s\n", warnings, warnings == 1 ? "" : "s");
}

static int reload(const struct admin_options *admin, const struct options *options, const char *address)
{
    static const struct admin_question question = {.method = "POST", .target = "/reload", .also_status = STATUS_NOT_APPLIED};
    struct admin_reply reply;
    struct reload_report report;
    char problem[ADMIN_PROBLEM_CAPACITY];
    int status = COMMAND_FAILED;
    if (admin_ask(admin, address, &question, &reply) != ADMIN_ANSWERED) {
        admin_print_problem(options, address, reply.problem);
    } else if (!reload_report_read(&report, text_of(reply.body, reply.body_bytes), problem)) {
        admin_print_problem(options, address, problem);
    } else {
        print_report(&report, address);
        status = report.is_applied ? COMMAND_OK : COMMAND_FAILED;
        reload_report_clear(&report);
    }
    admin_reply_clear(&reply);
    return status;
}

int command_reload(int argc, char **argv)
{
    struct admin_options admin;
    struct options options;
    admin_options_begin(&admin);
    options_begin(&options, &manual, argc, argv);
    bool is_good = read_arguments(&admin, &options);
    int status = is_good ? COMMAND_OK : options.status;
    for (size_t i = 0; i < admin.count && is_good; i++) {
        if (reload(&admin, &options, admin.addresses[i]) != COMMAND_OK)
            status = COMMAND_FAILED;
    }
    admin_options_clear(&admin);
    return status;
}
