#include <fxthread.h>

#include "bench/peers/barrier.h"

static fx_barrier barrier;

static void init(unsigned parties)
{
    fx_barrier_init(&barrier, parties, NULL, NULL);
}

static void wait(void)
{
    fx_barrier_wait(&barrier);
}

const struct bench_barrier_peer bench_barrier_fxthread = {
    .peer = { "fxthread", "fx_barrier" },
    .init = init,
    .wait = wait,
};
