#include "cli/status_table.h"

#include <inttypes.h>
#include <stdlib.h>

#define CELL_BYTES 192
#define LINE_BYTES 1024
#define GAP 1

enum column { COLUMN_NODE, COLUMN_MODE, COLUMN_HEALTH, COLUMN_ADMIN, COLUMN_OUT, COLUMN_REQUESTS, COLUMN_FAILED, COLUMN_SINCE };
#define COLUMN_COUNT 8

/* `minimum`: a column of text may be cut to this width, 0: it is not cut. Numbers stand on the right. */
static const struct {
    const char *heading;
    unsigned minimum;
    bool is_number;
} columns[COLUMN_COUNT] = {
    [COLUMN_NODE] = {"NODE", 20, false},
    [COLUMN_MODE] = {"MODE", 10, false},
    [COLUMN_HEALTH] = {"HEALTH", 0, false},
    [COLUMN_ADMIN] = {"ADMIN", 11, false},
    [COLUMN_OUT] = {"OUT", 0, true},
    [COLUMN_REQUESTS] = {"REQUESTS", 0, true},
    [COLUMN_FAILED] = {"FAILED", 0, true},
    [COLUMN_SINCE] = {"SINCE", 0, true},
};

/* ---- cells ---- */

/* A line is as wide as it has bytes, so only those are let through that take one column each. */
static void make_plain(char *text)
{
    for (char *each = text; *each != '\0'; each++) {
        if (*each < 0x20 || *each >= 0x7f)
            *each = '?';
    }
}

