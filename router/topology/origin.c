#include "topology/origin.h"

#include <stdlib.h>

struct origin {
    const void *base;
    const struct schema_row *row;
    struct place place;
};

struct origins {
    struct origin *items;
    size_t count;
    size_t capacity;
};

struct origins *origins_create(void)
{
    return calloc(1, sizeof(struct origins));
}

void origins_destroy(struct origins *origins)
{
    if (origins == NULL)
        return;
    free(origins->items);
    free(origins);
}

bool origins_record(struct origins *origins, const void *base, const struct schema_row *row, struct place place)
{
    if (origins->count == origins->capacity) {
        size_t capacity = origins->capacity == 0 ? 128 : origins->capacity * 2;
        struct origin *items = realloc(origins->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        origins->items = items;
        origins->capacity = capacity;
    }
    origins->items[origins->count++] = (struct origin){base, row, place};
    return true;
}

bool origins_copy(struct origins *origins, const void *from, const void *to)
{
    size_t count = origins->count; /* the copies are appended behind */
    for (size_t i = 0; i < count; i++) {
        struct origin origin = origins->items[i];
        if (origin.base == from && !origins_record(origins, to, origin.row, origin.place))
            return false;
    }
    return true;
}

const struct place *origins_find(const struct origins *origins, const void *base, const struct schema_row *row)
{
    for (size_t i = 0; i < origins->count; i++) {
        if (origins->items[i].base == base && origins->items[i].row == row)
            return &origins->items[i].place;
    }
    return NULL;
}

struct place origins_place(const struct origins *origins, const void *base, const char *path)
{
    const struct schema_row *row = schema_find(text_of_string(path));
    const struct place *place = row == NULL ? NULL : origins_find(origins, base, row);
    if (place == NULL)
        place = origins_find(origins, base, NULL);
    return place != NULL ? *place : (struct place){"configuration", 0, 0};
}

bool origins_has(const struct origins *origins, const void *base, const char *path)
{
    return origins_find(origins, base, schema_find(text_of_string(path))) != NULL;
}
