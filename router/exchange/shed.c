/* Uploads that stand still while memory is short: what they hold is for those who make progress. */
#include "dispatch/dispatch.h"
#include "exchange/state.h"
#include "upstream/roster.h"

/* Longer than the pauses of an honest client in the middle of a body; limits.upload_rate measures large bodies over the same time. */
#define SILENT_MS 5000
/* So many of the oldest exchanges are looked at each time, which takes well under a millisecond. */
#define LOOKS_MAXIMUM 4096

/* Of a call it is not known whose turn it is: its client may wait for an answer before it says more. */
static bool is_silent(const struct exchange *exchange)
{
    bool is_asked_for_more = exchange->state == EXCHANGE_OPEN && !exchange->request_received && !exchange_is_grpc(exchange) &&
                             (exchange->paused & EXCHANGE_PAUSED_REQUEST) == 0;
    return is_asked_for_more && loop_now_ms(exchange->context->loop) >= exchange->active_ms + SILENT_MS;
}

void exchange_shed_silent(struct exchange_context *context)
{
    bool is_little_left = roster_memory_pressure(context->dispatch->roster) != MEMORY_PRESSURE_NONE;
    struct list_node *node = context->exchanges.head.next;
    for (unsigned looks = 0; is_little_left && looks < LOOKS_MAXIMUM && node != &context->exchanges.head; looks++) {
        struct exchange *exchange = LIST_OWNER(node, struct exchange, node);
        node = node->next;
        if (is_silent(exchange))
            exchange_answer_fault(exchange, FAULT_REQUEST_TIMEOUT);
    }
}
