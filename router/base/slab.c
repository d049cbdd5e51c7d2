#include "base/slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory_account.h"

/* Sizes that are kept: each multiple of STEP_BYTES up to CLASSES of them; larger objects are malloc's. */
#define STEP_BYTES 64
#define CLASSES 40
#define UNPOOLED (CLASSES + 1)
/* What a slab keeps in all its lists together. */
#define KEPT_MAXIMUM_BYTES (4 * 1024 * 1024)

/* In front of each object; 16 bytes keep the alignment. */
struct slab_header {
    struct slab_header *next; /* while it waits */
    uint32_t class;           /* CLASSES: malloc's; UNPOOLED: likewise, and not counted */
    uint32_t length;          /* usable bytes */
};
_Static_assert(sizeof(struct slab_header) == 16, "alignment");

struct slab {
    struct memory_account *account; /* ref, or NULL */
    size_t kept_bytes;
    struct slab_header *waiting[CLASSES];
};

/* How gcc says it, and clang. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_NOTHING 1
#elif defined(__has_feature)
#define KEEPS_NOTHING __has_feature(address_sanitizer)
#else
#define KEEPS_NOTHING 0
#endif

struct slab *slab_create(void)
{
    return calloc(1, sizeof(struct slab));
}

void slab_destroy(struct slab *slab)
{
    if (slab == NULL)
        return;
    for (unsigned class = 0; class < CLASSES; class++) {
        struct slab_header *next;
        for (struct slab_header *header = slab->waiting[class]; header != NULL; header = next) {
            next = header->next;
            free(header);
        }
    }
    free(slab);
}

void slab_count_in(struct slab *slab, struct memory_account *account)
{
    slab->account = account;
}

static struct slab_header *take_from_system(size_t class, size_t length)
{
    size_t usable = class < CLASSES && !KEEPS_NOTHING ? (class + 1) * STEP_BYTES : length;
    if (usable > UINT32_MAX)
        return NULL;
    struct slab_header *header = malloc(sizeof *header + usable);
    if (header == NULL)
        return NULL;
    header->class = class < CLASSES && !KEEPS_NOTHING ? (uint32_t)class : CLASSES;
    header->length = (uint32_t)usable;
    return header;
}

void *slab_take(struct slab *slab, size_t length)
{
    size_t class = length == 0 ? 0 : (length - 1) / STEP_BYTES;
    struct slab_header *header = class < CLASSES ? slab->waiting[class] : NULL;
    if (header != NULL) {
        slab->waiting[class] = header->next;
        slab->kept_bytes -= header->length;
    } else if ((header = take_from_system(class, length)) == NULL) {
        return NULL;
    }
    memory_account_take(slab->account, MEMORY_OBJECTS, header->length);
    return header + 1;
}

void *slab_take_zeroed(struct slab *slab, size_t length)
{
    void *object = slab_take(slab, length);
    if (object != NULL)
        memset(object, 0, length);
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    if (object == NULL)
        return;
    struct slab_header *header = (struct slab_header *)object - 1;
    if (header->class != UNPOOLED)
        memory_account_give(slab->account, MEMORY_OBJECTS, header->length);
    if (header->class >= CLASSES || slab->kept_bytes + header->length > KEPT_MAXIMUM_BYTES) {
        free(header);
        return;
    }
    header->next = slab->waiting[header->class];
    slab->waiting[header->class] = header;
    slab->kept_bytes += header->length;
}

void *slab_take_unpooled(size_t length)
{
    struct slab_header *header = take_from_system(CLASSES, length);
    if (header == NULL)
        return NULL;
    header->class = UNPOOLED;
    return header + 1;
}

void slab_give_unpooled(void *object)
{
    if (object != NULL)
        free((struct slab_header *)object - 1);
}

size_t slab_usable_bytes(const void *object)
{
    return ((const struct slab_header *)object - 1)->length;
}

size_t slab_kept_bytes(const struct slab *slab)
{
    return slab->kept_bytes;
}

void *slab_resize(struct slab *slab, void *object, size_t length)
{
    if (object == NULL)
        return slab_take(slab, length);
    const struct slab_header *header = (const struct slab_header *)object - 1;
    if (length <= header->length)
        return object;
    void *larger = slab_take(slab, length);
    if (larger == NULL)
        return NULL;
    memcpy(larger, object, header->length);
    slab_give(slab, object);
    return larger;
}
