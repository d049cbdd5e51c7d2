#ifndef SLUICE_ROUTING_VERSION_SEARCH_H
#define SLUICE_ROUTING_VERSION_SEARCH_H
/*
 * Which HTTP to ask a clear-text node in, probe by probe, until it is known which it speaks. HTTP/2 is asked first; what an HTTP/1 node makes of
 * it differs: an answer in its own words, a close, a reset, silence. `known` is what is known of the node: 0 nothing, 1, 2.
 *
 * One missed answer is no proof: behind the first silence HTTP/1 is asked to see whether the node lives, and then HTTP/2 once more.
 */
#include <stdbool.h>

struct version_search {
    unsigned failures; /* of HTTP/2 in a row, of a node that has spoken it */
    unsigned rounds;   /* left until HTTP/2 is tried again; 0: now */
    unsigned silences; /* of HTTP/2, since the node answered in it or said nothing in HTTP/1 either */
};

/* A probe begins: is HTTP/2 asked? */
bool version_search_begin(struct version_search *search, unsigned known);
/* The connection that was asked in HTTP/2 failed. True: ask in HTTP/1 at once. */
bool version_search_failed(struct version_search *search, unsigned known);
/* HTTP/2 was asked, and the time is up. */
void version_search_silent(struct version_search *search, unsigned known);
/* HTTP/1 was asked, and nothing came back: that says nothing of the version. */
void version_search_unanswered(struct version_search *search, unsigned known);
/* It answered in this version. The result is the version that it is known to speak from now on; 0: still unknown. */
unsigned version_search_answered(struct version_search *search, unsigned known, unsigned version);

#endif
