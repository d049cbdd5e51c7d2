#include "world/client.h"

#include "kernel/memory.h"
#include "world/client_state.h"
#include "world/hostile.h"

static const struct client_model *const models[] = {&client_writer, &client_writeback, &client_querier, &client_cataloguer, &client_flight};
#define MODELS (sizeof models / sizeof models[0])

/* One client of this many speaks HTTP/2 where its original could. */
#define HTTP_2_ONE_OF 4

static void arm(struct client *client)
{
    sim_timer_in(&client->turn, draw_between(&client->random, SIM_S / 2, SIM_S + SIM_S / 2));
}

static void on_turn(void *owner)
{
    struct client *client = owner;
    if (sim_now_us() + CLIENT_REST_SECONDS * SIM_S >= client->asker.end_us)
        return;
    arm(client);
    if (draw_chance(&client->random, plan_rate(client->plan, FAULT_KIND_CLIENT_HOSTILE)))
        hostile_start(client);
    else
        client->model->turn(client);
}

static void on_try_end(void *owner, const struct client_end *end)
{
    struct client *client = owner;
    if (client->model->on_end != NULL)
        client->model->on_end(client, end);
}

static const struct client_model *draw_model(struct random_source *random)
{
    unsigned sum = 0;
    for (size_t i = 0; i < MODELS; i++)
        sum += models[i]->weight;
    unsigned drawn = (unsigned)draw_below(random, sum);
    size_t at = 0;
    while (drawn >= models[at]->weight)
        drawn -= models[at++]->weight;
    return models[at];
}

struct client *client_create(const struct plan *plan, unsigned index)
{
    struct client *client = world_calloc(1, sizeof *client);
    client->plan = plan;
    client->index = index;
    client->random = draw_source_of(plan->seed, "client", index);
    client->model = draw_model(&client->random);
    client->row = (unsigned)draw_below(&client->random, client->model->rows);
    client->links = (struct client_links){
        .plan = plan,
        .random = &client->random,
        .host = CLIENT_HOST_FIRST + index,
        .port = CLIENT_PORT,
        .version = draw_below(&client->random, HTTP_2_ONE_OF) == 0 ? PEER_HTTP_2 : PEER_HTTP_1,
    };
    client->asker = (struct client_asker){
        .plan = plan,
        .random = &client->random,
        .client = index,
        .end_us = (uint64_t)(plan->faulty_seconds + plan->quiet_seconds) * SIM_S,
        .links = &client->links,
        .on_end = on_try_end,
        .owner = client,
    };
    list_init(&client->asker.tries);
    list_init(&client->hostiles);
    sim_timer_init(&client->turn, on_turn, client);
    if (client->model->begin != NULL)
        client->model->begin(client);
    sim_timer_in(&client->turn, draw_below(&client->random, SIM_S));
    return client;
}

void client_destroy(struct client *client)
{
    if (client == NULL)
        return;
    sim_timer_clear(&client->turn);
    hostile_end_all(client);
    client_tries_drop(&client->asker);
    client_links_close(&client->links);
    world_free(client);
}
