/* sluice serve -c FILE...: checks the configuration as `check` does, and runs the router if nothing is wrong with it. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "cli/commands.h"
#include "control/control.h"
#include "routing/classify.h"
#include "topology/build.h"
#include "topology/findings.h"
#include "upstream/cluster.h"

#define FILES_MAXIMUM 16

static const char usage[] = "usage: sluice serve -c FILE [-c FILE ...]\n"
                            "Runs the router. It does not start while `sluice check` finds an error.\n";

static bool read_arguments(int argc, char **argv, const char **files, size_t *count)
{
    for (int i = 1; i < argc; i++) {
        bool takes_file = (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0) && i + 1 < argc;
        if (!takes_file || *count == FILES_MAXIMUM)
            return false;
        files[(*count)++] = argv[++i];
    }
    return *count > 0;
}

/* Each connection is a descriptor on both sides: take what the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(const struct topology *topology)
{
    enum log_level level;
    if (topology->log_level != NULL && log_level_from_name(topology->log_level, &level))
        log_set_level(level);
    raise_descriptor_limit();
    struct classifier *classifier = classifier_create(topology);
    struct cluster *cluster = cluster_create(topology);
    int status = COMMAND_FAILED;
    if (classifier == NULL || cluster == NULL)
        log_line(LOG_LEVEL_ERROR, "event=start_failed reason=\"out of memory\"");
    else
        status = control_run(topology, classifier, cluster);
    cluster_destroy(cluster);
    classifier_destroy(classifier);
    return status;
}

int command_serve(int argc, char **argv)
{
    const char *files[FILES_MAXIMUM];
    size_t count = 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return COMMAND_OK;
    }
    if (!read_arguments(argc, argv, files, &count)) {
        fputs(usage, stderr);
        return COMMAND_MISUSED;
    }
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
    int status = run(topology);
    topology_release(topology);
    return status;
}
