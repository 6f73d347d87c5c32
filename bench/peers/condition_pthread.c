#include <pthread.h>
#include <stdbool.h>

#include "bench/peers/condition.h"

static pthread_cond_t unused = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static bool turn[2];

static void notifies(long n)
{
    for (long i = 0; i < n; i++)
        pthread_cond_signal(&unused);
}

static void give(int side)
{
    pthread_mutex_lock(&mutex);
    turn[side] = true;
    pthread_cond_signal(&changed[side]);
    pthread_mutex_unlock(&mutex);
}

static void take(int side)
{
    pthread_mutex_lock(&mutex);
    while (!turn[side])
        pthread_cond_wait(&changed[side], &mutex);
    turn[side] = false;
    pthread_mutex_unlock(&mutex);
}

const struct bench_condition_peer bench_condition_pthread = {
    .peer = { "pthread", "pthread_cond with a pthread_mutex" },
    .notifies = notifies,
    .handoff = { give, take },
};
