/*
 * Configurations, from YAML to a topology: each either has an error, which is told at a place in the file, or gives a topology in which every
 * value is within its bounds and with which the router's parts can begin. Reading it twice says the same twice, in whichever purpose, and
 * documents in one file are the same as in two.
 *
 * The input is the file.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "routing/classify.h"
#include "topology/build.h"
#include "topology/changes.h"
#include "topology/sizing.h"
#include "topology/yaml_tree.h"

#define FILE_BYTES 16384

/* A file that nobody else sees, by its place in /proc. */
struct file {
    int fd;
    char path[40];
};

static void write_file(struct file *file, struct text content)
{
    if (file->path[0] == '\0') {
        file->fd = memfd_create("fuzz", MFD_CLOEXEC);
        expect(file->fd >= 0);
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    }
    expect(ftruncate(file->fd, 0) == 0);
    expect(pwrite(file->fd, content.bytes, content.length, 0) == (ssize_t)content.length);
}

struct reading {
    struct topology *topology;
    struct findings *findings;
    size_t errors, warnings;
    uint64_t words; /* a sum of all that was found, wherever it stands */
    size_t lines;   /* of the longest file */
};

/* What is said stands somewhere in the file and drives no terminal. */
static void take_finding(void *owner, enum finding_level level, struct place place, const char *text)
{
    struct reading *reading = owner;
    expect(place.line <= reading->lines + 1 && text[0] != '\0');
    for (const char *c = text; *c != '\0'; c++) {
        expect((unsigned char)*c >= 0x20 && *c != 0x7f);
        reading->words += (uint64_t)(unsigned char)*c * (uint64_t)(c - text + 1) + level;
    }
}

static struct reading read_files(const struct file *files, size_t count, enum topology_purpose purpose, size_t lines)
{
    struct reading reading = {.findings = findings_create(), .lines = lines};
    expect(reading.findings != NULL);
    const char *paths[2] = {files[0].path, files[1].path};
    reading.topology = topology_read(paths, count, purpose, reading.findings);
    reading.errors = findings_count(reading.findings, FINDING_ERROR);
    reading.warnings = findings_count(reading.findings, FINDING_WARNING);
    expect((reading.topology == NULL) == (reading.errors > 0));
    findings_visit(reading.findings, take_finding, &reading);
    return reading;
}

static void end_reading(struct reading *reading)
{
    topology_release(reading->topology);
    findings_destroy(reading->findings);
}

/* ---- what holds of every topology ---- */

static void expect_node(const struct topology_node *node, enum storage_engine engine)
{
    expect(node->node_id != NULL && node->node_id[0] != '\0' && node->modes != 0 && node->capabilities != 0);
    expect(node->weight >= 1 && node->maximum_links >= 1);
    expect(node->url == NULL || (node->host != NULL && node->host[0] != '\0' && node->port != 0));
    char words[128];
    expect(node_modes_describe(node->modes, words, sizeof words)[0] != '\0');
    if (node->cores >= 2) {
        struct sizing sizing = sizing_of(engine, node->modes, node->cores, UINT64_C(64) << 30);
        expect(sizing.memory_percent <= 100 && sizing.io_threads <= node->cores);
    }
}

static void expect_sound(const struct topology *topology, enum topology_purpose purpose)
{
    expect(topology->node_count <= TOPOLOGY_NODES_MAXIMUM && topology->listener_count <= TOPOLOGY_LISTENERS_MAXIMUM);
    expect(topology->route_count <= TOPOLOGY_ROUTES_MAXIMUM && topology->certificate_count <= TOPOLOGY_CERTIFICATES_MAXIMUM);
    expect(purpose == TOPOLOGY_PURPOSE_CHECK || (topology->node_count > 0 && topology->listener_count > 0 && topology->cluster_id != NULL));
    for (size_t i = 0; i < topology->node_count; i++) {
        expect_node(&topology->nodes[i], topology->storage_engine);
        expect(purpose == TOPOLOGY_PURPOSE_CHECK || topology->nodes[i].url != NULL);
        for (size_t j = 0; j < i; j++)
            expect(strcmp(topology->nodes[i].node_id, topology->nodes[j].node_id) != 0);
    }
    for (size_t i = 0; i < topology->listener_count; i++) {
        const struct topology_listener *listener = &topology->listeners[i];
        expect(listener->address != NULL && (listener->host == NULL) == (listener->path != NULL));
        expect(listener->class == REQUEST_CLASS_WRITE || listener->class == REQUEST_CLASS_WRITEBACK);
    }
    expect(topology->limits.head_bytes > 0 && topology->limits.fields > 0 && topology->limits.target_bytes > 0);
    struct findings *findings = findings_create();
    topology_changes(topology, topology, findings);
    expect(findings_count(findings, FINDING_ERROR) + findings_count(findings, FINDING_WARNING) == 0);
    findings_destroy(findings);
}

