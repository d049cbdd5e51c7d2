#include "world/certificates.h"

#include "world/operator.h"

#define NAME_OF_SLUICE "sluice.example"
#define NAMES_BYTES 1024

static struct tls_far *of_sluice;
static struct tls_far *of_client;
static struct tls_far *of_node;

static void make_for_clients(void)
{
    of_sluice = tls_far_create("DNS:" NAME_OF_SLUICE);
    of_client = tls_far_create("DNS:client.example");
    tls_far_trust(of_client, of_sluice, NAME_OF_SLUICE);
    tls_far_write(of_sluice, CERTIFICATE_OF_SLUICE, KEY_OF_SLUICE);
}

/* One for all nodes, by name and by address. */
static void make_for_nodes(const struct plan *plan)
{
    char names[NAMES_BYTES];
    size_t used = 0;
    for (unsigned i = 0; i < plan->node_count; i++) {
        char host[ADDRESS_TEXT_BYTES];
        struct address address = sim_address(OPERATOR_NODE_HOST_FIRST + i, 0);
        used = text_append(names, sizeof names, used, "%sDNS:" OPERATOR_NODE_NAME ",IP:%s", i > 0 ? "," : "", i,
                           address_format_host(&address, host, sizeof host));
    }
    of_node = tls_far_create(names);
    tls_far_write(of_node, CERTIFICATE_OF_NODES, NULL);
}

void certificates_make(const struct plan *plan)
{
    if (plan->rate[FAULT_KIND_TLS_CLIENTS] > 0)
        make_for_clients();
    if (plan->rate[FAULT_KIND_TLS_NODES] > 0)
        make_for_nodes(plan);
}

void certificates_forget(void)
{
    tls_far_destroy(of_sluice);
    tls_far_destroy(of_client);
    tls_far_destroy(of_node);
    of_sluice = of_client = of_node = NULL;
}

struct tls_far *certificates_of_client(void)
{
    return of_client;
}

struct tls_far *certificates_of_node(void)
{
    return of_node;
}
