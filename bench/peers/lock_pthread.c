#include <pthread.h>

#include "bench/peers/lock_loops.h"

static pthread_mutex_t lock __attribute__((aligned(64))) = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive __attribute__((aligned(64))) =
    PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static inline void acquire(void *mutex)
{
    pthread_mutex_lock(mutex);
}

static inline void release(void *mutex)
{
    pthread_mutex_unlock(mutex);
}

static void pairs(uint64_t n)
{
    bench_lock_loop_pairs(&lock, acquire, release, n);
}

static void nested(uint64_t n)
{
    pthread_mutex_lock(&recursive);
    bench_lock_loop_pairs(&recursive, acquire, release, n);
    pthread_mutex_unlock(&recursive);
}

static void contend(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&lock, acquire, release, turns);
}

const struct bench_lock_peer bench_lock_pthread = {
    .peer = { "pthread", "pthread_mutex_t, of the default kind; nested: of the recursive kind" },
    .pairs = pairs,
    .nested = nested,
    .contend = contend,
};
