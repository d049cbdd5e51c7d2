/*
 * sim: plays the router in simulated worlds.
 *
 *   sim --seeds N [--from N] [--jobs N] [--reached FILE] [--table]   a swarm; a failing seed is shrunk, and a line is printed that replays it
 *   sim --seeds N ... --first-failure                                 ends with the first seed that fails, which is not shrunk
 *   sim --seed N [--only FAULT,FAULT...] [--clients N] [--seconds N] [--workers N] [--trace]   one run
 *   sim --regressions FILE                                            the runs of a file, a line of options each
 *
 * A case (tests/sim/cases.txt) is one run that fixes more: swarm/case.h shows its options.
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include "swarm/case.h"
#include "swarm/child.h"
#include "swarm/shrink.h"
#include "swarm/swarm_plan.h"
#include "check/table.h"

#define JOBS_MAXIMUM 64
/* Shrinking takes some dozens of runs: one for each rule that broke. */
#define SHRUNK_MAXIMUM 5

struct options {
    uint64_t from;
    uint64_t seeds;      /* 0: one run, of `seed` */
    uint64_t seed;
    unsigned jobs;
    long clients;        /* -1: as the seed wants */
    long seconds;
    long workers;
    const char *only;    /* NULL: as the seed wants */
    const char *reached;
    const char *regressions;
    struct case_options fixed;
    enum { PLAY_QUIETLY, PLAY_TRACED, PLAY_WITH_TABLE, PLAY_TO_FIRST_FAILURE } play;
};

struct swarm {
    const struct options *options;
    struct table *table;
    struct child children[JOBS_MAXIMUM];
    size_t passed;
    size_t failed;
    uint64_t simulated_us;
    uint64_t tries;
    uint64_t served;
    char shrunk[SHRUNK_MAXIMUM][RUN_RULE_BYTES];
    size_t shrunk_count;
};

static bool apply_only(struct plan *plan, const char *only)
{
    bool is_kept[FAULT_KIND_COUNT] = {false};
    char words[2048];
    snprintf(words, sizeof words, "%s", only);
    for (char *rest = words, *word; (word = strsep(&rest, ",")) != NULL;) {
        enum fault_kind kind = swarm_fault_of(word);
        if (kind == FAULT_KIND_COUNT && *word != '\0') {
            fprintf(stderr, "sim: --only %s: there is no such fault\n", word);
            return false;
        }
        if (kind != FAULT_KIND_COUNT)
            is_kept[kind] = true;
    }
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++)
        plan->rate[kind] = is_kept[kind] ? plan->rate[kind] : 0;
    return true;
}

static bool make_plan(struct plan *plan, const struct options *options, uint64_t seed)
{
    swarm_plan_draw(plan, seed);
    if (options->clients >= 0)
        plan->clients = (unsigned)options->clients;
    if (options->seconds >= 0)
        plan->faulty_seconds = (unsigned)options->seconds;
    if (options->workers > 0)
        plan->workers = (unsigned)options->workers;
    return (options->only == NULL || apply_only(plan, options->only)) && case_apply(plan, &options->fixed);
}

static void print_replay(const struct plan *plan)
{
    printf("  replay: sim --seed %lu --clients %u --seconds %u --workers %u --only ", plan->seed, plan->clients, plan->faulty_seconds,
           plan->workers);
    const char *separator = "";
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        if (plan->rate[kind] > 0) {
            printf("%s%s", separator, fault_kind_word((enum fault_kind)kind));
            separator = ",";
        }
    }
    puts(*separator == '\0' ? "\"\"" : "");
}

