/*
 * `sluice explain`: what Sluice would do with a request, without sending it. Each statement is asked of the code that
 * decides (classify, balance, retry, the fault table), so that the explanation cannot differ from the deed. What is so
 * only at the moment, such as a node that drains, a running Sluice is asked for (cli/node_states.h).
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/node_states.h"
#include "cli/options.h"
#include "routing/balance.h"
#include "routing/classify.h"
#include "routing/retry.h"
#include "topology/build.h"

enum { OPTION_GRPC = OPTION_LONG_ONLY, OPTION_WRITEBACK };

static const struct option_row option_rows[] = {
    {'c', "config", "FILE", "the configuration or layout that is asked"},
    {OPTION_GRPC, "grpc", NULL, "the request is gRPC (HTTP/2 with content-type application/grpc)"},
    {OPTION_WRITEBACK, "writeback", NULL,
     "it comes from a plugin: by a writeback listener, or from the address of a processing node"},
    {OPTION_ADMIN, "admin", "ADDRESS",
     "the running Sluice at this admin address (host:port or unix:/path) says how the nodes are now; may be repeated; default: nobody is asked"},
    ADMIN_ACCESS_ROWS,
};
static const struct manual manual = {
    .command = "explain",
    .forms = "-c FILE [--grpc] [--writeback] [--admin ADDR] METHOD PATH",
    .text = "Says how a request would be routed by the configuration or layout in FILE, and why: its class and the row that "
            "decides it, the nodes that may serve it in order of preference, what is tried again, and the timeouts. With "
            "--admin also what is so at this moment: each node's health, and which an operator drains or has in maintenance, by "
            "class. The request is not sent.",
    .options = option_rows,
    .option_count = OPTION_COUNT(option_rows),
    .status_ok = "it was explained, a refusal included",
    .status_failed = "FILE has an error, or a Sluice of --admin has not answered",
    .example = "sluice explain -c sluice.yaml POST '/api/v3/write_lp?db=plant'\n"
               "sluice explain -c sluice.yaml --admin 127.0.0.1:8180 POST /api/v3/query_sql",
};

struct request {
    const char *config;
    const char *method;
    const char *target; /* a query may follow the path */
    bool is_grpc;
    bool is_writeback;
    struct admin_options admin;
};

/* A request under explanation: what the topology makes of it. */
struct explanation {
    const struct topology *topology; /* ref */
    const struct request *request;   /* ref */
    struct classify_answer answer;
    struct node_set nodes;
    struct node_set preferred;
    const struct policy *policy;
};

/* False: the command ends with options->status. */
static bool read_arguments(struct request *request, struct options *options)
{
    const char *value;
    size_t count;
    int id;
    while ((id = options_next(options, &value)) > 0) {
        if (id == 'c')
            request->config = value;
        else if (id == OPTION_GRPC)
            request->is_grpc = true;
        else if (id == OPTION_WRITEBACK)
            request->is_writeback = true;
        else if (!admin_options_take(&request->admin, options, id, value))
            return false;
    }
    if (id == OPTIONS_STOP)
        return false;
    char **operands = options_operands(options, &count);
    if (request->config == NULL)
        return options_complain(options, "no configuration; name it with -c FILE");
    if (count < 2)
        return options_complain(options, "no %s; both METHOD and PATH are needed, as GET /health", count == 0 ? "request" : "path");
    if (count > 2)
        return options_complain(options, "%s: is one argument too many; METHOD and PATH are all", operands[2]);
    request->method = operands[0];
    request->target = operands[1];
    /* The file says what is explained, so its admin.address asks nobody, and neither does the environment. */
    if (request->admin.count == 0 && request->admin.token_file != NULL)
        return options_complain(options, "--token-file without --admin ADDRESS: nobody is asked; name the running Sluice, too");
    return request->admin.count == 0 || admin_options_resolve(&request->admin, options);
}

