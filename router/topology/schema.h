#ifndef SLUICE_TOPOLOGY_SCHEMA_H
#define SLUICE_TOPOLOGY_SCHEMA_H
/*
 * The schema: one row for every key of the configuration. The parser, the rules, the reference page (`sluice help
 * config`) and the test of the sample file read these rows, so a key exists in all of them or in none. Constant data;
 * nobody owns it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "topology/topology.h"

/* What a key takes. The comment says what lies at the row's offset. */
enum schema_type {
    SCHEMA_SECTION,  /* a mapping of further keys; nothing */
    SCHEMA_LIST,     /* a list of mappings; nothing, build.c makes the array */
    SCHEMA_TEXT,     /* const char * */
    SCHEMA_TARGET,   /* a request path that begins with a slash; const char * */
    SCHEMA_TOKEN,    /* a request method or an asterisk; const char * */
    SCHEMA_INTEGER,  /* unsigned or uint64_t */
    SCHEMA_SIZE,     /* "64KiB"; uint64_t of bytes */
    SCHEMA_DURATION, /* "500ms"; uint64_t of milliseconds; of two `words` the first one is 0, the second one UINT64_MAX */
    SCHEMA_SHARE,    /* "0.5"; unsigned of thousandths */
    SCHEMA_BOOLEAN,  /* bool */
    SCHEMA_MODES,    /* "process,query" or a list; unsigned of enum node_mode bits */
    SCHEMA_NETWORKS, /* "10.0.0.0/8,::1" or a list; struct topology_networks */
    SCHEMA_FILE_MODE,/* "0660"; unsigned */
    SCHEMA_ADDRESS,  /* "host:port", "unix:/path"; struct topology_listener: address, and host and port, or path */
    SCHEMA_URL,      /* "http://host:port"; struct topology_node, of which url, host, port and is_tls are set */
    SCHEMA_CLASS,    /* one of `words`; enum request_class */
    SCHEMA_CHOICE,   /* one of `words`; an enum whose values count from 0 in their order */
    SCHEMA_WORD,     /* one of `words`; const char * */
};

/*
 * How a new value comes into force while Sluice runs.
 *
 * REFUSED is for what tells one cluster from another (cluster_id): links, health, counters and drained states are kept by
 * node_id, and another cluster's node of the same name must not inherit them; nor is a reload with the wrong file to move
 * everybody's writes to another cluster.
 */
enum schema_change {
    SCHEMA_CHANGE_RELOAD,  /* with `sluice reload` */
    SCHEMA_CHANGE_RESTART, /* with the next start; a reload leaves the running value in force and says so */
    SCHEMA_CHANGE_REFUSED, /* with the next start; a reload that would change it changes nothing at all */
};

/* Which struct a row's offset counts in. */
enum schema_scope { SCHEMA_SCOPE_TOPOLOGY, SCHEMA_SCOPE_LISTENER, SCHEMA_SCOPE_NODE, SCHEMA_SCOPE_ROUTE, SCHEMA_SCOPE_CERTIFICATE };

struct schema_row {
    const char *path; /* "timeouts.connect"; "nodes[].url" for a key of each item */
    enum schema_type type;
    enum schema_scope scope;
    size_t offset;
    size_t width;         /* bytes of the field: tells unsigned from uint64_t */
    const char *fallback; /* the default as it would be written, or NULL: unset */
    uint64_t minimum;     /* INTEGER, SIZE, DURATION, SHARE; TEXT, TARGET: fewest characters */
    uint64_t maximum;     /* the same; most characters */
    const char *zero;     /* what the value 0 means where it is allowed below the minimum, or NULL */
    const char *words;    /* CLASS, CHOICE, WORD, DURATION: the words, with blanks between */
    bool is_required;     /* in each item of its list, or in its section where that is given */
    enum schema_change change; /* other than RELOAD only for numbers and texts of the topology itself: see changes.c */
    const char *help;     /* one line */
};

extern const struct schema_row schema_rows[];
extern const size_t schema_row_count;

/* The row with exactly this path, or NULL. */
const struct schema_row *schema_find(struct text path);

/* The row of `key` in `section` ("" for the top level, "timeouts", "nodes[]"), or NULL. */
const struct schema_row *schema_find_key(const char *section, struct text key);

/* The last part of a row's path: "connect". */
struct text schema_key(const struct schema_row *row);

/*
 * A row that the operator may have meant by an unknown `key`: the nearest one in `section` within a small edit
 * distance, else one of that very name elsewhere; or NULL.
 */
const struct schema_row *schema_suggest(const char *section, struct text key);

/* "duration", "list of modes", ...: how the reference page calls the type. */
const char *schema_type_name(enum schema_type type);

/* "reload", ...: how the reference page says when a new value comes into force. */
const char *schema_change_name(enum schema_change change);

/* A number as the operator would write it for this row, "4s" rather than "4000ms". Returns `buffer`. */
const char *schema_describe_quantity(const struct schema_row *row, uint64_t value, char *buffer, size_t capacity);

/* Is `word` one of a row's words? Then `*index` is its position. */
bool schema_word_index(const struct schema_row *row, struct text word, unsigned *index);

/* The nearest of a row's words to `word`, or the empty text. */
struct text schema_suggest_word(const char *words, struct text word);

#endif
