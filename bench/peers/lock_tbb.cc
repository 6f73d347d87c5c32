#include <oneapi/tbb/mutex.h>
#include <oneapi/tbb/queuing_mutex.h>
#include <oneapi/tbb/spin_mutex.h>

#include "bench/peers/lock_loops.h"

/* A mutex that is locked and unlocked by calls of its own. */
template <class Mutex> struct peer {
    alignas(64) static Mutex lock;

    static void acquire(void *mutex)
    {
        static_cast<Mutex *>(mutex)->lock();
    }

    static void release(void *mutex)
    {
        static_cast<Mutex *>(mutex)->unlock();
    }

    static void pairs(uint64_t n)
    {
        bench_lock_loop_pairs(&lock, acquire, release, n);
    }

    static void contend(struct bench_lock_turns *turns)
    {
        bench_lock_loop_contend(&lock, acquire, release, turns);
    }
};
template <class Mutex> alignas(64) Mutex peer<Mutex>::lock;

/* One that is held through an object on the holder's stack. */
struct queuing {
    static inline thread_local oneapi::tbb::queuing_mutex::scoped_lock hold;

    static void acquire(void *mutex)
    {
        hold.acquire(*static_cast<oneapi::tbb::queuing_mutex *>(mutex));
    }

    static void release(void *)
    {
        hold.release();
    }

    static void pairs(uint64_t n)
    {
        bench_lock_loop_pairs(&lock, acquire, release, n);
    }

    static void contend(struct bench_lock_turns *turns)
    {
        bench_lock_loop_contend(&lock, acquire, release, turns);
    }

    alignas(64) static inline oneapi::tbb::queuing_mutex lock;
};

using blocking = peer<oneapi::tbb::mutex>;
using spinning = peer<oneapi::tbb::spin_mutex>;

extern "C" const struct bench_lock_peer bench_lock_tbb = {
    {"tbb", "oneapi::tbb::mutex"}, blocking::pairs, nullptr, blocking::contend};
extern "C" const struct bench_lock_peer bench_lock_tbb_spin = {
    {"tbb_spin", "oneapi::tbb::spin_mutex"}, spinning::pairs, nullptr, spinning::contend};
extern "C" const struct bench_lock_peer bench_lock_tbb_queuing = {
    {"tbb_queuing", "oneapi::tbb::queuing_mutex"}, queuing::pairs, nullptr, queuing::contend};
