#include "cli/admin_answer.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/admin_client.h"

/* One object of the answer under judgement. */
struct reader {
    const json_t *object; /* ref */
    char place[32];       /* of the object: "", "nodes[3]" */
    char *problem;        /* ref; ADMIN_PROBLEM_CAPACITY bytes */
};

/* ---- text ---- */

/* Control characters; in UTF-8, those of C1 are 0xc2 with a byte up to 0x9f. */
static size_t unprintable_bytes(const char *text)
{
    unsigned char byte = (unsigned char)text[0];
    if (byte < 0x20 || byte == 0x7f)
        return 1;
    unsigned char next = (unsigned char)text[1];
    return byte == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

char *make_printable(char *text)
{
    for (char *each = text; *each != '\0'; each++) {
        if (unprintable_bytes(each) > 0)
            memset(each, '?', unprintable_bytes(each));
    }
    return text;
}

void print_printable(const char *text, FILE *stream)
{
    while (*text != '\0') {
        size_t bytes = unprintable_bytes(text);
        fputc(bytes > 0 ? '?' : *text, stream);
        text += bytes > 0 ? bytes : 1;
    }
}

/* ---- reading ---- */

static bool refuse(const struct reader *reader, const char *key, const char *what)
{
    text_append(reader->problem, ADMIN_PROBLEM_CAPACITY, 0,
                "the answer is none that this version (" SLUICE_VERSION ") knows: %s%s%s is %s; use the sluice of the running "
                "version",
                reader->place, reader->place[0] != '\0' && key[0] != '\0' ? "." : "", key, what);
    return false;
}

static json_t *parse(struct text body, char *problem)
{
    json_error_t error;
    json_t *document = json_loadb(body.bytes != NULL ? body.bytes : "", body.length, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        text_append(problem, ADMIN_PROBLEM_CAPACITY, 0,
                    "the answer is no whole JSON (line %d, column %d: %s); name the admin.address of a Sluice", error.line,
                    error.column, error.text);
    if (document != NULL)
        return document;
    make_printable(problem);
    return NULL;
}

static bool start(struct reader *reader, const json_t *object, const char *place, char *problem)
{
    *reader = (struct reader){.object = object, .problem = problem};
    text_append(reader->place, sizeof reader->place, 0, "%s", place);
    return json_is_object(object) || refuse(reader, place[0] == '\0' ? "it" : "", "no object");
}

static bool read_string(const struct reader *reader, const char *key, bool is_required, const char **value)
{
    const json_t *member = json_object_get(reader->object, key);
    *value = "";
    if (member == NULL || json_is_null(member))
        return !is_required || refuse(reader, key, "missing");
    if (!json_is_string(member))
        return refuse(reader, key, "no text");
    *value = json_string_value(member);
    return true;
}

/* What an older Sluice does not count is 0. */
static bool read_number(const struct reader *reader, const char *key, uint64_t *value)
{
    const json_t *member = json_object_get(reader->object, key);
    *value = 0;
    if (member == NULL || json_is_null(member))
        return true;
    if (!json_is_integer(member) || json_integer_value(member) < 0)
        return refuse(reader, key, "no count");
    *value = (uint64_t)json_integer_value(member);
    return true;
}

static bool read_flag(const struct reader *reader, const char *key, bool *value)
{
    const json_t *member = json_object_get(reader->object, key);
    *value = json_is_true(member);
    return json_is_boolean(member) || refuse(reader, key, member == NULL ? "missing" : "neither true nor false");
}

/* An array of objects; NULL after a refusal, and *count 0 with a valid pointer for an empty one. The caller frees it. */
static void *read_array(const struct reader *reader, const char *key, size_t size, size_t *count)
{
    const json_t *array = json_object_get(reader->object, key);
    *count = json_array_size(array);
    if (!json_is_array(array)) {
        refuse(reader, key, array == NULL ? "missing" : "no list");
        return NULL;
    }
    void *items = calloc(*count + 1, size);
    if (items == NULL)
        text_append(reader->problem, ADMIN_PROBLEM_CAPACITY, 0, "out of memory for the answer");
    return items;
}

/* ---- the state that an operator gave a node ---- */

static const char *const state_names[] = {[ADMIN_READY] = "ready", [ADMIN_DRAIN] = "drain", [ADMIN_MAINT] = "maint"};

static bool state_of(const json_t *value, enum admin_state *state)
{
    for (size_t i = 0; i < sizeof state_names / sizeof state_names[0] && json_is_string(value); i++) {
        if (strcmp(json_string_value(value), state_names[i]) != 0)
            continue;
        *state = (enum admin_state)i;
        return true;
    }
    return false;
}

/* "maint:query drain:write": the worst state first, and of each the classes in it; ready ones are not named. */
static void describe_classes(const json_t *classes, const size_t *counts, struct admin_classes *admin)
{
    size_t used = 0;
    for (int state = ADMIN_MAINT; state > ADMIN_READY; state--) {
        const char *key;
        const json_t *value;
        char separator = ':';
        if (counts[state] == 0)
            continue;
        used = text_append(admin->text, sizeof admin->text, used, "%s%s", used > 0 ? " " : "", state_names[state]);
        if (counts[state] == json_object_size(classes))
            return;
        json_object_foreach((json_t *)(uintptr_t)classes, key, value) { /* it only looks */
            enum admin_state each;
            if (!state_of(value, &each) || (int)each != state)
                continue;
            used = text_append(admin->text, sizeof admin->text, used, "%c%s", separator, key);
            separator = ',';
        }
    }
    if (used == 0)
        text_append(admin->text, sizeof admin->text, 0, "%s", state_names[ADMIN_READY]);
}

static bool read_admin(const struct reader *reader, struct admin_classes *admin)
{
    const json_t *classes = json_object_get(reader->object, "admin");
    const char *key;
    const json_t *value;
    size_t counts[sizeof state_names / sizeof state_names[0]] = {0};
    admin->worst = ADMIN_READY;
    if (classes != NULL && !json_is_object(classes))
        return refuse(reader, "admin", "no object");
    json_object_foreach((json_t *)(uintptr_t)classes, key, value) {
        enum admin_state state;
        if (!state_of(value, &state))
            return refuse(reader, "admin", "neither ready, drain nor maint in one of its classes");
        counts[state]++;
        admin->worst = state > admin->worst ? state : admin->worst;
    }
    describe_classes(classes, counts, admin);
    make_printable(admin->text);
    return true;
}

/* ---- status ---- */

/* A list of words; one text with commas, as an older Sluice writes it, is taken, too. */
static bool read_modes(const struct reader *reader, struct status_node *node)
{
    const json_t *modes = json_object_get(reader->object, "mode");
    size_t used = 0;
    if (json_is_string(modes))
        text_append(node->modes, sizeof node->modes, 0, "%s", json_string_value(modes));
    else if (!json_is_array(modes))
        return refuse(reader, "mode", "no list");
    for (size_t i = 0; i < json_array_size(modes); i++) {
        const char *mode = json_string_value(json_array_get(modes, i));
        if (mode == NULL)
            return refuse(reader, "mode", "no list of texts");
        used = text_append(node->modes, sizeof node->modes, used, "%s%s", i > 0 ? "," : "", mode);
    }
    make_printable(node->modes);
    return true;
}

static bool read_node(const json_t *object, size_t index, struct status_node *node, char *problem)
{
    struct reader reader;
    char place[32];
    text_append(place, sizeof place, 0, "nodes[%zu]", index);
    return start(&reader, object, place, problem) && read_string(&reader, "node_id", true, &node->node_id) &&
           read_string(&reader, "health", true, &node->health) && read_modes(&reader, node) && read_admin(&reader, &node->admin) &&
           read_flag(&reader, "usable", &node->is_usable) && read_number(&reader, "since_s", &node->since_s) &&
           read_number(&reader, "outstanding", &node->outstanding) && read_number(&reader, "requests", &node->requests) &&
           read_number(&reader, "failures", &node->failures);
}

static bool read_status(struct status_report *report, char *problem)
{
    struct reader reader;
    if (!start(&reader, report->document, "", problem) || !read_string(&reader, "version", true, &report->version) ||
        !read_string(&reader, "cluster_id", false, &report->cluster_id) || !read_number(&reader, "epoch", &report->epoch) ||
        !read_number(&reader, "uptime_s", &report->uptime_s) || !read_number(&reader, "sessions", &report->sessions) ||
        !read_flag(&reader, "draining", &report->is_draining))
        return false;
    report->nodes = read_array(&reader, "nodes", sizeof *report->nodes, &report->node_count);
    if (report->nodes == NULL)
        return false;
    const json_t *nodes = json_object_get(report->document, "nodes");
    for (size_t i = 0; i < report->node_count; i++) {
        if (!read_node(json_array_get(nodes, i), i, &report->nodes[i], problem))
            return false;
    }
    return true;
}

bool status_report_read(struct status_report *report, struct text body, char *problem)
{
    *report = (struct status_report){.document = parse(body, problem)};
    if (report->document != NULL && read_status(report, problem))
        return true;
    status_report_clear(report);
    return false;
}

void status_report_clear(struct status_report *report)
{
    free(report->nodes);
    json_decref(report->document);
    *report = (struct status_report){0};
}

bool status_report_is_ejected(const struct status_report *report, size_t index, const char *class)
{
    const json_t *node = json_array_get(json_object_get(report->document, "nodes"), index);
    const json_t *classes = json_object_get(node, "ejected");
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        if (name != NULL && strcmp(name, class) == 0)
            return true;
    }
    return false;
}

enum admin_state status_report_admin(const struct status_report *report, size_t index, const char *class)
{
    const json_t *node = json_array_get(json_object_get(report->document, "nodes"), index);
    enum admin_state state = ADMIN_READY;
    state_of(json_object_get(json_object_get(node, "admin"), class), &state);
    return state;
}

void status_report_dump(const struct status_report *report, const char *address, FILE *stream)
{
    if (address != NULL)
        json_object_set_new(report->document, "address", json_string(address));
    json_dumpf(report->document, stream, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    fputc('\n', stream);
}

/* ---- drain, ready, maint ---- */

bool drain_report_read(struct drain_report *report, struct text body, char *problem)
{
    struct reader reader;
    *report = (struct drain_report){.document = parse(body, problem)};
    if (report->document != NULL && start(&reader, report->document, "", problem) &&
        read_string(&reader, "node_id", true, &report->node_id) && read_admin(&reader, &report->admin) &&
        read_number(&reader, "outstanding", &report->outstanding) && read_flag(&reader, "done", &report->is_done))
        return true;
    drain_report_clear(report);
    return false;
}

void drain_report_clear(struct drain_report *report)
{
    json_decref(report->document);
    *report = (struct drain_report){0};
}

/* ---- reload ---- */

static bool read_finding(const json_t *object, size_t index, struct reload_finding *finding, char *problem)
{
    struct reader reader;
    char place[32];
    text_append(place, sizeof place, 0, "findings[%zu]", index);
    return start(&reader, object, place, problem) && read_string(&reader, "file", false, &finding->file) &&
           read_number(&reader, "line", &finding->line) && read_number(&reader, "column", &finding->column) &&
           read_string(&reader, "severity", true, &finding->severity) && read_string(&reader, "text", true, &finding->text);
}

static bool read_reload(struct reload_report *report, char *problem)
{
    struct reader reader;
    if (!start(&reader, report->document, "", problem) || !read_flag(&reader, "applied", &report->is_applied) ||
        !read_number(&reader, "epoch", &report->epoch))
        return false;
    report->findings = read_array(&reader, "findings", sizeof *report->findings, &report->finding_count);
    if (report->findings == NULL)
        return false;
    const json_t *findings = json_object_get(report->document, "findings");
    for (size_t i = 0; i < report->finding_count; i++) {
        if (!read_finding(json_array_get(findings, i), i, &report->findings[i], problem))
            return false;
    }
    return true;
}

bool reload_report_read(struct reload_report *report, struct text body, char *problem)
{
    *report = (struct reload_report){.document = parse(body, problem)};
    if (report->document != NULL && read_reload(report, problem))
        return true;
    reload_report_clear(report);
    return false;
}

void reload_report_clear(struct reload_report *report)
{
    free(report->findings);
    json_decref(report->document);
    *report = (struct reload_report){0};
}

/* ---- refusals ---- */

bool admin_answer_error(struct text body, char *buffer, size_t capacity)
{
    json_t *document = body.length > 0 ? json_loadb(body.bytes, body.length, 0, NULL) : NULL;
    const char *error = json_string_value(json_object_get(document, "error"));
    if (error != NULL)
        text_append(buffer, capacity, 0, "%s", error);
    json_decref(document);
    if (error == NULL)
        return false;
    make_printable(buffer);
    return true;
}
