/* What bench_queue measures of each peer. An item is a pointer that is not NULL. */
#ifndef BENCH_PEERS_QUEUE_H
#define BENCH_PEERS_QUEUE_H

#include "bench/support/peer.h"

struct bench_queue_peer {
    struct bench_peer peer;
    void (*init)(void);
    void (*put)(void *item);
    void *(*get)(void); /* waits for one */
};

extern const struct bench_queue_peer bench_queue_pthread;
extern const struct bench_queue_peer bench_queue_fxthread;
extern const struct bench_queue_peer bench_queue_glib;

#endif
