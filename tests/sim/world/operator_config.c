/* The operator's files: what `sluice serve` and a reload read. */
#include "kernel/files.h"
#include "kernel/process.h"
#include "kernel/socket.h"
#include "net/address.h"
#include "world/certificates.h"
#include "world/client.h"
#include "world/operator.h"

#define FILE_BYTES 8192

struct draft {
    const struct plan *plan;
    enum operator_variant variant;
    size_t used;
    char text[FILE_BYTES];
};

static void put(struct draft *draft, const char *words)
{
    draft->used = text_append(draft->text, sizeof draft->text, draft->used, "%s", words);
}

static const char *host_of_sluice(char *buffer, size_t capacity)
{
    struct address address = sim_address(SIM_HOST_SLUICE, 0);
    return address_format_host(&address, buffer, capacity);
}

static void put_listener(struct draft *draft, unsigned port, const char *more)
{
    char host[ADDRESS_TEXT_BYTES];
    draft->used = text_append(draft->text, sizeof draft->text, draft->used, "  - address: %s:%u\n%s",
                              host_of_sluice(host, sizeof host), port, more);
}

/* For clients, for those who speak TLS, for plugins. */
static void put_listeners(struct draft *draft)
{
    put(draft, "listen:\n");
    put_listener(draft, CLIENT_PORT, "");
    if (draft->plan->rate[FAULT_KIND_TLS_CLIENTS] > 0)
        put_listener(draft, CLIENT_PORT_TLS,
                     "    tls:\n      certificate: " CERTIFICATE_OF_SLUICE "\n      key: " KEY_OF_SLUICE "\n");
    if (draft->variant != OPERATOR_NO_LISTENER)
        put_listener(draft, CLIENT_PORT_WRITEBACK, "    class: writeback\n");
}

/* One that others can stand in for; node_count when there is none. */
static unsigned spare_node(const struct plan *plan)
{
    for (unsigned i = plan->node_count; i > 0; i--) {
        unsigned others = 0;
        for (unsigned k = 0; k < plan->node_count; k++)
            others |= k == i - 1 ? 0 : plan->nodes[k].roles;
        if ((others & PLAN_ROLE_INGEST) != 0 && (others & PLAN_ROLE_QUERY) != 0)
            return i - 1;
    }
    return plan->node_count;
}

static void put_modes(struct draft *draft, unsigned roles)
{
    static const struct {
        unsigned role;
        const char *word;
    } words[] = {{PLAN_ROLE_INGEST, "ingest"}, {PLAN_ROLE_QUERY, "query"}, {PLAN_ROLE_COMPACT, "compact"}, {PLAN_ROLE_PROCESS, "process"}};
    const char *separator = "";
    put(draft, "    mode: [");
    if (roles == PLAN_ROLE_ALL && draft->plan->node_count == 1) {
        put(draft, "all]\n");
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((roles & words[i].role) == 0)
            continue;
        put(draft, separator);
        put(draft, words[i].word);
        separator = ", ";
    }
    put(draft, "]\n");
}

static bool has_tls_to_nodes(const struct draft *draft)
{
    return draft->plan->rate[FAULT_KIND_TLS_NODES] > 0;
}

static void put_url(struct draft *draft, unsigned index)
{
    char host[ADDRESS_TEXT_BYTES];
    struct address address = sim_address(OPERATOR_NODE_HOST_FIRST + index, CLIENT_PORT);
    /* Of a node that is named the address is another url, and leads to the same place unless it was moved. */
    if (draft->plan->nodes[index].is_named && draft->variant != OPERATOR_NODES_MOVED)
        text_append(host, sizeof host, 0, OPERATOR_NODE_NAME, index);
    else
        address_format_host(&address, host, sizeof host);
    draft->used = text_append(draft->text, sizeof draft->text, draft->used, "    url: %s://%s:%u\n",
                              has_tls_to_nodes(draft) ? "https" : "http", host, CLIENT_PORT);
}

static void put_node(struct draft *draft, unsigned index)
{
    bool compacts_too = draft->variant == OPERATOR_TWO_COMPACTORS && index < 2;
    draft->used = text_append(draft->text, sizeof draft->text, draft->used, "  - node_id: " OPERATOR_NODE_ID "\n", index);
    put_url(draft, index);
    put_modes(draft, draft->plan->nodes[index].roles | (compacts_too ? PLAN_ROLE_COMPACT : 0));
    /* On any other node it would mean that triggers run there. */
    if ((draft->plan->nodes[index].roles & PLAN_ROLE_PROCESS) != 0)
        put(draft, "    plugin_dir: /plugins\n");
    draft->used = text_append(draft->text, sizeof draft->text, draft->used, "    cores: %u\n", 8 + 8 * (index % 3));
}

