#include "topology/build.h"

#include <stdlib.h>

#include "topology/fill.h"
#include "topology/layout.h"
#include "topology/lint.h"

struct builder {
    struct topology *topology;
    struct filler fill;
};

/* One of the topology's arrays; made in full before anything is read, because origins point into it. */
struct array {
    void *items;
    size_t item_bytes;
    size_t *count;
    size_t maximum;
    const char *plural;
};

static struct place whole_file(const char *file)
{
    return (struct place){file, 0, 0};
}

static void report_memory(struct builder *builder, struct place place)
{
    findings_error(builder->fill.findings, place, "out of memory; free some and try again");
}

static struct array array_of(struct topology *t, enum schema_scope scope)
{
    switch (scope) {
    case SCHEMA_SCOPE_LISTENER:
        return (struct array){t->listeners, sizeof *t->listeners, &t->listener_count, TOPOLOGY_LISTENERS_MAXIMUM,
                              "listeners"};
    case SCHEMA_SCOPE_CERTIFICATE:
        return (struct array){t->certificates, sizeof *t->certificates, &t->certificate_count,
                              TOPOLOGY_CERTIFICATES_MAXIMUM, "certificates"};
    case SCHEMA_SCOPE_ROUTE:
        return (struct array){t->routes, sizeof *t->routes, &t->route_count, TOPOLOGY_ROUTES_MAXIMUM, "routes"};
    default:
        return (struct array){t->nodes, sizeof *t->nodes, &t->node_count, TOPOLOGY_NODES_MAXIMUM, "nodes"};
    }
}

/* The next item of an array, with its defaults and its place. NULL after a finding: the array is full, or no memory. */
static void *begin_item(struct builder *builder, enum schema_scope scope, struct place place)
{
    struct array array = array_of(builder->topology, scope);
    if (*array.count == array.maximum) {
        findings_error(builder->fill.findings, place, "more than %zu %s; leave some to a second Sluice", array.maximum,
                       array.plural);
        return NULL;
    }
    void *item = (char *)array.items + *array.count * array.item_bytes;
    if (!fill_defaults(&builder->fill, scope, item)) {
        report_memory(builder, place);
        return NULL;
    }
    (*array.count)++;
    fill_record(&builder->fill, item, NULL, place);
    return item;
}

static void read_certificates(struct builder *builder, const struct schema_row *row, const struct yaml_node *list)
{
    if (list->kind != YAML_SEQUENCE && list->kind != YAML_REFUSED)
        findings_error(builder->fill.findings, list->place, "tls.certificates must be a list, not %s; begin each item with \"- \"",
                       yaml_tree_kind_name(list));
    for (const struct yaml_node *item = list->kind == YAML_SEQUENCE ? list->first : NULL; item != NULL; item = item->next) {
        char section[64];
        struct tls_pair *pair = begin_item(builder, SCHEMA_SCOPE_CERTIFICATE, item->place);
        if (pair == NULL)
            return;
        text_append(section, sizeof section, 0, "%s[]", row->path);
        if (!fill_is_mapping(&builder->fill, "a certificate", item))
            continue;
        fill_mapping(&builder->fill, section, item, pair);
        fill_check_required(&builder->fill, section, item->place, pair);
    }
}

/* tls.certificate and tls.key are the first of the listener's certificates; those of the list stand behind them. */
static void read_listener_tls(struct builder *builder, const struct yaml_node *section, struct topology_listener *listener)
{
    static const char path[] = "listen[].tls";
    struct topology *topology = builder->topology;
    const struct yaml_node *list = yaml_tree_member(section, TEXT("certificates"));
    size_t first = topology->certificate_count;
    listener->is_tls = true;
    listener->tls.offers_http2 = true;
    fill_record(&builder->fill, listener, schema_find(TEXT("listen[].tls")), section->place);
    for (const struct yaml_node *member = section->first; member != NULL; member = member->next) {
        const struct schema_row *row = schema_find_key(path, member->key->text);
        if (row == NULL)
            fill_report_unknown(&builder->fill, path, member);
        else if (row->type != SCHEMA_LIST)
            fill_value(&builder->fill, row, member, listener);
    }
    if (listener->pair.certificate != NULL) {
        const struct schema_row *row = schema_find(TEXT("listen[].tls.certificates[].certificate"));
        struct place place = origins_place(builder->fill.origins, listener, "listen[].tls.certificate");
        struct tls_pair *pair = begin_item(builder, SCHEMA_SCOPE_CERTIFICATE, place);
        if (pair != NULL) {
            *pair = listener->pair;
            fill_record(&builder->fill, pair, row, place);
            if (pair->key != NULL)
                fill_record(&builder->fill, pair, schema_find(TEXT("listen[].tls.certificates[].key")),
                            origins_place(builder->fill.origins, listener, "listen[].tls.key"));
        }
    }
    if (list != NULL)
        read_certificates(builder, schema_find(TEXT("listen[].tls.certificates")), list);
    listener->tls.pairs = topology->certificates + first;
    listener->tls.pair_count = topology->certificate_count - first;
}

