#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/status_table.h"

#define NODES_MAXIMUM 100

static char names[NODES_MAXIMUM][64];

/* Nodes with names of all lengths up to 63, and states of all kinds. */
static struct status_report report_of(struct status_node *nodes, size_t count)
{
    static const char *const healths[] = {"up", "down", "unknown"};
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%0*zu", (int)(1 + i * 7 % 63), i);
        nodes[i] = (struct status_node){
            .node_id = names[i],
            .health = healths[i % 7 % 3],
            .modes = "ingest,query,compact,process",
            .admin = {(enum admin_state)(i % 3), "drain:write,query,flight"},
            .is_usable = i % 5 != 0,
            .since_s = (uint64_t)1 << (i % 40),
            .outstanding = i * i,
            .requests = (uint64_t)1 << (i % 64),
            .failures = i % 11,
        };
    }
    return (struct status_report){
        .version = "0.0.0", .cluster_id = "a-cluster-with-a-name-that-is-quite-long", .nodes = nodes, .node_count = count};
}

/* Checks the lines of one table; returns how many nodes it shows and leaves out. */
static size_t judge(const char *text, struct table_room room)
{
    struct text rest = text_of_string(text);
    size_t lines = 0;
    size_t nodes = 0;
    assert_int_equal(text[strlen(text) - 1], '\n');
    rest.length--;
    while (rest.bytes != NULL) {
        struct text line = text_cut(&rest, '\n');
        size_t left_out = 0;
        lines++;
        assert_true(room.columns == 0 || line.length <= room.columns);
        if (lines > 3)
            nodes += sscanf(line.bytes, "and %zu more", &left_out) == 1 ? left_out : 1;
    }
    assert_true(room.rows == 0 || lines <= room.rows);
    assert_true(lines >= 3);
    return nodes;
}

static void every_room_is_kept_to(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 19, 20, 21, NODES_MAXIMUM};
    struct status_node nodes[NODES_MAXIMUM];
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct status_report report = report_of(nodes, counts[c]);
        for (unsigned rows = STATUS_TABLE_ROWS_MINIMUM; rows < 30; rows++) {
            for (unsigned columns = 10; columns < 200; columns += 5) {
                char *text = NULL;
                size_t length = 0;
                struct table_room room = {rows, columns};
                FILE *stream = open_memstream(&text, &length);
                assert_true(status_table_print(&report, "127.0.0.1:8180", room, stream));
                fclose(stream);
                assert_int_equal(judge(text, room), counts[c]);
                free(text);
            }
        }
    }
}

static void without_bounds_nothing_is_cut(void **state)
{
    struct status_node nodes[NODES_MAXIMUM];
    struct status_report report = report_of(nodes, NODES_MAXIMUM);
    char *text = NULL;
    size_t length = 0;
    (void)state;
    FILE *stream = open_memstream(&text, &length);
    assert_true(status_table_print(&report, "unix:/run/sluice/admin.sock", (struct table_room){0, 0}, stream));
    fclose(stream);
    assert_int_equal(judge(text, (struct table_room){0, 0}), NODES_MAXIMUM);
    for (size_t i = 0; i < NODES_MAXIMUM; i++)
        assert_non_null(strstr(text, nodes[i].node_id));
    assert_non_null(strstr(text, " 9223372036854775808 "));
    assert_null(strchr(text, '~'));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_room_is_kept_to),
        cmocka_unit_test(without_bounds_nothing_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
