#include "control/config.h"

#include <jansson.h>
#include <string.h>

#include "base/network.h"
#include "topology/schema.h"
#include "topology/topology.h"

/* Where a row's offset counts from, and the topology that all of it belongs to. */
struct scope {
    const struct topology *topology;
    const void *base;
};

/* ---- values ---- */

static const void *field_of(const struct scope *scope, const struct schema_row *row)
{
    return (const char *)scope->base + row->offset;
}

static json_t *text_value(const struct scope *scope, const struct schema_row *row)
{
    const char *text = *(const char *const *)field_of(scope, row);
    if (text == NULL)
        text = row->fallback;
    return text == NULL ? NULL : json_string(text);
}

/* 0 where the key may not be 0: it was not given, and has no default. */
static json_t *quantity_value(const struct scope *scope, const struct schema_row *row)
{
    char buffer[32];
    const void *field = field_of(scope, row);
    uint64_t value = row->width == sizeof(uint64_t) ? *(const uint64_t *)field : *(const unsigned *)field;
    if (value == 0 && row->minimum > 0 && row->zero == NULL && row->words == NULL)
        return NULL;
    if (row->type == SCHEMA_INTEGER)
        return json_integer((json_int_t)value);
    return json_string(schema_describe_quantity(row, value, buffer, sizeof buffer));
}

static json_t *word_value(const struct scope *scope, const struct schema_row *row)
{
    unsigned index = *(const unsigned *)field_of(scope, row);
    struct text rest = text_of_string(row->words);
    struct text word = text_cut(&rest, ' ');
    while (index-- > 0)
        word = text_cut(&rest, ' ');
    return json_stringn(word.bytes, word.length);
}

static json_t *networks_value(const struct scope *scope, const struct schema_row *row)
{
    const struct topology_networks *networks = field_of(scope, row);
    char buffer[NETWORK_TEXT_BYTES];
    if (networks->count == 0)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < networks->count; i++)
        json_array_append_new(list, json_string(network_format(&networks->items[i], buffer, sizeof buffer)));
    return list;
}

static json_t *modes_value(const struct scope *scope, const struct schema_row *row)
{
    char buffer[64];
    return json_string(node_modes_describe(*(const unsigned *)field_of(scope, row), buffer, sizeof buffer));
}

static json_t *file_mode_value(const struct scope *scope, const struct schema_row *row)
{
    char buffer[16];
    unsigned mode = *(const unsigned *)field_of(scope, row);
    if (mode == 0)
        return NULL;
    text_append(buffer, sizeof buffer, 0, "0%o", mode);
    return json_string(buffer);
}

/* That of a listener is WRITE where none was set; a route always has one. */
static json_t *class_value(const struct scope *scope, const struct schema_row *row)
{
    if (row->scope == SCHEMA_SCOPE_LISTENER && ((const struct topology_listener *)scope->base)->class == REQUEST_CLASS_WRITE)
        return NULL;
    return json_string(request_class_name(*(const enum request_class *)field_of(scope, row)));
}

/* A prefix is stored without its asterisk. */
static json_t *target_value(const struct scope *scope, const struct schema_row *row)
{
    if (row->scope != SCHEMA_SCOPE_ROUTE)
        return text_value(scope, row);
    const struct topology_route *route = scope->base;
    return json_sprintf("%s%s", route->path, route->is_prefix ? "*" : "");
}

static json_t *url_value(const struct scope *scope)
{
    const char *url = ((const struct topology_node *)scope->base)->url;
    return url == NULL ? NULL : json_string(url);
}

