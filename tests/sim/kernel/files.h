#ifndef SLUICE_SIM_KERNEL_FILES_H
#define SLUICE_SIM_KERNEL_FILES_H
/* The files of Sluice's machine: base/file.h reads them, base/sink.h writes them. */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Writes a whole file, as a rename in its place would: a reader sees the old one or the new one. */
void sim_file_write(const char *path, struct text contents);
/* Empty when there is none. What was written to standard output and standard error is "-" and "stderr". Valid until it changes. */
struct text sim_file_read(const char *path);

/* Each whole line that Sluice writes to standard error, as it comes. */
void sim_files_on_log_line(void (*on_line)(void *owner, struct text line), void *owner);

#endif
