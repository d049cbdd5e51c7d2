/* Who waits is served by client in turn; a noisy client costs the others little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "upstream/fair_queue.h"

static struct fair_queue queue;
static struct fair_entry entries[16];
static size_t used;

static int set_up(void **state)
{
    (void)state;
    fair_queue_init(&queue, 12345);
    memset(entries, 0, sizeof entries);
    used = 0;
    return 0;
}

/* Two keys whose clients have buckets of their own. */
static uint64_t client(unsigned number)
{
    uint64_t key = 1;
    while (fair_queue_bucket(&queue, key) != &queue.buckets[number])
        key += UINT64_C(0x100000001);
    return key;
}

static struct fair_entry *put(unsigned number, uint64_t now_ms)
{
    struct fair_entry *entry = &entries[used++];
    entry->client = client(number);
    fair_queue_put(&queue, entry, now_ms);
    return entry;
}

/* The next one is served: its index in the order of coming. */
static size_t serve(uint64_t now_ms)
{
    struct fair_entry *entry = fair_queue_first(&queue, now_ms);
    assert_non_null(entry);
    fair_queue_serve(&queue, entry);
    return (size_t)(entry - entries);
}

static void clients_take_turns(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        put(7, 0);
    put(2, 0);
    put(2, 0);
    put(9, 0);
    static const size_t order[] = {0, 4, 6, 1, 5, 2, 3};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(serve(0), order[i]);
    assert_null(fair_queue_first(&queue, 0));
    assert_int_equal(queue.count, 0);
}

static void a_queue_that_stands_serves_the_newest_first(void **state)
{
    (void)state;
    put(7, 1000);
    put(7, 1000);
    put(2, 1000);
    put(2, 1000);
    assert_int_equal(serve(1000 + FAIR_QUEUE_STANDING_MS - 1), 0);
    assert_int_equal(serve(1000 + FAIR_QUEUE_STANDING_MS), 3);
    assert_int_equal(serve(5000), 1);
    assert_int_equal(serve(5000), 2);
    /* It was empty: this is a burst again. */
    put(7, 6000);
    put(7, 6000);
    assert_int_equal(serve(6000), 4);
}

static void who_leaves_keeps_the_order_of_the_others(void **state)
{
    (void)state;
    put(7, 0);
    struct fair_entry *second = put(7, 0);
    struct fair_entry *only = put(2, 0);
    put(9, 0);
    fair_queue_remove(&queue, second);
    fair_queue_remove(&queue, only);
    assert_int_equal(queue.count, 2);
    assert_int_equal(serve(0), 0);
    assert_int_equal(serve(0), 3);
}

static void all_who_wait_can_be_looked_at(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        put(7, 0);
    put(2, 0);
    for (unsigned standing = 0; standing < 2; standing++) {
        uint64_t now_ms = standing * FAIR_QUEUE_STANDING_MS;
        unsigned seen = 0;
        for (struct fair_entry *at = fair_queue_first(&queue, now_ms); at != NULL; at = fair_queue_next(&queue, at, now_ms))
            seen |= 1u << (at - entries);
        assert_int_equal(seen, 15);
    }
    assert_ptr_equal(fair_queue_first_behind(&queue, &queue.buckets[7], 0), &entries[3]);
    assert_null(fair_queue_first_behind(&queue, &queue.buckets[2], 0));
}

static void the_longest_is_that_of_most_requests(void **state)
{
    (void)state;
    assert_null(fair_queue_longest(&queue));
    put(2, 0);
    put(7, 0);
    put(7, 0);
    assert_ptr_equal(fair_queue_longest(&queue), &queue.buckets[7]);
    assert_ptr_equal(fair_bucket_oldest(&queue.buckets[7]), &entries[1]);
}

/* ---- a noisy client, in simulated time ---- */

#define PLACES 4
#define WORK_US 5000
#define QUIET 9
#define SECONDS 60
#define LIMIT 500
#define SAMPLES_MAXIMUM 200000

struct request {
    struct fair_entry entry;
    uint64_t came_us;
    unsigned client;
};

