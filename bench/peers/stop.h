/* What bench_stop measures of each peer: ending a thread from outside, at several places. */
#ifndef BENCH_PEERS_STOP_H
#define BENCH_PEERS_STOP_H

#include <stdbool.h>

#include "bench/peers/thread.h"

struct bench_stop_peer {
    struct bench_peer peer;
    const struct bench_thread_peer *thread;
    /* Asks it to end. */
    void (*stop)(struct bench_thread *thread);
    /* Waits of the peer's own that nothing but a stop ends. */
    void (*sleep)(void);
    void (*wait)(void);
    /* Called by a thread that is going to do nothing else any more: whether it can be ended there.
     * */
    bool (*may_read)(void);
    bool (*may_compute)(void);
    bool (*may_allocate)(void);
};

extern const struct bench_stop_peer bench_stop_pthread;
extern const struct bench_stop_peer bench_stop_fxthread;

#endif
