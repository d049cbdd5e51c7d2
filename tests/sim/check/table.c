#include "check/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAXIMUM 2048

struct row {
    char *name;
    size_t seeds;
    struct table_rule rule;
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

/* One line of the file. */
static bool read_rule(struct table *table, char *line)
{
    static const char never[] = "never ";
    char *name = line;
    if (line[0] == '\0' || line[0] == '#')
        return true;
    if (strncmp(line, never, sizeof never - 1) == 0) {
        char *reason = strstr(line, " # ");
        if (reason == NULL)
            return false;
        *reason = '\0';
        row_of(table, line + sizeof never - 1)->rule.is_excepted = true;
        return true;
    }
    size_t within = strtoul(line, &name, 10);
    if (within == 0 || *name != ' ')
        return false;
    row_of(table, name + 1)->rule.within = within;
    return true;
}

bool table_expect(struct table *table, const char *path)
{
    char line[512];
    bool is_right = true;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        is_right = read_rule(table, line) && is_right;
    }
    fclose(file);
    return is_right;
}

const char *table_verdict(const struct table_rule *rule, size_t reached_by, size_t seeds)
{
    if (rule->is_excepted)
        return reached_by >= TABLE_OFTEN ? "has an exception, and is reached" : NULL;
    if (reached_by > 0)
        return NULL;
    if (rule->within > 0 && seeds >= rule->within)
        return "must be reached";
    return seeds >= TABLE_ALL_SEEDS ? "is reached by none, and has no exception" : NULL;
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
    size_t wrong = 0;
    qsort(table->rows, table->count, sizeof table->rows[0], by_rarity);
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        const char *verdict = table_verdict(&row->rule, row->seeds, seeds);
        wrong += verdict != NULL;
        if (is_whole || verdict != NULL)
            printf("%7zu of %zu seeds  %s%s%s%s\n", row->seeds, seeds, row->name, verdict == NULL ? "" : "  (", verdict == NULL ? "" : verdict,
                   verdict == NULL ? "" : ")");
    }
    return wrong;
}
