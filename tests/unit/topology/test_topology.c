#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "topology/storage.h"
#include "topology/topology.h"

#define THREADS 4
#define TURNS 20000

/* As build.c makes one: the struct itself lies in the storage that it owns. */
static struct topology *make_topology(void)
{
    struct topology_storage *storage = storage_create();
    struct topology *topology = storage_take(storage, 1, sizeof *topology);
    atomic_init(&topology->references, 1);
    topology->storage = storage;
    topology->cluster_id = storage_copy(storage, (struct text){"prod", 4});
    return topology;
}

/* What a worker does with the epochs that its exchanges begin and end with. */
static void *borrow_again_and_again(void *argument)
{
    struct topology *topology = argument;
    for (int i = 0; i < TURNS; i++) {
        topology_retain(topology);
        if (strcmp(topology->cluster_id, "prod") != 0)
            return NULL;
        topology_release(topology);
    }
    topology_release(topology); /* the one that main took for this thread */
    return argument;
}

/* With a count that is not atomic some are lost here, and the topology is freed too early or never. */
static void references_are_counted_across_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct topology *topology = make_topology();
    for (int i = 0; i < THREADS; i++) {
        topology_retain(topology);
        assert_int_equal(pthread_create(&threads[i], NULL, borrow_again_and_again, topology), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, topology);
    }
    assert_int_equal(atomic_load(&topology->references), 1);
    topology_release(topology);
}

/* Threads give up the last references in any order; whoever comes last frees. The sanitizers watch. */
static void the_last_thread_frees(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[THREADS];
        struct topology *topology = make_topology();
        for (int i = 1; i < THREADS; i++)
            topology_retain(topology);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, borrow_again_and_again, topology), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
}

static void modes_are_described_in_their_order_and_cut_at_the_capacity(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(node_modes_describe(NODE_MODE_WEBUI | NODE_MODE_QUERY | NODE_MODE_INGEST, text, sizeof text),
                        "ingest,query,webui");
    assert_string_equal(node_modes_describe((1u << NODE_MODE_COUNT) - 1, text, sizeof text),
                        "ingest,query,compact,process,all,webui");
    assert_string_equal(node_modes_describe(0, text, sizeof text), "");
    node_modes_describe(NODE_MODE_INGEST | NODE_MODE_QUERY, text, 8);
    assert_int_equal(strnlen(text, 8), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_counted_across_threads),
        cmocka_unit_test(the_last_thread_frees),
        cmocka_unit_test(modes_are_described_in_their_order_and_cut_at_the_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
