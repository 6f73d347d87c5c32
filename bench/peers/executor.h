/* What bench_executor measures of each peer: a pool of threads that runs functions. */
#ifndef BENCH_PEERS_EXECUTOR_H
#define BENCH_PEERS_EXECUTOR_H

#include <stdbool.h>

#include "bench/support/peer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bench_executor_peer {
    struct bench_peer peer;
    /* Each says whether it succeeded. A pool is started once, and ends with the process. */
    bool (*start)(int workers);
    bool (*run_empty)(long n);      /* submits n empty tasks and waits for the last */
    bool (*round_trip)(void);       /* submits one that yields a value, and waits for that */
    bool (*sleep)(long n, long ns); /* n that sleep side by side; begins and ends with none */
    bool (*hand_over)(long n);      /* two hand a semaphore to and fro, n times each */
};

extern const struct bench_executor_peer bench_executor_pthread;
extern const struct bench_executor_peer bench_executor_fxthread;
extern const struct bench_executor_peer bench_executor_tbb;

#ifdef __cplusplus
}
#endif

#endif
