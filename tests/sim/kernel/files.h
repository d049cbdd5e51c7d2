#ifndef SLUICE_SIM_KERNEL_FILES_H
#define SLUICE_SIM_KERNEL_FILES_H
/* The files of Sluice's machine: base/file.h reads them, base/sink.h writes them. */
#include <stdbool.h>
#include <stddef.h>

#include "base/random.h"
#include "base/text.h"

/* Writes a whole file and syncs it, as a careful editor does: a reader sees the old one or the new one, and so does the next start of the machine. */
void sim_file_write(const char *path, struct text contents);
/* Empty when there is none. What was written to standard output and standard error is "-" and "stderr". Valid until it changes. */
struct text sim_file_read(const char *path);

/*
 * The machine loses power. Of what was appended and not synced (logs: nobody syncs these) each file keeps a part from its front, or nothing; what a
 * process writes outlives the process in any case, because it is the kernel's.
 */
void sim_files_lose_power(struct random_source *random);

/* Each whole line that Sluice writes to standard error, as it comes. */
void sim_files_on_log_line(void (*on_line)(void *owner, struct text line), void *owner);

#endif
