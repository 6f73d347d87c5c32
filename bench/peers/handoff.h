/* A round trip between two threads, the same for all peers: each hands the turn to the other and
 * waits to get it back. */
#ifndef BENCH_PEERS_HANDOFF_H
#define BENCH_PEERS_HANDOFF_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "bench/support/clock.h"
#include "bench/support/experiment.h"
#include "bench/support/pin.h"

struct bench_handoff {
    void (*give)(int side); /* the turn, to side 0 or 1 */
    void (*take)(int side); /* waits until that side has been given the turn */
};

struct bench_handoff_game {
    const struct bench_handoff *calls;
    enum bench_pin pin;
    atomic_bool over;
};

static void *bench_handoff_answer(void *arg)
{
    struct bench_handoff_game *game = arg;
    bench_pin_member(game->pin, 1);
    for (;;) {
        game->calls->take(1);
        if (atomic_load_explicit(&game->over, memory_order_relaxed))
            return NULL;
        game->calls->give(0);
    }
}

/* Nanoseconds a round trip. */
static inline double bench_handoff_measure(const struct bench_handoff *calls, enum bench_pin pin,
                                           double seconds, struct bench_trial *trial)
{
    enum { WARM_UP = 200, BATCH = 20 };
    struct bench_handoff_game game = { .calls = calls, .pin = pin };
    pthread_t other;
    int rc = pthread_create(&other, NULL, bench_handoff_answer, &game);
    if (rc != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(rc));
    bench_pin_member(pin, 0);
    for (int i = 0; i < WARM_UP; i++) {
        calls->give(1);
        calls->take(0);
    }
    int64_t begin = bench_now(), enough = begin + (int64_t)(seconds * 1e9), now;
    long trips = 0;
    do {
        for (int i = 0; i < BATCH; i++) {
            calls->give(1);
            calls->take(0);
        }
        trips += BATCH;
        now = bench_now();
    } while (now < enough);
    atomic_store_explicit(&game.over, true, memory_order_relaxed);
    calls->give(1);
    pthread_join(other, NULL);
    return (double)(now - begin) / (double)trips;
}

/* Nanoseconds a call of a peer's loop, which makes n of them. */
static inline double bench_loop_measure(void (*loop)(long n), double seconds)
{
    enum { BATCH = 2000 };
    loop(BATCH);
    int64_t begin = bench_now(), enough = begin + (int64_t)(seconds * 1e9), now;
    long calls = 0;
    do {
        loop(BATCH);
        calls += BATCH;
        now = bench_now();
    } while (now < enough);
    return (double)(now - begin) / (double)calls;
}

#endif