static void read_listener_keys(struct builder *builder, const struct yaml_node *item, struct topology_listener *listener)
{
    for (const struct yaml_node *member = item->first; member != NULL; member = member->next) {
        const struct schema_row *row = schema_find_key("listen[]", member->key->text);
        if (row == NULL)
            fill_report_unknown(&builder->fill, "listen[]", member);
        else if (row->type != SCHEMA_SECTION)
            fill_value(&builder->fill, row, member, listener);
        else if (fill_is_mapping(&builder->fill, "tls", member))
            read_listener_tls(builder, member, listener);
    }
}

/* False, here and below, when a list need not be read on: its array is full. */
static bool read_listener(struct builder *builder, const struct yaml_node *item)
{
    struct topology_listener *listener = begin_item(builder, SCHEMA_SCOPE_LISTENER, item->place);
    if (listener == NULL)
        return false;
    listener->line = item->place.line;
    if (item->kind == YAML_SCALAR) {
        fill_value(&builder->fill, schema_find(TEXT("listen[].address")), item, listener);
    } else if (fill_is_mapping(&builder->fill, "a listener", item)) {
        read_listener_keys(builder, item, listener);
        fill_check_required(&builder->fill, "listen[]", item->place, listener);
    }
    return true;
}

static void finish_route(struct builder *builder, struct topology_route *route)
{
    struct place place = origins_place(builder->fill.origins, route, "routes[].path");
    struct text path = text_of_string(route->path);
    ptrdiff_t asterisk = text_find(path, TEXT("*"));
    if (asterisk < 0)
        return;
    route->is_prefix = true;
    if ((size_t)asterisk + 1 < path.length)
        findings_error(builder->fill.findings, place,
                       "path: \"%s\" has an asterisk before its end; only the last character may be one", route->path);
    route->path = storage_copy(builder->fill.storage, text_of(path.bytes, (size_t)asterisk));
    if (route->path == NULL)
        report_memory(builder, place);
}

static bool read_route(struct builder *builder, const struct yaml_node *item)
{
    struct topology_route *route = begin_item(builder, SCHEMA_SCOPE_ROUTE, item->place);
    if (route == NULL)
        return false;
    route->line = item->place.line;
    if (!fill_is_mapping(&builder->fill, "a route", item))
        return true;
    fill_mapping(&builder->fill, "routes[]", item, route);
    fill_check_required(&builder->fill, "routes[]", item->place, route);
    if (route->path != NULL)
        finish_route(builder, route);
    return true;
}

/* Each node of a layout may name its cluster and that one's storage engine; they have to agree. */
static void read_cluster_key(struct builder *builder, const char *name, const struct yaml_node *member)
{
    const struct topology *topology = builder->topology;
    const struct schema_row *row = schema_find(text_of_string(name));
    const struct place *first = origins_find(builder->fill.origins, topology, row);
    bool is_id = strcmp(name, "cluster_id") == 0;
    const char *known = is_id ? topology->cluster_id : storage_engine_name(topology->storage_engine);
    if (first == NULL || known == NULL || member->kind != YAML_SCALAR)
        fill_value(&builder->fill, row, member, builder->topology);
    else if (!text_equals(text_of_string(known), member->text))
        findings_error(builder->fill.findings, member->place, "%s \"%s\" differs from \"%s\" at %s:%u; nodes of one cluster share one %s",
                       name, member->text.bytes, known, first->file, first->line, is_id ? "--cluster-id" : "engine");
}

