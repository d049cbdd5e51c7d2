#include "swarm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/faults.h"
#include "check/ledger.h"
#include "kernel/moves.h"
#include "base/machine.h"

/* CPU time of a run: some hundred times what one takes. */
#define CPU_SECONDS 10

struct reporter {
    FILE *to;
};

static void report_reached(void *owner, const char *name)
{
    struct reporter *reporter = owner;
    fprintf(reporter->to, "reached %s\n", name);
}

static void report_row(void *owner, const char *name)
{
    struct reporter *reporter = owner;
    fprintf(reporter->to, "exists %s\n", name);
}

static void report_move(void *owner, const struct machine *machine, unsigned from, unsigned to, bool was_seen)
{
    struct reporter *reporter = owner;
    fprintf(reporter->to, "%s move: %s %s -> %s\n", was_seen ? "reached" : "exists", machine->name, machine->state_names[from],
            machine->state_names[to]);
}

static void run_and_report(const struct plan *plan, bool is_traced, int to)
{
    struct run_result result;
    struct rlimit limit = {CPU_SECONDS, CPU_SECONDS + 5};
    setrlimit(RLIMIT_CPU, &limit);
    run_plan(plan, is_traced, &result);
    struct reporter reporter = {.to = fdopen(to, "w")};
    if (reporter.to == NULL)
        _exit(3);
    fprintf(reporter.to, "rule %s\n", result.rule[0] == '\0' ? "-" : result.rule);
    fprintf(reporter.to, "numbers %lx %lu %lu %lu\n", result.fingerprint, result.simulated_us, result.tries, result.served);
    reached_each(report_reached, &reporter);
    faults_each(report_row, &reporter);
    moves_each(report_move, &reporter);
    fprintf(reporter.to, "end\n");
    fclose(reporter.to);
    fflush(NULL);
    _exit(0);
}

bool child_start(struct child *child, const struct plan *plan, bool is_traced, bool is_quiet)
{
    int ends[2];
    *child = (struct child){.plan = *plan};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        if (is_quiet && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
            _exit(3);
        run_and_report(&child->plan, is_traced, ends[1]);
    }
    close(ends[1]);
    child->from = ends[0];
    if (child->pid > 0)
        return true;
    close(ends[0]);
    return false;
}

static bool read_some(struct child *child)
{
    if (child->capacity - child->length < 4096) {
        child->capacity = child->capacity == 0 ? 32768 : child->capacity * 2;
        char *larger = realloc(child->report, child->capacity);
        if (larger == NULL)
            abort();
        child->report = larger;
    }
    ssize_t length = read(child->from, child->report + child->length, child->capacity - child->length - 1);
    if (length > 0)
        child->length += (size_t)length;
    child->report[child->length] = '\0';
    return length > 0 || (length < 0 && errno == EINTR);
}

static void judge(struct child *child, int status, struct run_result *result)
{
    *result = (struct run_result){0};
    bool is_whole = child->length > 4 && strcmp(child->report + child->length - 4, "end\n") == 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        strcpy(result->rule, "hang");
    else if (!is_whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        strcpy(result->rule, "crash");
    else if (sscanf(child->report, "rule %31s\nnumbers %lx %lu %lu %lu", result->rule, &result->fingerprint, &result->simulated_us,
                    &result->tries, &result->served) != 5)
        strcpy(result->rule, "crash");
    if (strcmp(result->rule, "-") == 0)
        result->rule[0] = '\0';
}

bool child_continue(struct child *child, struct run_result *result)
{
    int status = 0;
    if (read_some(child))
        return true;
    close(child->from);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = 0;
    judge(child, status, result);
    return false;
}

void child_each_reached(const struct child *child, void (*on_name)(void *owner, const char *name), void *owner)
{
    char *line = child->report;
    char *end;
    while (line != NULL && (end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        if (strncmp(line, "reached ", 8) == 0 || strncmp(line, "exists ", 7) == 0)
            on_name(owner, line);
        *end = '\n';
        line = end + 1;
    }
}

void child_free(struct child *child)
{
    free(child->report);
    child->report = NULL;
}

bool child_run(const struct plan *plan, bool is_traced, bool is_quiet, struct run_result *result)
{
    struct child child;
    if (!child_start(&child, plan, is_traced, is_quiet))
        return false;
    while (child_continue(&child, result))
        ;
    child_free(&child);
    return true;
}
