#include <semaphore.h>

#include "bench/peers/semaphore.h"

static sem_t one, turn[2];

__attribute__((constructor)) static void init(void)
{
    sem_init(&one, 0, 1);
    sem_init(&turn[0], 0, 0);
    sem_init(&turn[1], 0, 0);
}

static void pairs(long n)
{
    for (long i = 0; i < n; i++) {
        sem_wait(&one);
        sem_post(&one);
    }
}

static void give(int side)
{
    sem_post(&turn[side]);
}

static void take(int side)
{
    sem_wait(&turn[side]);
}

const struct bench_semaphore_peer bench_semaphore_pthread = {
    .peer = { "pthread", "sem_t, glibc's" },
    .pairs = pairs,
    .handoff = { give, take },
};
