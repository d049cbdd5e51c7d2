#ifndef SLUICE_NET_TLS_WATCH_H
#define SLUICE_NET_TLS_WATCH_H
/* Notices that files have changed, by looking at them now and then. It does not read them. */
#include <stdbool.h>
#include <stddef.h>

struct tls_watch;

/* `paths` (NULL among them is passed over) must outlive the watch. NULL when memory is out. */
struct tls_watch *tls_watch_create(const char *const *paths, size_t count);
/* NULL is allowed. */
void tls_watch_destroy(struct tls_watch *watch);

/*
 * True at first, and when a file is not as it was at the last look. A file that was written just before a look is looked at once more:
 * the file system's clock is too coarse to tell two writes in a row apart.
 */
bool tls_watch_look(struct tls_watch *watch);

#endif
