/* What bench_barrier measures of each peer. */
#ifndef BENCH_PEERS_BARRIER_H
#define BENCH_PEERS_BARRIER_H

#include "bench/support/peer.h"

struct bench_barrier_peer {
    struct bench_peer peer;
    void (*init)(unsigned parties);
    void (*wait)(void);
};

extern const struct bench_barrier_peer bench_barrier_pthread;
extern const struct bench_barrier_peer bench_barrier_fxthread;

#endif
