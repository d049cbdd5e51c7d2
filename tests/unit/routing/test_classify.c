/*
 * The table and its lookup against tests/classify/: each file there is a configuration and the requests that meet it
 * (the format stands at the head of data.txt). A built-in row that no line reaches fails the test.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "routing/classify.h"

#define DIRECTORY "tests/classify"
#define ROUTES_MAXIMUM 32
#define ROWS_MAXIMUM 256
#define METHODS_MAXIMUM 8
#define LINE_BYTES 512

/* One data file while it is read. */
struct sheet {
    struct topology topology;
    struct topology_route routes[ROUTES_MAXIMUM];
    struct classifier *classifier; /* made when the first request is met: directives come first */
    char name[300];
    unsigned line;
    unsigned requests;
    struct reach *reach;
};

/* Which methods of which built-in row some line has reached. */
struct reach {
    bool methods[ROWS_MAXIMUM][METHODS_MAXIMUM];
};

static void append_capabilities(char *buffer, size_t capacity, unsigned capabilities)
{
    static const char *const names[] = {"ingest", "query", "compact", "process"};
    size_t used = strlen(buffer);
    const char *separator = "";
    for (size_t i = 0; i < 4; i++) {
        if ((capabilities >> i & 1) == 0)
            continue;
        used = text_append(buffer, capacity, used, "%s%s", separator, names[i]);
        separator = ",";
    }
}

static const char *const repeat_names[] = {"safe", "write", "unsent", "streamed"};
static const char *const target_names[] = {"one", "named", "named-or-one", "named-or-all", "sluice", "nobody"};

/* The same words as to the right of "->". */
static void describe_answer(const struct classify_answer *answer, char *buffer, size_t capacity)
{
    const unsigned every =
        NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY | NODE_CAPABILITY_COMPACT | NODE_CAPABILITY_PROCESS;
    if (answer->refusal != FAULT_NONE) {
        snprintf(buffer, capacity, "refused %s", fault_row(answer->refusal)->name);
        return;
    }
    const struct route *route = answer->route;
    assert_non_null(route);
    snprintf(buffer, capacity, "%s %s %s ", request_class_name(answer->class), repeat_names[route->repeat],
             target_names[route->target]);
    if (route->capabilities == 0 || route->capabilities == every)
        strcat(buffer, route->capabilities == 0 ? "any" : "every");
    else
        append_capabilities(buffer, capacity, route->capabilities);
    if (route->preferred == 0)
        return;
    strcat(buffer, ", ");
    append_capabilities(buffer, capacity, route->preferred);
    strcat(buffer, " first");
}

static void mark_row(struct reach *reach, const struct route *route, struct text method)
{
    for (size_t i = 0; i < routes_builtin_count; i++) {
        if (route != &routes_builtin[i])
            continue;
        struct text rest = text_of_string(route->methods);
        for (size_t j = 0; rest.bytes != NULL; j++) {
            struct text word = text_cut(&rest, ' ');
            if (text_equals(word, method) || text_equals(word, TEXT("*")))
                reach->methods[i][j] = true;
        }
    }
}

static void check_each_is_reached(const struct reach *reach)
{
    for (size_t i = 0; i < routes_builtin_count; i++) {
        const struct route *row = &routes_builtin[i];
        struct text rest = text_of_string(row->methods);
        for (size_t j = 0; rest.bytes != NULL; j++) {
            struct text method = text_cut(&rest, ' ');
            if (!reach->methods[i][j])
                fail_msg("no line in %s reaches %.*s %s (%s)", DIRECTORY, TEXT_ARGUMENTS(method), row->path,
                         request_class_name(row->class));
        }
    }
}

