/* What bench_rwlock measures of each peer. */
#ifndef BENCH_PEERS_RWLOCK_H
#define BENCH_PEERS_RWLOCK_H

#include "bench/support/peer.h"

struct bench_rwlock_peer {
    struct bench_peer peer;
    void (*reads)(long n);  /* acquires and releases for reading, n times */
    void (*writes)(long n); /* the same for writing */
};

extern const struct bench_rwlock_peer bench_rwlock_pthread;
extern const struct bench_rwlock_peer bench_rwlock_fxthread;
extern const struct bench_rwlock_peer bench_rwlock_glib;

#endif