/* Exact, or with at most six characters: "99999", "123K", "4.5M". */
static void put_count(char *cell, uint64_t count, bool is_exact)
{
    static const char units[] = "KMGTPE";
    size_t unit = 0;
    double value = (double)count / 1000;
    if (is_exact || count < 100000) {
        snprintf(cell, CELL_BYTES, "%" PRIu64, count);
        return;
    }
    for (; value >= 999.5 && unit + 1 < sizeof units - 1; unit++)
        value /= 1000;
    snprintf(cell, CELL_BYTES, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

/* The two largest units: "42s", "3m07s", "5h20m", "12d4h". */
static void put_duration(char *cell, uint64_t duration_s)
{
    uint64_t minutes = duration_s / 60;
    uint64_t hours = minutes / 60;
    if (duration_s < 60)
        snprintf(cell, CELL_BYTES, "%" PRIu64 "s", duration_s);
    else if (minutes < 60)
        snprintf(cell, CELL_BYTES, "%" PRIu64 "m%02" PRIu64 "s", minutes, duration_s % 60);
    else if (hours < 24)
        snprintf(cell, CELL_BYTES, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
    else
        snprintf(cell, CELL_BYTES, "%" PRIu64 "d%" PRIu64 "h", hours / 24, hours % 24);
}

static void put_cell(const struct status_node *node, enum column column, bool is_exact, char *cell)
{
    switch (column) {
    case COLUMN_NODE:
        snprintf(cell, CELL_BYTES, "%s", node->node_id);
        break;
    case COLUMN_MODE:
        snprintf(cell, CELL_BYTES, "%s", node->modes);
        break;
    case COLUMN_HEALTH:
        snprintf(cell, CELL_BYTES, "%.16s", node->health);
        break;
    case COLUMN_ADMIN:
        snprintf(cell, CELL_BYTES, "%s", node->admin.text);
        break;
    case COLUMN_OUT:
        put_count(cell, node->outstanding, is_exact);
        break;
    case COLUMN_REQUESTS:
        put_count(cell, node->requests, is_exact);
        break;
    case COLUMN_FAILED:
        put_count(cell, node->failures, is_exact);
        break;
    case COLUMN_SINCE:
        put_duration(cell, node->since_s);
        break;
    }
    make_plain(cell);
}

/* ---- widths ---- */

static void measure(const struct status_report *report, bool is_exact, unsigned *widths)
{
    char cell[CELL_BYTES];
    for (unsigned c = 0; c < COLUMN_COUNT; c++) {
        widths[c] = (unsigned)strlen(columns[c].heading);
        for (size_t i = 0; i < report->node_count; i++) {
            put_cell(&report->nodes[i], (enum column)c, is_exact, cell);
            widths[c] = strlen(cell) > widths[c] ? (unsigned)strlen(cell) : widths[c];
        }
    }
}

static unsigned sum_of(const unsigned *widths)
{
    unsigned sum = (COLUMN_COUNT - 1) * GAP;
    for (unsigned c = 0; c < COLUMN_COUNT; c++)
        sum += widths[c];
    return sum;
}

/* Takes from the widest column of text until the line fits, or no column can give more. */
static void shrink(unsigned *widths, unsigned room)
{
    while (sum_of(widths) > room) {
        unsigned widest = COLUMN_COUNT;
        for (unsigned c = 0; c < COLUMN_COUNT; c++) {
            bool can_give = columns[c].minimum > 0 && widths[c] > columns[c].minimum;
            if (can_give && (widest == COLUMN_COUNT || widths[c] > widths[widest]))
                widest = c;
        }
        if (widest == COLUMN_COUNT)
            return;
        widths[widest]--;
    }
}

/* A node's name is told by its end as much as by its beginning: prod-eu-ing~er-017. */
static void cut_cell(char *cell, unsigned width, bool keep_end)
{
    size_t length = strlen(cell);
    size_t end = keep_end ? (width - 1) / 2 : 0;
    if (length <= width)
        return;
    memmove(cell + width - end, cell + length - end, end + 1);
    cell[width - end - 1] = '~';
}

static void print_line(const char *line, unsigned room, FILE *stream)
{
    size_t length = strlen(line);
    while (length > 0 && line[length - 1] == ' ')
        length--;
    fprintf(stream, "%.*s\n", (int)(room > 0 && length > room ? room : length), line);
}

static void print_heading(const unsigned *widths, unsigned room, FILE *stream)
{
    char line[LINE_BYTES] = "";
    size_t used = 0;
    for (unsigned c = 0; c < COLUMN_COUNT; c++)
        used = text_append(line, sizeof line, used, "%*s%s", columns[c].is_number ? (int)widths[c] : -(int)widths[c],
                           columns[c].heading, c + 1 < COLUMN_COUNT ? " " : "");
    print_line(line, room, stream);
}

static void print_node(const struct status_node *node, const unsigned *widths, unsigned room, FILE *stream)
{
    char line[LINE_BYTES] = "";
    char cell[CELL_BYTES];
    size_t used = 0;
    for (unsigned c = 0; c < COLUMN_COUNT; c++) {
        put_cell(node, (enum column)c, room == 0, cell);
        cut_cell(cell, widths[c], c == COLUMN_NODE);
        used = text_append(line, sizeof line, used, "%*s%s", columns[c].is_number ? (int)widths[c] : -(int)widths[c], cell,
                           c + 1 < COLUMN_COUNT ? " " : "");
    }
    print_line(line, room, stream);
}

/* ---- order ---- */

enum trouble { TROUBLE_NOT_UP, TROUBLE_NOT_USABLE, TROUBLE_MAINT, TROUBLE_DRAIN, TROUBLE_NONE };
#define TROUBLE_COUNT 5

static enum trouble trouble_of(const struct status_node *node)
{
    if (strcmp(node->health, "up") != 0)
        return TROUBLE_NOT_UP;
    if (node->admin.worst == ADMIN_MAINT)
        return TROUBLE_MAINT;
    if (node->admin.worst == ADMIN_DRAIN)
        return TROUBLE_DRAIN;
    return node->is_usable ? TROUBLE_NONE : TROUBLE_NOT_USABLE;
}

/* Both stand in one array, so the address tells which comes first in it. */
static int compare(const void *left, const void *right)
{
    const struct status_node *a = *(const struct status_node *const *)left;
    const struct status_node *b = *(const struct status_node *const *)right;
    enum trouble trouble_a = trouble_of(a);
    enum trouble trouble_b = trouble_of(b);
    if (trouble_a != trouble_b)
        return trouble_a < trouble_b ? -1 : 1;
    if (a->failures != b->failures)
        return a->failures > b->failures ? -1 : 1;
    return (a > b) - (a < b);
}

/* ---- the whole ---- */

static void print_summary(const struct status_report *report, const char *address, unsigned room, FILE *stream)
{
    char line[LINE_BYTES] = "";
    char uptime[CELL_BYTES];
    put_duration(uptime, report->uptime_s);
    text_append(line, sizeof line, 0, "%s%s%s%s  sluice %s  up %s  epoch %" PRIu64 "  %" PRIu64 " sessions",
                report->is_draining ? "DRAINING  " : "", report->cluster_id, report->cluster_id[0] != '\0' ? " at " : "", address,
                report->version, uptime, report->epoch, report->sessions);
    make_plain(line);
    print_line(line, room, stream);
}

static void print_counts(const struct status_report *report, unsigned room, FILE *stream)
{
    static const char *const words[TROUBLE_COUNT] = {"not up", "up but not usable", "in maint", "draining", "well"};
    size_t counts[TROUBLE_COUNT] = {0};
    uint64_t outstanding = 0;
    char line[LINE_BYTES] = "";
    for (size_t i = 0; i < report->node_count; i++) {
        counts[trouble_of(&report->nodes[i])]++;
        outstanding += report->nodes[i].outstanding;
    }
    size_t used = text_append(line, sizeof line, 0, "%zu node%s: ", report->node_count, report->node_count == 1 ? "" : "s");
    for (size_t i = 0; i < TROUBLE_COUNT; i++) {
        if (counts[i] > 0 || i == TROUBLE_NONE)
            used = text_append(line, sizeof line, used, "%zu %s, ", counts[i], words[i]);
    }
    text_append(line, sizeof line, used, "%" PRIu64 " outstanding", outstanding);
    print_line(line, room, stream);
}

bool status_table_print(const struct status_report *report, const char *address, struct table_room room, FILE *stream)
{
    unsigned widths[COLUMN_COUNT];
    const struct status_node **order = calloc(report->node_count + 1, sizeof(struct status_node *));
    if (order == NULL)
        return false;
    for (size_t i = 0; i < report->node_count; i++)
        order[i] = &report->nodes[i];
    qsort(order, report->node_count, sizeof order[0], compare);
    measure(report, room.columns == 0, widths);
    if (room.columns > 0)
        shrink(widths, room.columns);
    print_summary(report, address, room.columns, stream);
    print_counts(report, room.columns, stream);
    print_heading(widths, room.columns, stream);
    size_t shown = report->node_count;
    if (room.rows > 0 && shown > room.rows - 3)
        shown = room.rows - 4;
    for (size_t i = 0; i < shown; i++)
        print_node(order[i], widths, room.columns, stream);
    if (shown < report->node_count) {
        char line[LINE_BYTES];
        text_append(line, sizeof line, 0, "and %zu more, none of them in worse trouble", report->node_count - shown);
        print_line(line, room.columns, stream);
    }
    free(order);
    return true;
}