static void note_failure(struct swarm *swarm, const struct plan *plan, const struct run_result *result)
{
    char words[2048];
    struct run_result again;
    swarm->failed++;
    printf("seed %lu: %s; %s\n", plan->seed, result->rule, swarm_plan_describe(plan, words, sizeof words));
    if (swarm->options->play == PLAY_TO_FIRST_FAILURE)
        return;
    for (size_t i = 0; i < swarm->shrunk_count; i++) {
        if (strcmp(swarm->shrunk[i], result->rule) == 0)
            return;
    }
    if (swarm->shrunk_count == SHRUNK_MAXIMUM)
        return;
    strcpy(swarm->shrunk[swarm->shrunk_count++], result->rule);
    struct plan smaller = *plan;
    shrink(&smaller, result->rule);
    print_replay(&smaller);
    child_run(&smaller, false, false, &again);
    fflush(stdout);
}

static void note_end(struct swarm *swarm, struct child *child, const struct run_result *result)
{
    child_each_reached(child, table_add, swarm->table);
    swarm->simulated_us += result->simulated_us;
    swarm->tries += result->tries;
    swarm->served += result->served;
    if (result->rule[0] == '\0')
        swarm->passed++;
    else
        note_failure(swarm, &child->plan, result);
    child_free(child);
}

static bool start_next(struct swarm *swarm, struct child *child, uint64_t *next)
{
    struct plan plan;
    bool is_over = swarm->options->play == PLAY_TO_FIRST_FAILURE && swarm->failed > 0;
    if (is_over || *next == swarm->options->from + swarm->options->seeds || !make_plan(&plan, swarm->options, *next))
        return false;
    (*next)++;
    return child_start(child, &plan, false, true);
}

static void play(struct swarm *swarm)
{
    uint64_t next = swarm->options->from;
    size_t running = 0;
    for (unsigned i = 0; i < swarm->options->jobs; i++)
        running += start_next(swarm, &swarm->children[i], &next);
    while (running > 0) {
        struct pollfd looks[JOBS_MAXIMUM];
        for (unsigned i = 0; i < swarm->options->jobs; i++)
            looks[i] = (struct pollfd){.fd = swarm->children[i].pid > 0 ? swarm->children[i].from : -1, .events = POLLIN};
        poll(looks, swarm->options->jobs, -1);
        for (unsigned i = 0; i < swarm->options->jobs; i++) {
            struct run_result result;
            if (looks[i].revents == 0 || child_continue(&swarm->children[i], &result))
                continue;
            note_end(swarm, &swarm->children[i], &result);
            running -= !start_next(swarm, &swarm->children[i], &next);
        }
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int run_swarm(const struct options *options)
{
    static struct swarm swarm;
    swarm.options = options;
    swarm.table = table_create();
    if (swarm.table == NULL || (options->reached != NULL && !table_expect(swarm.table, options->reached))) {
        fprintf(stderr, "sim: %s cannot be read\n", options->reached == NULL ? "memory" : options->reached);
        return 2;
    }
    play(&swarm);
    size_t missing = table_print(swarm.table, options->seeds, options->play == PLAY_WITH_TABLE);
    table_free(swarm.table);
    double cpu = cpu_seconds();
    printf("%lu seeds: %.0f simulated seconds in %.1f s of CPU time (%.0f for each), %lu requests, %lu served\n", options->seeds,
           (double)swarm.simulated_us / 1e6, cpu, (double)swarm.simulated_us / 1e6 / cpu, swarm.tries, swarm.served);
    if (missing > 0)
        printf("%zu rows of the table are wrong\n", missing);
    printf("%zu passed, %zu failed\n", swarm.passed, swarm.failed + (missing > 0));
    return swarm.failed + missing > 0;
}

static int run_one(const struct options *options)
{
    struct plan plan;
    struct run_result result;
    char words[2048];
    if (!make_plan(&plan, options, options->seed))
        return 2;
    printf("seed %lu: %s\n", plan.seed, swarm_plan_describe(&plan, words, sizeof words));
    if (!child_run(&plan, options->play == PLAY_TRACED, false, &result))
        return 2;
    printf("seed %lu: %s; fingerprint %lx, %.3f simulated seconds, %lu requests, %lu served, %.3f s of CPU time\n", plan.seed,
           result.rule[0] == '\0' ? "every rule held" : result.rule, result.fingerprint, (double)result.simulated_us / 1e6, result.tries,
           result.served, cpu_seconds());
    return result.rule[0] != '\0';
}

static bool read_options(struct options *options, int argc, char **argv)
{
    static const struct option rows[] = {
        {"seeds", required_argument, NULL, 'n'},   {"from", required_argument, NULL, 'f'},    {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},    {"clients", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 't'},
        {"workers", required_argument, NULL, 'w'}, {"only", required_argument, NULL, 'o'},    {"reached", required_argument, NULL, 'r'},
        {"regressions", required_argument, NULL, 'g'}, {"trace", no_argument, NULL, 'v'},     {"table", no_argument, NULL, 'a'},
        {"first-failure", no_argument, NULL, 'q'},     {"nodes", required_argument, NULL, 'N'}, {"rate", required_argument, NULL, 'R'},
        {"case", required_argument, NULL, 'C'},        {"bounds", required_argument, NULL, 'B'},
        {NULL, 0, NULL, 0},
    };
    int id;
    *options = (struct options){.jobs = 1, .clients = -1, .seconds = -1};
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) > 0) {
        switch (id) {
        case 'n': options->seeds = strtoul(optarg, NULL, 10); break;
        case 'f': options->from = strtoul(optarg, NULL, 10); break;
        case 's': options->seed = strtoul(optarg, NULL, 10); break;
        case 'j': options->jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'c': options->clients = strtol(optarg, NULL, 10); break;
        case 't': options->seconds = strtol(optarg, NULL, 10); break;
        case 'w': options->workers = strtol(optarg, NULL, 10); break;
        case 'o': options->only = optarg; break;
        case 'r': options->reached = optarg; break;
        case 'g': options->regressions = optarg; break;
        case 'v': options->play = PLAY_TRACED; break;
        case 'a': options->play = PLAY_WITH_TABLE; break;
        case 'q': options->play = PLAY_TO_FIRST_FAILURE; break;
        case 'N': options->fixed.nodes = optarg; break;
        case 'R': options->fixed.rates = optarg; break;
        case 'C': options->fixed.keys = optarg; break;
        case 'B': options->fixed.bounds = optarg; break;
        default: return false;
        }
    }
    return optind == argc && options->jobs > 0 && options->jobs <= JOBS_MAXIMUM;
}