/* A cluster of one gets a second one of the same kind. */
static void put_second_compactor(struct draft *draft)
{
    put(draft, "  - node_id: node-second\n    url: http://10.0.0.250:8181\n    mode: [compact]\n    plugin_dir: /plugins\n");
}

static void put_nodes(struct draft *draft)
{
    unsigned out = draft->variant == OPERATOR_NODE_OUT ? spare_node(draft->plan) : draft->plan->node_count;
    if (draft->variant == OPERATOR_NO_NODES) {
        put(draft, "nodes: []\n");
        return;
    }
    put(draft, "nodes:\n");
    for (unsigned i = 0; i < draft->plan->node_count; i++) {
        /* The order of nodes means nothing. */
        unsigned index = draft->variant == OPERATOR_SHORT_TIMEOUTS ? draft->plan->node_count - 1 - i : i;
        if (index != out)
            put_node(draft, index);
    }
    if (draft->variant == OPERATOR_TWO_COMPACTORS && draft->plan->node_count == 1)
        put_second_compactor(draft);
}

/* Of the section limits; the same in each variant, because what was taken under a higher limit stays for a while. */
static void put_memory(struct draft *draft)
{
    if (plan_memory_mib(draft->plan) > 0)
        draft->used = text_append(draft->text, sizeof draft->text, draft->used, "  memory: %uMiB\n", plan_memory_mib(draft->plan));
}

static void put_hedge(struct draft *draft)
{
    static const char *const words[] = {"queries:\n  hedge: p95\n", "queries:\n  hedge: 200ms\n", ""};
    put(draft, words[draft->plan->seed % 3]);
}

static void put_variant(struct draft *draft)
{
    switch (draft->variant) {
    case OPERATOR_LOW_LIMITS:
        put(draft, "limits:\n  body: 4MiB\n  replay: 4KiB\n  replay_total: 64KiB\n  buffer: 16KiB\n  streams: 5\n  upstream_links: 3\n  client_share: 0.34\n  queue: 8\n  connections: 6\n");
        put_memory(draft);
        break;
    case OPERATOR_SHORT_TIMEOUTS:
        put(draft, "limits:\n  body: 4MiB\n");
        put_memory(draft);
        put(draft, "timeouts:\n  drain: 1s\n  write_deadline: 2500ms\n  response: 4s\n  upstream_idle: 1s\n  keep_alive: 3s\n  queue: 500ms\n"
                   "health:\n  interval: 1s\n  timeout: 500ms\n");
        break;
    case OPERATOR_UNKNOWN_KEY:
        put(draft, "retry_afterwards: true\n");
        break;
    case OPERATOR_NO_YAML:
        put(draft, "limits: [\n");
        break;
    default:
        /* So few repeats that some wait for a token, and some in vain. */
        if (draft->plan->seed % 5 == 1)
            put(draft, "retries:\n  share: 0\n  floor: 1\n");
        /* Connections: more than clients have at a time, and fewer than some have in all. */
        put(draft, "limits:\n  body: 4MiB\n  connections: 300\n");
        if (plan_memory_mib(draft->plan) > 0)
            put(draft, "  buffer: 256KiB\n");
        put_memory(draft);
        if (draft->plan->seed % 3 == 0)
            put(draft, "timeouts:\n  response: 3s\n  drain: 1s\n");
        break;
    }
}

void operator_write_configuration(const struct plan *plan, enum operator_variant variant)
{
    struct draft draft = {.plan = plan, .variant = variant};
    put(&draft, variant == OPERATOR_OTHER_CLUSTER ? "cluster_id: another\n" : "cluster_id: cluster\n");
    put_listeners(&draft);
    draft.used = text_append(draft.text, sizeof draft.text, draft.used, "admin:\n  address: 127.0.0.1:%u\nworkers: %u\naccess_log: none\n",
                             OPERATOR_ADMIN_PORT, plan->workers);
    put_nodes(&draft);
    put_hedge(&draft);
    if (has_tls_to_nodes(&draft))
        put(&draft, "tls:\n  ca: " CERTIFICATE_OF_NODES "\n");
    put_variant(&draft);
    sim_file_write(SIM_CONFIGURATION, text_of(draft.text, draft.used));
}