/* The largest unit that gives a whole number. */
static void describe_duration(uint64_t duration_ms, char *buffer, size_t capacity)
{
    static const struct {
        uint64_t factor;
        const char *name;
    } units[] = {{3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    if (duration_ms == 0) {
        snprintf(buffer, capacity, "off");
        return;
    }
    size_t i = 0;
    while (duration_ms % units[i].factor != 0)
        i++;
    snprintf(buffer, capacity, "%" PRIu64 " %s", duration_ms / units[i].factor, units[i].name);
}

static void describe_size(uint64_t size_bytes, char *buffer, size_t capacity)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    size_t i = 0;
    for (; i < 3 && size_bytes >= 1024 && size_bytes % 1024 == 0; i++)
        size_bytes /= 1024;
    snprintf(buffer, capacity, "%" PRIu64 " %s", size_bytes, units[i]);
}

static bool is_write(enum request_class class)
{
    return class == REQUEST_CLASS_WRITE || class == REQUEST_CLASS_WRITEBACK;
}

/* The status that a client gets for a fault, by what it speaks. */
static void describe_status(const struct explanation *explanation, enum fault fault, char *buffer, size_t capacity)
{
    const struct fault_row *row = fault_row(fault);
    if (explanation->request->is_grpc)
        snprintf(buffer, capacity, "gRPC status %u", row->grpc_status);
    else
        snprintf(buffer, capacity, "%u", is_write(explanation->answer.class) ? row->write_status : row->http_status);
}

static void print_refusal(const struct explanation *explanation)
{
    const struct fault_row *row = fault_row(explanation->answer.refusal);
    char status[32];
    describe_status(explanation, explanation->answer.refusal, status, sizeof status);
    printf("refused     with %s, %s: %s\n", status, row->name, row->text);
}

static bool is_builtin(const struct route *route)
{
    for (size_t i = 0; i < routes_builtin_count; i++) {
        if (route == &routes_builtin[i])
            return true;
    }
    return false;
}

/* The operator's route behind a row; the row's path has the asterisk again that the topology keeps as a flag. */
static const struct topology_route *find_operator_route(const struct topology *topology, const struct route *row)
{
    for (size_t i = 0; i < topology->route_count; i++) {
        const struct topology_route *route = &topology->routes[i];
        struct text path = text_of_string(row->path);
        path.length -= route->is_prefix ? 1 : 0;
        if (text_equals(path, text_of_string(route->path)) && strcmp(route->method, row->methods) == 0)
            return route;
    }
    return NULL;
}

/* A path of Flight means something else to the cluster when the request is not gRPC. */
static void print_grpc_hint(const struct explanation *explanation)
{
    struct text path = text_of_string(explanation->request->target);
    for (size_t i = 0; i < routes_builtin_count && !explanation->request->is_grpc; i++) {
        if (routes_builtin[i].class == REQUEST_CLASS_FLIGHT && text_equals(path, text_of_string(routes_builtin[i].path)))
            printf("note        this is a path of Flight: with --grpc you see what happens to the gRPC call\n");
    }
}

static void print_row(const struct explanation *explanation)
{
    const struct route *row = explanation->answer.route;
    printf("class       %s\n", request_class_name(explanation->answer.class));
    print_grpc_hint(explanation);
    if (is_builtin(row)) {
        printf("route       %s %s\n", row->methods, row->path);
        return;
    }
    const struct topology_route *route = find_operator_route(explanation->topology, row);
    if (route != NULL)
        printf("route       %s %s, from line %u of the configuration\n", row->methods, row->path, route->line);
    else
        printf("route       none: the database knows no such method and path, and `unknown` forwards them\n");
}

static const char *describe_balance(enum balance_method method)
{
    switch (method) {
    case BALANCE_WEIGHTED:
        return "in turn by their weights, or one drawn by chance that has less to do for its weight";
    case BALANCE_LEAST_OUTSTANDING:
        return "the less busy of two chosen at random; a silent one counts for more";
    case BALANCE_ROUND_ROBIN:
        return "strictly one after the other";
    case BALANCE_STICKY:
        return "the one that was used last while it is usable, else the first";
    case BALANCE_FIRST:
        break;
    }
    return "the first that is usable";
}

static void print_target(const struct explanation *explanation)
{
    const char *balance = describe_balance(explanation->policy->balance);
    switch (explanation->answer.route->target) {
    case ROUTE_TARGET_ONE:
        if (policy_affinity_of(explanation->topology, explanation->answer.class) == TOPOLOGY_AFFINITY_DATABASE)
            printf("goes to     the node of its database while it can be used and has a free connection, else\n            ");
        else
            printf("goes to     ");
        printf("one node: %s\n", balance);
        break;
    case ROUTE_TARGET_NAMED:
        printf("goes to     the node that the header X-Sluice-Node names; refused with %u without it\n",
               fault_row(FAULT_NODE_NOT_NAMED)->http_status);
        break;
    case ROUTE_TARGET_NAMED_OR_ONE:
        printf("goes to     the node that the header X-Sluice-Node names, else one: %s\n", balance);
        break;
    case ROUTE_TARGET_NAMED_OR_ALL:
        printf("goes to     the node that the header X-Sluice-Node names, else all of them, one after the other\n");
        break;
    case ROUTE_TARGET_SLUICE:
    case ROUTE_TARGET_NOBODY:
        printf("goes to     no node: Sluice answers it\n");
        break;
    }
}

static uint64_t sum_of_weights(const struct topology *topology, const struct node_set *nodes)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < topology->node_count; i++)
        total += node_set_has(nodes, i) ? topology->nodes[i].weight : 0;
    return total;
}

