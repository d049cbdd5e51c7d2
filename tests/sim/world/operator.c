#include "world/operator.h"

#include "check/faults.h"
#include "check/invariants.h"
#include "check/ledger.h"
#include "kernel/draw.h"
#include "kernel/files.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/signals.h"
#include "kernel/time.h"
#include "world/operator_call.h"

/* timeouts.drain, and the time that the rest of an end may take. */
#define END_WITHIN_US (60 * SIM_S)
/* After the last fault, until nodes have to be up again. */
#define RECOVERY_US (45 * SIM_S)
#define TARGET_BYTES 96
/* The last look at the metrics: the answer comes in time. */
#define COUNTED_BEFORE_SECONDS 15

enum process_state {
    PROCESS_STARTING,
    PROCESS_RUNNING,
    PROCESS_ENDING,   /* told to; it will be started again */
    PROCESS_FINISHING, /* told to, for good */
};

/* What the call that is under way is for. */
enum errand { ERRAND_NONE, ERRAND_STATUS, ERRAND_METRICS, ERRAND_HEALTH, ERRAND_REBIND, ERRAND_NO_HEADER, ERRAND_RELOAD, ERRAND_STEER };

enum steering { STEER_READY, STEER_DRAIN, STEER_MAINT };

struct operator {
    const struct plan *plan;
    struct random_source random;
    enum process_state process;
    enum errand errand;
    enum operator_variant variant;      /* of the file */
    enum operator_variant in_force;     /* what the newest file that came into force said; OPERATOR_VARIANTS: not known */
    uint64_t begun_us;                  /* the call that is under way */
    uint64_t terminate_us;              /* 0: not in this run */
    uint64_t count_us;                  /* when it counts what Sluice has lived through, before that is forgotten; 0: it has done so */
    unsigned steered_node;              /* whose order is under way */
    enum steering order;
    bool is_for_all;                    /* the classes */
    enum steering steered[PLAN_NODES_MAXIMUM];
    uint64_t ready_us[PLAN_NODES_MAXIMUM]; /* when it gets requests again */
    struct sim_timer turn;
    struct sim_timer end_limit;
    struct operator_call call;
};

static bool is_peace(const struct operator *operator, uint64_t at_us)
{
    return at_us > (uint64_t)operator->plan->faulty_seconds * SIM_S;
}

/* May an answer say that something ran short? Few descriptors are few also in peace. */
static bool may_run_short(const struct operator *operator)
{
    const uint32_t *rate = operator->plan->rate;
    return (rate[FAULT_KIND_MEMORY_SHORT] > 0 && !is_peace(operator, operator->begun_us)) || rate[FAULT_KIND_DESCRIPTORS_SHORT] > 0;
}

/* May it not come? */
static bool may_fail(const struct operator *operator)
{
    return !is_peace(operator, operator->begun_us) || may_run_short(operator);
}

/* ---- the process ---- */

static void on_process_end(void *owner, int status);

/* Sluice forgets its orders when it ends, and one to a node when that leaves the configuration. */
static void all_are_ready(void)
{
    for (unsigned i = 0; i < PLAN_NODES_MAXIMUM; i++)
        invariant_ready(i);
}

static void start(struct operator *operator)
{
    operator->process = PROCESS_STARTING;
    operator->in_force = operator->variant;
    for (unsigned i = 0; i < PLAN_NODES_MAXIMUM; i++)
        operator->steered[i] = STEER_READY;
    all_are_ready();
    sim_sluice_start(on_process_end, operator);
}

static void on_process_end(void *owner, int status)
{
    struct operator *operator = owner;
    sim_timer_clear(&operator->end_limit);
    bool was_told = operator->process == PROCESS_ENDING || operator->process == PROCESS_FINISHING;
    /* Without memory a process does not start; the operator tries again. */
    bool could_not_start = operator->process == PROCESS_STARTING && plan_rate(operator->plan, FAULT_KIND_MEMORY_SHORT) > 0;
    if ((!was_told || status != 0) && !could_not_start)
        ledger_violation("exit_status", "Sluice has ended with status %d%s", status, was_told ? "" : " by itself");
    operator_call_drop(&operator->call);
    operator->errand = ERRAND_NONE;
    if (operator->process == PROCESS_FINISHING)
        return;
    if (was_told && draw_below(&operator->random, 2) == 0) {
        reached("operator: the machine of Sluice starts anew, too");
        sim_files_lose_power(&operator->random);
    }
    reached("operator: Sluice has ended and is started again");
    start(operator);
}

static void on_end_limit(void *owner)
{
    (void)owner;
    ledger_violation("exit_status", "Sluice was told to end and did not");
}

