/* Writes: what a node says to them, in the words of the database. Routers match on them, so each stands here only. */
#include "kernel/draw.h"
#include "world/node_parts.h"

#define WRITE_BUFFER "write buffer error: "
#define READ_ONLY WRITE_BUFFER "cannot write to a read-only server: must enable ingest mode"
#define COMPACTOR_ONLY WRITE_BUFFER "cannot write to a compactor-only server"
#define WAL_SHUTDOWN WRITE_BUFFER "error from wal: wal is shutdown and not accepting writes"
#define STORAGE WRITE_BUFFER "error from wal: object store error: Generic S3 error: error performing PUT"

static const char *v2_code(unsigned status)
{
    switch (status) {
    case 400:
        return "invalid";
    case 413:
        return "request too large";
    case 503:
        return "unavailable";
    default:
        return "internal error";
    }
}

/* v2 calls any failure of the write buffer invalid, but a closed WAL since 3.11. */
static void refuse(struct node_request *request, unsigned status, const char *words)
{
    if (request->route->work != NODE_WORK_WRITE_V2) {
        answer_text(request, status, NULL, text_of_string(words));
    } else {
        if (status == 500)
            status = 400;
        answer_format(request, status, NULL, "{\"code\":\"%s\",\"message\":\"%s\"}", v2_code(status), words);
    }
    answer_in(request, draw_below(&request->node->draw, 3 * SIM_MS));
}

/* True: it was answered, and nothing was applied. */
static bool is_refused(struct node_request *request)
{
    struct node *node = request->node;
    if ((node->roles & PLAN_ROLE_INGEST) == 0) {
        reached("node: refused a write by its mode");
        refuse(request, 500, (node->roles & ~(unsigned)PLAN_ROLE_PROCESS) == PLAN_ROLE_COMPACT ? COMPACTOR_ONLY : READ_ONLY);
    } else if (node->state == NODE_STOPPING) {
        reached("node: refused a write because it stops");
        refuse(request, node->version < 311 ? 500 : 503, WAL_SHUTDOWN);
    } else if (request->body_bytes == 0) {
        refuse(request, 400, "incoming write was empty");
    } else if (request->database == 0) {
        refuse(request, 400, request->route->work == NODE_WORK_WRITE_V3 ? "serde error: missing field `db`" : "missing query parameter 'db'");
    } else if (life_ails(node, NODE_HAS_NO_STORAGE) && draw_below(&node->draw, 2) == 0) {
        reached("node: failed a write before it was applied");
        refuse(request, 500, STORAGE);
    } else {
        return false;
    }
    return true;
}

void write_serve(struct node_request *request)
{
    if (is_refused(request))
        return;
    wal_take(request);
    bool is_error = request->deed == NODE_DEED_ERROR && request->deed_time == NODE_IN_WORK;
    if (deed_is_done(request, NODE_IN_WORK))
        return;
    if (is_error) {
        answer_in(request, draw_below(&request->node->draw, 10 * SIM_MS));
    } else if (request->is_no_sync) {
        answer_text(request, 204, NULL, TEXT_EMPTY);
        answer_in(request, 0);
    }
}

void write_stored(struct node_request *request, bool is_stored)
{
    if (!is_stored) {
        refuse(request, 500, STORAGE);
        return;
    }
    answer_text(request, 204, NULL, TEXT_EMPTY);
    answer_in(request, 0);
}