struct play {
    struct random_source random;
    unsigned noisy_per_s;              /* 0: there is no noisy client */
    uint64_t next_us[QUIET + 1];       /* when each client asks again */
    uint64_t free_us[PLACES];          /* when each place is free */
    uint64_t *took_us;                 /* of the quiet clients, to the end */
    size_t count;
};

static uint64_t next_after(struct play *play, uint64_t now_us, unsigned per_s)
{
    return now_us + random_u64(&play->random) % (2000000 / per_s);
}

static void arrive(unsigned number, uint64_t now_us)
{
    struct request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    request->entry.client = client(number);
    request->client = number;
    request->came_us = now_us;
    fair_queue_put(&queue, &request->entry, now_us / 1000);
    if (queue.count <= LIMIT)
        return;
    struct fair_entry *dropped = fair_bucket_oldest(fair_queue_longest(&queue));
    assert_true(LIST_OWNER(dropped, struct request, entry)->client == QUIET);
    fair_queue_serve(&queue, dropped);
    free(LIST_OWNER(dropped, struct request, entry));
}

static void serve_places(struct play *play, uint64_t now_us)
{
    for (unsigned i = 0; i < PLACES; i++) {
        struct fair_entry *entry;
        if (play->free_us[i] > now_us || (entry = fair_queue_first(&queue, now_us / 1000)) == NULL)
            continue;
        fair_queue_serve(&queue, entry);
        struct request *request = LIST_OWNER(entry, struct request, entry);
        play->free_us[i] = now_us + WORK_US;
        if (request->client < QUIET && play->count < SAMPLES_MAXIMUM)
            play->took_us[play->count++] = play->free_us[i] - request->came_us;
        free(request);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The 99th percentile of what requests of the quiet clients took, in microseconds. */
static uint64_t play_p99_us(unsigned noisy_per_s)
{
    struct play play = {.random = {7}, .noisy_per_s = noisy_per_s, .took_us = calloc(SAMPLES_MAXIMUM, sizeof(uint64_t))};
    assert_non_null(play.took_us);
    fair_queue_init(&queue, 12345);
    for (uint64_t now_us = 0; now_us < SECONDS * UINT64_C(1000000); now_us += 50) {
        for (unsigned i = 0; i <= QUIET; i++) {
            unsigned per_s = i < QUIET ? 40 : noisy_per_s;
            while (per_s > 0 && play.next_us[i] <= now_us) {
                arrive(i, now_us);
                play.next_us[i] = next_after(&play, now_us, per_s);
            }
        }
        serve_places(&play, now_us);
    }
    struct fair_entry *entry;
    while ((entry = fair_queue_first(&queue, 0)) != NULL) {
        fair_queue_serve(&queue, entry);
        free(LIST_OWNER(entry, struct request, entry));
    }
    assert_true(play.count > 1000);
    qsort(play.took_us, play.count, sizeof *play.took_us, by_size);
    uint64_t p99_us = play.took_us[play.count * 99 / 100];
    free(play.took_us);
    return p99_us;
}

/* Nine clients with 40 requests a second each use half of a node; a tenth one asks for ten times as much as all of them. */
static void a_noisy_client_costs_the_others_less_than_twice_their_time(void **state)
{
    (void)state;
    uint64_t alone_us = play_p99_us(0);
    uint64_t beside_us = play_p99_us(10 * QUIET * 40);
    print_message("p99 of nine clients: alone %llu us, beside a noisy one %llu us\n", (unsigned long long)alone_us, (unsigned long long)beside_us);
    assert_true(beside_us < 2 * alone_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(clients_take_turns, set_up),
        cmocka_unit_test_setup(a_queue_that_stands_serves_the_newest_first, set_up),
        cmocka_unit_test_setup(who_leaves_keeps_the_order_of_the_others, set_up),
        cmocka_unit_test_setup(all_who_wait_can_be_looked_at, set_up),
        cmocka_unit_test_setup(the_longest_is_that_of_most_requests, set_up),
        cmocka_unit_test_setup(a_noisy_client_costs_the_others_less_than_twice_their_time, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