#define WORDS_MAXIMUM 32

/* A line is what `replay:` printed, behind "sim". */
static int run_line(char *line)
{
    char *words[WORDS_MAXIMUM] = {(char *)"sim"};
    int count = 1;
    struct options options;
    for (char *rest = line, *word; (word = strsep(&rest, " \n")) != NULL && count < WORDS_MAXIMUM - 1;) {
        if (*word != '\0')
            words[count++] = strcmp(word, "\"\"") == 0 ? (char *)"" : word;
    }
    return read_options(&options, count, words) ? run_one(&options) : 2;
}

static int run_regressions(const char *path)
{
    char line[2048];
    size_t passed = 0;
    size_t failed = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: %s cannot be read\n", path);
        return 2;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        int status = run_line(line);
        passed += status == 0;
        failed += status != 0;
    }
    fclose(file);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    struct options options;
    /* Nothing may hang on where memory lies; but when something does, a replay shows it again. */
    if (personality(0xffffffff) >= 0 && (personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0 &&
        personality((unsigned long)personality(0xffffffff) | ADDR_NO_RANDOMIZE) >= 0)
        execv("/proc/self/exe", argv);
    if (!read_options(&options, argc, argv)) {
        fprintf(stderr, "sim: the comment at the top of tests/sim/swarm/main.c shows its options\n");
        return 2;
    }
    if (options.regressions != NULL)
        return run_regressions(options.regressions);
    return options.seeds > 0 ? run_swarm(&options) : run_one(&options);
}
