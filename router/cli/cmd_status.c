/* sluice status: the nodes of a running Sluice as a table, once or every second, or as JSON. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/admin_options.h"
#include "cli/status_table.h"
#include "cli/terminal.h"

#define WATCH_MS 1000

enum { OPTION_WATCH = OPTION_LONG_ONLY, OPTION_JSON };

static const struct option_row option_rows[] = {
    {OPTION_WATCH, "watch", NULL, "draw it anew every second until q or Ctrl-C; where the output is no terminal, print it once"},
    {OPTION_JSON, "json", NULL, "print the whole answer as JSON; of several Sluices one document each, with their address"},
    ADMIN_OPTION_ROWS,
};
static const struct manual manual = {
    .command = "status",
    .forms = "[--watch | --json] [-c FILE | --admin ADDRESS...]",
    .text = "Shows each node with its modes, its health, what an operator has said about it (by class where classes differ), "
            "its outstanding and all requests, failures, and for how long its health has been what it is. Trouble comes "
            "first; a terminal shows as many nodes as it has lines for and says how many are left out, anything else gets all "
            "of them.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "each Sluice has answered, whatever it says about its nodes",
    .status_failed = "one has not",
    .example = "sluice status -c /etc/sluice/sluice.yaml --watch\n"
               "sluice status --admin 127.0.0.1:8180 --json | jq '.nodes[] | select(.health != \"up\")'",
};

struct status_request {
    struct admin_options admin;
    bool is_watch;
    bool is_json;
};

/* False: the command ends with options->status. */
static bool read_arguments(struct status_request *request, struct options *options)
{
    const char *value;
    size_t count;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (id == OPTION_WATCH)
            request->is_watch = true;
        else if (id == OPTION_JSON)
            request->is_json = true;
        else if (!admin_options_take(&request->admin, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **operands = options_operands(options, &count);
    if (count > 0)
        return options_complain(options, "%s: is no option; all nodes are shown", operands[0]);
    if (request->is_watch && request->is_json)
        return options_complain(options, "--watch and --json exclude each other; leave one out");
    return admin_options_resolve(&request->admin, options);
}

/* The room of each of several tables. */
static struct table_room share_room(unsigned rows, unsigned columns, size_t count)
{
    unsigned share = rows / (unsigned)count;
    return (struct table_room){share < STATUS_TABLE_ROWS_MINIMUM ? STATUS_TABLE_ROWS_MINIMUM : share, columns};
}

static int print_once(const struct status_request *request, const struct options *options)
{
    const struct admin_options *admin = &request->admin;
    struct table_room room = {0, 0};
    int status = COMMAND_OK;
    if (terminal_is_there()) {
        terminal_size(&room.rows, &room.columns);
        room = share_room(room.rows - 1, room.columns, admin->count); /* the shell's prompt comes below */
    }
    for (size_t i = 0; i < admin->count; i++) {
        char problem[ADMIN_PROBLEM_CAPACITY];
        struct status_report report;
        if (admin_ask_status(admin, admin->addresses[i], &report, problem) != ADMIN_ANSWERED) {
            admin_print_problem(options, admin->addresses[i], problem);
            status = COMMAND_FAILED;
            continue;
        }
        if (request->is_json)
            status_report_dump(&report, admin->count > 1 ? admin->addresses[i] : NULL, stdout);
        else if (!status_table_print(&report, admin->addresses[i], room, stdout))
            status = COMMAND_FAILED;
        status_report_clear(&report);
    }
    return status;
}

/* ---- watching ---- */

/* All tables as text; NULL when the asking was cancelled or memory is out. The caller frees it. */
static char *compose(const struct admin_options *admin, struct table_room room)
{
    char *text = NULL;
    size_t length = 0;
    bool is_whole = true;
    FILE *stream = open_memstream(&text, &length);
    for (size_t i = 0; i < admin->count && stream != NULL && is_whole; i++) {
        char problem[ADMIN_PROBLEM_CAPACITY];
        struct status_report report;
        enum admin_outcome outcome = admin_ask_status(admin, admin->addresses[i], &report, problem);
        if (outcome == ADMIN_ANSWERED) {
            is_whole = status_table_print(&report, admin->addresses[i], room, stream);
            status_report_clear(&report);
        } else if (outcome == ADMIN_FAILED) {
            char line[2 * ADMIN_PROBLEM_CAPACITY];
            text_append(line, sizeof line, 0, "%s: %s", admin->addresses[i], problem);
            fprintf(stream, "%.*s\n", (int)room.columns, line);
        } else {
            is_whole = false;
        }
    }
    is_whole = stream != NULL && fclose(stream) == 0 && is_whole;
    if (is_whole)
        return text;
    free(text);
    return NULL;
}

/* The first lines of `text`, one less than the screen has, and what ends it. */
static bool draw(const char *text, unsigned rows, unsigned columns)
{
    static const char footer[] = "every second; q ends";
    struct text rest = text_of_string(text);
    for (unsigned row = 1; row < rows && rest.length > 0; row++)
        text_cut(&rest, '\n');
    size_t length = rest.bytes != NULL ? (size_t)(rest.bytes - text) : strlen(text);
    char *screen = malloc(length + sizeof footer);
    if (screen == NULL)
        return false;
    size_t used = text_append(screen, length + sizeof footer, 0, "%.*s", (int)length, text);
    used = text_append(screen, length + sizeof footer, used, "%.*s", (int)columns, footer);
    bool is_drawn = terminal_draw(text_of(screen, used));
    free(screen);
    return is_drawn;
}

/* False when the terminal has gone. */
static bool refresh(const struct admin_options *admin)
{
    unsigned rows;
    unsigned columns;
    terminal_size(&rows, &columns);
    char *text = compose(admin, share_room(rows - 1, columns, admin->count));
    bool is_drawn = text == NULL || draw(text, rows, columns);
    free(text);
    return is_drawn;
}

static int watch(struct admin_options *admin)
{
    struct terminal terminal;
    if (!terminal_open(&terminal)) {
        fprintf(stderr, "sluice status: the terminal cannot be drawn on: %s; leave out --watch\n", strerror(errno));
        return COMMAND_FAILED;
    }
    admin->cancel_fd = terminal.events_fd;
    bool is_there = true;
    enum terminal_event event = TERMINAL_SIZE;
    while (is_there && event != TERMINAL_END) {
        is_there = refresh(admin);
        event = terminal_wait(&terminal, WATCH_MS);
    }
    terminal_close(&terminal);
    if (terminal.end_signal != 0)
        raise(terminal.end_signal);
    return COMMAND_OK;
}

int command_status(int argc, char **argv)
{
    struct status_request request = {0};
    struct options options;
    admin_options_begin(&request.admin);
    options_begin(&options, &manual, argc, argv);
    int status = COMMAND_MISUSED;
    if (!read_arguments(&request, &options))
        status = options.status;
    else if (request.is_watch && terminal_is_there())
        status = watch(&request.admin);
    else
        status = print_once(&request, &options);
    admin_options_clear(&request.admin);
    return status;
}