static void check_request(struct sheet *sheet, char *request, const char *expected)
{
    char *rest = NULL;
    struct classify_question question = {.path = TEXT_EMPTY};
    char *word = strtok_r(request, " ", &rest);
    for (; word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, "grpc") == 0)
            question.is_grpc = true;
        else if (strcmp(word, "writeback") == 0)
            question.is_writeback = true;
        else
            break;
    }
    question.method = text_of_string(word);
    question.path = text_of_string(strtok_r(NULL, " ", &rest));
    if (sheet->classifier == NULL)
        sheet->classifier = classifier_create(&sheet->topology);
    assert_non_null(sheet->classifier);

    struct classify_answer answer = classify(sheet->classifier, &question);
    char found[LINE_BYTES];
    describe_answer(&answer, found, sizeof(found));
    if (strcmp(found, expected) != 0)
        fail_msg("%s:%u: %.*s %.*s: expected \"%s\", found \"%s\"", sheet->name, sheet->line,
                 TEXT_ARGUMENTS(question.method), TEXT_ARGUMENTS(question.path), expected, found);

    /* The path alone must be judged alike, save for gRPC, where every reading of it is Flight. */
    bool is_ambiguous = answer.refusal == FAULT_REQUEST_PATH_AMBIGUOUS;
    if (!question.is_grpc && answer.refusal != FAULT_REQUEST_METHOD)
        assert_int_equal(classify_check_path(sheet->classifier, question.method, question.path),
                         is_ambiguous ? FAULT_REQUEST_PATH_AMBIGUOUS : FAULT_NONE);
    /* A denied row is found, too: its answer names it. */
    mark_row(sheet->reach, answer.route, question.method);
    sheet->requests++;
}

static void read_route(struct sheet *sheet, const char *rest)
{
    assert_true(sheet->topology.route_count < ROUTES_MAXIMUM);
    char method[32], path[128], class[32];
    if (sscanf(rest, "%31s %127s %31s", method, path, class) != 3)
        fail_msg("%s:%u: route: METHOD PATH CLASS", sheet->name, sheet->line);
    struct topology_route *route = &sheet->routes[sheet->topology.route_count++];
    size_t length = strlen(path);
    route->is_prefix = path[length - 1] == '*';
    if (route->is_prefix)
        path[length - 1] = '\0';
    route->method = strdup(method);
    route->path = strdup(path);
    if (!request_class_from_name(class, strlen(class), &route->class))
        fail_msg("%s:%u: no such class: %s", sheet->name, sheet->line, class);
}

static void read_line(struct sheet *sheet, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#')
        return;
    if (strcmp(line, "unknown: deny") == 0) {
        sheet->topology.unknown = TOPOLOGY_UNKNOWN_DENY;
    } else if (strncmp(line, "route: ", 7) == 0) {
        read_route(sheet, line + 7);
    } else {
        char *arrow = strstr(line, " -> ");
        if (arrow == NULL)
            fail_msg("%s:%u: no \" -> \"", sheet->name, sheet->line);
        *arrow = '\0';
        check_request(sheet, line, arrow + 4);
    }
}

static unsigned read_sheet(const char *name, struct reach *reach)
{
    struct sheet sheet = {.reach = reach};
    sheet.topology.routes = sheet.routes;
    snprintf(sheet.name, sizeof(sheet.name), "%s/%s", DIRECTORY, name);
    FILE *file = fopen(sheet.name, "r");
    assert_non_null(file);
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), file) != NULL) {
        sheet.line++;
        read_line(&sheet, line);
    }
    fclose(file);
    classifier_destroy(sheet.classifier);
    for (size_t i = 0; i < sheet.topology.route_count; i++) {
        free((void *)(uintptr_t)sheet.routes[i].method);
        free((void *)(uintptr_t)sheet.routes[i].path);
    }
    if (sheet.requests == 0)
        fail_msg("%s: no request in it", sheet.name);
    return sheet.requests;
}

static int is_sheet(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".txt") == 0;
}

static void each_request_finds_its_row_and_each_row_its_request(void **state)
{
    (void)state;
    struct reach reach = {0};
    assert_true(routes_builtin_count <= ROWS_MAXIMUM);
    struct dirent **entries = NULL;
    int count = scandir(DIRECTORY, &entries, is_sheet, alphasort);
    if (count <= 0)
        fail_msg("no data in %s: run from the root of the repository", DIRECTORY);
    unsigned requests = 0;
    for (int i = 0; i < count; i++) {
        requests += read_sheet(entries[i]->d_name, &reach);
        free(entries[i]);
    }
    free(entries);
    check_each_is_reached(&reach);
    print_message("%u requests, %zu rows\n", requests, routes_builtin_count);
}

