#ifndef SLUICE_TOPOLOGY_FINDINGS_H
#define SLUICE_TOPOLOGY_FINDINGS_H
/*
 * Findings: everything that is wrong with a configuration, collected so that the operator sees all of it at once.
 *
 * A list owns its findings, file names included. The order of calls: findings_create, then readers and rules add, then
 * findings_print, then findings_destroy. The list is bounded; what does not fit is still counted, so an error is never
 * lost to the exit status.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Kept; the rest is only counted and printed as "and N more". */
#define FINDINGS_MAXIMUM 200

/* Lines and columns count from 1; line 0 means the file as a whole. */
struct place {
    const char *file; /* as the operator named it */
    unsigned line;
    unsigned column;
};

enum finding_level { FINDING_ERROR, FINDING_WARNING };

struct findings;

/* NULL when memory is out. */
struct findings *findings_create(void);
/* NULL is allowed. */
void findings_destroy(struct findings *findings);

/*
 * Adds one finding. The text reads "what is wrong; how to mend it". File name and text are copied; bytes that could
 * drive a terminal are replaced by question marks, because they come from a file.
 */
void findings_error(struct findings *findings, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void findings_warning(struct findings *findings, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void findings_add(struct findings *findings, enum finding_level level, struct place place, const char *format,
                  va_list arguments) __attribute__((format(printf, 4, 0)));

/* How many were added, those beyond the bound included. */
size_t findings_count(const struct findings *findings, enum finding_level level);

/* Calls back for each that is kept, sorted by place; `text` and `place.file` are valid during the call. */
typedef void findings_visitor(void *owner, enum finding_level level, struct place place, const char *text);
void findings_visit(struct findings *findings, findings_visitor *visitor, void *owner);

/* Prints one line each, `file:line:column: error|warning: text`, sorted by place. */
void findings_print(struct findings *findings, FILE *stream);

#endif
