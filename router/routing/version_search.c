#include "routing/version_search.h"

/* Rounds after which a node that spoke HTTP/1 only is asked again. */
#define ROUNDS 15
/* Failures in a row before a node that spoke HTTP/2 is taken for one that does so no more. */
#define FAILURES 3

bool version_search_begin(struct version_search *search, unsigned known)
{
    bool is_http2 = known == 2 || search->rounds == 0;
    if (search->rounds > 0)
        search->rounds--;
    return is_http2;
}

bool version_search_failed(struct version_search *search, unsigned known)
{
    /* One failure of a node that is known to speak HTTP/2 is a failure of the node. */
    if (known == 2 && ++search->failures < FAILURES)
        return false;
    search->rounds = ROUNDS;
    return true;
}

void version_search_silent(struct version_search *search, unsigned known)
{
    search->silences++;
    search->rounds = known != 0 || search->silences > 1 ? ROUNDS : 1;
}

void version_search_unanswered(struct version_search *search, unsigned known)
{
    if (known != 0)
        return;
    search->rounds = 0;
    search->silences = 0;
}

unsigned version_search_answered(struct version_search *search, unsigned known, unsigned version)
{
    search->failures = 0;
    if (version == 2)
        search->silences = 0;
    return version == 1 && known == 0 && search->silences == 1 ? 0 : version;
}
