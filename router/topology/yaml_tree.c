#include "topology/yaml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "topology/storage.h"

/* An open collection: what the next event is put into. */
struct frame {
    struct yaml_node *node;
    struct yaml_node **tail; /* where the next child is linked */
    struct yaml_node *key;   /* mapping: the key that waits for its value */
};

struct reader {
    struct yaml_tree *tree;
    struct findings *findings;
    const char *file;
    struct frame frames[YAML_TREE_DEPTH_MAXIMUM];
    size_t depth;
    size_t node_count;
    struct yaml_node **documents_tail;
};

/* libyaml counts from 0. */
static struct place place_of(const struct reader *reader, const yaml_mark_t *mark)
{
    return (struct place){reader->file, (unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static struct place whole_file(const char *file)
{
    return (struct place){file, 0, 0};
}

static struct yaml_node *add_node(struct reader *reader, enum yaml_kind kind, const yaml_event_t *event)
{
    struct place place = place_of(reader, &event->start_mark);
    if (reader->node_count == YAML_TREE_NODES_MAXIMUM) {
        findings_error(reader->findings, place, "more than %d values in one file; split the file",
                       YAML_TREE_NODES_MAXIMUM);
        return NULL;
    }
    reader->node_count++;
    struct yaml_node *node = storage_take(reader->tree->storage, 1, sizeof *node);
    if (node == NULL) {
        findings_error(reader->findings, place, "out of memory; free some and try again");
        return NULL;
    }
    node->kind = kind;
    node->place = place;
    return node;
}

static bool is_duplicate(struct reader *reader, const struct frame *frame)
{
    const struct yaml_node *earlier = yaml_tree_member(frame->node, frame->key->text);
    if (earlier == NULL)
        return false;
    findings_error(reader->findings, frame->key->place,
                   "the key \"%s\" stands twice in this mapping, first on line %u; remove one", frame->key->text.bytes,
                   earlier->key->place.line);
    return true;
}

/* Takes a scalar as key when the open mapping waits for one. */
static bool accept_key(struct reader *reader, struct frame *frame, struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR) {
        findings_error(reader->findings, node->place, "a key must be plain text; write `key: value`");
        return false;
    }
    if (frame->node->count == YAML_TREE_KEYS_MAXIMUM) {
        findings_error(reader->findings, node->place,
                       "more than %d keys in one mapping; remove those that Sluice does not know",
                       YAML_TREE_KEYS_MAXIMUM);
        return false;
    }
    frame->key = node;
    return true;
}

/* Puts a finished scalar, or a collection whose members follow, where it belongs. */
static bool attach(struct reader *reader, struct yaml_node *node)
{
    if (reader->depth == 0) {
        *reader->documents_tail = node;
        reader->documents_tail = &node->next;
        return true;
    }
    struct frame *frame = &reader->frames[reader->depth - 1];
    if (frame->node->kind == YAML_MAPPING && frame->key == NULL)
        return accept_key(reader, frame, node);
    node->key = frame->key;
    bool is_dropped = frame->key != NULL && is_duplicate(reader, frame);
    frame->key = NULL;
    if (is_dropped)
        return true;
    *frame->tail = node;
    frame->tail = &node->next;
    frame->node->count++;
    return true;
}

static void refuse_decoration(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    struct place place = place_of(reader, &event->start_mark);
    if (anchor != NULL)
        findings_error(reader->findings, place,
                       "the anchor \"&%s\" is not supported; write the value out where it is needed",
                       (const char *)anchor);
    if (tag != NULL)
        findings_error(reader->findings, place, "the tag \"%s\" is not supported; remove it", (const char *)tag);
}

static bool on_scalar(struct reader *reader, const yaml_event_t *event)
{
    refuse_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
    struct text value = text_of((const char *)event->data.scalar.value, event->data.scalar.length);
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (reader->depth == 0 && is_plain && value.length == 0)
        return true; /* a document without content, as after a last `---` */
    struct yaml_node *node = add_node(reader, YAML_SCALAR, event);
    if (node == NULL)
        return false;
    if (value.length > 0 && memchr(value.bytes, '\0', value.length) != NULL) {
        findings_error(reader->findings, node->place, "a text with a NUL character in it; remove the escape");
        return false;
    }
    node->is_plain = is_plain;
    node->text = text_of(storage_copy(reader->tree->storage, value), value.length);
    if (node->text.bytes == NULL) {
        findings_error(reader->findings, node->place, "out of memory; free some and try again");
        return false;
    }
    return attach(reader, node);
}

static bool on_alias(struct reader *reader, const yaml_event_t *event)
{
    struct yaml_node *node = add_node(reader, YAML_REFUSED, event);
    if (node == NULL)
        return false;
    findings_error(reader->findings, node->place, "the alias \"*%s\" is not supported; write the value out here",
                   (const char *)event->data.alias.anchor);
    return attach(reader, node);
}

static bool on_collection(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind)
{
    struct yaml_node *node = add_node(reader, kind, event);
    if (node == NULL || !attach(reader, node))
        return false;
    if (reader->depth == YAML_TREE_DEPTH_MAXIMUM) {
        findings_error(reader->findings, node->place, "nested deeper than %d levels; the schema needs 4",
                       YAML_TREE_DEPTH_MAXIMUM);
        return false;
    }
    reader->frames[reader->depth++] = (struct frame){.node = node, .tail = &node->first};
    return true;
}

static bool on_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_ALIAS_EVENT:
        return on_alias(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(reader, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return on_collection(reader, event, YAML_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        refuse_decoration(reader, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return on_collection(reader, event, YAML_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return true;
    default:
        return true;
    }
}

static void report_syntax(struct reader *reader, const yaml_parser_t *parser)
{
    const char *problem = parser->problem != NULL ? parser->problem : "not readable as YAML";
    struct place place = place_of(reader, &parser->problem_mark);
    if (parser->error == YAML_MEMORY_ERROR)
        findings_error(reader->findings, whole_file(reader->file), "out of memory; free some and try again");
    else if (parser->error == YAML_READER_ERROR)
        findings_error(reader->findings, whole_file(reader->file), "%s at byte %zu; save the file as UTF-8 text",
                       problem, parser->problem_offset);
    else if (parser->context != NULL)
        findings_error(reader->findings, place, "%s %s, which begins on line %zu; mend the YAML there or here", problem,
                       parser->context, parser->context_mark.line + 1);
    else
        findings_error(reader->findings, place, "%s; mend the YAML here or on the line before", problem);
}

static bool read_events(struct reader *reader, struct text source)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        findings_error(reader->findings, whole_file(reader->file), "out of memory; free some and try again");
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)source.bytes, source.length);
    bool is_good = true;
    bool is_ended = false;
    while (is_good && !is_ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            report_syntax(reader, &parser);
            is_good = false;
            break;
        }
        is_ended = event.type == YAML_STREAM_END_EVENT;
        is_good = on_event(reader, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return is_good;
}

struct yaml_tree *yaml_tree_parse(const char *name, struct text source, struct findings *findings)
{
    struct yaml_tree *tree = calloc(1, sizeof *tree);
    if (tree != NULL)
        tree->storage = storage_create();
    if (tree != NULL && tree->storage != NULL)
        tree->file = storage_copy(tree->storage, text_of_string(name));
    if (tree == NULL || tree->file == NULL) {
        findings_error(findings, whole_file(name), "out of memory; free some and try again");
        yaml_tree_destroy(tree);
        return NULL;
    }
    struct reader reader = {.tree = tree, .findings = findings, .file = tree->file, .documents_tail = &tree->first};
    if (!read_events(&reader, source)) {
        yaml_tree_destroy(tree);
        return NULL;
    }
    return tree;
}

/* NULL after a finding. */
static char *read_bytes(const char *path, size_t *length, struct findings *findings)
{
    char *bytes = file_read_whole(path, YAML_TREE_FILE_BYTES_MAXIMUM, length);
    if (bytes != NULL)
        return bytes;
    if (errno == EISDIR)
        findings_error(findings, whole_file(path), "is a folder; name a file in it");
    else if (errno == ENOMEM)
        findings_error(findings, whole_file(path), "out of memory; free some and try again");
    else if (errno == EIO)
        findings_error(findings, whole_file(path), "cannot read: %s; check the disk and try again", strerror(errno));
    else
        findings_error(findings, whole_file(path), "cannot open: %s; check the name and the permissions", strerror(errno));
    return NULL;
}

struct yaml_tree *yaml_tree_read(const char *path, struct findings *findings)
{
    size_t length = 0;
    char *bytes = read_bytes(path, &length, findings);
    if (bytes == NULL)
        return NULL;
    struct yaml_tree *tree = NULL;
    if (length > YAML_TREE_FILE_BYTES_MAXIMUM)
        findings_error(findings, whole_file(path), "larger than %zu MiB; this is no configuration of Sluice",
                       YAML_TREE_FILE_BYTES_MAXIMUM >> 20);
    else
        tree = yaml_tree_parse(path, text_of(bytes, length), findings);
    free(bytes);
    return tree;
}

void yaml_tree_destroy(struct yaml_tree *tree)
{
    if (tree == NULL)
        return;
    storage_destroy(tree->storage);
    free(tree);
}

const struct yaml_node *yaml_tree_member(const struct yaml_node *mapping, struct text key)
{
    if (mapping->kind != YAML_MAPPING)
        return NULL;
    for (const struct yaml_node *member = mapping->first; member != NULL; member = member->next) {
        if (text_equals(member->key->text, key))
            return member;
    }
    return NULL;
}

const char *yaml_tree_kind_name(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_SEQUENCE:
        return "a list";
    case YAML_MAPPING:
        return "a mapping";
    default:
        return "a text";
    }
}
