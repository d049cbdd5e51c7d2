#ifndef SLUICE_CLI_COMMANDS_H
#define SLUICE_CLI_COMMANDS_H
/*
 * The commands of `sluice`, one file each (cmd_check.c, ...). main.c has the table. A command gets its own name as
 * argv[0], prints its manual for -h and --help (options.h), and returns the exit status.
 */

enum command_status {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1, /* what was asked for did not succeed; the reason is printed */
    COMMAND_MISUSED = 2, /* the arguments make no sense; nothing was done */
};

int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_plan(int argc, char **argv);
/* These talk to a running Sluice (cmd_node.c has the next three). */
int command_status(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_ready(int argc, char **argv);
int command_maint(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_log_level(int argc, char **argv);
/* `sluice help config`: the reference page of all keys. */
int command_reference(int argc, char **argv);

#endif