/* One key of a node, in the schema's spelling or, in a layout, in any of influxdb3's. */
static void read_node_key(struct builder *builder, const struct yaml_node *member, struct topology_node *node,
                          bool is_layout)
{
    char name[LAYOUT_NAME_CAPACITY];
    struct place place = member->key->place;
    const struct schema_row *row = is_layout ? NULL : schema_find_key("nodes[]", member->key->text);
    if (row != NULL && row->type == SCHEMA_SECTION) {
        fill_section(&builder->fill, row, member, node);
        return;
    }
    switch (layout_key_find(member->key->text, name)) {
    case LAYOUT_KEY_NODE:
        fill_value(&builder->fill, schema_find_key("nodes[]", text_of_string(name)), member, node);
        return;
    case LAYOUT_KEY_CLUSTER:
        read_cluster_key(builder, name, member);
        return;
    case LAYOUT_KEY_COUNT:
        if (!is_layout)
            findings_error(builder->fill.findings, place, "count is only for layouts without urls; list each node");
        return;
    case LAYOUT_KEY_SERVE:
        return;
    case LAYOUT_KEY_UNKNOWN:
        if (!is_layout)
            fill_report_unknown(&builder->fill, "nodes[]", member);
        else
            findings_warning(builder->fill.findings, place,
                             "\"%s\" is no option of influxdb3 that is known here; check its spelling", name);
        return;
    }
}

static struct topology_node *begin_node(struct builder *builder, const struct yaml_node *item)
{
    struct topology_node *node = begin_item(builder, SCHEMA_SCOPE_NODE, item->place);
    if (node != NULL)
        node->line = item->place.line;
    return node;
}

static void read_node(struct builder *builder, const struct yaml_node *item, struct topology_node *node, bool is_layout)
{
    for (const struct yaml_node *member = item->first; member != NULL; member = member->next)
        read_node_key(builder, member, node, is_layout);
}

static bool read_listed_node(struct builder *builder, const struct yaml_node *item)
{
    struct topology_node *node = begin_node(builder, item);
    if (node == NULL)
        return false;
    if (!fill_is_mapping(&builder->fill, "a node", item))
        return true;
    read_node(builder, item, node, false);
    fill_check_required(&builder->fill, "nodes[]", item->place, node);
    return true;
}

/* How many nodes a document of a layout stands for; 1 after a finding. */
static size_t layout_count(struct builder *builder, const struct yaml_node *document)
{
    for (const struct yaml_node *member = document->first; member != NULL; member = member->next) {
        char name[LAYOUT_NAME_CAPACITY];
        uint64_t value;
        if (layout_key_find(member->key->text, name) != LAYOUT_KEY_COUNT)
            continue;
        if (member->kind == YAML_SCALAR && text_to_u64(member->text, &value) && value >= 1 &&
            value <= TOPOLOGY_NODES_MAXIMUM)
            return (size_t)value;
        findings_error(builder->fill.findings, member->place, "count is no number of nodes; write 1 to %d",
                       TOPOLOGY_NODES_MAXIMUM);
    }
    return 1;
}

/* "node-4", or "ingester-2" for the second of several with node_id "ingester"; a lone node keeps its own. */
static void name_layout_node(struct builder *builder, struct topology_node *node, const char *given, size_t number,
                             size_t count)
{
    char name[160];
    if (given != NULL && count == 1)
        return;
    if (given != NULL)
        text_append(name, sizeof name, 0, "%s-%zu", given, number);
    else
        text_append(name, sizeof name, 0, "node-%zu", builder->topology->node_count);
    node->node_id = storage_copy(builder->fill.storage, text_of_string(name));
    if (node->node_id == NULL)
        report_memory(builder, (struct place){"layout", node->line, 0});
}

static void read_layout_node(struct builder *builder, const struct yaml_node *document)
{
    size_t count = layout_count(builder, document);
    struct topology_node *first = begin_node(builder, document);
    if (first == NULL)
        return;
    read_node(builder, document, first, true);
    if (!origins_has(builder->fill.origins, first, "nodes[].node_id"))
        fill_record(&builder->fill, first, schema_find(TEXT("nodes[].node_id")), document->place);
    fill_check_required(&builder->fill, "nodes[]", document->place, first);
    if (count > 1 && first->url != NULL) {
        findings_error(builder->fill.findings, origins_place(builder->fill.origins, first, "nodes[].url"),
                       "one url for %zu nodes; write one document for each node", count);
        count = 1;
    }
    const char *given = first->node_id;
    name_layout_node(builder, first, given, 1, count);
    for (size_t number = 2; number <= count; number++) {
        struct topology_node *node = begin_node(builder, document);
        if (node == NULL)
            return;
        *node = *first;
        if (!origins_copy(builder->fill.origins, first, node))
            report_memory(builder, document->place);
        name_layout_node(builder, node, given, number, count);
    }
}

