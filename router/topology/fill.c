#include "topology/fill.h"

#include "topology/value.h"

void fill_record(struct filler *filler, const void *base, const struct schema_row *row, struct place place)
{
    if (!origins_record(filler->origins, base, row, place))
        findings_error(filler->findings, place, "out of memory; free some and try again");
}

bool fill_defaults(struct filler *filler, enum schema_scope scope, void *base)
{
    char problem[VALUE_PROBLEM_CAPACITY];
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        if (row->scope != scope || row->fallback == NULL)
            continue;
        if (!value_store(row, text_of_string(row->fallback), base, filler->storage, problem))
            return false;
    }
    return true;
}

/* "nodes[].url" is called "url" in a finding: the place says of which node. */
static const char *name_of(const struct schema_row *row)
{
    const char *item = strstr(row->path, "[].");
    return item == NULL ? row->path : item + strlen("[].");
}

static bool is_null(const struct yaml_node *node)
{
    struct text text = node->text;
    return node->is_plain && (text.length == 0 || text_equals(text, TEXT("~")) || text_equals(text, TEXT("null")));
}

static void fill_scalar(struct filler *filler, const struct schema_row *row, const struct yaml_node *node, void *base)
{
    char problem[VALUE_PROBLEM_CAPACITY];
    if (node->kind == YAML_REFUSED)
        return;
    if (node->kind != YAML_SCALAR)
        findings_error(filler->findings, node->place, "%s takes one value (%s), not %s; write `%s: value`",
                       name_of(row), schema_type_name(row->type), yaml_tree_kind_name(node), name_of(row));
    else if (is_null(node))
        findings_error(filler->findings, node->place, "%s has no value; write one or remove the key", name_of(row));
    else if (!value_store(row, node->text, base, filler->storage, problem))
        findings_error(filler->findings, node->place, "%s: %s", name_of(row), problem);
}

void fill_value(struct filler *filler, const struct schema_row *row, const struct yaml_node *node, void *base)
{
    const struct place *first = origins_find(filler->origins, base, row);
    if (first != NULL) {
        findings_error(filler->findings, node->place, "%s is given twice, first at %s:%u; remove one", name_of(row),
                       first->file, first->line);
        return;
    }
    /* Recorded even when the value is bad, so that it does not count as missing on top of that. */
    fill_record(filler, base, row, node->place);
    bool takes_list = row->type == SCHEMA_MODES || row->type == SCHEMA_NETWORKS;
    if (!takes_list || node->kind != YAML_SEQUENCE) {
        fill_scalar(filler, row, node, base);
        return;
    }
    if (node->count == 0 && row->words == NULL)
        findings_error(filler->findings, node->place, "%s is an empty list; write what belongs there, or remove the key",
                       name_of(row));
    else if (node->count == 0)
        findings_error(filler->findings, node->place, "%s is an empty list; write one of: %s", name_of(row),
                       row->words);
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next)
        fill_scalar(filler, row, item, base);
}

void fill_mapping(struct filler *filler, const char *section, const struct yaml_node *mapping, void *base)
{
    for (const struct yaml_node *member = mapping->first; member != NULL; member = member->next) {
        const struct schema_row *row = schema_find_key(section, member->key->text);
        if (row == NULL)
            fill_report_unknown(filler, section, member);
        else if (row->type == SCHEMA_SECTION)
            fill_section(filler, row, member, base);
        else
            fill_value(filler, row, member, base);
    }
}

void fill_section(struct filler *filler, const struct schema_row *row, const struct yaml_node *member, void *base)
{
    if (!fill_is_mapping(filler, name_of(row), member))
        return;
    fill_record(filler, base, row, member->place);
    fill_mapping(filler, row->path, member, base);
    fill_check_required(filler, row->path, member->place, base);
}

void fill_check_required(struct filler *filler, const char *section, struct place place, const void *base)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        if (!row->is_required || schema_find_key(section, schema_key(row)) != row)
            continue;
        if (origins_find(filler->origins, base, row) != NULL)
            continue;
        if (row->type == SCHEMA_MODES)
            findings_error(
                filler->findings, place,
                "mode is missing, and without one influxdb3 takes all, which compacts; add the mode that the node has");
        else
            findings_error(filler->findings, place, "%s is missing; add it: %s", name_of(row), row->help);
    }
}

void fill_report_unknown(struct filler *filler, const char *section, const struct yaml_node *member)
{
    struct text key = member->key->text;
    struct place place = member->key->place;
    const struct schema_row *near = schema_suggest(section, key);
    int length = key.length > 80 ? 80 : (int)key.length;
    if (near == NULL)
        findings_error(filler->findings, place, "unknown key \"%.*s\"; `sluice help config` lists all keys", length,
                       key.bytes);
    else if (schema_find_key(section, schema_key(near)) == near)
        findings_error(filler->findings, place, "unknown key \"%.*s\"; did you mean \"%.*s\"?", length, key.bytes,
                       TEXT_ARGUMENTS(schema_key(near)));
    else
        findings_error(filler->findings, place, "unknown key \"%.*s\" here; did you mean %s?", length, key.bytes,
                       near->path);
}

bool fill_is_mapping(struct filler *filler, const char *name, const struct yaml_node *node)
{
    if (node->kind == YAML_MAPPING)
        return true;
    if (node->kind != YAML_REFUSED)
        findings_error(filler->findings, node->place, "%s must be a mapping, not %s; write its keys as `key: value`",
                       name, yaml_tree_kind_name(node));
    return false;
}
