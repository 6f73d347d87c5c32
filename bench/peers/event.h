/* What bench_event measures of each peer. */
#ifndef BENCH_PEERS_EVENT_H
#define BENCH_PEERS_EVENT_H

#include "bench/support/handoff.h"
#include "bench/support/peer.h"

struct bench_event_peer {
    struct bench_peer peer;
    void (*looks)(long n); /* asks n times whether an event is set; it is */
    void (*calls)(long n); /* asks n times for what has been done once */
    struct bench_handoff handoff; /* give: set; take: wait and clear */
};

extern const struct bench_event_peer bench_event_pthread;
extern const struct bench_event_peer bench_event_fxthread;
extern const struct bench_event_peer bench_event_futex;

/* Uses what was looked at, so that the loop is not optimised away. */
static inline void bench_use(long value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
