#ifndef SLUICE_FAKE_TOPOLOGY_TEXT_H
#define SLUICE_FAKE_TOPOLOGY_TEXT_H
/* A topology from text, as topology_read makes one from files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "topology/build.h"

/* `name` is that of the file that is written and removed here; findings show it. Fails the test when there is an error. The caller releases. */
static inline struct topology *topology_of_text(const char *name, const char *content)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    struct findings *findings = findings_create();
    struct topology *topology = topology_read(&name, 1, TOPOLOGY_PURPOSE_CHECK, findings);
    if (topology == NULL)
        findings_print(findings, stderr);
    assert_non_null(topology);
    findings_destroy(findings);
    unlink(name);
    return topology;
}

#endif
