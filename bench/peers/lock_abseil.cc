#include <absl/synchronization/mutex.h>

#include "bench/peers/lock_loops.h"

alignas(64) static absl::Mutex lock;

static inline void acquire(void *mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS
{
    static_cast<absl::Mutex *>(mutex)->Lock();
}

static inline void release(void *mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS
{
    static_cast<absl::Mutex *>(mutex)->Unlock();
}

static void pairs(uint64_t n)
{
    bench_lock_loop_pairs(&lock, acquire, release, n);
}

static void contend(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&lock, acquire, release, turns);
}

extern "C" const struct bench_lock_peer bench_lock_abseil = {
    {"abseil", "absl::Mutex"}, pairs, nullptr, contend};
