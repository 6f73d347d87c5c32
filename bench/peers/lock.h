/* What bench_lock measures of each peer: acquiring and releasing, alone and among many threads. */
#ifndef BENCH_PEERS_LOCK_H
#define BENCH_PEERS_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/support/histogram.h"
#include "bench/support/peer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_LOCK_SAMPLED = 16 }; /* one acquire of so many is timed */

/* A thread's part in a contention for the peer's one lock. */
struct bench_lock_turns {
    const bool *stop;             /* the thread ends when it is set */
    uint64_t inside, outside;     /* turns of bench_lock_work() with the lock and without */
    uint64_t done;                /* sections so far; read by others */
    struct bench_histogram waits; /* how long the timed acquires took */
} __attribute__((aligned(64)));

struct bench_lock_peer {
    struct bench_peer peer;
    /* n times: acquire, release; nobody else is there. */
    void (*pairs)(uint64_t n);
    /* The same on a recursive lock that the caller has; NULL: the peer has none. */
    void (*nested)(uint64_t n);
    /* A thread's loop. */
    void (*contend)(struct bench_lock_turns *turns);
};

extern const struct bench_lock_peer bench_lock_pthread;
extern const struct bench_lock_peer bench_lock_fxthread;
extern const struct bench_lock_peer bench_lock_glib;
extern const struct bench_lock_peer bench_lock_nsync;
extern const struct bench_lock_peer bench_lock_abseil;
extern const struct bench_lock_peer bench_lock_tbb;
extern const struct bench_lock_peer bench_lock_tbb_spin;
extern const struct bench_lock_peer bench_lock_tbb_queuing;
extern const struct bench_lock_peer bench_lock_ck_fas;
extern const struct bench_lock_peer bench_lock_ck_ticket;
extern const struct bench_lock_peer bench_lock_ck_mcs;

#ifdef __cplusplus
}
#endif

#endif
