#ifndef SLUICE_CLI_ADMIN_OPTIONS_H
#define SLUICE_CLI_ADMIN_OPTIONS_H
/*
 * What the commands have in common that talk to a running Sluice: which one, with which token, how long. Addresses come from --admin
 * (each command goes to all of them), else from admin.address of the configuration in -c, else from SLUICE_ADMIN.
 *
 * admin_options_begin -> admin_options_take for each option -> admin_options_resolve -> admin_ask for each address ->
 * admin_options_clear, which is due in any case.
 */
#include <stdbool.h>

#include "cli/admin_client.h"
#include "cli/options.h"

#define ADMIN_ADDRESSES_MAXIMUM 16
#define ADMIN_FILES_MAXIMUM 16
#define ADMIN_TOKEN_CAPACITY 4096

enum { OPTION_ADMIN = OPTION_LONG_ONLY + 100, OPTION_TOKEN_FILE, OPTION_TIMEOUT };

/* To stand among a command's option rows; explain has words of its own for the first two. */
#define ADMIN_OPTION_ROWS                                                                                                       \
    {'c', "config", "FILE", "the configuration of the running Sluice, for its admin.address"},                                  \
        {OPTION_ADMIN, "admin", "ADDRESS",                                                                                      \
         "its admin address: host:port or unix:/path; may be repeated, then all are asked; default: that of -c, else SLUICE_ADMIN"}, \
        ADMIN_ACCESS_ROWS
#define ADMIN_ACCESS_ROWS                                                                                                       \
    {OPTION_TOKEN_FILE, "token-file", "FILE", "the file with the admin token, where one is asked for"},                         \
        {OPTION_TIMEOUT, "timeout", "T", "how long to wait for an answer; default: 10s"}

struct status_report;

struct admin_options {
    const char *addresses[ADMIN_ADDRESSES_MAXIMUM]; /* refs */
    size_t count;
    const char *files[ADMIN_FILES_MAXIMUM];         /* refs */
    size_t file_count;
    const char *token_file;                         /* ref */
    char token[ADMIN_TOKEN_CAPACITY];               /* "": none */
    uint64_t limit_ms;
    int cancel_fd;                                  /* see struct admin_request; -1 unless the command sets it */
    char *from_file;                                /* owned: an address that stood in a file */
};

void admin_options_begin(struct admin_options *admin);
/* One of ADMIN_OPTION_ROWS. False after a complaint. */
bool admin_options_take(struct admin_options *admin, struct options *options, int id, const char *value);
/* Finds the addresses and reads the token. False when that fails; it has been printed, and options->status says what to return. */
bool admin_options_resolve(struct admin_options *admin, struct options *options);
void admin_options_clear(struct admin_options *admin);

struct admin_question {
    const char *method;
    const char *target;
    unsigned also_status; /* a status besides 200 whose body is the answer; 0: none */
    uint64_t wait_ms;     /* added to the time limit, because the answer is held back so long */
};
/* As admin_call, but an answer with another status has failed, too: `problem` is then the server's own sentence with the remedy. */
enum admin_outcome admin_ask(const struct admin_options *admin, const char *address, const struct admin_question *question,
                             struct admin_reply *reply);
/* GET /status. On ADMIN_FAILED `problem`, of ADMIN_PROBLEM_CAPACITY bytes, says why. The report is to be cleared after ADMIN_ANSWERED. */
enum admin_outcome admin_ask_status(const struct admin_options *admin, const char *address, struct status_report *report, char *problem);
/* "sluice COMMAND: ADDRESS: problem" on standard error. */
void admin_print_problem(const struct options *options, const char *address, const char *problem);

#endif
