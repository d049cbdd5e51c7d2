#ifndef SLUICE_BASE_LIST_H
#define SLUICE_BASE_LIST_H
/*
 * Intrusive doubly linked list. The list owns nothing; an object may stand in at most one list per node that it embeds. A node that is
 * in no list points at itself, so list_remove on it is harmless.
 */
#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *previous;
};

struct list {
    struct list_node head;
    size_t count;
};

/* The object that embeds `node` as its member. */
#define LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void list_node_init(struct list_node *node)
{
    node->next = node;
    node->previous = node;
}

static inline void list_init(struct list *list)
{
    list_node_init(&list->head);
    list->count = 0;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_append(struct list *list, struct list_node *node)
{
    node->next = &list->head;
    node->previous = list->head.previous;
    list->head.previous->next = node;
    list->head.previous = node;
    list->count++;
}

static inline void list_prepend(struct list *list, struct list_node *node)
{
    node->previous = &list->head;
    node->next = list->head.next;
    list->head.next->previous = node;
    list->head.next = node;
    list->count++;
}

/* Takes `node` out of `list`; nothing happens when it is in none. */
static inline void list_remove(struct list *list, struct list_node *node)
{
    if (!list_node_is_linked(node))
        return;
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_node_init(node);
    list->count--;
}

/* The first node, or NULL. */
static inline struct list_node *list_first(const struct list *list)
{
    return list->count == 0 ? NULL : list->head.next;
}

/* Takes out and returns the first node, or NULL. */
static inline struct list_node *list_take_first(struct list *list)
{
    struct list_node *node = list_first(list);
    if (node != NULL)
        list_remove(list, node);
    return node;
}

#endif
