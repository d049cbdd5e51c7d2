#include "http/h1_server_state.h"

static const char *const server_state_names[] = {
    "idle", "line_end", "head", "body", "paused", "received", "refused", "discarding", "closing", "aborted", "dead",
};

#define TO(state) MACHINE_TO(H1_SERVER_##state)
#define END (TO(CLOSING) | TO(ABORTED) | TO(DEAD))
static const uint32_t server_moves[] = {
    [H1_SERVER_IDLE] = TO(LINE_END) | TO(HEAD) | TO(DEAD),
    [H1_SERVER_LINE_END] = TO(HEAD) | TO(DEAD),
    [H1_SERVER_HEAD] = TO(BODY) | TO(RECEIVED) | TO(REFUSED) | TO(DEAD),
    [H1_SERVER_BODY] = TO(PAUSED) | TO(RECEIVED) | TO(REFUSED) | TO(DISCARDING) | END,
    [H1_SERVER_PAUSED] = TO(BODY) | TO(DISCARDING) | END,
    [H1_SERVER_RECEIVED] = TO(IDLE) | END,
    [H1_SERVER_REFUSED] = END,
    [H1_SERVER_DISCARDING] = TO(IDLE) | TO(DEAD),
    [H1_SERVER_CLOSING] = TO(DEAD),
    [H1_SERVER_ABORTED] = TO(DEAD),
    [H1_SERVER_DEAD] = 0,
};
#undef END
#undef TO

static const struct machine server_machine = {"h1_server", server_state_names, server_moves};

static const char *const response_state_names[] = {"none", "plain", "chunked", "until_close", "suppressed", "complete"};

#define TO(state) MACHINE_TO(H1_RESPONSE_##state)
static const uint32_t response_moves[] = {
    [H1_RESPONSE_NONE] = TO(NONE) | TO(PLAIN) | TO(CHUNKED) | TO(UNTIL_CLOSE) | TO(SUPPRESSED),
    [H1_RESPONSE_PLAIN] = TO(COMPLETE),
    [H1_RESPONSE_CHUNKED] = TO(COMPLETE),
    [H1_RESPONSE_UNTIL_CLOSE] = TO(COMPLETE),
    [H1_RESPONSE_SUPPRESSED] = TO(COMPLETE),
    [H1_RESPONSE_COMPLETE] = TO(NONE),
};
#undef TO

static const struct machine response_machine = {"h1_server_response", response_state_names, response_moves};

static const char *const persistence_names[] = {"keep_alive", "close", "draining"};

#define TO(state) MACHINE_TO(H1_PERSISTENCE_##state)
static const uint32_t persistence_moves[] = {
    [H1_PERSISTENCE_KEEP_ALIVE] = TO(KEEP_ALIVE) | TO(CLOSE) | TO(DRAINING),
    [H1_PERSISTENCE_CLOSE] = TO(CLOSE) | TO(DRAINING),
    [H1_PERSISTENCE_DRAINING] = TO(DRAINING),
};
#undef TO

static const struct machine persistence_machine = {"h1_server_persistence", persistence_names, persistence_moves};

void h1_server_enter(struct h1_server *server, enum h1_server_state next)
{
    machine_check(&server_machine, server->state, next);
    server->state = next;
}

void h1_server_enter_response(struct h1_server *server, enum h1_response_state next)
{
    machine_check(&response_machine, server->response, next);
    server->response = next;
}

void h1_server_enter_persistence(struct h1_server *server, enum h1_persistence next)
{
    machine_check(&persistence_machine, server->persistence, next);
    server->persistence = next;
}

void h1_server_end_persistence(struct h1_server *server)
{
    if (server->persistence == H1_PERSISTENCE_KEEP_ALIVE)
        h1_server_enter_persistence(server, H1_PERSISTENCE_CLOSE);
}

bool h1_server_is_idle(const struct h1_server *server)
{
    return server->state == H1_SERVER_IDLE || server->state == H1_SERVER_LINE_END;
}

bool h1_server_is_owned(const struct h1_server *server)
{
    return server->state == H1_SERVER_BODY || server->state == H1_SERVER_PAUSED || server->state == H1_SERVER_RECEIVED ||
           server->state == H1_SERVER_REFUSED;
}

void h1_server_close_after_output(struct h1_server *server, uint64_t linger_ms)
{
    h1_server_enter(server, H1_SERVER_CLOSING);
    loop_task_cancel(server->loop, &server->next_task);
    conn_finish(server->link.conn, linger_ms);
}

void h1_server_fail_later(struct h1_server *server, enum fault fault)
{
    server->pending_fault = fault;
    loop_defer(server->loop, &server->fail_task);
}
