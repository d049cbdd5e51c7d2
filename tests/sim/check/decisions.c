/* The linker gives us the router's question "again?": which faults were answered how. */
#include <stdio.h>

#include "base/fault.h"
#include "check/ledger.h"
#include "routing/retry.h"

enum retry_decision __real_retry_decide(const struct retry_question *question);
enum retry_decision __wrap_retry_decide(const struct retry_question *question);

enum retry_decision __wrap_retry_decide(const struct retry_question *question)
{
    static const char *const words[] = {"again here", "again elsewhere", "give up"};
    static char names[FAULT_COUNT][sizeof words / sizeof words[0]][96];
    enum retry_decision decision = __real_retry_decide(question);
    char *name = names[question->fault][decision];
    if (name[0] == '\0')
        snprintf(name, sizeof names[0][0], "retry: %s, %s", fault_row(question->fault)->name, words[decision]);
    reached(name);
    return decision;
}
