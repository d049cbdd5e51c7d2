#include "dispatch/choose.h"

#include "base/hash.h"
#include "dispatch/dispatch.h"
#include "observe/metrics.h"
#include "routing/policy.h"
#include "upstream/standings.h"

/* ---- whom the request is for ---- */

static bool is_usable(const struct choice *choice, struct lease *lease, unsigned index)
{
    return balance_view_find(lease_usable(lease, &choice->kind), index) >= 0;
}

static enum fault find_named(struct choice *choice, const struct lease *lease, struct text name)
{
    const struct topology *topology = lease->epoch->topology;
    choice->target = CHOICE_NAMED;
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (!text_equals(name, text_of_string(topology->nodes[i].node_id)))
            continue;
        choice->named = i;
        return classify_node_fits(&topology->nodes[i], choice->kind.route->capabilities) ? FAULT_NONE : FAULT_NODE_UNKNOWN;
    }
    return FAULT_NODE_UNKNOWN;
}

static enum fault check_fan_out(struct choice *choice, struct lease *lease, const struct message_head *head)
{
    choice->target = CHOICE_FAN_OUT;
    if (lease_usable(lease, &choice->kind)->count < choice_count(choice, lease))
        return FAULT_FAN_OUT_INCOMPLETE;
    bool is_too_large = head->body == BODY_LENGTH && head->content_length > lease->epoch->topology->limits.replay_bytes;
    return is_too_large ? FAULT_REPLAY_TOO_LARGE : FAULT_NONE;
}

/* As it stands in the URL (v1 and v3: db, v2: bucket) or, of a Flight call, in its metadata; empty where it stands in the body alone. */
static struct text database_of(const struct message_head *head)
{
    static const struct text names[] = {{"database", 8}, {"bucket", 6}, {"bucket-name", 11}, {"iox-namespace-name", 18}};
    struct text query = head->target;
    text_cut(&query, '?');
    struct text database = text_query_value(query, TEXT("db"));
    if (database.length == 0)
        database = text_query_value(query, TEXT("bucket"));
    for (size_t i = 0; i < head->field_count && database.length == 0; i++) {
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
            if (text_equals(head->fields[i].name, names[j]))
                database = head->fields[i].value;
        }
    }
    return database;
}

static uint64_t hash_database(const struct topology *topology, enum request_class class, const struct message_head *head)
{
    if (policy_affinity_of(topology, class) == TOPOLOGY_AFFINITY_NONE)
        return 0;
    struct text database = database_of(head);
    return database.length == 0 ? 0 : hash_text(database, 0) | 1;
}

enum fault choice_begin(struct choice *choice, struct lease *lease, const struct message_head *head)
{
    const struct header_field *name = message_find(head, HEADER_X_SLUICE_NODE);
    enum route_target target = choice->kind.route->target;
    choice->target = CHOICE_ONE;
    choice->database = hash_database(lease->epoch->topology, choice->kind.class, head);
    /* Where one certain node is meant, or all of them, none is left out. */
    choice->kind.takes_unknown = name != NULL || target == ROUTE_TARGET_NAMED_OR_ALL ||
                                 policy_of(choice->kind.class)->refusal == POLICY_REFUSAL_ENGINE;
    if (name != NULL)
        return find_named(choice, lease, name->value);
    switch (target) {
    case ROUTE_TARGET_NAMED:
        return FAULT_NODE_NOT_NAMED;
    case ROUTE_TARGET_NAMED_OR_ALL:
        return check_fan_out(choice, lease, head);
    default:
        return FAULT_NONE;
    }
}

size_t choice_count(const struct choice *choice, const struct lease *lease)
{
    const struct topology *topology = lease->epoch->topology;
    size_t count = 0;
    if (choice->target == CHOICE_NAMED)
        return 1;
    for (unsigned i = 0; i < topology->node_count; i++)
        count += classify_node_fits(&topology->nodes[i], choice->kind.route->capabilities);
    return count;
}

/* ---- what is remembered ---- */

static roster_handle *remembered_for_path(struct dispatch_context *context, struct text path)
{
    return &context->nodes_of_paths[hash_text(path, 0) % (sizeof context->nodes_of_paths / sizeof context->nodes_of_paths[0])];
}

void choice_remember(const struct choice *choice, struct dispatch_context *context, struct text path,
                     const struct roster_node *node)
{
    switch (policy_of(choice->kind.class)->memory) {
    case POLICY_MEMORY_CLUSTER:
        atomic_store_explicit(&context->roster->catalog_node, node->handle, memory_order_relaxed);
        break;
    case POLICY_MEMORY_PATH:
        *remembered_for_path(context, path) = node->handle;
        break;
    case POLICY_MEMORY_NONE:
        break;
    }
}

/* ---- the next node ---- */

static bool was_tried(const struct node_set *tried, unsigned index)
{
    return tried != NULL && node_set_has(tried, index);
}

struct load_asked {
    const struct epoch *epoch;
    const struct lease_kind *kind;
};

static uint32_t outstanding(const void *owner, unsigned index)
{
    const struct load_asked *asked = owner;
    const struct roster_node *node = asked->epoch->nodes[index];
    return atomic_load_explicit(&node->outstanding, memory_order_relaxed) + atomic_load_explicit(&node->owed, memory_order_relaxed);
}

/* The same of a node that may be silent. */
static uint32_t outstanding_by_age(const void *owner, unsigned index)
{
    const struct load_asked *asked = owner;
    const struct roster_node *node = asked->epoch->nodes[index];
    return balance_load(outstanding(owner, index), roster_node_silent_ms(node, asked->kind->now_ms), standings_took_ms(node, asked->kind->class));
}

