#ifndef SLUICE_SIM_SWARM_TABLE_H
#define SLUICE_SIM_SWARM_TABLE_H
/* How many seeds reached each rare state. */
#include <stdbool.h>
#include <stddef.h>

struct table;

struct table *table_create(void);
void table_free(struct table *table);
/* A line of a child's report: "reached NAME" counts, "exists NAME" only makes the row. */
void table_add(void *table, const char *line);
/* Rows that must be reached: a file with "N NAME" a line, within so many seeds; "#" begins a comment. False when it cannot be read. */
bool table_expect(struct table *table, const char *path);
/* Prints the rows, the rarest first; returns how many of those that were expected no seed has reached. */
size_t table_print(struct table *table, size_t seeds, bool is_whole);

#endif
