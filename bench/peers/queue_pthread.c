#include <pthread.h>
#include <stdlib.h>

#include "bench/peers/queue.h"

/* What a C program writes for itself: a ring that grows, a mutex and a condition. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static void **ring;
static size_t first, count, capacity;

static void init(void)
{
    capacity = 16;
    ring = malloc(capacity * sizeof *ring);
}

static void grow(void)
{
    void **larger = malloc(2 * capacity * sizeof *larger);
    for (size_t i = 0; i < count; i++)
        larger[i] = ring[(first + i) & (capacity - 1)];
    free(ring);
    ring = larger;
    first = 0;
    capacity *= 2;
}

static void put(void *item)
{
    pthread_mutex_lock(&mutex);
    if (count == capacity)
        grow();
    ring[(first + count++) & (capacity - 1)] = item;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
}

static void *get(void)
{
    pthread_mutex_lock(&mutex);
    while (count == 0)
        pthread_cond_wait(&not_empty, &mutex);
    void *item = ring[first];
    first = (first + 1) & (capacity - 1);
    count--;
    pthread_mutex_unlock(&mutex);
    return item;
}

const struct bench_queue_peer bench_queue_pthread = {
    .peer = { "pthread", "a ring with a pthread_mutex and a pthread_cond" },
    .init = init,
    .put = put,
    .get = get,
};
