/* What bench_scope measures of each peer: entering and leaving a block that something is to be done
 * after, and getting out of one by an exception. */
#ifndef BENCH_PEERS_SCOPE_H
#define BENCH_PEERS_SCOPE_H

#include <stdint.h>

#include <fxthread.h>

#include "bench/support/peer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bench_scope_peer {
    struct bench_peer peer;
    /* n times each: */
    void (*block)(uint64_t n); /* a block in which exceptions are caught, around a call */
    void (*lock)(uint64_t n);  /* a block with bench_scope_lock held, around a call */
    void (*leave)(uint64_t n); /* a function that returns out of such a block, and a call on its way out */
    void (*raise)(uint64_t n); /* an exception, caught three calls further up */
};

/* The call: nothing, and the compiler does not know it. */
void bench_scope_work(void);
extern fx_lock bench_scope_lock;

extern const struct bench_scope_peer bench_scope_plain;
extern const struct bench_scope_peer bench_scope_fxthread;
extern const struct bench_scope_peer bench_scope_cxx;

#ifdef __cplusplus
}
#endif

#endif