static void bytes_that_no_line_can_show_are_refused(void **state)
{
    (void)state;
    struct topology topology = {0};
    struct classifier *classifier = classifier_create(&topology);
    static const struct text paths[] = {
        {"", 0}, {"/write\0", 7}, {"/write\t", 7}, {"/write\x7f", 7}, {"/wri te", 7}, {"/\r\n", 3}, {"/a\x01", 3},
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(classify_check_path(classifier, TEXT("POST"), paths[i]), FAULT_REQUEST_PATH_AMBIGUOUS);
        struct classify_question question = {.method = TEXT("POST"), .path = paths[i]};
        assert_int_equal(classify(classifier, &question).refusal, FAULT_REQUEST_PATH_AMBIGUOUS);
    }
    /* Bytes above ASCII are the HTTP layer's to judge. */
    assert_int_equal(classify_check_path(classifier, TEXT("POST"), TEXT("/\xc3\xbc")), FAULT_NONE);
    classifier_destroy(classifier);
}

/* A path is plain, or short enough to be looked at twice. */
static void long_paths_are_taken_only_when_plain(void **state)
{
    (void)state;
    struct topology topology = {0};
    struct classifier *classifier = classifier_create(&topology);
    enum { LENGTH = 100000 };
    char *path = malloc(LENGTH);
    memset(path, 'a', LENGTH);
    memcpy(path, "/api/v3/engine/", 15);
    struct classify_question question = {.method = TEXT("POST"), .path = text_of(path, LENGTH)};
    assert_int_equal(classify(classifier, &question).refusal, FAULT_NONE);
    assert_int_equal(classify(classifier, &question).class, REQUEST_CLASS_ENGINE);
    path[LENGTH - 1] = 'A';
    assert_int_equal(classify(classifier, &question).refusal, FAULT_REQUEST_PATH_AMBIGUOUS);
    /* At the limit, with as many segments as fit. */
    for (size_t i = 15; i < 4096; i++)
        path[i] = i % 2 == 0 ? '/' : 'A';
    question.path.length = 4096;
    assert_int_equal(classify(classifier, &question).refusal, FAULT_NONE);
    question.path.length = 4097;
    path[4096] = 'x';
    assert_int_equal(classify(classifier, &question).refusal, FAULT_REQUEST_PATH_AMBIGUOUS);
    free(path);
    classifier_destroy(classifier);
}