static void read_list(struct builder *builder, const struct schema_row *row, const struct yaml_node *list)
{
    fill_record(&builder->fill, builder->topology, row, list->place);
    if (list->kind != YAML_SEQUENCE && list->kind != YAML_REFUSED)
        findings_error(builder->fill.findings, list->place, "%s must be a list, not %s; begin each item with \"- \"",
                       row->path, yaml_tree_kind_name(list));
    if (list->kind != YAML_SEQUENCE)
        return;
    bool is_room = true;
    for (const struct yaml_node *item = list->first; item != NULL && is_room; item = item->next) {
        if (strcmp(row->path, "listen") == 0)
            is_room = read_listener(builder, item);
        else if (strcmp(row->path, "routes") == 0)
            is_room = read_route(builder, item);
        else
            is_room = read_listed_node(builder, item);
    }
}

static void read_document(struct builder *builder, const struct yaml_node *document)
{
    if (!fill_is_mapping(&builder->fill, "a document", document))
        return;
    for (const struct yaml_node *member = document->first; member != NULL; member = member->next) {
        const struct schema_row *row = schema_find_key("", member->key->text);
        if (row == NULL) {
            fill_report_unknown(&builder->fill, "", member);
        } else if (row->type == SCHEMA_LIST) {
            read_list(builder, row, member);
        } else if (row->type != SCHEMA_SECTION) {
            fill_value(&builder->fill, row, member, builder->topology);
        } else if (fill_is_mapping(&builder->fill, row->path, member)) {
            fill_mapping(&builder->fill, row->path, member, builder->topology);
            fill_check_required(&builder->fill, row->path, member->place, builder->topology);
        }
    }
}

static bool make_arrays(struct topology *topology)
{
    struct topology_storage *storage = topology->storage;
    topology->listeners = storage_take(storage, TOPOLOGY_LISTENERS_MAXIMUM, sizeof *topology->listeners);
    topology->nodes = storage_take(storage, TOPOLOGY_NODES_MAXIMUM, sizeof *topology->nodes);
    topology->routes = storage_take(storage, TOPOLOGY_ROUTES_MAXIMUM, sizeof *topology->routes);
    topology->certificates = storage_take(storage, TOPOLOGY_CERTIFICATES_MAXIMUM, sizeof *topology->certificates);
    return topology->listeners != NULL && topology->certificates != NULL && topology->nodes != NULL && topology->routes != NULL;
}

static unsigned capabilities_of(const struct topology_node *node)
{
    unsigned capabilities = 0;
    if ((node->modes & (NODE_MODE_INGEST | NODE_MODE_ALL)) != 0)
        capabilities |= NODE_CAPABILITY_INGEST;
    if ((node->modes & (NODE_MODE_QUERY | NODE_MODE_ALL)) != 0)
        capabilities |= NODE_CAPABILITY_QUERY;
    if ((node->modes & (NODE_MODE_COMPACT | NODE_MODE_ALL)) != 0)
        capabilities |= NODE_CAPABILITY_COMPACT;
    if ((node->modes & (NODE_MODE_PROCESS | NODE_MODE_ALL)) != 0 || node->plugin_dir != NULL)
        capabilities |= NODE_CAPABILITY_PROCESS;
    return capabilities;
}

/* What a node does not say of its TLS is said by the section for all of them; a key belongs to its certificate. */
static void derive_node_tls(const struct topology *topology, struct topology_node *node, bool has_verify)
{
    if (node->tls.ca == NULL)
        node->tls.ca = topology->tls.ca;
    if (node->tls.pair.certificate == NULL)
        node->tls.pair = topology->tls.pair;
    if (!has_verify)
        node->tls.verify = topology->tls.verify;
    node->tls.minimum_version = topology->tls.minimum_version;
}

/*
 * A node's share of the writes is that of the threads that parse them: the IO threads. The upgraded engine starts one for
 * each core, the Parquet engine as many as it is told to.
 */
static unsigned weight_of(enum storage_engine engine, const struct topology_node *node)
{
    if (node->given_weight > 0)
        return node->given_weight;
    if (engine == STORAGE_ENGINE_UPGRADED && node->cores > 0)
        return node->cores;
    return node->io_threads > 0 ? node->io_threads : 1;
}