/* Each of the operator's routes is found by the path that it names, unless an earlier one takes it or nobody may ask so. */
static void expect_routes(const struct topology *topology)
{
    struct classifier *classifier = classifier_create(topology);
    expect(classifier != NULL);
    for (size_t i = 0; i < topology->route_count; i++) {
        const struct topology_route *route = &topology->routes[i];
        expect(route->method[0] != '\0' && route->path != NULL);
        struct classify_question question = {.method = text_of_string(strcmp(route->method, "*") == 0 ? "GET" : route->method),
                                             .path = text_of_string(route->path)};
        struct classify_answer answer = classify(classifier, &question);
        if (i == 0 && answer.refusal == FAULT_NONE && route->class != REQUEST_CLASS_UNKNOWN)
            expect(answer.class == route->class);
    }
    classifier_destroy(classifier);
}

/* ---- the file cut in two ---- */

static bool has_document(struct text content)
{
    struct findings *findings = findings_create();
    struct yaml_tree *tree = yaml_tree_parse("file", content, findings);
    bool has_one = tree != NULL && tree->first != NULL;
    yaml_tree_destroy(tree);
    findings_destroy(findings);
    return has_one;
}

/* Documents do not know of each other's file; one without any is an error. */
static void expect_same_in_two(struct file *files, struct text content, const struct reading *whole)
{
    ptrdiff_t at = text_find(content, TEXT("\n---\n"));
    bool has_more = memchr(content.bytes, '%', content.length) != NULL || text_find(content, TEXT("\n...")) >= 0;
    if (at < 0 || has_more || whole->topology == NULL)
        return;
    struct text first = text_of(content.bytes, (size_t)at + 1);
    struct text second = text_of(content.bytes + at + 1, content.length - (size_t)at - 1);
    if (!has_document(first) || !has_document(second))
        return;
    write_file(&files[0], first);
    write_file(&files[1], second);
    struct reading two = read_files(files, 2, TOPOLOGY_PURPOSE_CHECK, whole->lines);
    expect(two.topology != NULL);
    expect(two.topology->node_count == whole->topology->node_count && two.topology->listener_count == whole->topology->listener_count);
    expect(two.topology->route_count == whole->topology->route_count && two.warnings == whole->warnings);
    end_reading(&two);
}

static void expect_tree(const struct yaml_node *node, const struct yaml_node *parent, size_t lines)
{
    /* What is not there ("?" and nothing behind it) stands on the line behind the last one. */
    expect(node->place.line >= 1 && node->place.line <= lines + 1 && node->place.column >= 1);
    expect((node->key != NULL) == (parent != NULL && parent->kind == YAML_MAPPING));
    expect(node->kind != YAML_SCALAR || node->text.bytes[node->text.length] == '\0');
    size_t count = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next, count++)
        expect_tree(child, node, lines);
    expect(node->kind == YAML_SCALAR || node->kind == YAML_REFUSED || count == node->count);
}

/* Is it YAML at all, and no finding? A topology takes its time, and most of what is no YAML gives none. */
static bool is_yaml(struct text content, size_t lines)
{
    struct text copy = fuzz_copy(content);
    struct findings *findings = findings_create();
    struct yaml_tree *tree = yaml_tree_parse("file", copy, findings);
    size_t errors = findings_count(findings, FINDING_ERROR);
    expect(tree != NULL || errors > 0);
    for (const struct yaml_node *document = tree == NULL ? NULL : tree->first; document != NULL; document = document->next)
        expect_tree(document, NULL, lines);
    yaml_tree_destroy(tree);
    findings_destroy(findings);
    fuzz_free(copy);
    return errors == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct file files[2];
    struct text content = text_of((const char *)data, size < FILE_BYTES ? size : FILE_BYTES);
    size_t lines = 1;
    for (size_t i = 0; i < content.length; i++)
        lines += content.bytes[i] == '\n' || content.bytes[i] == '\r' || (unsigned char)content.bytes[i] >= 0x80;
    if (!is_yaml(content, lines) && size % 8 != 0)
        return 0;
    write_file(&files[0], content);
    write_file(&files[1], TEXT_EMPTY);
    struct reading check = read_files(files, 1, TOPOLOGY_PURPOSE_CHECK, lines);
    struct reading again = read_files(files, 1, TOPOLOGY_PURPOSE_CHECK, lines);
    struct reading serve = read_files(files, 1, TOPOLOGY_PURPOSE_SERVE, lines);
    expect(check.errors == again.errors && check.warnings == again.warnings && check.words == again.words);
    /* Whoever serves asks for more, never for less. */
    expect(serve.topology == NULL || check.topology != NULL);
    if (check.topology != NULL) {
        expect_sound(check.topology, TOPOLOGY_PURPOSE_CHECK);
        expect_routes(check.topology);
    }
    if (serve.topology != NULL)
        expect_sound(serve.topology, TOPOLOGY_PURPOSE_SERVE);
    expect_same_in_two(files, content, &check);
    end_reading(&check);
    end_reading(&again);
    end_reading(&serve);
    return 0;
}
