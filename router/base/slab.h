#ifndef SLUICE_BASE_SLAB_H
#define SLUICE_BASE_SLAB_H
/*
 * Memory for the small objects that come and go with each request: what is freed waits in a list of its size for the next one, so a busy
 * worker hardly calls malloc. One thread each; what was taken from a slab goes back to the same slab. A slab keeps a bounded amount and gives
 * the rest back to the system.
 *
 * Under AddressSanitizer each object is malloc's own, so that a use after its end is still seen.
 */
#include <stddef.h>

struct memory_account;
struct slab;

/* NULL when memory is out. */
struct slab *slab_create(void);
/* Everything taken must have been given back. NULL is allowed. */
void slab_destroy(struct slab *slab);
/* Objects are counted there as MEMORY_OBJECTS from now on, while somebody has them. Nothing may have been taken yet. */
void slab_count_in(struct slab *slab, struct memory_account *account);

/* As malloc, calloc, realloc and free; aligned to 16 bytes. */
void *slab_take(struct slab *slab, size_t length);
void *slab_take_zeroed(struct slab *slab, size_t length);
void *slab_resize(struct slab *slab, void *object, size_t length);
void slab_give(struct slab *slab, void *object);

/*
 * An object that no slab keeps: it may be given to any slab, as one that was taken from there, or back to the system, also when no slab is left.
 * NULL when memory is out. It is counted nowhere.
 */
void *slab_take_unpooled(size_t length);
void slab_give_unpooled(void *object);

/* How many bytes of an object may be used: as many as were asked for, or a few more. */
size_t slab_usable_bytes(const void *object);

/* What waits in the lists; bounded. */
size_t slab_kept_bytes(const struct slab *slab);

#endif
