/* Connections to a node: how they begin, and how they end. */
#include "kernel/draw.h"
#include "kernel/memory.h"
#include "world/certificates.h"
#include "world/node_parts.h"

/* The stream was cut, or its connection: all at once they leave, and say nothing more. */
static void forget(struct node_connection *connection)
{
    struct list_node *first;
    while ((first = list_first(&connection->requests)) != NULL)
        request_leave(LIST_OWNER(first, struct node_request, link));
    sim_timer_clear(&connection->timer);
    list_remove(&connection->node->connections, &connection->link);
    world_free(connection);
}

static void end_now(struct node_connection *connection, bool is_orderly)
{
    if (is_orderly)
        peer_destroy(connection->peer);
    else
        peer_abort(connection->peer);
    forget(connection);
}

static void on_request(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    struct node_connection *connection = owner;
    /* A connection that is about to end looks at nothing more: it may have said so. */
    if (connection->ending > NODE_ENDING_WHEN_IDLE)
        peer_stream_release(stream);
    else
        request_arrives(connection, stream, head);
}

static void on_closed(void *owner, enum peer_cut why)
{
    struct node_connection *connection = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "%s got what is no HTTP: %s", connection->node->id, peer_fault(connection->peer));
    end_now(connection, true);
}

static const struct peer_events events = {.on_request = on_request, .on_closed = on_closed};

static void on_time(void *owner)
{
    struct node_connection *connection = owner;
    enum node_ending ending = connection->ending;
    connection->ending = NODE_ENDING_NOT;
    if (ending == NODE_ENDING_WHEN_IDLE && connection->requests.count > 0)
        return;
    if (ending == NODE_ENDING_WHEN_IDLE)
        reached("node: closed an idle connection");
    end_now(connection, ending != NODE_ENDING_RESET);
}

void connection_open(struct node *node, struct sim_socket *socket)
{
    struct node_connection *connection = world_calloc(1, sizeof *connection);
    struct address sluice = sim_address(SIM_HOST_SLUICE, 0);
    connection->node = node;
    connection->is_of_sluice = address_same_host(sim_peer(socket), &sluice);
    list_init(&connection->requests);
    sim_timer_init(&connection->timer, on_time, connection);
    list_node_init(&connection->link);
    list_append(&node->connections, &connection->link);
    enum peer_version version = node->plan->nodes[node->index].http == 2 ? PEER_HTTP_2 : PEER_HTTP_1;
    connection->peer = peer_serve(socket, version, certificates_of_node(), &events, connection);
    if (node->state == NODE_HANGING)
        peer_freeze(connection->peer, true);
}

void connection_end_in(struct node_connection *connection, enum node_ending ending, uint64_t delay_us)
{
    connection->ending = ending;
    sim_timer_in(&connection->timer, delay_us);
}

void connections_die(struct node *node)
{
    struct list_node *first;
    while ((first = list_first(&node->connections)) != NULL) {
        struct node_connection *connection = LIST_OWNER(first, struct node_connection, link);
        /* Of HTTP/2 an orderly end would say GOAWAY, which nobody is left to say. */
        bool is_orderly = peer_version(connection->peer) == PEER_HTTP_1 && draw_below(&node->draw, 2) == 0;
        end_now(connection, is_orderly);
    }
}

void connections_drop(struct node *node)
{
    struct list_node *first;
    while ((first = list_first(&node->connections)) != NULL)
        end_now(LIST_OWNER(first, struct node_connection, link), false);
}

void connections_freeze(struct node *node, bool is_frozen)
{
    struct list_node *at = node->connections.head.next;
    for (size_t left = node->connections.count; left > 0; left--, at = at->next)
        peer_freeze(LIST_OWNER(at, struct node_connection, link)->peer, is_frozen);
}

void connections_drain(struct node *node)
{
    struct list_node *at = node->connections.head.next;
    for (size_t left = node->connections.count; left > 0; left--, at = at->next)
        peer_drain(LIST_OWNER(at, struct node_connection, link)->peer);
}
