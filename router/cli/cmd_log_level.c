/* sluice log-level: how much a running Sluice logs, until it is told otherwise or ends. */
#include <stdio.h>

#include "base/log.h"
#include "cli/admin_options.h"

static const struct option_row option_rows[] = {ADMIN_OPTION_ROWS};
static const struct manual manual = {
    .command = "log-level",
    .forms = "[-c FILE | --admin ADDRESS...] LEVEL",
    .text = "Changes how much a running Sluice logs, at once. LEVEL is error, warning, info or debug; each holds those before "
            "it.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "the level is in force",
    .status_failed = "it is not; the reason is printed",
    .example = "sluice log-level debug -c /etc/sluice/sluice.yaml",
};

/* False: the command ends with options->status. */
static bool read_arguments(struct admin_options *admin, struct options *options, const char **level)
{
    const char *value;
    size_t count;
    int id;
    enum log_level known;
    while ((id = options_next(options, &value)) > 0) {
        if (!admin_options_take(admin, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **operands = options_operands(options, &count);
    if (count == 0)
        return options_complain(options, "no LEVEL; write error, warning, info or debug");
    if (count > 1)
        return options_complain(options, "%s: is one argument too many; name one level", operands[1]);
    if (!log_level_from_name(operands[0], &known))
        return options_complain(options, "%s: is no level; write error, warning, info or debug", operands[0]);
    *level = operands[0];
    return admin_options_resolve(admin, options);
}

int command_log_level(int argc, char **argv)
{
    struct admin_options admin;
    struct options options;
    const char *level = NULL;
    char target[ADMIN_TARGET_CAPACITY];
    admin_options_begin(&admin);
    options_begin(&options, &manual, argc, argv);
    bool is_good = read_arguments(&admin, &options, &level);
    int status = is_good ? COMMAND_OK : options.status;
    if (is_good)
        text_append(target, sizeof target, 0, "/log-level?level=%s", level);
    const struct admin_question question = {.method = "POST", .target = target};
    for (size_t i = 0; i < admin.count && is_good; i++) {
        struct admin_reply reply;
        if (admin_ask(&admin, admin.addresses[i], &question, &reply) == ADMIN_ANSWERED) {
            printf("%s: log level %s\n", admin.addresses[i], level);
        } else {
            admin_print_problem(&options, admin.addresses[i], reply.problem);
            status = COMMAND_FAILED;
        }
        admin_reply_clear(&reply);
    }
    admin_options_clear(&admin);
    return status;
}
