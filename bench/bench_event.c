/* Events and what is done once: looking at one that is set, or done; and a round trip between two
 * threads. */
#include "bench/peers/event.h"
#include "bench/support/loop.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_event_pthread.peer,
    &bench_event_fxthread.peer,
    &bench_event_futex.peer,
};

static const struct bench_metric look_metrics[] = {
    { .name = "is_set", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal: futex's load") },
};

static void measure_looks(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    trial->value[0] = bench_loop_measure(((const struct bench_event_peer *)peer)->looks,
                                         options->seconds);
}

static const struct bench_metric once_metrics[] = {
    { .name = "once", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal: futex's load") },
};

static void measure_once(const struct bench_experiment *experiment, const struct bench_peer *peer,
                         const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    trial->value[0] = bench_loop_measure(((const struct bench_event_peer *)peer)->calls,
                                         options->seconds);
}

static void measure_handoff(const struct bench_experiment *experiment,
                            const struct bench_peer *peer, const struct bench_options *options,
                            struct bench_trial *trial)
{
    bench_handoff_measure(&((const struct bench_event_peer *)peer)->handoff, experiment, options,
                          trial);
}

static const struct bench_program program = {
    .name = "bench_event",
    .summary = "events and once",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,both",
    .experiments = "is_set once handoff",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const struct bench_experiment experiments[] = {
    {
        .name = "is_set",
        .title = "look at an event that is set",
        .metrics = look_metrics,
        .n_metrics = sizeof look_metrics / sizeof *look_metrics,
        .measure = measure_looks,
    },
    {
        .name = "once",
        .title = "ask for what has been done",
        .metrics = once_metrics,
        .n_metrics = sizeof once_metrics / sizeof *once_metrics,
        .measure = measure_once,
    },
    {
        .name = "handoff",
        .title = "a round trip between two threads by two events",
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
