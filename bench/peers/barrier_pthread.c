#include <pthread.h>

#include "bench/peers/barrier.h"

static pthread_barrier_t barrier;

static void init(unsigned parties)
{
    pthread_barrier_init(&barrier, NULL, parties);
}

static void wait(void)
{
    pthread_barrier_wait(&barrier);
}

const struct bench_barrier_peer bench_barrier_pthread = {
    .peer = { "pthread", "pthread_barrier" },
    .init = init,
    .wait = wait,
};
