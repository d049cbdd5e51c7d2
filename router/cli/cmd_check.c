#include <stdio.h>

#include "base/text.h"
#include "cli/commands.h"
#include "topology/build.h"

static const char usage[] =
    "usage: sluice check FILE...\n"
    "\n"
    "Judges each file by itself: a configuration of Sluice, or a layout of a cluster, one document for each kind of\n"
    "node. Prints every complaint as FILE:LINE:COLUMN, then one line for each file. The exit status is 1 when there\n"
    "is an error in any of them; warnings leave it at 0.\n";

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
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return COMMAND_OK;
    }
    if (argc < 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        if (argc >= 2)
            fprintf(stderr, "sluice check: unknown option \"%s\"\n\n", argv[1]);
        fputs(usage, stderr);
        return COMMAND_MISUSED;
    }
    int status = COMMAND_OK;
    for (int i = 1; i < argc; i++) {
        if (check_file(argv[i]) != COMMAND_OK)
            status = COMMAND_FAILED;
    }
    return status;
}
