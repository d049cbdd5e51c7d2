#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/commands.h"

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
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream)
{
    fprintf(stream, "Sluice routes requests to the nodes of an InfluxDB 3 Enterprise cluster by what they are.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  sluice %s %s\n      %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(stream, "  sluice help config\n      every key of the configuration: type, default, range, meaning\n");
    fprintf(stream, "  sluice COMMAND --help\n      how a command is used\n");
    fprintf(stream, "  sluice --version\n");
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
    const char *near = NULL;
    size_t near_distance = 3;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t distance = text_distance(text_of_string(name), text_of_string(commands[i].name));
        if (distance < near_distance) {
            near = commands[i].name;
            near_distance = distance;
        }
    }
    if (near != NULL)
        fprintf(stderr, "sluice: unknown command \"%s\"; did you mean \"%s\"?\n", name, near);
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

static bool is_one_of(const char *word, const char *first, const char *second)
{
    return text_equals(text_of_string(word), text_of_string(first)) ||
           text_equals(text_of_string(word), text_of_string(second));
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_MISUSED;
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        puts("sluice " SLUICE_VERSION);
        return COMMAND_OK;
    }
    if (is_one_of(argv[1], "--help", "-h")) {
        print_help(stdout);
        return COMMAND_OK;
    }
    if (text_equals(text_of_string(argv[1]), TEXT("help")))
        return run_help(argc - 1, argv + 1);
    const struct command *command = find_command(argv[1]);
    return command == NULL ? refuse_command(argv[1]) : command->run(argc - 1, argv + 1);
}
