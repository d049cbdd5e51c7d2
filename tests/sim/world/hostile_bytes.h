#ifndef SLUICE_SIM_WORLD_HOSTILE_BYTES_H
#define SLUICE_SIM_WORLD_HOSTILE_BYTES_H
/*
 * The bytes of the attacks. Two marks of twelve characters stand for numbers: HOSTILE_MARK for a try of the kind TRY_HOSTILE, which no node
 * may see; and UPLOAD_MARK for one whose head is right and may go to a node before its body turns out to be wrong: a node may see that it begins, and
 * never get all of it. It is of the kind TRY_QUERY, of which nothing may be applied.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct random_source;

#define HOSTILE_MARK "~~~~~~~~~~~~"
#define UPLOAD_MARK "^^^^^^^^^^^^"
#define MARK_BYTES 12

enum attack_manner {
    ATTACK_AT_ONCE, /* all bytes as fast as they are taken */
    ATTACK_DRIPS,   /* one byte after the other, with pauses */
    ATTACK_SILENT,  /* all bytes, then nothing for a long time; what comes back is not read */
};

/* What is sent: the beginning, the middle so many times, the end. */
struct attack {
    const char *name; /* what was reached: "hostile: ..." */
    enum attack_manner manner;
    struct text beginning;
    struct text middle;
    unsigned middles;
    struct text end;
};

extern const struct attack hostile_attacks[]; /* of HTTP/1.1 */
extern const size_t hostile_attack_count;

/* Attacks of HTTP/2 are made of frames. `buffer` has room for HOSTILE_H2_BYTES; returns how many there are. */
#define HOSTILE_H2_BYTES 262144
size_t hostile_h2_count(void);
/* Which one is next: where memory is scarce, often the one that takes it. */
size_t hostile_h2_draw(struct random_source *random);
const char *hostile_h2_name(size_t index);
size_t hostile_h2_build(size_t index, char *buffer);

#endif
