/* Semaphores: acquire and release with nobody else there, and a round trip between two threads. */
#include "bench/peers/semaphore.h"
#include "bench/support/loop.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_semaphore_pthread.peer,
    &bench_semaphore_fxthread.peer,
    &bench_semaphore_futex.peer,
};

static const struct bench_metric pair_metrics[] = {
    {
        .name = "acquire+release",
        .unit = "ns",
        .compared = true,
        .goal = BENCH_GOAL("goal <= 0.65"),
    },
};

static void measure_pairs(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    trial->value[0] = bench_loop_measure(((const struct bench_semaphore_peer *)peer)->pairs,
                                         options->seconds);
}

static void measure_handoff(const struct bench_experiment *experiment,
                            const struct bench_peer *peer, const struct bench_options *options,
                            struct bench_trial *trial)
{
    bench_handoff_measure(&((const struct bench_semaphore_peer *)peer)->handoff, experiment, options,
                          trial);
}

static const struct bench_program program = {
    .name = "bench_semaphore",
    .summary = "semaphores",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,both",
    .experiments = "pair handoff",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const struct bench_experiment experiments[] = {
    {
        .name = "pair",
        .title = "acquire and release a semaphore that nobody else uses",
        .metrics = pair_metrics,
        .n_metrics = sizeof pair_metrics / sizeof *pair_metrics,
        .measure = measure_pairs,
    },
    {
        .name = "handoff",
        .title = "a round trip between two threads by two semaphores",
        .metrics = bench_handoff_metrics,
        .n_metrics = BENCH_HANDOFF_METRICS,
        .measure = measure_handoff,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
