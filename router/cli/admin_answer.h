#ifndef SLUICE_CLI_ADMIN_ANSWER_H
#define SLUICE_CLI_ADMIN_ANSWER_H
/*
 * The JSON answers of the admin listener as plain structs. Only this file knows the JSON library.
 *
 * Each *_read judges the whole answer: on false `problem`, of ADMIN_PROBLEM_CAPACITY bytes, says what is wrong with it, and there is
 * nothing to clear. Keys that are not known are passed over, because a newer Sluice may say more. Strings are refs into the
 * document, which *_clear frees; they come from outside, so whoever prints them calls make_printable on a copy or print_printable.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"

struct json_t;

/* From good to bad; a node's state is the worst of its classes. */
enum admin_state { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINT };

/* What an operator has said about a node, by class. */
struct admin_classes {
    enum admin_state worst;
    char text[96]; /* "ready"; "drain"; "drain:write,writeback" when other classes are ready */
};

struct status_node {
    const char *node_id;
    const char *health;
    char modes[64];
    struct admin_classes admin;
    bool is_usable;
    uint64_t since_s;
    uint64_t outstanding;
    uint64_t requests;
    uint64_t failures;
};

struct status_report {
    struct json_t *document;
    const char *version;
    const char *cluster_id;
    uint64_t epoch;
    uint64_t uptime_s;
    uint64_t sessions;
    bool is_draining;
    struct status_node *nodes; /* owned */
    size_t node_count;
};

bool status_report_read(struct status_report *report, struct text body, char *problem);
void status_report_clear(struct status_report *report);
/* What an operator has said about nodes[index] for requests of this class; ready where nothing is said of the class. */
enum admin_state status_report_admin(const struct status_report *report, size_t index, const char *class);
/* Have nodes[index]'s own answers set it aside for this class? */
bool status_report_is_ejected(const struct status_report *report, size_t index, const char *class);
/* The document as it came, laid out for readers; unless `address` is NULL, with it under the key "address". */
void status_report_dump(const struct status_report *report, const char *address, FILE *stream);

struct drain_report {
    struct json_t *document;
    const char *node_id;
    struct admin_classes admin;
    uint64_t outstanding;
    bool is_done;
};

bool drain_report_read(struct drain_report *report, struct text body, char *problem);
void drain_report_clear(struct drain_report *report);

struct reload_finding {
    const char *file;
    uint64_t line; /* 0: the file as a whole */
    uint64_t column;
    const char *severity;
    const char *text;
};

struct reload_report {
    struct json_t *document;
    bool is_applied;
    uint64_t epoch; /* 0: not said */
    struct reload_finding *findings; /* owned */
    size_t finding_count;
};

bool reload_report_read(struct reload_report *report, struct text body, char *problem);
void reload_report_clear(struct reload_report *report);

/* The sentence under "error" of an answer that refuses; false when there is none. It is printable. */
bool admin_answer_error(struct text body, char *buffer, size_t capacity);

/* Replaces what could drive a terminal by question marks; bytes of UTF-8 stay. Returns `text`. */
char *make_printable(char *text);
void print_printable(const char *text, FILE *stream);

#endif
