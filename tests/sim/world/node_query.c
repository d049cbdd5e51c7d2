/* Queries over HTTP and Flight: the answer belongs to the try, so each node that may be asked gives the same one. */
#include "kernel/draw.h"
#include "world/node_parts.h"

#define NO_SCAN "query error: error while executing plan: External error: Node mode without query cannot retrieve window execs"
#define STUB "invokded a method that is not implemented: query_sql"

/* Those that only run plugins were seen answering, too. */
static bool can_query(const struct node *node)
{
    return (node->roles & PLAN_ROLE_QUERY) != 0 || node->roles == PLAN_ROLE_PROCESS;
}

static bool has_stub_executor(const struct node *node)
{
    return (node->roles & ~(unsigned)PLAN_ROLE_PROCESS) == PLAN_ROLE_COMPACT;
}

/* Most are planned at once. */
static uint64_t draw_planning(struct node *node)
{
    return draw_below(&node->draw, 8) == 0 ? draw_between(&node->draw, SIM_MS, 300 * SIM_MS) : draw_between(&node->draw, SIM_MS, 12 * SIM_MS);
}

/* The handler panics: nobody answers any more. */
static void panic(struct node_request *request)
{
    reached("node: panicked at a query that it cannot run");
    if (peer_version(request->connection->peer) == PEER_HTTP_2) {
        request_reset(request, 2);
        return;
    }
    request->step = NODE_STEP_ANSWERED;
    connection_end_in(request->connection, NODE_ENDING_ORDERLY, 0);
}

void query_serve(struct node_request *request)
{
    struct node *node = request->node;
    bool is_v1 = request->route->work == NODE_WORK_QUERY_V1;
    if (can_query(node)) {
        answer_of_try(request);
    } else if (has_stub_executor(node) && is_v1) {
        panic(request);
        return;
    } else if (has_stub_executor(node)) {
        answer_text(request, 405, NULL, TEXT(STUB));
    } else {
        reached("node: refused a query by its mode");
        answer_text(request, 500, NULL, TEXT(NO_SCAN));
    }
    answer_in(request, draw_planning(node));
}

/* A call's path says nothing that matters here: all that are implemented answer with messages. */
void flight_serve(struct node_request *request)
{
    struct node *node = request->node;
    if (can_query(node)) {
        answer_of_try(request);
    } else if (has_stub_executor(node)) {
        panic(request);
        return;
    } else {
        reached("node: refused a call by its mode");
        answer_grpc_error(request, 13, NO_SCAN);
    }
    answer_in(request, draw_planning(node));
}
