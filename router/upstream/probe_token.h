#ifndef SLUICE_UPSTREAM_PROBE_TOKEN_H
#define SLUICE_UPSTREAM_PROBE_TOKEN_H
/* The token that probes bring, from its file. */
#include "base/text.h"

#define PROBE_TOKEN_BYTES 4096

/* "Bearer TOKEN" in `buffer`, or empty: no file (NULL), or none that can be read, which the 401 that follows tells once a round. */
struct text probe_token_read(const char *path, char *buffer, size_t capacity);

#endif
