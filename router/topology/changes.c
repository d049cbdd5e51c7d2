#include "topology/changes.h"

#include "base/text.h"
#include "topology/schema.h"

/* The longest text that such a key takes, and its quotes. */
#define VALUE_CAPACITY 160

static uint64_t number_of(const struct schema_row *row, const void *field)
{
    return row->width == sizeof(unsigned) ? *(const unsigned *)field : *(const uint64_t *)field;
}

/* The value as the operator would write it: `"prod"`, `4`, `0 (one for each core)`. */
static void describe(const struct schema_row *row, const struct topology *topology, char buffer[VALUE_CAPACITY])
{
    const void *field = (const char *)topology + row->offset;
    if (row->type == SCHEMA_TEXT) {
        const char *text = *(const char *const *)field;
        text_append(buffer, VALUE_CAPACITY, 0, text != NULL ? "\"%s\"" : "%s", text != NULL ? text : "nothing");
        return;
    }
    uint64_t number = number_of(row, field);
    schema_describe_quantity(row, number, buffer, VALUE_CAPACITY);
    if (number == 0 && row->zero != NULL)
        text_append(buffer, VALUE_CAPACITY, strlen(buffer), " (%s)", row->zero);
}

static struct place place_of(const struct topology *topology, const struct schema_row *row)
{
    for (size_t i = 0; i < topology->origin_count; i++) {
        if (strcmp(topology->origins[i].key, row->path) == 0)
            return topology->origins[i].place;
    }
    return (struct place){"configuration", 0, 0};
}

void topology_changes(const struct topology *started, const struct topology *next, struct findings *findings)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        char before[VALUE_CAPACITY];
        char after[VALUE_CAPACITY];
        if (row->change == SCHEMA_CHANGE_RELOAD)
            continue;
        describe(row, started, before);
        describe(row, next, after);
        if (strcmp(before, after) == 0)
            continue;
        if (row->change == SCHEMA_CHANGE_RESTART)
            findings_warning(findings, place_of(next, row),
                             "%s changes from %s to %s; this needs a restart, the running value stays in force", row->path,
                             before, after);
        else
            findings_error(findings, place_of(next, row),
                           "%s changes from %s to %s, so this is the file of another cluster; name the right file, or "
                           "restart Sluice to serve that cluster",
                           row->path, before, after);
    }
}
