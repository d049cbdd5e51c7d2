/* sluice serve -c FILE...: checks the configuration as `check` does, and runs the router if nothing is wrong with it. */
#include <stdio.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "cli/options.h"
#include "control/control.h"
#include "net/signals.h"
#include "topology/build.h"
#include "topology/findings.h"

#define FILES_MAXIMUM 16

static const struct option_row option_rows[] = {
    {'c', "config", "FILE", "a configuration; several make one, in which lists are joined"},
};
static const struct manual manual = {
    .command = "serve",
    .forms = "-c FILE [-c FILE...]",
    .text = "Runs the router until it is told to end: TERM and INT drain it, a second one ends it at once. It does not start "
            "while `sluice check` finds an error.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "it was told to end, and has drained",
    .status_failed = "it could not start; the reason is printed",
    .example = "sluice serve -c /etc/sluice/sluice.yaml",
};

/* False: the command ends with options->status. */
static bool read_arguments(struct options *options, const char **files, size_t *count)
{
    const char *value;
    size_t operands;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (*count == FILES_MAXIMUM)
            return options_complain(options, "-c %s: is one file too many; %d are the limit", value, FILES_MAXIMUM);
        files[(*count)++] = value;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **others = options_operands(options, &operands);
    if (operands > 0)
        return options_complain(options, "%s: is no option; a configuration is named with -c", others[0]);
    if (*count == 0)
        return options_complain(options, "no configuration; name it with -c FILE");
    return true;
}

static int run(const char *const *files, size_t count, struct topology *topology)
{
    enum log_level level;
    if (topology->log_level != NULL && log_level_from_name(topology->log_level, &level))
        log_set_level(level);
    log_open();
    /* Each connection is a descriptor on both sides: take what the system allows. */
    descriptors_raise_limit();
    struct control_settings settings = {.files = files, .file_count = count, .topology = topology};
    return control_run(&settings);
}

int command_serve(int argc, char **argv)
{
    const char *files[FILES_MAXIMUM];
    size_t count = 0;
    struct options options;
    options_begin(&options, &manual, argc, argv);
    if (!read_arguments(&options, files, &count))
        return options.status;
    signals_hold();
    struct findings *findings = findings_create();
    if (findings == NULL)
        return COMMAND_FAILED;
    struct topology *topology = topology_read(files, count, TOPOLOGY_PURPOSE_SERVE, findings);
    findings_print(findings, stderr);
    findings_destroy(findings);
    if (topology == NULL) {
        fputs("sluice: not started: the configuration has errors (see above)\n", stderr);
        return COMMAND_FAILED;
    }
    int status = run(files, count, topology);
    topology_release(topology);
    return status;
}
