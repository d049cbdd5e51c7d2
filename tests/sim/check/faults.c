#include "check/faults.h"

#include <stdio.h>

#include "base/fault.h"
#include "check/ledger.h"

#define NAME_BYTES 64

static const char *name_of(enum fault fault)
{
    static char names[FAULT_COUNT][NAME_BYTES];
    if (names[fault][0] == '\0')
        snprintf(names[fault], NAME_BYTES, "fault: %s", fault_row(fault)->name);
    return names[fault];
}

void faults_each(void (*on_name)(void *owner, const char *name), void *owner)
{
    for (unsigned fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++)
        on_name(owner, name_of((enum fault)fault));
}

void reached_faults(struct text metrics)
{
    for (unsigned fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        char line[128];
        size_t length = text_append(line, sizeof line, 0, "sluice_faults_total{fault=\"%s\"} ", fault_row((enum fault)fault)->name);
        ptrdiff_t at = text_find(metrics, text_of(line, length));
        if (at >= 0 && (size_t)at + length < metrics.length && metrics.bytes[(size_t)at + length] != '0')
            reached(name_of((enum fault)fault));
    }
}