/* NULL: the key is not set. */
static json_t *value_of(const struct scope *scope, const struct schema_row *row)
{
    switch (row->type) {
    case SCHEMA_TEXT:
    case SCHEMA_TOKEN:
    case SCHEMA_WORD:
        return text_value(scope, row);
    case SCHEMA_TARGET:
        return target_value(scope, row);
    case SCHEMA_INTEGER:
    case SCHEMA_SIZE:
    case SCHEMA_DURATION:
    case SCHEMA_SHARE:
        return quantity_value(scope, row);
    case SCHEMA_BOOLEAN:
        return json_boolean(*(const bool *)field_of(scope, row));
    case SCHEMA_MODES:
        return modes_value(scope, row);
    case SCHEMA_NETWORKS:
        return networks_value(scope, row);
    case SCHEMA_FILE_MODE:
        return file_mode_value(scope, row);
    case SCHEMA_ADDRESS:
        return json_string(((const struct topology_listener *)field_of(scope, row))->address);
    case SCHEMA_URL:
        return url_value(scope);
    case SCHEMA_CLASS:
        return class_value(scope, row);
    case SCHEMA_CHOICE:
        return word_value(scope, row);
    case SCHEMA_SECTION:
    case SCHEMA_LIST:
        break;
    }
    return NULL;
}

/* ---- sections and lists ---- */

static json_t *section_of(const struct scope *scope, const char *path);

static json_t *list_of(const struct topology *topology, const char *path, const void *items, size_t count, size_t size)
{
    char item_path[64];
    if (count == 0)
        return NULL;
    text_append(item_path, sizeof item_path, 0, "%s[]", path);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        struct scope scope = {.topology = topology, .base = (const char *)items + i * size};
        json_array_append_new(list, section_of(&scope, item_path));
    }
    return list;
}

static json_t *list_value(const struct scope *scope, const char *path)
{
    const struct topology *topology = scope->topology;
    if (strcmp(path, "listen") == 0)
        return list_of(topology, path, topology->listeners, topology->listener_count, sizeof *topology->listeners);
    if (strcmp(path, "nodes") == 0)
        return list_of(topology, path, topology->nodes, topology->node_count, sizeof *topology->nodes);
    if (strcmp(path, "routes") == 0)
        return list_of(topology, path, topology->routes, topology->route_count, sizeof *topology->routes);
    /* The first pair is tls.certificate and tls.key, where those are given. */
    const struct topology_listener *listener = scope->base;
    size_t first = listener->pair.certificate != NULL ? 1 : 0;
    return list_of(topology, path, listener->tls.pairs + first, listener->tls.pair_count - first, sizeof *listener->tls.pairs);
}

/* Is the section there at all? */
static bool has_section(const struct scope *scope, const char *path)
{
    if (strcmp(path, "admin") == 0)
        return scope->topology->admin.address != NULL;
    if (strcmp(path, "listen[].tls") == 0)
        return ((const struct topology_listener *)scope->base)->is_tls;
    if (strcmp(path, "nodes[].tls") == 0)
        return ((const struct topology_node *)scope->base)->is_tls;
    return true;
}

static json_t *member_of(const struct scope *scope, const struct schema_row *row)
{
    if (row->type == SCHEMA_SECTION)
        return has_section(scope, row->path) ? section_of(scope, row->path) : NULL;
    return row->type == SCHEMA_LIST ? list_value(scope, row->path) : value_of(scope, row);
}

/* Does the row stand right below `path`, which is empty at the top? */
static bool stands_in(const struct schema_row *row, const char *path)
{
    struct text key = schema_key(row);
    size_t length = strlen(path);
    size_t above = length == 0 ? 0 : length + 1;
    return strlen(row->path) == above + key.length && strncmp(row->path, path, length) == 0;
}

static json_t *section_of(const struct scope *scope, const char *path)
{
    json_t *section = json_object();
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        json_t *value = stands_in(row, path) ? member_of(scope, row) : NULL;
        if (value != NULL)
            json_object_set_new(section, schema_key(row).bytes, value);
    }
    return section;
}

struct json_t *config_format(const struct topology *topology)
{
    struct scope scope = {.topology = topology, .base = topology};
    return section_of(&scope, "");
}
