#include <glib.h>

#include "bench/peers/lock_loops.h"

static GMutex lock __attribute__((aligned(64)));
static GRecMutex recursive __attribute__((aligned(64)));

static inline void acquire(void *mutex)
{
    g_mutex_lock(mutex);
}

static inline void release(void *mutex)
{
    g_mutex_unlock(mutex);
}

static inline void acquire_recursive(void *mutex)
{
    g_rec_mutex_lock(mutex);
}

static inline void release_recursive(void *mutex)
{
    g_rec_mutex_unlock(mutex);
}

static void pairs(uint64_t n)
{
    bench_lock_loop_pairs(&lock, acquire, release, n);
}

static void nested(uint64_t n)
{
    g_rec_mutex_lock(&recursive);
    bench_lock_loop_pairs(&recursive, acquire_recursive, release_recursive, n);
    g_rec_mutex_unlock(&recursive);
}

static void contend(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&lock, acquire, release, turns);
}

const struct bench_lock_peer bench_lock_glib = {
    .peer = { "glib", "GMutex; nested: GRecMutex" },
    .pairs = pairs,
    .nested = nested,
    .contend = contend,
};
