/* What bench_thread measures of each peer: starting a thread and joining it. */
#ifndef BENCH_PEERS_THREAD_H
#define BENCH_PEERS_THREAD_H

#include <stdint.h>

#include "bench/support/peer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A thread's function. It has no thread-local storage of its own in a bare clone, and so calls
 * nothing that might need it. */
typedef void *(*bench_body)(void *arg);

/* Where a peer keeps what it needs from start to join; the caller's, and zero before each start. */
struct bench_thread {
    uintptr_t word[4];
};

struct bench_thread_peer {
    struct bench_peer peer;
    /* Starts a thread with default attributes that calls body(arg). 0 or a negative errno. */
    int (*start)(struct bench_thread *thread, bench_body body, void *arg);
    /* Waits for its end and gives up all that it held. */
    void (*join)(struct bench_thread *thread);
};

extern const struct bench_thread_peer bench_thread_pthread;
extern const struct bench_thread_peer bench_thread_fxthread;
extern const struct bench_thread_peer bench_thread_clone;
extern const struct bench_thread_peer bench_thread_glib;

#ifdef __cplusplus
}
#endif

#endif
