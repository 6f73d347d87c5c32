/* What bench_semaphore measures of each peer. */
#ifndef BENCH_PEERS_SEMAPHORE_H
#define BENCH_PEERS_SEMAPHORE_H

#include "bench/support/handoff.h"
#include "bench/support/peer.h"

struct bench_semaphore_peer {
    struct bench_peer peer;
    void (*pairs)(long n); /* acquires and releases, n times, with nobody else there */
    struct bench_handoff handoff;
};

extern const struct bench_semaphore_peer bench_semaphore_pthread;
extern const struct bench_semaphore_peer bench_semaphore_fxthread;
extern const struct bench_semaphore_peer bench_semaphore_futex;

#endif
