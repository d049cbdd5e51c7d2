/* The intrusive list, against an array that does the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

#define ITEMS 16

struct item {
    int number;
    struct list_node node;
};

/* Front to back and back to front, the list holds exactly these numbers. */
static void assert_list(struct list *list, const int *numbers, size_t count)
{
    assert_int_equal(list->count, count);
    struct list_node *node = list->head.next;
    for (size_t i = 0; i < count; i++, node = node->next)
        assert_int_equal(LIST_OWNER(node, struct item, node)->number, numbers[i]);
    assert_ptr_equal(node, &list->head);
    node = list->head.previous;
    for (size_t i = count; i-- > 0; node = node->previous)
        assert_int_equal(LIST_OWNER(node, struct item, node)->number, numbers[i]);
    assert_ptr_equal(node, &list->head);
}

static void make_items(struct item *items)
{
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_node_init(&items[i].node);
    }
}

static void nodes_are_appended_and_prepended(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    make_items(items);
    list_init(&list);
    assert_list(&list, NULL, 0);
    assert_null(list_first(&list));
    assert_null(list_take_first(&list));
    list_append(&list, &items[1].node);
    list_append(&list, &items[2].node);
    list_prepend(&list, &items[0].node);
    assert_list(&list, (const int[]){0, 1, 2}, 3);
    assert_ptr_equal(list_first(&list), &items[0].node);
    assert_int_equal(list.count, 3);
    assert_ptr_equal(list_take_first(&list), &items[0].node);
    assert_false(list_node_is_linked(&items[0].node));
    assert_list(&list, (const int[]){1, 2}, 2);
}

static void a_node_that_is_in_no_list_can_be_removed(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    make_items(items);
    list_init(&list);
    list_append(&list, &items[0].node);
    assert_false(list_node_is_linked(&items[1].node));
    list_remove(&list, &items[1].node);
    assert_list(&list, (const int[]){0}, 1);
    assert_true(list_node_is_linked(&items[0].node));
    list_remove(&list, &items[0].node);
    list_remove(&list, &items[0].node);
    assert_list(&list, NULL, 0);
}

static void a_list_does_what_an_array_does(void **state)
{
    (void)state;
    struct item items[ITEMS];
    struct list list;
    int model[ITEMS];
    size_t count = 0;
    uint32_t seed = 11;
    make_items(items);
    list_init(&list);
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525 + 1013904223;
        int which = (int)(seed >> 28);
        struct list_node *node = &items[which].node;
        size_t at = 0;
        while (at < count && model[at] != which)
            at++;
        assert_int_equal(list_node_is_linked(node), at < count);
        if (at < count) {
            list_remove(&list, node);
            for (count--; at < count; at++)
                model[at] = model[at + 1];
        } else if ((seed >> 27 & 1) != 0) {
            list_append(&list, node);
            model[count++] = which;
        } else {
            list_prepend(&list, node);
            for (size_t i = count++; i > 0; i--)
                model[i] = model[i - 1];
            model[0] = which;
        }
        assert_list(&list, model, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_appended_and_prepended),
        cmocka_unit_test(a_node_that_is_in_no_list_can_be_removed),
        cmocka_unit_test(a_list_does_what_an_array_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
