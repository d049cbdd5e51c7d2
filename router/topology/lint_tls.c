#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "topology/lint_rules.h"
#include "topology/seen.h"

/* Where the complaints about one pair of files go. */
struct judged_pair {
    const struct lint *lint;
    struct place certificate;
    struct place key;
    const char *certificate_name; /* the keys, as the operator knows them */
    const char *key_name;
};

/* A file that `check` does not find may still be there where Sluice will run; `serve` has to read it. */
static void report(const struct lint *lint, struct place place, bool is_error, const char *name,
                   const struct tls_trouble *trouble)
{
    if (is_error && !(trouble->is_missing && lint->purpose == TOPOLOGY_PURPOSE_CHECK))
        findings_error(lint->findings, place, "%s: %s", name, trouble->text);
    else
        findings_warning(lint->findings, place, "%s: %s", name, trouble->text);
}

static void on_trouble(void *owner, bool is_error, const struct tls_trouble *trouble)
{
    const struct judged_pair *judged = owner;
    report(judged->lint, trouble->is_about_key ? judged->key : judged->certificate, is_error,
           trouble->is_about_key ? judged->key_name : judged->certificate_name, trouble);
}

/* The pair of `base` whose keys are `certificate` and `key`; each is named in findings from `skipped` characters on. */
static void judge_pair(const struct lint *lint, const struct tls_pair *pair, const void *base, const char *certificate,
                       const char *key, size_t skipped, bool is_shown_to_clients)
{
    struct place place = lint_place(lint, base, certificate);
    struct judged_pair judged = {
        .lint = lint,
        .certificate = place,
        .key = origins_has(lint->origins, base, key) ? lint_place(lint, base, key) : place,
        .certificate_name = certificate + skipped,
        .key_name = (origins_has(lint->origins, base, key) ? key : certificate) + skipped,
    };
    if (pair->certificate != NULL)
        tls_pair_judge(pair, is_shown_to_clients, on_trouble, &judged);
}

static void judge_authorities(const struct lint *lint, const char *path, struct place place, const char *name)
{
    struct tls_trouble trouble = {0};
    if (path != NULL && !tls_authorities_read(path, NULL, NULL, NULL, &trouble))
        report(lint, place, true, name, &trouble);
}

/* ---- listeners ---- */

void lint_tls_listener_certificates(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->listener_count; i++) {
        const struct topology_listener *listener = &lint->topology->listeners[i];
        if (!listener->is_tls)
            continue;
        struct place place = lint_place(lint, listener, "listen[].tls");
        if (listener->pair.certificate == NULL && listener->pair.key != NULL)
            findings_error(lint->findings, lint_place(lint, listener, "listen[].tls.key"),
                           "tls.key has no certificate beside it; add tls.certificate");
        else if (listener->tls.pair_count == 0 && lint->is_complete)
            findings_error(lint->findings, place, "tls has no certificate to show; add tls.certificate and tls.key");
        for (size_t j = 0; j < listener->tls.pair_count; j++)
            judge_pair(lint, &listener->tls.pairs[j], &listener->tls.pairs[j], "listen[].tls.certificates[].certificate",
                       "listen[].tls.certificates[].key", strlen("listen[].tls.certificates[]."), true);
    }
}

/* The first of `names` that is in `others`, too; empty when none is. */
static struct text find_shared_name(const char *names, const char *others)
{
    struct text rest = text_of_string(names);
    while (rest.length > 0) {
        struct text name = text_cut(&rest, '\n');
        struct text other_rest = text_of_string(others);
        while (other_rest.length > 0) {
            if (text_equals_ignoring_case(name, text_cut(&other_rest, '\n')))
                return name;
        }
    }
    return TEXT_EMPTY;
}

/* For each name a client is shown the first certificate; RSA beside ECDSA would be a second one that nobody ever sees. */
static void report_shared_names(const struct lint *lint, const struct topology_listener *listener)
{
    size_t count = listener->tls.pair_count;
    char **names = calloc(count, sizeof *names);
    for (size_t i = 0; i < count && names != NULL; i++) {
        const struct tls_pair *pair = &listener->tls.pairs[i];
        struct text shared = TEXT_EMPTY;
        names[i] = pair->certificate == NULL ? NULL : tls_pair_names(pair);
        for (size_t j = 0; j < i && names[i] != NULL && shared.length == 0; j++)
            shared = names[j] == NULL ? TEXT_EMPTY : find_shared_name(names[i], names[j]);
        if (shared.length > 0)
            findings_warning(lint->findings, lint_place(lint, pair, "listen[].tls.certificates[].certificate"),
                             "certificate: %s: is never shown for %.*s, which a certificate above is for; remove one of them",
                             pair->certificate, TEXT_ARGUMENTS(shared));
    }
    for (size_t i = 0; i < count && names != NULL; i++)
        free(names[i]);
    free(names);
}

void lint_tls_listener_names(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->listener_count; i++) {
        const struct topology_listener *listener = &lint->topology->listeners[i];
        if (listener->is_tls && listener->tls.pair_count > 1)
            report_shared_names(lint, listener);
    }
}

