#include "topology/findings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Longer than any message with a key and a value in it; a cut text is still a finding. */
#define TEXT_CAPACITY 1024

struct finding {
    struct place place; /* `file` is owned */
    enum finding_level level;
    size_t number; /* in order of arrival: findings of one place keep it */
    char *text;
};

struct findings {
    struct finding kept[FINDINGS_MAXIMUM];
    size_t kept_count;
    size_t added[2]; /* by enum finding_level */
};

struct findings *findings_create(void)
{
    return calloc(1, sizeof(struct findings));
}

static void discard(struct finding *finding)
{
    char *file = (char *)(uintptr_t)finding->place.file; /* owned, const only towards readers */
    free(file);
    free(finding->text);
}

void findings_destroy(struct findings *findings)
{
    if (findings == NULL)
        return;
    for (size_t i = 0; i < findings->kept_count; i++)
        discard(&findings->kept[i]);
    free(findings);
}

static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f)
            *text = '?';
    }
}

void findings_add(struct findings *findings, enum finding_level level, struct place place, const char *format,
                  va_list arguments)
{
    size_t number = findings->added[FINDING_ERROR] + findings->added[FINDING_WARNING];
    findings->added[level]++;
    if (findings->kept_count == FINDINGS_MAXIMUM)
        return;
    char text[TEXT_CAPACITY];
    vsnprintf(text, sizeof text, format, arguments);
    make_printable(text);
    struct finding finding = {
        .place = {.file = text_duplicate(text_of_string(place.file)), .line = place.line, .column = place.column},
        .level = level,
        .number = number,
        .text = text_duplicate(text_of_string(text)),
    };
    if (finding.place.file == NULL || finding.text == NULL) {
        discard(&finding); /* counted all the same: out of memory must not turn an error into a success */
        return;
    }
    findings->kept[findings->kept_count++] = finding;
}

void findings_error(struct findings *findings, struct place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    findings_add(findings, FINDING_ERROR, place, format, arguments);
    va_end(arguments);
}

void findings_warning(struct findings *findings, struct place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    findings_add(findings, FINDING_WARNING, place, format, arguments);
    va_end(arguments);
}

size_t findings_count(const struct findings *findings, enum finding_level level)
{
    return findings->added[level];
}

static int compare_unsigned(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
    const struct finding *a = left;
    const struct finding *b = right;
    int order = strcmp(a->place.file, b->place.file);
    if (order == 0)
        order = compare_unsigned(a->place.line, b->place.line);
    if (order == 0)
        order = compare_unsigned(a->place.column, b->place.column);
    return order != 0 ? order : compare_unsigned(a->number, b->number);
}

void findings_visit(struct findings *findings, findings_visitor *visitor, void *owner)
{
    qsort(findings->kept, findings->kept_count, sizeof findings->kept[0], compare);
    for (size_t i = 0; i < findings->kept_count; i++)
        visitor(owner, findings->kept[i].level, findings->kept[i].place, findings->kept[i].text);
}

void findings_print(struct findings *findings, FILE *stream)
{
    static const char *const level_names[] = {"error", "warning"};
    qsort(findings->kept, findings->kept_count, sizeof findings->kept[0], compare);
    for (size_t i = 0; i < findings->kept_count; i++) {
        const struct finding *finding = &findings->kept[i];
        if (finding->place.line == 0)
            fprintf(stream, "%s: ", finding->place.file);
        else
            fprintf(stream, "%s:%u:%u: ", finding->place.file, finding->place.line, finding->place.column);
        fprintf(stream, "%s: %s\n", level_names[finding->level], finding->text);
    }
    size_t added = findings->added[FINDING_ERROR] + findings->added[FINDING_WARNING];
    if (added > findings->kept_count)
        fprintf(stream, "and %zu more\n", added - findings->kept_count);
}
