#include "swarm/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAXIMUM 2048

struct row {
    char *name;
    size_t seeds;
    size_t expected_within; /* seeds; 0: it need not be reached */
};

struct table {
    struct row rows[ROWS_MAXIMUM];
    size_t count;
};

struct table *table_create(void)
{
    return calloc(1, sizeof(struct table));
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->rows[i].name);
    free(table);
}

static struct row *row_of(struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    }
    if (table->count == ROWS_MAXIMUM)
        abort();
    struct row *row = &table->rows[table->count++];
    row->name = strdup(name);
    return row;
}

void table_add(void *owner, const char *line)
{
    const char *name = strchr(line, ' ') + 1;
    struct row *row = row_of(owner, name);
    if (line[0] == 'r')
        row->seeds++;
}

bool table_expect(struct table *table, const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *name;
        line[strcspn(line, "\n")] = '\0';
        size_t within = strtoul(line, &name, 10);
        if (within > 0 && *name == ' ')
            row_of(table, name + 1)->expected_within = within;
    }
    fclose(file);
    return true;
}

static int by_rarity(const void *a, const void *b)
{
    const struct row *first = a;
    const struct row *second = b;
    if (first->seeds != second->seeds)
        return first->seeds < second->seeds ? -1 : 1;
    return strcmp(first->name, second->name);
}

size_t table_print(struct table *table, size_t seeds, bool is_whole)
{
    size_t missing = 0;
    qsort(table->rows, table->count, sizeof table->rows[0], by_rarity);
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        bool is_missing = row->expected_within > 0 && seeds >= row->expected_within && row->seeds == 0;
        missing += is_missing;
        if (is_whole || is_missing)
            printf("%7zu of %zu seeds  %s%s\n", row->seeds, seeds, row->name, is_missing ? "  (must be reached)" : "");
    }
    return missing;
}
