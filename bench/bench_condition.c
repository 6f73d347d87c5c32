/* Conditions: notifying where nobody waits, and a round trip between two threads. */
#include "bench/peers/condition.h"
#include "bench/support/loop.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_condition_pthread.peer,
    &bench_condition_fxthread.peer,
    &bench_condition_futex.peer,
};

static const struct bench_metric notify_metrics[] = {
    { .name = "notify", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 0.30") },
};

static void measure_notify(const struct bench_experiment *experiment, const struct bench_peer *peer,
                           const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    trial->value[0] = bench_loop_measure(((const struct bench_condition_peer *)peer)->notifies,
                                         options->seconds);
}

static void measure_handoff(const struct bench_experiment *experiment,
                            const struct bench_peer *peer, const struct bench_options *options,
                            struct bench_trial *trial)
{
    bench_handoff_measure(&((const struct bench_condition_peer *)peer)->handoff, experiment, options,
                          trial);
}

static const struct bench_program program = {
    .name = "bench_condition",
    .summary = "conditions",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,both",
    .experiments = "notify handoff",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const struct bench_experiment experiments[] = {
    {
        .name = "notify",
        .title = "notify one where nobody waits",
        .metrics = notify_metrics,
        .n_metrics = sizeof notify_metrics / sizeof *notify_metrics,
        .measure = measure_notify,
    },
    {
        .name = "handoff",
        .title = "a round trip between two threads by two conditions with one lock",
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
