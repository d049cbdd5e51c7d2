#ifndef SLUICE_CLI_STATUS_TABLE_H
#define SLUICE_CLI_STATUS_TABLE_H
/*
 * The answer of /status as a table for people: two lines about the whole, a heading, one line for each node, trouble first. Pure.
 *
 * The order: nodes that are not up, those that are up and still not usable, those in maint, those that drain, then the others; among
 * these, those with more failures first, then as the configuration has them.
 */
#include <stdio.h>

#include "cli/admin_answer.h"

/* What the table may take up; 0: as much as it wants, and every count to its last digit. */
struct table_room {
    unsigned rows; /* at least STATUS_TABLE_ROWS_MINIMUM unless 0 */
    unsigned columns;
};
/* The whole, the heading, one node, and how many are left out. */
#define STATUS_TABLE_ROWS_MINIMUM 5

/* Writes whole lines to `stream`, each of visible characters and at most `columns` wide. False when memory is out. */
bool status_table_print(const struct status_report *report, const char *address, struct table_room room, FILE *stream);

#endif