static void terminate(struct operator *operator, enum process_state state)
{
    operator->process = state;
    operator->terminate_us = 0;
    sim_timer_in(&operator->end_limit, END_WITHIN_US);
    sim_signal(SIGNAL_TERM);
}

/* ---- what the listener says ---- */

static bool has(struct text body, const char *words)
{
    return text_find(body, text_of_string(words)) >= 0;
}

static void complain(const struct operator *operator, const char *rule, unsigned status, struct text body, const char *words)
{
    static const char *const names[] = {"nothing", "status", "metrics", "health", "a foreign host", "no header", "reload", "an order"};
    const char *said = body.bytes == NULL ? "" : body.bytes;
    ledger_violation(rule, "operator, %s, variant %u: %s: %u %.*s", names[operator->errand], operator->variant, words, status,
                     (int)(body.length < 300 ? body.length : 300), said);
}

static void judge_status(struct operator *operator, unsigned status, struct text body)
{
    if (status != 200 || body.length == 0 || body.bytes[0] != '{' || !has(body, "\"nodes\": ["))
        complain(operator, "admin_answer", status, body, "no status");
    else if (operator->begun_us > (uint64_t)operator->plan->faulty_seconds * SIM_S + RECOVERY_US && !may_fail(operator) && has(body, "\"health\": \"down\""))
        complain(operator, "not_recovered", status, body, "a node is down in peace");
}

/* The number behind `words`; 0 when they do not stand there. */
static unsigned long long number_behind(struct text body, const char *words)
{
    ptrdiff_t at = text_find(body, text_of_string(words));
    unsigned long long number = 0;
    for (size_t i = at < 0 ? body.length : (size_t)at + strlen(words); i < body.length && body.bytes[i] >= '0' && body.bytes[i] <= '9'; i++)
        number = number * 10 + (unsigned long long)(body.bytes[i] - '0');
    return number;
}

/* Workers tell their numbers once a second, each at its own time. */
#define MEMORY_SLACK_BYTES (1024 * 1024)

static void judge_memory(struct operator *operator, unsigned status, struct text body)
{
    static const char *const kinds[] = {"objects", "buffers", "input", "windows", "bodies"};
    unsigned long long maximum_bytes = number_behind(body, "\nsluice_memory_maximum_bytes ");
    unsigned long long bytes = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char words[64];
        text_append(words, sizeof words, 0, "\nsluice_memory_bytes{kind=\"%s\"} ", kinds[i]);
        bytes += number_behind(body, words);
    }
    if (maximum_bytes > 0 && bytes > maximum_bytes / 2)
        reached("operator: sees half of the memory in use");
    if (maximum_bytes > 0 && bytes > maximum_bytes + MEMORY_SLACK_BYTES)
        complain(operator, "memory_limit", status, text_of(body.bytes, 0), "traffic takes more than limits.memory leaves it");
}

static void judge_metrics(struct operator *operator, unsigned status, struct text body)
{
    reached_faults(body);
    judge_memory(operator, status, body);
    if (status != 200 || body.length == 0 || !has(body, "# TYPE sluice_") || body.bytes[0] != '#')
        complain(operator, "admin_answer", status, body, "no metrics");
}

static void judge_reload(struct operator *operator, unsigned status, struct text body)
{
    static const char *const reloads[OPERATOR_GOOD_VARIANTS] = {
        [OPERATOR_ORDINARY] = "operator: reloads the ordinary file",
        [OPERATOR_NODE_OUT] = "operator: takes a node out",
        [OPERATOR_LOW_LIMITS] = "operator: lowers the limits",
        [OPERATOR_SHORT_TIMEOUTS] = "operator: shortens the timeouts",
        [OPERATOR_NO_LISTENER] = "operator: closes a listener",
        [OPERATOR_NODES_MOVED] = "operator: changes the urls of nodes",
    };
    bool is_good = operator->variant < OPERATOR_GOOD_VARIANTS;
    bool is_applied = status == 200 && has(body, "\"applied\":true");
    if (is_applied) {
        operator->in_force = operator->variant;
        reached(is_good ? reloads[operator->variant] : "operator: a bad file was applied");
    }
    if (is_applied && !is_good)
        complain(operator, "bad_file_applied", status, body, "this must not come into force");
    if (!is_applied && is_good && !may_run_short(operator))
        complain(operator, "reload_refused", status, body, "this is right");
    if (status == 422 && !is_good)
        reached("operator: a bad file was refused");
    if (status != 200 && status != 422)
        complain(operator, "admin_answer", status, body, "a reload is applied or refused");
}

