#ifndef SLUICE_TOPOLOGY_VALUE_H
#define SLUICE_TOPOLOGY_VALUE_H
/*
 * One value: from the text in the file to the field in the struct, as the value's schema row says. Pure but for the
 * storage, which takes copies of texts that must outlive the file.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "topology/schema.h"
#include "topology/storage.h"

/* Large enough for any sentence below with a value of ordinary length in it. */
#define VALUE_PROBLEM_CAPACITY 512

/*
 * Reads `text` and stores it into the row's field of `base`, which is the struct of the row's scope. For SCHEMA_MODES
 * and SCHEMA_NETWORKS what is read is added to what is there already. On false nothing is stored and `problem`, of VALUE_PROBLEM_CAPACITY
 * bytes, says what is wrong and how to mend it.
 */
bool value_store(const struct schema_row *row, struct text text, void *base, struct topology_storage *storage,
                 char *problem);

/* Cuts "host:port", "[::1]:port"; the host without brackets. False on anything else. */
bool value_split_address(struct text address, struct text *host, uint16_t *port);

#endif
