#include <stdio.h>

#include "base/text.h"
#include "cli/options.h"

struct command {
    const char *name;
    const char *arguments;
    const char *help;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "-c FILE", "route requests to the nodes of the cluster that FILE describes", command_serve},
    {"check", "FILE...", "judge configurations and cluster layouts; print every complaint with its place",
     command_check},
    {"explain", "-c FILE METHOD PATH", "say how a request would be routed, and why", command_explain},
    {"plan", "--cores N --mode M | FILE", "propose threads and memory of a node as an influxdb3 command", command_plan},
    {"status", "[--watch] [--json]", "show the nodes of a running Sluice as it sees them, trouble first", command_status},
    {"drain", "NODE [--class C] [--wait T]", "give a node no new requests; what is under way ends", command_drain},
    {"ready", "NODE [--class C]", "take a node back into service", command_ready},
    {"maint", "NODE [--class C] [--wait T]", "take a node out of service for maintenance; what is under way ends", command_maint},
    {"reload", "", "put the changed configuration in force, or print what is wrong with it", command_reload},
    {"log-level", "LEVEL", "change how much a running Sluice logs", command_log_level},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream)
{
    fprintf(stream, "Sluice routes requests to the nodes of an InfluxDB 3 Enterprise cluster by what they are.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  sluice %s%s%s\n      %s\n", commands[i].name, commands[i].arguments[0] != '\0' ? " " : "",
                commands[i].arguments, commands[i].help);
    fprintf(stream, "  sluice help config\n      every key of the configuration: type, default, range, meaning\n");
    fprintf(stream, "  sluice COMMAND --help\n      how a command is used\n");
    fprintf(stream, "  sluice -V, --version\n  sluice -h, --help\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (text_equals(text_of_string(commands[i].name), text_of_string(name)))
            return &commands[i];
    }
    return NULL;
}

static int refuse_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *closest = options_closest(name, names, COMMAND_COUNT);
    if (closest != NULL)
        fprintf(stderr, "sluice: unknown command \"%s\"; did you mean \"%s\"?\n", name, closest);
    else
        fprintf(stderr, "sluice: unknown command \"%s\"; `sluice --help` lists all commands\n", name);
    return COMMAND_MISUSED;
}

/* `sluice help`, `sluice help config`, `sluice help COMMAND`. */
static int run_help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return COMMAND_OK;
    }
    if (text_equals(text_of_string(argv[1]), TEXT("config")))
        return command_reference(argc - 1, argv + 1);
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return refuse_command(argv[1]);
    char help[] = "--help";
    char *arguments[] = {argv[1], help, NULL};
    return command->run(2, arguments);
}

/* The options before the command; those behind it are the command's own ("+": getopt stops at the first operand). */
static int run_options(int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
    opterr = 0;
    switch (getopt_long(argc, argv, "+hV", longs, NULL)) {
    case 'h':
        print_help(stdout);
        return COMMAND_OK;
    case 'V':
        puts("sluice " SLUICE_VERSION);
        return COMMAND_OK;
    default:
        fprintf(stderr, "sluice: %s is no option; `sluice --help` lists all options and commands\n", argv[1]);
        return COMMAND_MISUSED;
    }
}

static int run(int argc, char **argv)
{
    if (argc >= 2 && argv[1][0] == '-')
        return run_options(argc, argv);
    if (argc < 2) {
        fputs("sluice: no command; `sluice --help` lists all commands\n", stderr);
        return COMMAND_MISUSED;
    }
    if (text_equals(text_of_string(argv[1]), TEXT("help")))
        return run_help(argc - 1, argv + 1);
    const struct command *command = find_command(argv[1]);
    return command == NULL ? refuse_command(argv[1]) : command->run(argc - 1, argv + 1);
}

/* What could not be written was not said: a full disk or a closed pipe is no success. */
int main(int argc, char **argv)
{
    int status = run(argc, argv);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    fputs("sluice: the output cannot be written; see whether its disk is full\n", stderr);
    return status == COMMAND_OK ? COMMAND_FAILED : status;
}
