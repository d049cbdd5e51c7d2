/* The memory of nghttp2's sessions when the slab has none left: this program brings a slab of its own, which can run dry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"
#include "http/h2_memory.h"

struct slab {
    int unused;
};

struct object {
    size_t length;
    _Alignas(16) char bytes[];
};

static struct slab the_slab;
static bool is_dry;
static size_t objects;

void *slab_take_unpooled(size_t length)
{
    struct object *object = is_dry ? NULL : malloc(sizeof *object + length);
    if (object == NULL)
        return NULL;
    objects++;
    object->length = length;
    return object->bytes;
}

void slab_give_unpooled(void *bytes)
{
    if (bytes == NULL)
        return;
    objects--;
    free((char *)bytes - offsetof(struct object, bytes));
}

void *slab_take(struct slab *slab, size_t length)
{
    (void)slab;
    return slab_take_unpooled(length);
}

void slab_give(struct slab *slab, void *object)
{
    (void)slab;
    slab_give_unpooled(object);
}

size_t slab_usable_bytes(const void *bytes)
{
    return ((const struct object *)(const void *)((const char *)bytes - offsetof(struct object, bytes)))->length;
}

void *slab_resize(struct slab *slab, void *bytes, size_t length)
{
    void *larger = slab_take(slab, length);
    if (larger == NULL || bytes == NULL)
        return larger;
    size_t usable = slab_usable_bytes(bytes);
    memcpy(larger, bytes, usable < length ? usable : length);
    slab_give(slab, bytes);
    return larger;
}

static struct h2_memory memory;

static int begin(void **state)
{
    (void)state;
    is_dry = false;
    h2_memory_init(&memory, &the_slab);
    assert_true(h2_memory_is_ready(&memory));
    return 0;
}

static int end(void **state)
{
    (void)state;
    h2_memory_clear(&memory);
    assert_int_equal(objects, 0);
    return 0;
}

static void what_the_slab_has_not_comes_from_the_reserve(void **state)
{
    (void)state;
    is_dry = true;
    char *small = memory.verbs.malloc(100, memory.verbs.mem_user_data);
    char *large = memory.verbs.calloc(100, 100, memory.verbs.mem_user_data);
    assert_non_null(small);
    assert_non_null(large);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(large[i], 0);
    assert_null(memory.verbs.malloc(H2_MEMORY_LARGE_BYTES + 1, memory.verbs.mem_user_data));
    memory.verbs.free(small, memory.verbs.mem_user_data);
    memory.verbs.free(large, memory.verbs.mem_user_data);
}

static void an_object_that_grows_into_the_reserve_keeps_what_is_in_it(void **state)
{
    (void)state;
    char *object = memory.verbs.malloc(16, memory.verbs.mem_user_data);
    memcpy(object, "fifteen letters", 16);
    is_dry = true;
    char *larger = memory.verbs.realloc(object, 5000, memory.verbs.mem_user_data);
    assert_non_null(larger);
    assert_string_equal(larger, "fifteen letters");
    memory.verbs.free(larger, memory.verbs.mem_user_data);
}

static void a_reserve_that_was_used_is_not_ready_until_it_is_full_again(void **state)
{
    (void)state;
    is_dry = true;
    for (size_t i = 0; i < H2_MEMORY_SMALL; i++)
        memory.verbs.free(memory.verbs.malloc(1, memory.verbs.mem_user_data), memory.verbs.mem_user_data);
    assert_false(h2_memory_is_ready(&memory));
    /* Small ones may have a large one then, as long as there are any. */
    for (size_t i = 0; i < H2_MEMORY_LARGE; i++)
        memory.verbs.free(memory.verbs.malloc(1, memory.verbs.mem_user_data), memory.verbs.mem_user_data);
    assert_null(memory.verbs.malloc(1, memory.verbs.mem_user_data));
    is_dry = false;
    assert_true(h2_memory_is_ready(&memory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_slab_has_not_comes_from_the_reserve, begin, end),
        cmocka_unit_test_setup_teardown(an_object_that_grows_into_the_reserve_keeps_what_is_in_it, begin, end),
        cmocka_unit_test_setup_teardown(a_reserve_that_was_used_is_not_ready_until_it_is_full_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