static void print_nodes(const struct explanation *explanation, const struct node_set *nodes, const char *heading)
{
    const struct topology *topology = explanation->topology;
    uint64_t total = sum_of_weights(topology, nodes);
    for (unsigned i = 0; i < topology->node_count; i++) {
        const struct topology_node *node = &topology->nodes[i];
        if (!node_set_has(nodes, i))
            continue;
        printf("%-11s %s", heading, node->node_id);
        if (node->url != NULL)
            printf(" at %s", node->url);
        if (explanation->policy->balance == BALANCE_WEIGHTED)
            printf(", weight %u (%.1f %%)", node->weight, 100.0 * node->weight / (double)total);
        printf("\n");
        heading = "";
    }
}

static void print_candidates(const struct explanation *explanation)
{
    if (node_set_is_empty(&explanation->nodes)) {
        char status[32];
        describe_status(explanation, FAULT_NO_NODE, status, sizeof status);
        printf("nodes       none of this cluster can serve it: it is answered with %s, %s\n", status,
               fault_row(FAULT_NO_NODE)->name);
        return;
    }
    struct node_set others = explanation->nodes;
    for (unsigned i = 0; i < explanation->topology->node_count; i++) {
        if (node_set_has(&explanation->preferred, i))
            node_set_remove(&others, i);
    }
    print_nodes(explanation, &explanation->preferred, "nodes");
    print_nodes(explanation, &others, "then");
    if (explanation->request->is_grpc)
        printf("            those of them that speak HTTP/2\n");
}

/* How far an attempt has come. */
enum moment {
    MOMENT_SENDING,        /* not all of the request has left */
    MOMENT_SENT,           /* all of it has */
    MOMENT_SENT_ON_REUSED, /* the same, on a connection that had carried others before */
    MOMENT_ANSWERING,      /* the client has the head of the answer */
};

/* What may happen to an attempt, in the order of its life. */
static const struct situation {
    const char *text;
    enum fault fault;
    enum moment moment;
} situations[] = {
    {"cannot connect", FAULT_CONNECT_REFUSED, MOMENT_SENDING},
    {"kept-alive connection was closed unread", FAULT_LINK_CLOSED_UNREAD, MOMENT_SENT_ON_REUSED},
    {"stream was refused (HTTP/2)", FAULT_UPSTREAM_REFUSED_STREAM, MOMENT_SENT},
    {"node says UNAVAILABLE at once", FAULT_UPSTREAM_UNAVAILABLE, MOMENT_SENT},
    {"node refuses its role or shuts down", FAULT_UPSTREAM_REFUSED_ROLE, MOMENT_SENT},
    {"node answers 429, 502 to 504, or that memory is out", FAULT_UPSTREAM_FAILED, MOMENT_SENT},
    {"connection lost while the request is sent", FAULT_UPSTREAM_RESET, MOMENT_SENDING},
    {"connection lost before an answer", FAULT_UPSTREAM_RESET, MOMENT_SENT},
    {"no answer in time", FAULT_UPSTREAM_TIMEOUT, MOMENT_SENT},
    {"answer breaks off", FAULT_UPSTREAM_TRUNCATED, MOMENT_ANSWERING},
};

static enum retry_decision ask_retry(const struct explanation *explanation, const struct situation *situation,
                                    bool body_is_timestamped)
{
    const struct route *row = explanation->answer.route;
    bool is_pinned = row->target == ROUTE_TARGET_NAMED || row->target == ROUTE_TARGET_NAMED_OR_ALL;
    /* A write's one deadline is for all its attempts: when it has passed, there is no time for another. */
    bool is_late = is_write(explanation->answer.class) && situation->fault == FAULT_UPSTREAM_TIMEOUT;
    bool has_others = !is_pinned && node_set_count(&explanation->nodes) > 1;
    unsigned facts = RETRY_BODY_IS_KEPT | (situation->moment == MOMENT_SENDING ? 0u : RETRY_REQUEST_HAS_LEFT) |
                     (situation->moment == MOMENT_SENT_ON_REUSED ? RETRY_LINK_WAS_REUSED : 0u) |
                     (situation->moment == MOMENT_ANSWERING ? RETRY_COMMITTED : 0u);
    const struct retry_question question = {
        .fault = situation->fault,
        .class = explanation->answer.class,
        .repeat = row->repeat,
        .facts = facts | (body_is_timestamped ? RETRY_IS_TIMESTAMPED : 0u) | (has_others ? RETRY_OTHERS_USABLE : 0u),
        .attempts = 1,
        .now_ms = is_late ? 1 : 0,
        .deadline_ms = 1,
    };
    return retry_decide(&question);
}

