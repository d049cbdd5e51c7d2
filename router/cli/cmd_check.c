#include <stdio.h>

#include "base/text.h"
#include "cli/options.h"
#include "topology/build.h"

static const struct manual manual = {
    .command = "check",
    .forms = "FILE...",
    .text = "Judges each file by itself: a configuration of Sluice, or a layout of a cluster, one document for each kind of "
            "node. Prints every complaint as FILE:LINE:COLUMN, then one line for each file.",
    .status_ok = "no file has an error; there may be warnings",
    .status_failed = "there is an error in one of them",
    .example = "sluice check sluice.yaml",
};

static void count_capabilities(const struct topology *topology, char *buffer, size_t capacity)
{
    static const struct {
        enum node_capability capability;
        const char *name;
    } rows[] = {
        {NODE_CAPABILITY_INGEST, "ingest"},
        {NODE_CAPABILITY_QUERY, "query"},
        {NODE_CAPABILITY_COMPACT, "compact"},
        {NODE_CAPABILITY_PROCESS, "process"},
    };
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t count = 0;
        for (size_t j = 0; j < topology->node_count; j++)
            count += (topology->nodes[j].capabilities & (unsigned)rows[i].capability) != 0 ? 1 : 0;
        if (count > 0)
            used = text_append(buffer, capacity, used, "%s%zu %s", used > 0 ? ", " : "", count, rows[i].name);
    }
}

static void print_count(size_t count, const char *word)
{
    printf("%zu %s%s", count, word, count == 1 ? "" : "s");
}

static void print_summary(const char *path, const struct topology *topology, const struct findings *findings)
{
    size_t warnings = findings_count(findings, FINDING_WARNING);
    printf("%s: ", path);
    if (topology == NULL) {
        print_count(findings_count(findings, FINDING_ERROR), "error");
        printf(", ");
    } else {
        char capabilities[128];
        count_capabilities(topology, capabilities, sizeof capabilities);
        printf("good: ");
        print_count(topology->node_count, "node");
        printf(" (%s), ", capabilities);
    }
    print_count(warnings, "warning");
    printf("\n");
}

static int check_file(const char *path)
{
    struct findings *findings = findings_create();
    if (findings == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return COMMAND_FAILED;
    }
    struct topology *topology = topology_read(&path, 1, TOPOLOGY_PURPOSE_CHECK, findings);
    findings_print(findings, stdout);
    print_summary(path, topology, findings);
    int status = topology == NULL ? COMMAND_FAILED : COMMAND_OK;
    topology_release(topology);
    findings_destroy(findings);
    return status;
}

int command_check(int argc, char **argv)
{
    struct options options;
    const char *value;
    size_t count;
    options_begin(&options, &manual, argc, argv);
    if (options_next(&options, &value) != OPTIONS_END)
        return options.status;
    char **files = options_operands(&options, &count);
    if (count == 0) {
        options_complain(&options, "no FILE; name the configurations or layouts to judge");
        return options.status;
    }
    int status = COMMAND_OK;
    for (size_t i = 0; i < count; i++) {
        if (check_file(files[i]) != COMMAND_OK)
            status = COMMAND_FAILED;
    }
    return status;
}
