#include "topology/origin.h"

#include <stdlib.h>

#include "topology/seen.h"

/* What an origin is found by. */
struct origin_key {
    const void *base;
    const struct schema_row *row;
};

struct origins {
    struct seen *seen; /* where in `places` the place of a key is */
    struct place *places;
    size_t count;
    size_t capacity;
};

struct origins *origins_create(void)
{
    struct origins *origins = calloc(1, sizeof *origins);
    if (origins == NULL)
        return NULL;
    origins->seen = seen_create();
    if (origins->seen != NULL)
        return origins;
    free(origins);
    return NULL;
}

void origins_destroy(struct origins *origins)
{
    if (origins == NULL)
        return;
    seen_destroy(origins->seen);
    free(origins->places);
    free(origins);
}

static struct text text_of_key(const struct origin_key *key)
{
    return text_of((const char *)key, sizeof *key);
}

bool origins_record(struct origins *origins, const void *base, const struct schema_row *row, struct place place)
{
    struct origin_key key = {base, row};
    size_t first;
    if (origins->count == origins->capacity) {
        size_t capacity = origins->capacity == 0 ? 128 : origins->capacity * 2;
        struct place *places = realloc(origins->places, capacity * sizeof *places);
        if (places == NULL)
            return false;
        origins->places = places;
        origins->capacity = capacity;
    }
    if (!seen_add(origins->seen, text_of_key(&key), origins->count, &first))
        return false;
    if (first == origins->count)
        origins->places[origins->count++] = place;
    return true;
}

bool origins_copy(struct origins *origins, const void *from, const void *to)
{
    for (size_t i = 0; i <= schema_row_count; i++) {
        const struct schema_row *row = i < schema_row_count ? &schema_rows[i] : NULL;
        const struct place *place = origins_find(origins, from, row);
        if (place != NULL && !origins_record(origins, to, row, *place))
            return false;
    }
    return true;
}

const struct place *origins_find(const struct origins *origins, const void *base, const struct schema_row *row)
{
    struct origin_key key = {base, row};
    size_t at = seen_find(origins->seen, text_of_key(&key));
    return at == SEEN_NEVER ? NULL : &origins->places[at];
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
