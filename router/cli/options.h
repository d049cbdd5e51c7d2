#ifndef SLUICE_CLI_OPTIONS_H
#define SLUICE_CLI_OPTIONS_H
/*
 * The command line of one command: its manual as data, from which getopt_long is set up and --help is printed.
 *
 * options_begin -> options_next until it returns OPTIONS_END or OPTIONS_STOP -> options_operands. Options and operands may be mixed;
 * "--" ends the options. Long names are written out: an abbreviation that works today would be ambiguous with the next option that
 * is added.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"

struct option_row {
    int id;               /* the letter of the short form, or from OPTION_LONG_ONLY on */
    const char *name;     /* without the dashes */
    const char *argument; /* what --help calls it; NULL: takes none */
    const char *help;
};
#define OPTION_LONG_ONLY 256
#define OPTION_ROWS_MAXIMUM 16
#define OPTION_COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct manual {
    const char *command;
    const char *forms;            /* what may follow the command's name; one form a line */
    const char *text;             /* one paragraph; --help wraps it */
    const struct option_row *options;
    size_t option_count;          /* at most OPTION_ROWS_MAXIMUM; -h, --help is added to them */
    const char *status_ok;        /* what the exit status 0 means */
    const char *status_failed;    /* and 1; NULL: it is never returned */
    const char *example;          /* whole lines */
};

struct options {
    const struct manual *manual; /* ref */
    int argc;
    char **argv;
    int status; /* what the command returns, after OPTIONS_STOP or a complaint */
    char letters[2 * OPTION_ROWS_MAXIMUM + 4];
    struct option longs[OPTION_ROWS_MAXIMUM + 2];
};

#define OPTIONS_END 0
#define OPTIONS_STOP (-1) /* help or a complaint has been printed */

void options_begin(struct options *options, const struct manual *manual, int argc, char **argv);

/* The id of the next option, with *value for one that takes an argument (a ref into argv); or OPTIONS_END or OPTIONS_STOP. */
int options_next(struct options *options, const char **value);

/* After OPTIONS_END: the arguments that are no options. */
char **options_operands(const struct options *options, size_t *count);

/*
 * "sluice COMMAND: ..." as one line on standard error; `status` becomes COMMAND_MISUSED. The text says what is wrong and how to mend it.
 * Returns false, so that whoever reads arguments can end with it.
 */
bool options_complain(struct options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The names closest to a mistyped one, or NULL: for "did you mean". */
const char *options_closest(const char *word, const char *const *names, size_t count);

#endif
