/* What bench_process measures of each peer: functions that run in other processes. */
#ifndef BENCH_PEERS_PROCESS_H
#define BENCH_PEERS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/support/peer.h"

enum { BENCH_PROCESS_BYTES = 64 }; /* of an argument, and of a result, where nothing else is said */

struct bench_process_peer {
    struct bench_peer peer;
    /* Whether it can be had here, asked before anything else. */
    bool (*is_there)(void);
    /* So many workers, which have run something when it returns; they end with the process. */
    bool (*start)(int workers);
    /* The rest say how many nanoseconds they took, or -1; NULL: the peer has no such thing. */
    int64_t (*tasks)(long n);        /* submits n, and then takes the result of each */
    int64_t (*round_trips)(long n);  /* one after the other: submit, result */
    int64_t (*large)(size_t bytes);  /* an argument of so many bytes gets there */
};

extern const struct bench_process_peer bench_process_bare;
extern const struct bench_process_peer bench_process_python;
extern const struct bench_process_peer bench_process_fxthread;

#endif
