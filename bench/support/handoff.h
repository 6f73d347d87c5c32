/* A round trip between two threads, the same for all peers: each hands the turn to the other and
 * waits to get it back. */
#ifndef BENCH_SUPPORT_HANDOFF_H
#define BENCH_SUPPORT_HANDOFF_H

#include "bench/support/experiment.h"

/* A peer's part. Neither side has the turn at the beginning. */
struct bench_handoff {
    void (*give)(int side); /* the turn, to side 0 or 1 */
    void (*take)(int side); /* waits until that side has been given the turn */
};

/* What bench_handoff_measure yields: nanoseconds a round trip, and the goals for it, which the peer
 * "futex" (bench/peers/futex_turn.h) is there for. */
enum { BENCH_HANDOFF_METRICS = 1 };
extern const struct bench_metric bench_handoff_metrics[BENCH_HANDOFF_METRICS];

/* For an experiment's `measure`. */
void bench_handoff_measure(const struct bench_handoff *calls,
                           const struct bench_experiment *experiment,
                           const struct bench_options *options, struct bench_trial *trial);

#endif