static void judge_order(struct operator *operator, unsigned status, struct text body)
{
    bool may_be_out = operator->in_force != OPERATOR_ORDINARY;
    bool is_unknown = status == 404 && may_be_out;
    if (status != 200 && !is_unknown)
        complain(operator, "admin_answer", status, body, "an order to a node");
    /* What was said of a node that is out for a moment holds when it is back: it is told again. */
    if (is_unknown)
        operator->ready_us[operator->steered_node] = sim_now_us() + 3 * SIM_S;
    if (status != 200)
        return;
    operator->steered[operator->steered_node] = operator->order;
    if (operator->order != STEER_READY && operator->is_for_all && operator->in_force == OPERATOR_ORDINARY)
        invariant_drain(operator->steered_node);
    reached(operator->order == STEER_READY ? "operator: a node is ready again" : "operator: a node is drained");
}

static void on_call_end(void *owner, unsigned status, struct text body)
{
    struct operator *operator = owner;
    if (status == 0) {
        if (!may_fail(operator) && operator->process == PROCESS_RUNNING)
            complain(operator, "admin_answer", status, TEXT_EMPTY, "no answer");
        operator->errand = ERRAND_NONE;
        return;
    }
    if (status == 503 && may_run_short(operator)) {
        reached("operator: hears that memory is out");
        operator->errand = ERRAND_NONE;
        return;
    }
    switch (operator->errand) {
    case ERRAND_STATUS:
        judge_status(operator, status, body);
        break;
    case ERRAND_METRICS:
        judge_metrics(operator, status, body);
        break;
    case ERRAND_HEALTH:
        if (status != 200 || !text_equals(body, TEXT("OK\n")))
            complain(operator, "admin_answer", status, body, "no health");
        break;
    case ERRAND_REBIND:
    case ERRAND_NO_HEADER:
        if (status != 403)
            complain(operator, "admin_answer", status, body, "this has to be forbidden");
        break;
    case ERRAND_RELOAD:
        judge_reload(operator, status, body);
        break;
    case ERRAND_STEER:
        judge_order(operator, status, body);
        break;
    case ERRAND_NONE:
        break;
    }
    operator->errand = ERRAND_NONE;
}

/* ---- what is ordered ---- */

static void call(struct operator *operator, enum errand errand, const char *method, const char *target)
{
    struct operator_order order = {
        .method = text_of_string(method),
        .target = text_of_string(target),
        .host = errand == ERRAND_REBIND ? TEXT("evil.example") : TEXT("127.0.0.1:8191"),
        .has_header = errand != ERRAND_NO_HEADER,
    };
    operator->errand = errand;
    operator->begun_us = sim_now_us();
    operator_call_begin(&operator->call, &order);
}

static void reload(struct operator *operator, enum operator_variant variant)
{
    operator->variant = variant;
    all_are_ready();
    operator_write_configuration(operator->plan, variant);
    if (is_peace(operator, sim_now_us()) || draw_below(&operator->random, 2) == 0) {
        call(operator, ERRAND_RELOAD, "POST", "/reload");
        return;
    }
    operator->in_force = OPERATOR_VARIANTS;
    reached("operator: sends HUP");
    sim_signal(SIGNAL_HUP);
}

static void steer(struct operator *operator, unsigned node, enum steering order)
{
    static const char *const words[] = {"ready", "drain", "maint"};
    static const char *const classes[] = {"", "?class=write", "?class=query", "?class=catalog"};
    char target[TARGET_BYTES];
    const char *class = order == STEER_READY ? "" : classes[draw_below(&operator->random, 4)];
    text_append(target, sizeof target, 0, "/nodes/" OPERATOR_NODE_ID "/%s%s", node, words[order], class);
    operator->steered_node = node;
    operator->order = order;
    operator->is_for_all = *class == '\0';
    if (order == STEER_READY) {
        invariant_ready(node);
    } else {
        /* Should its answer be lost, the order may have been carried out. */
        operator->steered[node] = order;
        operator->ready_us[node] = sim_now_us() + draw_between(&operator->random, SIM_S, 20 * SIM_S);
    }
    call(operator, ERRAND_STEER, "POST", target);
}

static void look(struct operator *operator)
{
    /* Where memory is scarce it is looked at more often. */
    if (plan_memory_mib(operator->plan) > 0 && draw_below(&operator->random, 2) == 0) {
        call(operator, ERRAND_METRICS, "GET", "/metrics");
        return;
    }
    switch (draw_below(&operator->random, 12)) {
    case 0:
    case 1:
    case 2:
        call(operator, ERRAND_STATUS, "GET", "/status");
        break;
    case 3:
        call(operator, ERRAND_METRICS, "GET", "/metrics");
        break;
    case 4:
        call(operator, ERRAND_HEALTH, "GET", "/health");
        break;
    case 5:
        call(operator, ERRAND_REBIND, "GET", "/status");
        break;
    case 6:
        call(operator, ERRAND_NO_HEADER, "POST", "/nodes/node-0/drain");
        break;
    default:
        break;
    }
}

