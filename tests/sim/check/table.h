#ifndef SLUICE_SIM_CHECK_TABLE_H
#define SLUICE_SIM_CHECK_TABLE_H
/* How many seeds reached each rare state. */
#include <stdbool.h>
#include <stddef.h>

struct table;

struct table *table_create(void);
void table_free(struct table *table);
/* A line of a child's report: "reached NAME" counts, "exists NAME" only makes the row. */
void table_add(void *table, const char *line);
/*
 * A file of lines: "N NAME" must be reached within N seeds; "never NAME # reason" need not be reached by any; "#" begins a comment. False when the file
 * cannot be read, or has another line.
 */
bool table_expect(struct table *table, const char *path);
/* Prints the rows, the rarest first; returns how many are wrong, and prints these in any case. */
size_t table_print(struct table *table, size_t seeds, bool is_whole);

/* A swarm of so many seeds reaches each row that has no exception; and a row that so many of them reach needs none. */
#define TABLE_ALL_SEEDS 20000
#define TABLE_OFTEN 4

/* What the file says of a row. */
struct table_rule {
    size_t within;   /* seeds; 0: nothing is asked */
    bool is_excepted;
};

/* What is wrong with a row that `reached_by` of `seeds` seeds have reached; NULL: nothing. */
const char *table_verdict(const struct table_rule *rule, size_t reached_by, size_t seeds);

#endif
