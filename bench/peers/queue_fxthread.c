#include <fxthread.h>

#include "bench/peers/queue.h"

static fx_queue *queue;

static void init(void)
{
    queue = fx_queue_new(FX_QUEUE_FIFO, 0);
}

static void put(void *item)
{
    fx_queue_put(queue, item);
}

static void *get(void)
{
    void *item = NULL;
    fx_queue_get(queue, &item);
    return item;
}

const struct bench_queue_peer bench_queue_fxthread = {
    .peer = { "fxthread", "fx_queue, first in first out, without a bound" },
    .init = init,
    .put = put,
    .get = get,
};
