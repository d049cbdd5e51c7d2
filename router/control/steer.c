#include "control/steer.h"

#include "base/hex.h"
#include "base/log.h"
#include "control/admin_access.h"
#include "upstream/epoch.h"

#define NODE_ID_BYTES 129
#define WAIT_MAXIMUM_MS 600000
#define CLASSES_BYTES 256

static unsigned bit(enum request_class class)
{
    return 1u << class;
}

/* The classes that a word of the operator means; 0 when it is none. */
static unsigned classes_of(struct text word)
{
    enum request_class class;
    if (word.length == 0 || text_equals(word, TEXT("all")))
        return (1u << REQUEST_CLASS_COUNT) - 1;
    if (text_equals(word, TEXT("write")))
        return bit(REQUEST_CLASS_WRITE) | bit(REQUEST_CLASS_WRITEBACK);
    if (text_equals(word, TEXT("query")))
        return bit(REQUEST_CLASS_QUERY) | bit(REQUEST_CLASS_FLIGHT);
    return request_class_from_name(word.bytes, word.length, &class) ? bit(class) : 0;
}

/* The name, in `name`; cut where it is longer than any node's. */
static struct text decode(struct text encoded, char name[NODE_ID_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < encoded.length && used < NODE_ID_BYTES; i++) {
        int byte = encoded.bytes[i] == '%' && i + 2 < encoded.length ? hex_byte(encoded.bytes[i + 1], encoded.bytes[i + 2]) : -1;
        name[used++] = byte >= 0 ? (char)byte : encoded.bytes[i];
        i += byte >= 0 ? 2 : 0;
    }
    return text_of(name, used);
}

static struct roster_node *find_node(const struct epoch *epoch, struct text encoded)
{
    char buffer[NODE_ID_BYTES];
    struct text name = decode(encoded, buffer);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        if (text_equals(name, text_of_string(epoch->nodes[i]->node_id)))
            return epoch->nodes[i];
    }
    return NULL;
}

static void set_state(const struct steering *steering)
{
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        if ((steering->classes & bit((enum request_class) class)) != 0)
            roster_node_set_admin(steering->node, (enum request_class) class, steering->state);
    }
}

/* Who orders a node about is in `event=admin`; this is what it came to. */
static void log_order(const struct steering *steering)
{
    char classes[CLASSES_BYTES] = "";
    size_t used = 0;
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        if ((steering->classes & bit((enum request_class) class)) != 0)
            used = text_append(classes, sizeof classes, used, "%s%s", used > 0 ? "," : "", request_class_name((enum request_class) class));
    }
    log_line(LOG_LEVEL_INFO, "event=node_admin node=%s state=%s classes=%s", steering->node->node_id, node_admin_name(steering->state),
             classes);
}

unsigned steering_begin(struct steering *steering, const struct epoch *epoch, struct steering_order *order, const char **error)
{
    struct text wait = text_query_value(order->query, TEXT("wait"));
    *steering = (struct steering){.state = order->state, .classes = classes_of(text_query_value(order->query, TEXT("class")))};
    order->wait_ms = 0;
    if (steering->classes == 0) {
        *error = "no such class; use write, query, all, or another class of `sluice explain`";
        return 400;
    }
    if (wait.length > 0 && (!text_to_duration_ms(wait, &order->wait_ms) || order->wait_ms > WAIT_MAXIMUM_MS)) {
        *error = "wait is no duration up to 10m; use one such as 30s";
        return 400;
    }
    struct roster_node *node = find_node(epoch, order->node_id);
    if (node == NULL) {
        *error = "no node of the configuration has this node_id; `sluice status` lists them";
        return 404;
    }
    roster_node_retain(node);
    steering->node = node;
    set_state(steering);
    log_order(steering);
    return 200;
}

unsigned steering_outstanding(const struct steering *steering)
{
    unsigned sum = 0;
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        if ((steering->classes & bit((enum request_class) class)) != 0)
            sum += atomic_load_explicit(&steering->node->outstanding_of[class], memory_order_relaxed);
    }
    return sum;
}

bool steering_is_done(const struct steering *steering)
{
    return steering->state == NODE_ADMIN_READY || steering_outstanding(steering) == 0;
}

void steering_end(struct steering *steering)
{
    if (steering->node != NULL)
        roster_node_release(steering->node);
    steering->node = NULL;
}
