#include "upstream/fair_queue.h"

void fair_queue_init(struct fair_queue *queue, uint64_t seed)
{
    list_init(&queue->turns);
    queue->count = 0;
    queue->seed = seed | 1;
    queue->since_ms = 0;
    for (unsigned i = 0; i < FAIR_QUEUE_BUCKETS; i++) {
        list_node_init(&queue->buckets[i].turn);
        list_init(&queue->buckets[i].entries);
        queue->buckets[i].held = 0;
    }
}

/* Multiply-shift hashing (Dietzfelbinger and others, 1997): the highest bits of the product. */
struct fair_bucket *fair_queue_bucket(struct fair_queue *queue, uint64_t client)
{
    return &queue->buckets[(client * queue->seed >> 32) % FAIR_QUEUE_BUCKETS];
}

void fair_queue_put(struct fair_queue *queue, struct fair_entry *entry, uint64_t now_ms)
{
    struct fair_bucket *bucket = fair_queue_bucket(queue, entry->client);
    if (queue->count++ == 0)
        queue->since_ms = now_ms;
    list_node_init(&entry->node);
    list_append(&bucket->entries, &entry->node);
    if (bucket->entries.count == 1)
        list_append(&queue->turns, &bucket->turn);
}

void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry)
{
    struct fair_bucket *bucket = fair_queue_bucket(queue, entry->client);
    list_remove(&bucket->entries, &entry->node);
    queue->count--;
    if (bucket->entries.count == 0)
        list_remove(&queue->turns, &bucket->turn);
}

void fair_queue_serve(struct fair_queue *queue, struct fair_entry *entry)
{
    struct fair_bucket *bucket = fair_queue_bucket(queue, entry->client);
    fair_queue_remove(queue, entry);
    if (bucket->entries.count == 0)
        return;
    list_remove(&queue->turns, &bucket->turn);
    list_append(&queue->turns, &bucket->turn);
}

/* ---- the order ---- */

static struct fair_entry *entry_at(struct list_node *node)
{
    return LIST_OWNER(node, struct fair_entry, node);
}

static bool is_standing(const struct fair_queue *queue, uint64_t now_ms)
{
    return now_ms >= queue->since_ms + FAIR_QUEUE_STANDING_MS;
}

static struct fair_entry *first_of(const struct fair_queue *queue, struct list_node *turn, uint64_t now_ms)
{
    if (turn == &queue->turns.head)
        return NULL;
    struct list_node *head = &LIST_OWNER(turn, struct fair_bucket, turn)->entries.head;
    return entry_at(is_standing(queue, now_ms) ? head->previous : head->next);
}

struct fair_entry *fair_queue_first(struct fair_queue *queue, uint64_t now_ms)
{
    return first_of(queue, queue->turns.head.next, now_ms);
}

struct fair_entry *fair_queue_first_behind(struct fair_queue *queue, struct fair_bucket *bucket, uint64_t now_ms)
{
    return first_of(queue, bucket->turn.next, now_ms);
}

struct fair_entry *fair_queue_next(struct fair_queue *queue, struct fair_entry *entry, uint64_t now_ms)
{
    struct fair_bucket *bucket = fair_queue_bucket(queue, entry->client);
    struct list_node *next = is_standing(queue, now_ms) ? entry->node.previous : entry->node.next;
    return next != &bucket->entries.head ? entry_at(next) : fair_queue_first_behind(queue, bucket, now_ms);
}

/* ---- who is dropped ---- */

struct fair_bucket *fair_queue_longest(struct fair_queue *queue)
{
    struct fair_bucket *longest = NULL;
    for (struct list_node *at = queue->turns.head.next; at != &queue->turns.head; at = at->next) {
        struct fair_bucket *bucket = LIST_OWNER(at, struct fair_bucket, turn);
        if (longest == NULL || bucket->entries.count > longest->entries.count)
            longest = bucket;
    }
    return longest;
}

struct fair_entry *fair_bucket_oldest(struct fair_bucket *bucket)
{
    return entry_at(list_first(&bucket->entries));
}