/* The node that answered for this path last time, while it can be asked; -1 when there is none. */
static int pick_remembered(const struct choice *choice, struct lease *lease, struct dispatch_context *context,
                           struct text path, const struct node_set *tried)
{
    if (policy_of(choice->kind.class)->memory != POLICY_MEMORY_PATH)
        return -1;
    int index = epoch_find_handle(lease->epoch, *remembered_for_path(context, path));
    return index >= 0 && !was_tried(tried, (unsigned)index) && is_usable(choice, lease, (unsigned)index) ? index : -1;
}

/* When those that are known to be up have failed, the others are better than none. */
static struct lease_kind any_health(const struct lease_kind *kind)
{
    struct lease_kind any = *kind;
    any.takes_unknown = true;
    return any;
}

/* The node that was used last stays though no probe has reached it and others are up: what it was told, they may not know yet. */
static int pick_sticky(struct balance_question *question, const struct lease_kind *kind, struct lease *lease, struct roster *roster)
{
    struct lease_kind any = any_health(kind);
    question->sticky = epoch_find_handle(lease->epoch, atomic_load_explicit(&roster->catalog_node, memory_order_relaxed));
    if (question->sticky >= 0 && standings_is_aside(lease->epoch->nodes[question->sticky], kind->class))
        question->sticky = -1;
    return balance_pick_preferred(question, lease_preferred(lease, kind), lease_usable(lease, &any));
}

static int pick_balanced(const struct lease_kind *kind, struct lease *lease, struct dispatch_context *context,
                         const struct node_set *tried)
{
    struct load_asked asked = {lease->epoch, kind};
    struct balance_question question = {
        .method = policy_of(kind->class)->balance,
        .tried = tried,
        .sticky = -1,
        .outstanding = policy_of(kind->class)->balance == BALANCE_LEAST_OUTSTANDING ? outstanding_by_age : outstanding,
        .owner = &asked,
    };
    struct roster *roster = context->roster;
    if (question.method == BALANCE_STICKY)
        return pick_sticky(&question, kind, lease, roster);
    if (question.method == BALANCE_ROUND_ROBIN && tried == NULL)
        question.cursor = atomic_fetch_add_explicit(&roster->writeback_cursor, 1, memory_order_relaxed);
    else if (question.method == BALANCE_LEAST_OUTSTANDING || question.method == BALANCE_WEIGHTED)
        question.random = random_u32(&context->random);
    struct balance_view *usable = lease_usable(lease, kind);
    if (kind->route->preferred == 0)
        return balance_pick(&question, usable);
    return balance_pick_preferred(&question, lease_preferred(lease, kind), usable);
}

/* Somebody waits for a connection there. */
static bool is_full(const void *owner, unsigned index)
{
    const struct load_asked *asked = owner;
    return atomic_load_explicit(&asked->epoch->nodes[index]->waiting, memory_order_relaxed) > 0;
}

/* The node of the request's database, or the next one that it would have; -1 when it goes anywhere, or all are full. */
static int pick_near(const struct choice *choice, struct lease *lease, const struct node_set *tried)
{
    if (choice->database == 0)
        return -1;
    struct load_asked asked = {lease->epoch, &choice->kind};
    struct balance_question question = {.tried = tried, .owner = &asked};
    bool is_weighted = policy_of(choice->kind.class)->balance == BALANCE_WEIGHTED;
    return balance_pick_near(&question, lease_preferred(lease, &choice->kind), choice->database, is_weighted, is_full);
}

int choice_pick_trial(const struct choice *choice, struct lease *lease)
{
    int index = choice->target == CHOICE_ONE ? lease_trial(lease, &choice->kind) : -1;
    if (index < 0)
        return -1;
    return standings_begin_trial(lease->epoch->nodes[index], choice->kind.class, choice->kind.now_ms) ? index : -1;
}

int choice_pick(const struct choice *choice, struct lease *lease, struct dispatch_context *context, struct text path,
                const struct node_set *tried)
{
    if (choice->target == CHOICE_NAMED)
        return !was_tried(tried, choice->named) && is_usable(choice, lease, choice->named) ? (int)choice->named : -1;
    int index = pick_remembered(choice, lease, context, path, tried);
    if (index < 0)
        index = pick_near(choice, lease, tried);
    if (index < 0)
        index = pick_balanced(&choice->kind, lease, context, tried);
    if (index >= 0 || tried == NULL)
        return index;
    struct lease_kind any = any_health(&choice->kind);
    return pick_balanced(&any, lease, context, tried);
}

int choice_pick_beside(const struct choice *choice, struct lease *lease, struct dispatch_context *context, const struct node_set *tried)
{
    int index = pick_near(choice, lease, tried);
    return index >= 0 ? index : pick_balanced(&choice->kind, lease, context, tried);
}

bool choice_has_untried(const struct choice *choice, struct lease *lease, const struct node_set *tried)
{
    if (choice->target == CHOICE_NAMED)
        return !was_tried(tried, choice->named) && is_usable(choice, lease, choice->named);
    struct lease_kind any = any_health(&choice->kind);
    return balance_has_untried(lease_usable(lease, &any), tried);
}

slow_write_average choice_quickest_write(const struct choice *choice, struct lease *lease, const struct node_set *tried)
{
    slow_write_average quickest = 0;
    for (unsigned i = 0; i < lease->epoch->topology->node_count; i++) {
        slow_write_average average = atomic_load_explicit(&lease->epoch->nodes[i]->write_average, memory_order_relaxed);
        bool is_quicker = average != 0 && (quickest == 0 || average < quickest);
        if (is_quicker && !was_tried(tried, i) && is_usable(choice, lease, i))
            quickest = average;
    }
    return quickest;
}
