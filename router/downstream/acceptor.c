#include "downstream/acceptor.h"

#include "base/log.h"
#include "net/loop.h"
#include "net/proxy_reader.h"
#include "net/socket.h"

#define DRAIN_GRACE_MS 1000

/* Whoever can connect can fill a log: the metric has them all. */
static void reject(struct acceptor *acceptor, const struct address *sender, enum metrics_proxy_refusal refusal)
{
    char host[ADDRESS_TEXT_BYTES];
    unsigned suppressed;
    metrics_add(&acceptor->metrics->proxy_refusals[refusal], 1);
    enum log_level level = log_limit_level(&acceptor->refusal_log, LOG_LEVEL_WARNING, loop_now_ms(acceptor->loop), &suppressed);
    log_line(level, "event=proxy_protocol_refused listener=%s sender=%s reason=%s suppressed=%u", acceptor->listener->address,
             address_format_host(sender, host, sizeof host), metrics_proxy_refusal_name(refusal), suppressed);
}

static void on_header_read(void *owner, int fd, const struct address *client)
{
    struct acceptor *acceptor = owner;
    acceptor->events->on_admitted(acceptor->owner, fd, client);
}

static void on_failed(void *owner, const struct address *sender, enum proxy_reader_end end)
{
    struct acceptor *acceptor = owner;
    switch (end) {
    case PROXY_READER_END_TRUNCATED:
        reject(acceptor, sender, METRICS_PROXY_TRUNCATED);
        break;
    case PROXY_READER_END_MALFORMED:
        reject(acceptor, sender, METRICS_PROXY_MALFORMED);
        break;
    case PROXY_READER_END_TIMEOUT:
        reject(acceptor, sender, METRICS_PROXY_TIMEOUT);
        break;
    case PROXY_READER_END_SILENT: /* a health check, every few seconds */
    case PROXY_READER_END_NO_MEMORY:
        break;
    }
    acceptor->events->on_rejected(acceptor->owner);
}

static const struct proxy_reader_events events = {
    .on_header_read = on_header_read,
    .on_failed = on_failed,
};

static bool may_announce(const struct topology_listener *listener, const struct address *sender)
{
    if (address_is_unix(sender))
        return true;
    for (size_t i = 0; i < listener->proxy_from.count; i++) {
        if (address_is_in(sender, &listener->proxy_from.items[i]))
            return true;
    }
    return false;
}

bool acceptor_admit(struct acceptor *acceptor, int fd)
{
    if (!acceptor->listener->proxy_protocol) {
        acceptor->events->on_admitted(acceptor->owner, fd, NULL);
        return true;
    }
    struct address sender;
    socket_peer(fd, &sender);
    /* It was gone before it was accepted. */
    if (sender.length == 0) {
        socket_close(fd);
        return false;
    }
    if (!may_announce(acceptor->listener, &sender)) {
        socket_close(fd);
        reject(acceptor, &sender, METRICS_PROXY_UNLISTED);
        return false;
    }
    return proxy_reader_create(acceptor->loop, fd, loop_now_ms(acceptor->loop) + acceptor->header_ms, &events, acceptor,
                           acceptor->proxy_readers) != NULL;
}

void acceptor_drain(struct loop *loop, struct list *proxy_readers)
{
    for (struct list_node *node = proxy_readers->head.next; node != &proxy_readers->head; node = node->next)
        proxy_reader_hurry(proxy_reader_of_node(node), loop_now_ms(loop) + DRAIN_GRACE_MS);
}

void acceptor_close(struct list *proxy_readers)
{
    struct list_node *node;
    while ((node = list_first(proxy_readers)) != NULL)
        proxy_reader_close(proxy_reader_of_node(node));
}
