#include <pthread.h>

#include "bench/peers/rwlock.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void reads(long n)
{
    for (long i = 0; i < n; i++) {
        pthread_rwlock_rdlock(&lock);
        pthread_rwlock_unlock(&lock);
    }
}

static void writes(long n)
{
    for (long i = 0; i < n; i++) {
        pthread_rwlock_wrlock(&lock);
        pthread_rwlock_unlock(&lock);
    }
}

const struct bench_rwlock_peer bench_rwlock_pthread = {
    .peer = { "pthread", "pthread_rwlock" },
    .reads = reads,
    .writes = writes,
};