/* Glues random pieces together; returns the length. */
static size_t make_random_path(char *path, size_t capacity, uint32_t *random)
{
    static const char *const pieces[] = {"/",   "/api", "/v3", "/write_lp", "/write", "..",     ".",      "%2e",
                                         "%25", "2f",   ";x",  "%",         "\\",     "A",      "%77",    "/..",
                                         "//",  "?",    "%3f", "engine",    "%5c",    "/users", "/roles", "{id}",
                                         "*",   "\xff", "%ff", "x",         "%00",    "#"};
    size_t used = 0;
    do {
        *random = *random * 1664525 + 1013904223;
        const char *piece = pieces[(*random >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
        used = text_append(path, capacity, used, "%s", piece);
    } while (used < capacity - 1 && (*random >> 8) % 8 != 0);
    return used;
}

/* Whatever the bytes: a sound answer, no read beyond them, and nothing but the exact path is ever a write. */
static void random_paths_do_no_harm(void **state)
{
    (void)state;
    struct topology topology = {0};
    struct classifier *classifier = classifier_create(&topology);
    uint32_t random = 12345;
    unsigned writes = 0, refusals = 0;
    for (int round = 0; round < 200000; round++) {
        char path[128];
        size_t length = make_random_path(path, sizeof(path), &random);
        /* An exact copy on the heap, so that the sanitizers see a read beyond its end. */
        char *copy = malloc(length);
        memcpy(copy, path, length);
        struct classify_question question = {.method = TEXT("POST"), .path = text_of(copy, length)};
        struct classify_answer answer = classify(classifier, &question);
        if (answer.refusal == FAULT_NONE) {
            assert_non_null(answer.route);
        } else {
            assert_int_equal(answer.refusal, FAULT_REQUEST_PATH_AMBIGUOUS);
            refusals++;
        }
        bool is_write = answer.refusal == FAULT_NONE && answer.class == REQUEST_CLASS_WRITE;
        assert_int_equal(is_write, text_equals(question.path, TEXT("/write")) ||
                                       text_equals(question.path, TEXT("/api/v3/write_lp")));
        writes += is_write;
        free(copy);
    }
    assert_true(writes > 100 && refusals > 10000);
    classifier_destroy(classifier);
}

static unsigned fitting(const struct topology_node *nodes, size_t count, unsigned capabilities)
{
    unsigned mask = 0;
    for (size_t i = 0; i < count; i++)
        mask |= classify_node_fits(&nodes[i], capabilities) ? 1u << i : 0;
    return mask;
}

static unsigned preferred(const struct topology_node *nodes, size_t count, unsigned capabilities, unsigned wanted)
{
    unsigned mask = 0;
    for (size_t i = 0; i < count; i++)
        mask |= classify_node_is_preferred(&nodes[i], capabilities, wanted) ? 1u << i : 0;
    return mask;
}

static void nodes_follow_from_capabilities(void **state)
{
    (void)state;
    struct topology_node nodes[] = {
        {.capabilities = NODE_CAPABILITY_INGEST},
        {.capabilities = NODE_CAPABILITY_INGEST | NODE_CAPABILITY_PROCESS},
        {.capabilities = NODE_CAPABILITY_QUERY},
        {.modes = NODE_MODE_COMPACT, .capabilities = NODE_CAPABILITY_COMPACT},
        {.capabilities = NODE_CAPABILITY_PROCESS},
        {.capabilities = NODE_CAPABILITY_QUERY | NODE_CAPABILITY_PROCESS},
    };
    const unsigned process = NODE_CAPABILITY_PROCESS, ingest = NODE_CAPABILITY_INGEST, query = NODE_CAPABILITY_QUERY;
    assert_int_equal(fitting(nodes, 6, 0), 0x37);
    assert_int_equal(preferred(nodes, 6, 0, query), 0x24);
    assert_int_equal(fitting(nodes, 6, process), 0x32);
    assert_int_equal(preferred(nodes, 6, process, query), 0x20);
    assert_int_equal(fitting(nodes, 6, ingest), 0x03);
    assert_int_equal(preferred(nodes, 6, ingest, 0), 0x03);

    /* A plugin directory lets the compactor run plugins, but it stays compact-only until another mode is named. */
    assert_int_equal(fitting(&nodes[3], 1, 0), 0);
    nodes[3].capabilities |= NODE_CAPABILITY_PROCESS;
    assert_int_equal(fitting(&nodes[3], 1, 0), 0);
    assert_int_equal(fitting(&nodes[3], 1, process), 1);
    nodes[3].modes |= NODE_MODE_PROCESS;
    assert_int_equal(fitting(&nodes[3], 1, 0), 1);
}

/* What routes.c says of the columns must hold between them, row by row. */
static void rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_builtin_count; i++) {
        const struct route *row = &routes_builtin[i];
        bool is_write = row->class == REQUEST_CLASS_WRITE;
        bool is_writeback = row->class == REQUEST_CLASS_WRITEBACK;
        assert_int_equal(is_write, row->repeat == ROUTE_REPEAT_WRITE);
        if (is_write || is_writeback)
            assert_int_equal(row->capabilities, NODE_CAPABILITY_INGEST);
        if (is_writeback)
            assert_int_equal(row->repeat, ROUTE_REPEAT_UNSENT);
        if (row->class == REQUEST_CLASS_COMPACTION)
            assert_int_equal(row->capabilities, NODE_CAPABILITY_COMPACT);
        if (row->class == REQUEST_CLASS_QUERY || row->class == REQUEST_CLASS_FLIGHT)
            assert_int_equal(row->capabilities, NODE_CAPABILITY_QUERY);
        assert_int_not_equal(row->class, REQUEST_CLASS_UNKNOWN);
        for (size_t j = 0; j < i; j++) {
            const struct route *other = &routes_builtin[j];
            if (strcmp(row->path, other->path) == 0 && strcmp(row->methods, other->methods) == 0)
                assert_int_not_equal(row->class, other->class);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_finds_its_row_and_each_row_its_request),
        cmocka_unit_test(bytes_that_no_line_can_show_are_refused),
        cmocka_unit_test(long_paths_are_taken_only_when_plain),
        cmocka_unit_test(random_paths_do_no_harm),
        cmocka_unit_test(nodes_follow_from_capabilities),
        cmocka_unit_test(rows_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