/* The node has answered, and if nobody else is asked the client hears it. */
static bool is_own_words(enum fault fault)
{
    return fault == FAULT_UPSTREAM_UNAVAILABLE || fault == FAULT_UPSTREAM_FAILED;
}

static void describe_verdict(const struct explanation *explanation, const struct situation *situation,
                             enum retry_decision verdict, char *buffer, size_t capacity)
{
    if (verdict == RETRY_AGAIN_HERE) {
        snprintf(buffer, capacity, "again on a fresh connection to the same node");
    } else if (verdict == RETRY_AGAIN_ELSEWHERE) {
        bool is_once = is_own_words(situation->fault) && !is_write(explanation->answer.class);
        snprintf(buffer, capacity, "again on another node%s", is_once ? ", once" : "");
    } else if (is_own_words(situation->fault)) {
        snprintf(buffer, capacity, "the client gets the node's answer%s", is_write(explanation->answer.class) ? ", a 4xx as 503" : "");
    } else {
        char status[32];
        describe_status(explanation, situation->fault, status, sizeof status);
        if (situation->moment != MOMENT_ANSWERING)
            snprintf(buffer, capacity, "the client gets %s", status);
        else if (explanation->request->is_grpc)
            snprintf(buffer, capacity, "the client's answer ends with %s", status);
        else
            snprintf(buffer, capacity, "the client's answer breaks off, too");
    }
}

/* Only some classes know answers that say "not my role", and only gRPC one that says UNAVAILABLE. */
static bool can_happen(const struct explanation *explanation, const struct situation *situation)
{
    enum request_class class = explanation->answer.class;
    switch (situation->fault) {
    case FAULT_UPSTREAM_REFUSED_ROLE:
        return policy_of(class)->refusal != POLICY_REFUSAL_NONE;
    case FAULT_UPSTREAM_FAILED:
        return is_write(class) || (class != REQUEST_CLASS_ENGINE && explanation->answer.route->repeat == ROUTE_REPEAT_SAFE);
    case FAULT_UPSTREAM_UNAVAILABLE:
        return explanation->request->is_grpc;
    default:
        return true;
    }
}

static void print_situation(const struct explanation *explanation, const struct situation *situation)
{
    char always[96], timestamped[96];
    enum retry_decision verdict = ask_retry(explanation, situation, false);
    enum retry_decision timestamped_verdict = ask_retry(explanation, situation, true);
    describe_verdict(explanation, situation, verdict, always, sizeof always);
    describe_verdict(explanation, situation, timestamped_verdict, timestamped, sizeof timestamped);
    bool is_any_error = situation->fault == FAULT_UPSTREAM_FAILED && is_write(explanation->answer.class);
    printf("            %s: ", is_any_error ? "node answers 429 or 5xx" : situation->text);
    if (verdict == timestamped_verdict)
        printf("%s\n", always);
    else
        printf("%s if each line carries its timestamp, else %s\n", timestamped, always);
}

static void print_hedge(const struct explanation *explanation)
{
    char duration[64];
    uint64_t hedge_ms = explanation->topology->queries_hedge_ms;
    bool is_of_kind = explanation->policy->hedge == POLICY_HEDGE_SLOW && explanation->answer.route->repeat == ROUTE_REPEAT_SAFE;
    if (!is_of_kind || hedge_ms == TOPOLOGY_HEDGE_OFF)
        return;
    if (hedge_ms == TOPOLOGY_HEDGE_P95)
        text_append(duration, sizeof duration, 0, "longer than 95 of 100 queries wait");
    else
        describe_duration(hedge_ms, duration, sizeof duration);
    printf("            no answer has begun for %s: a second node is asked, too, and the first answer counts (queries.hedge)\n", duration);
}

static void print_retries(const struct explanation *explanation)
{
    char size[32];
    describe_size(explanation->topology->limits.replay_bytes, size, sizeof size);
    printf("retries     at most %u attempts, as long as the body has no more than %s (limits.replay)\n",
           explanation->policy->attempts_maximum, size);
    for (size_t i = 0; i < sizeof situations / sizeof situations[0]; i++) {
        if (can_happen(explanation, &situations[i]))
            print_situation(explanation, &situations[i]);
    }
    print_hedge(explanation);
}

