/* What all dispatches of a worker share: the beginning and the end. */
#include "dispatch/dispatch.h"

void dispatch_context_init(struct dispatch_context *context)
{
    body_checks_init(&context->checks, context->loop);
    repeats_init(&context->repeats, context->loop, context->roster, context->metrics);
    debts_init(&context->debts, context->loop);
    vigils_init(&context->vigils, context->loop, context->pool_verbs, context->pool);
}

void dispatch_context_clear(struct dispatch_context *context)
{
    body_checks_clear(&context->checks);
    repeats_clear(&context->repeats);
    debts_clear(&context->debts);
    vigils_clear(&context->vigils);
}