void lint_tls_listener_clients(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->listener_count; i++) {
        const struct topology_listener *listener = &lint->topology->listeners[i];
        const char *ca = listener->tls.client_ca;
        bool is_asked = listener->tls.client_certificate != TLS_CLIENT_CERTIFICATE_NONE;
        if (is_asked && ca == NULL)
            findings_error(lint->findings, lint_place(lint, listener, "listen[].tls.client_certificate"),
                           "tls.client_certificate needs to know whose certificates are good; add tls.client_ca");
        if (!is_asked && ca != NULL)
            findings_error(lint->findings, lint_place(lint, listener, "listen[].tls.client_ca"),
                           "tls.client_ca without effect: clients are not asked for a certificate; add "
                           "tls.client_certificate: required, or optional");
        judge_authorities(lint, ca, lint_place(lint, listener, "listen[].tls.client_ca"), "tls.client_ca");
    }
}

/* ---- nodes ---- */

/* Nodes that name the files of an earlier one need no second look at them: a thousand may share one authority. */
static bool judge_node_files(const struct lint *lint, const struct topology_node *node, struct seen *seen, size_t index)
{
    char files[2 * 4096 + 8];
    size_t first = index;
    if (origins_has(lint->origins, node, "nodes[].tls.certificate")) {
        text_append(files, sizeof files, 0, "pair\n%s\n%s", node->tls.pair.certificate != NULL ? node->tls.pair.certificate : "",
                    node->tls.pair.key != NULL ? node->tls.pair.key : "");
        if (!seen_add(seen, text_of_string(files), index, &first))
            return false;
        if (first == index)
            judge_pair(lint, &node->tls.pair, node, "nodes[].tls.certificate", "nodes[].tls.key", strlen("nodes[]."), false);
    }
    if (origins_has(lint->origins, node, "nodes[].tls.ca")) {
        text_append(files, sizeof files, 0, "ca\n%s", node->tls.ca != NULL ? node->tls.ca : "");
        if (!seen_add(seen, text_of_string(files), index, &first))
            return false;
        if (first == index)
            judge_authorities(lint, node->tls.ca, lint_place(lint, node, "nodes[].tls.ca"), "tls.ca");
    }
    return true;
}

void lint_tls_nodes_files(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    struct seen *seen = seen_create();
    bool is_judged = seen != NULL;
    if (topology->tls.pair.certificate == NULL && topology->tls.pair.key != NULL)
        findings_error(lint->findings, lint_place(lint, topology, "tls.key"),
                       "tls.key has no certificate beside it; add tls.certificate");
    judge_pair(lint, &topology->tls.pair, topology, "tls.certificate", "tls.key", 0, false);
    judge_authorities(lint, topology->tls.ca, lint_place(lint, topology, "tls.ca"), "tls.ca");
    for (size_t i = 0; i < topology->node_count && is_judged; i++) {
        const struct topology_node *node = &topology->nodes[i];
        if (!origins_has(lint->origins, node, "nodes[].tls.certificate") &&
            origins_has(lint->origins, node, "nodes[].tls.key"))
            findings_error(lint->findings, lint_place(lint, node, "nodes[].tls.key"),
                           "tls.key has no certificate beside it; add tls.certificate");
        is_judged = judge_node_files(lint, node, seen, i);
    }
    if (!is_judged)
        lint_out_of_memory(lint);
    seen_destroy(seen);
}

#define LABEL_MAXIMUM 63

/* A name or an address that a certificate can be for. OpenSSL would take one that begins with a dot for any host below it. */
static bool is_server_name(const char *name)
{
    struct in6_addr address;
    if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
        return true;
    size_t label = 0;
    bool is_good = true;
    for (const char *at = name; *at != '\0' && is_good; at++) {
        bool is_dot = *at == '.';
        is_good = is_dot ? label > 0 : isalnum((unsigned char)*at) || *at == '-' || *at == '_';
        label = is_dot ? 0 : label + 1;
        is_good = is_good && label <= LABEL_MAXIMUM;
    }
    return is_good && label > 0;
}

void lint_tls_nodes_names(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->node_count; i++) {
        const struct topology_node *node = &lint->topology->nodes[i];
        if (node->server_name != NULL && !is_server_name(node->server_name))
            findings_error(lint->findings, lint_place(lint, node, "nodes[].tls.server_name"),
                           "tls.server_name: \"%s\" is no host's name, so no certificate is for it; write one as "
                           "query-01.plant.example",
                           node->server_name);
    }
}

/* Tokens go to whoever answers: somebody on the way can be that, too. */
void lint_tls_nodes_unverified(const struct lint *lint)
{
    const struct topology *topology = lint->topology;
    bool was_told = false;
    for (size_t i = 0; i < topology->node_count; i++) {
        const struct topology_node *node = &topology->nodes[i];
        bool is_own = origins_has(lint->origins, node, "nodes[].tls.verify");
        if (!node->is_tls || node->tls.verify || (!is_own && was_told))
            continue;
        was_told = was_told || !is_own;
        findings_warning(lint->findings, is_own ? lint_place(lint, node, "nodes[].tls.verify") : lint_place(lint, topology, "tls.verify"),
                         "tls.verify: false lets anybody on the way pose as %s%s and read tokens and data; name the "
                         "authority in tls.ca instead",
                         is_own ? "node " : "any https node", is_own ? lint_node_name(node) : "");
    }
}

void lint_tls_nodes_clear_text(const struct lint *lint)
{
    for (size_t i = 0; i < lint->topology->node_count; i++) {
        const struct topology_node *node = &lint->topology->nodes[i];
        if (origins_has(lint->origins, node, "nodes[].tls") && node->url != NULL && !node->is_tls)
            findings_warning(lint->findings, lint_place(lint, node, "nodes[].tls"),
                             "tls without effect: the url of \"%s\" begins with http://; write https://, or remove this",
                             lint_node_name(node));
    }
}