static void print_timeout(const char *heading, const char *text, uint64_t duration_ms, const char *key)
{
    char duration[32];
    describe_duration(duration_ms, duration, sizeof duration);
    printf("%-11s %s: %s (timeouts.%s)\n", heading, text, duration, key);
}

static void print_timeouts(const struct explanation *explanation)
{
    const struct topology_timeouts *timeouts = &explanation->topology->timeouts;
    print_timeout("timeouts", "waiting for a free connection", timeouts->queue_ms, "queue");
    print_timeout("", "connecting to a node", timeouts->connect_ms, "connect");
    bool is_of_write = is_write(explanation->answer.class);
    if (is_of_write)
        print_timeout("", "last byte until the last attempt may begin", timeouts->write_deadline_ms, "write_deadline");
    print_timeout("", "each attempt until its answer begins", is_of_write ? timeouts->write_response_ms : timeouts->response_ms,
                  is_of_write ? "write_response" : "response");
    print_timeout("", "silence in the middle of a message", timeouts->idle_ms, "idle");
    if (explanation->request->is_grpc)
        printf("            with a grpc-timeout: that is for all attempts and all of the answer, in place of timeouts.response\n");
}

/* Which nodes can serve it, and which of them are asked first: all, where the preferred kind does not exist. */
static void choose_nodes(struct explanation *explanation)
{
    const struct topology *topology = explanation->topology;
    const struct route *row = explanation->answer.route;
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (classify_node_fits(&topology->nodes[i], row->capabilities))
            node_set_add(&explanation->nodes, i);
        if (classify_node_is_preferred(&topology->nodes[i], row->capabilities, row->preferred))
            node_set_add(&explanation->preferred, i);
    }
    if (node_set_is_empty(&explanation->preferred))
        explanation->preferred = explanation->nodes;
}

/* False when a running Sluice was to be asked and did not answer. */
static bool explain(struct explanation *explanation, const struct options *options)
{
    printf("%s %s%s%s\n", explanation->request->method, explanation->request->target,
           explanation->request->is_grpc ? ", gRPC" : "", explanation->request->is_writeback ? ", from a plugin" : "");
    if (explanation->answer.refusal != FAULT_NONE) {
        print_refusal(explanation);
        return true;
    }
    const struct route *row = explanation->answer.route;
    choose_nodes(explanation);
    explanation->policy = policy_of(explanation->answer.class);
    print_row(explanation);
    print_target(explanation);
    if (row->target == ROUTE_TARGET_SLUICE)
        return true;
    print_candidates(explanation);
    if (node_set_is_empty(&explanation->nodes))
        return true;
    bool is_answered = node_states_print(&explanation->request->admin, options, explanation->topology, &explanation->nodes,
                                         explanation->answer.class);
    print_retries(explanation);
    print_timeouts(explanation);
    return is_answered;
}

static int explain_in(const struct topology *topology, const struct request *request, const struct options *options)
{
    struct classifier *classifier = classifier_create(topology);
    if (classifier == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return COMMAND_FAILED;
    }
    struct text rest = text_of_string(request->target);
    const struct classify_question question = {
        .method = text_of_string(request->method),
        .path = text_cut(&rest, '?'),
        .is_grpc = request->is_grpc,
        .is_writeback = request->is_writeback,
    };
    struct explanation explanation = {.topology = topology, .request = request, .answer = classify(classifier, &question)};
    bool is_answered = explain(&explanation, options);
    classifier_destroy(classifier);
    return is_answered ? COMMAND_OK : COMMAND_FAILED;
}

static int read_and_explain(const struct request *request, const struct options *options)
{
    struct findings *findings = findings_create();
    if (findings == NULL) {
        fprintf(stderr, "sluice: out of memory\n");
        return COMMAND_FAILED;
    }
    struct topology *topology = topology_read(&request->config, 1, TOPOLOGY_PURPOSE_CHECK, findings);
    /* Warnings are for `check`; here they would hide the explanation. */
    if (topology == NULL)
        findings_print(findings, stderr);
    findings_destroy(findings);
    int status = topology != NULL ? explain_in(topology, request, options) : COMMAND_FAILED;
    topology_release(topology);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct request request = {0};
    struct options options;
    admin_options_begin(&request.admin);
    options_begin(&options, &manual, argc, argv);
    int status = read_arguments(&request, &options) ? read_and_explain(&request, &options) : options.status;
    admin_options_clear(&request.admin);
    return status;
}