/* What follows from what was written. */
static void derive(struct topology *topology, const struct origins *origins)
{
    for (size_t i = 0; i < topology->node_count; i++) {
        struct topology_node *node = &topology->nodes[i];
        node->capabilities = capabilities_of(node);
        node->weight = weight_of(topology->storage_engine, node);
        if (node->maximum_links == 0)
            node->maximum_links = (unsigned)topology->limits.upstream_links;
        derive_node_tls(topology, node, origins_has(origins, node, "nodes[].tls.verify"));
    }
}

/* Origins end with the reading; those that a later reload will be judged by are kept with the topology. */
static bool keep_origins(struct builder *builder)
{
    struct topology *topology = builder->topology;
    topology->origins = storage_take(builder->fill.storage, schema_row_count, sizeof *topology->origins);
    if (topology->origins == NULL)
        return false;
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        if (row->change == SCHEMA_CHANGE_RELOAD)
            continue;
        struct place place = origins_place(builder->fill.origins, topology, row->path);
        place.file = storage_copy(builder->fill.storage, text_of_string(place.file));
        if (place.file == NULL)
            return false;
        topology->origins[topology->origin_count++] = (struct topology_origin){row->path, place};
    }
    return true;
}

static void build(struct builder *builder, struct yaml_tree *const *trees, size_t count, enum topology_purpose purpose)
{
    struct findings *findings = builder->fill.findings;
    struct topology *topology = builder->topology;
    size_t errors_before = findings_count(findings, FINDING_ERROR);
    fill_record(&builder->fill, topology, NULL, whole_file(trees[0]->file));
    if (!make_arrays(topology) || !fill_defaults(&builder->fill, SCHEMA_SCOPE_TOPOLOGY, topology)) {
        report_memory(builder, whole_file(trees[0]->file));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (trees[i]->first == NULL)
            findings_error(findings, whole_file(trees[i]->file),
                           "is empty; `sluice help config` lists what can be in it");
        for (const struct yaml_node *document = trees[i]->first; document != NULL; document = document->next) {
            if (layout_is_node(document))
                read_layout_node(builder, document);
            else
                read_document(builder, document);
        }
    }
    derive(topology, builder->fill.origins);
    bool is_complete = findings_count(findings, FINDING_ERROR) == errors_before;
    lint_topology(topology, builder->fill.origins, purpose, is_complete, findings);
    if (!keep_origins(builder))
        report_memory(builder, whole_file(trees[0]->file));
}

static bool read_trees(const char *const *paths, size_t count, struct yaml_tree **trees, struct findings *findings)
{
    bool are_all_read = true;
    for (size_t i = 0; i < count; i++) {
        trees[i] = yaml_tree_read(paths[i], findings);
        are_all_read = are_all_read && trees[i] != NULL;
    }
    return are_all_read;
}

static struct topology *create_topology(void)
{
    struct topology_storage *storage = storage_create();
    struct topology *topology = storage == NULL ? NULL : storage_take(storage, 1, sizeof *topology);
    if (topology == NULL) {
        storage_destroy(storage);
        return NULL;
    }
    atomic_init(&topology->references, 1);
    topology->storage = storage;
    return topology;
}

struct topology *topology_read(const char *const *paths, size_t count, enum topology_purpose purpose,
                               struct findings *findings)
{
    size_t errors_before = findings_count(findings, FINDING_ERROR);
    struct yaml_tree **trees = calloc(count > 0 ? count : 1, sizeof *trees);
    struct builder builder = {.topology = create_topology(),
                              .fill = {.origins = origins_create(), .findings = findings}};
    if (count == 0 || trees == NULL || builder.topology == NULL || builder.fill.origins == NULL) {
        findings_error(findings, whole_file(count == 0 ? "configuration" : paths[0]),
                       count == 0 ? "no file is given; name one" : "out of memory; free some and try again");
    } else if (read_trees(paths, count, trees, findings)) {
        builder.fill.storage = builder.topology->storage;
        build(&builder, trees, count, purpose);
    }
    for (size_t i = 0; i < count && trees != NULL; i++)
        yaml_tree_destroy(trees[i]);
    free(trees);
    origins_destroy(builder.fill.origins);
    if (findings_count(findings, FINDING_ERROR) == errors_before)
        return builder.topology;
    topology_release(builder.topology);
    return NULL;
}
