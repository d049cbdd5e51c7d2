#ifndef SLUICE_SIM_CHECK_TALLY_H
#define SLUICE_SIM_CHECK_TALLY_H
/*
 * What the seconds of faults came to, by kind of try: how many failed, how long they took, which node they went to. A case (tests/sim/cases.txt) bounds it:
 *
 *   KIND.failed=N       at most so many ended in a 5xx or 429, were cut, or were given up
 *   KIND.longest_ms=N   each that was answered took at most so long
 *   KIND.p99_ms=N       so did 99 of 100
 *   KIND.share=N        at most so many of a thousand attempts reached the sick node
 *   KIND.tried=N        at least so many attempts did
 *   KIND.asked=N        there were at least so many
 *
 * KIND is try_kind_name's. A bound that is passed is a violation of the rule `bound`.
 */
#include <stdint.h>

struct try_entry;

void tally_clear(void);
void tally_of_end(const struct try_entry *entry, uint64_t now_us);
void tally_of_attempt(const struct try_entry *entry, unsigned node);
/* `bounds`: some of the above with commas between; `sick`: the index of the node. A bound that cannot be read is a violation, too. */
void tally_judge(const char *bounds, unsigned sick);

#endif
