#include "world/client_link.h"

#include "check/ledger.h"
#include "kernel/time.h"
#include "world/certificates.h"
#include "world/client.h"

/* One of so many times an idle connection is closed before the next request: the original's idle limit, or a new process. */
#define CLOSED_ONE_OF 64

static void on_request(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    (void)owner;
    (void)head;
    peer_stream_release(stream);
}

static void on_closed(void *owner, enum peer_cut why)
{
    struct client_link *link = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "a client got what is no HTTP: %s", peer_fault(link->peer));
    link->state = CLIENT_LINK_OVER;
}

static const struct peer_events events = {.on_request = on_request, .on_closed = on_closed};

static void forget(struct client_link *link)
{
    link->peer = NULL;
    link->state = CLIENT_LINK_NONE;
    link->streams = 0;
}

void client_link_close(struct client_link *link)
{
    peer_destroy(link->peer);
    forget(link);
}

void client_link_abort(struct client_link *link)
{
    if (link->peer != NULL)
        peer_abort(link->peer);
    forget(link);
}

void client_link_half_close(struct client_link *link)
{
    peer_half_close(link->peer);
    link->state = CLIENT_LINK_LAST;
}

void client_link_doubt(struct client_link *link)
{
    if (link->state == CLIENT_LINK_OPEN)
        link->state = CLIENT_LINK_LAST;
}

void client_link_pipeline(struct client_link *link)
{
    peer_pipeline(link->peer);
}

static bool can_send(const struct client_links *links, const struct client_link *link)
{
    if (link->state != CLIENT_LINK_OPEN || !peer_can_send(link->peer))
        return false;
    return links->version == PEER_HTTP_2 || link->streams == 0;
}

/* A cable that was cut stays so in peace: what was opened before may be dead without a word. */
static bool may_be_silent(const struct client_links *links, const struct client_link *link)
{
    uint64_t peace_us = (uint64_t)links->plan->faulty_seconds * SIM_S;
    return links->plan->rate[FAULT_KIND_NET_SILENCE] > 0 && link->opened_us < peace_us && sim_now_us() >= peace_us;
}

/* Those that nobody uses and that can carry nothing more. */
static void tidy(struct client_links *links, struct client_link *link)
{
    if (may_be_silent(links, link))
        client_link_doubt(link);
    if (link->state == CLIENT_LINK_NONE || link->streams > 0)
        return;
    if (!can_send(links, link) || draw_below(links->random, CLOSED_ONE_OF) == 0)
        client_link_close(link);
}

static void open_link(struct client_links *links, struct client_link *link)
{
    /* TLS has a listener of its own. */
    bool is_tls = links->port == CLIENT_PORT && certificates_of_client() != NULL &&
                  draw_chance(links->random, plan_rate(links->plan, FAULT_KIND_TLS_CLIENTS));
    struct tls_far *tls = is_tls ? certificates_of_client() : NULL;
    struct address address = sim_address(SIM_HOST_SLUICE, is_tls ? CLIENT_PORT_TLS : links->port);
    link->peer = peer_connect(links->host, &address, links->version, tls, &events, link);
    link->state = link->peer == NULL ? CLIENT_LINK_NONE : CLIENT_LINK_OPEN;
    link->streams = 0;
    link->opened_us = sim_now_us();
    if (is_tls)
        reached("client: connects by TLS");
}

struct client_link *client_link_take(struct client_links *links)
{
    struct client_link *empty = NULL;
    for (size_t i = 0; i < CLIENT_LINKS; i++) {
        struct client_link *link = &links->all[i];
        tidy(links, link);
        if (can_send(links, link))
            return link;
        if (link->state == CLIENT_LINK_NONE && empty == NULL)
            empty = link;
    }
    if (empty == NULL)
        return NULL;
    open_link(links, empty);
    return empty->state == CLIENT_LINK_OPEN ? empty : NULL;
}

void client_links_close(struct client_links *links)
{
    for (size_t i = 0; i < CLIENT_LINKS; i++) {
        if (links->all[i].state != CLIENT_LINK_NONE)
            client_link_close(&links->all[i]);
    }
}
