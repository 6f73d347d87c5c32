#include <glib.h>

#include "bench/peers/queue.h"

static GAsyncQueue *queue;

static void init(void)
{
    queue = g_async_queue_new();
}

static void put(void *item)
{
    g_async_queue_push(queue, item);
}

static void *get(void)
{
    return g_async_queue_pop(queue);
}

const struct bench_queue_peer bench_queue_glib = {
    .peer = { "glib", "GAsyncQueue" },
    .init = init,
    .put = put,
    .get = get,
};
