/* What bench_condition measures of each peer. */
#ifndef BENCH_PEERS_CONDITION_H
#define BENCH_PEERS_CONDITION_H

#include "bench/support/handoff.h"
#include "bench/support/peer.h"

struct bench_condition_peer {
    struct bench_peer peer;
    void (*notifies)(long n); /* n notifications that nobody waits for */
    struct bench_handoff handoff;
};

extern const struct bench_condition_peer bench_condition_pthread;
extern const struct bench_condition_peer bench_condition_fxthread;
extern const struct bench_condition_peer bench_condition_futex;

#endif