/* A node that was drained for a while, or when the faults are over. True: an order is under way. */
static bool take_back(struct operator *operator)
{
    for (unsigned i = 0; i < operator->plan->node_count; i++) {
        bool is_due = sim_now_us() >= operator->ready_us[i] || is_peace(operator, sim_now_us());
        if (operator->steered[i] != STEER_READY && is_due) {
            steer(operator, i, STEER_READY);
            return true;
        }
    }
    return false;
}

static bool is_drawn(struct operator *operator, enum fault_kind kind)
{
    return draw_chance(&operator->random, plan_rate(operator->plan, kind));
}

static enum operator_variant draw_variant(struct operator *operator, enum operator_variant from, enum operator_variant to)
{
    return from + (enum operator_variant)draw_below(&operator->random, to - from);
}

/* The file on the disk is a bad one, or not the one in force: it does not stay so. */
static bool mends_file(struct operator *operator)
{
    if (operator->variant < OPERATOR_GOOD_VARIANTS && !is_peace(operator, sim_now_us()))
        return false;
    if (operator->variant == OPERATOR_ORDINARY && operator->in_force == OPERATOR_ORDINARY)
        return false;
    reload(operator, OPERATOR_ORDINARY);
    return true;
}

/* The counts of a process go with it: they are read before it is told to end, and before the run does. */
static bool counts(struct operator *operator)
{
    if (operator->count_us == 0 || sim_now_us() < operator->count_us)
        return false;
    uint64_t last_us = (uint64_t)(operator->plan->faulty_seconds + operator->plan->quiet_seconds - COUNTED_BEFORE_SECONDS) * SIM_S;
    operator->count_us = sim_now_us() < last_us ? last_us : 0;
    call(operator, ERRAND_METRICS, "GET", "/metrics");
    return true;
}

static void act(struct operator *operator)
{
    if (mends_file(operator) || take_back(operator) || counts(operator))
        return;
    if (operator->terminate_us != 0 && sim_now_us() >= operator->terminate_us)
        terminate(operator, PROCESS_ENDING);
    else if (is_drawn(operator, FAULT_KIND_OPERATOR_BAD_FILE))
        reload(operator, draw_variant(operator, OPERATOR_GOOD_VARIANTS, OPERATOR_VARIANTS));
    else if (is_drawn(operator, FAULT_KIND_OPERATOR_RELOADS))
        reload(operator, draw_variant(operator, OPERATOR_ORDINARY, OPERATOR_GOOD_VARIANTS));
    else if (is_drawn(operator, FAULT_KIND_OPERATOR_STEERS))
        steer(operator, (unsigned)draw_below(&operator->random, operator->plan->node_count),
              draw_below(&operator->random, 2) == 0 ? STEER_DRAIN : STEER_MAINT);
    else
        look(operator);
}

static void on_turn(void *owner)
{
    struct operator *operator = owner;
    sim_timer_in(&operator->turn, SIM_S);
    if (operator->process == PROCESS_STARTING)
        operator->process = PROCESS_RUNNING;
    else if (operator->process == PROCESS_RUNNING && !operator_call_is_under_way(&operator->call))
        act(operator);
}

/* ---- life ---- */

struct operator *operator_create(const struct plan *plan)
{
    struct operator *operator = world_calloc(1, sizeof *operator);
    operator->plan = plan;
    operator->random = draw_source_of(plan->seed, "operator", 0);
    operator->call.on_end = on_call_end;
    operator->call.owner = operator;
    if (plan->faulty_seconds > 1 && is_drawn(operator, FAULT_KIND_OPERATOR_TERMINATES))
        operator->terminate_us = draw_between(&operator->random, SIM_S, (plan->faulty_seconds - 1) * SIM_S);
    operator->count_us = operator->terminate_us > 0 ? operator->terminate_us : plan->faulty_seconds * SIM_S;
    sim_timer_init(&operator->turn, on_turn, operator);
    sim_timer_init(&operator->end_limit, on_end_limit, operator);
    operator_write_configuration(plan, OPERATOR_ORDINARY);
    start(operator);
    sim_timer_in(&operator->turn, SIM_S);
    return operator;
}

void operator_finish(struct operator *operator)
{
    sim_timer_clear(&operator->turn);
    operator_call_drop(&operator->call);
    /* A second word would cut what the first one lets end. */
    if (sim_sluice_is_running() && operator->process != PROCESS_ENDING)
        terminate(operator, PROCESS_FINISHING);
    operator->process = PROCESS_FINISHING;
}

void operator_destroy(struct operator *operator)
{
    if (operator == NULL)
        return;
    sim_timer_clear(&operator->turn);
    sim_timer_clear(&operator->end_limit);
    operator_call_drop(&operator->call);
    world_free(operator);
}
