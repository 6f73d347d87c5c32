/* Pools of processes: small tasks a second, a submit to its result, and a large argument, beside
 * Python's and beside what the kernel takes for it at least. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/peers/process.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

enum { WORKERS = 2, BATCH = 5000, QUICK_BATCH = 200 };

#define LARGE ((size_t)64 << 20)
#define QUICK_LARGE ((size_t)1 << 20)

static const struct bench_metric tasks_metrics[] = {
    { .name = "tasks", .unit = "1000/s", .compared = true, .goal = BENCH_GOAL("goal >= 20") },
};

static const struct bench_metric round_trip_metrics[] = {
    { .name = "round trip", .unit = "us", .compared = true, .goal = BENCH_GOAL("goal <= 1.5") },
};

static const struct bench_metric large_metrics[] = {
    { .name = "argument", .unit = "ms", .compared = true, .goal = BENCH_GOAL("goal <= 1.25") },
};

static const struct bench_process_peer *start(const struct bench_peer *peer, int workers,
                                              struct bench_trial *trial)
{
    const struct bench_process_peer *pool = (const struct bench_process_peer *)peer;
    if (!pool->start(workers))
        bench_trial_fail(trial, "the workers cannot be started");
    return pool;
}

static int64_t need(int64_t ns, struct bench_trial *trial)
{
    if (ns < 0)
        bench_trial_fail(trial, "a task failed");
    return ns;
}

/* Repeats step(size) until so many seconds of the peer's own have passed: nanoseconds a step. */
static double repeat(int64_t (*step)(long size), long size, const struct bench_options *options,
                     struct bench_trial *trial)
{
    int64_t spent = 0;
    long steps = 0;
    do {
        spent += need(step(size), trial);
        steps++;
    } while ((double)spent < options->seconds * 1e9);
    return (double)spent / (double)steps;
}

static void measure_tasks(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    long batch = options->quick ? QUICK_BATCH : BATCH;
    (void)experiment;
    const struct bench_process_peer *pool = start(peer, WORKERS, trial);
    trial->value[0] = (double)batch / repeat(pool->tasks, batch, options, trial) * 1e6;
}

static void measure_round_trip(const struct bench_experiment *experiment,
                               const struct bench_peer *peer, const struct bench_options *options,
                               struct bench_trial *trial)
{
    long batch = options->quick ? 20 : 500;
    (void)experiment;
    const struct bench_process_peer *pool = start(peer, 1, trial);
    trial->value[0] = repeat(pool->round_trips, batch, options, trial) / (double)batch / 1e3;
}

static int64_t (*large_step)(size_t bytes);

static int64_t step_large(long bytes)
{
    return large_step((size_t)bytes);
}

static void measure_large(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    long bytes = (long)(options->quick ? QUICK_LARGE : LARGE);
    (void)experiment;
    large_step = start(peer, 1, trial)->large;
    need(step_large(bytes), trial);
    trial->value[0] = repeat(step_large, bytes, options, trial) / 1e6;
}

#define METRICS(table) .metrics = (table), .n_metrics = sizeof(table) / sizeof *(table)

int main(int argc, char **argv)
{
    /* Each experiment has its own baseline. */
    static const struct bench_peer *const pools[] = { &bench_process_python.peer,
                                                      &bench_process_fxthread.peer };
    static const struct bench_peer *const all[] = { &bench_process_bare.peer,
                                                    &bench_process_python.peer,
                                                    &bench_process_fxthread.peer };
    static const struct bench_peer *const without_python[] = { &bench_process_bare.peer,
                                                               &bench_process_fxthread.peer };
    bool python = bench_process_python.is_there();
    const struct bench_experiment experiments[] = {
        {
            .name = "tasks",
            .title = "tasks with 64 bytes of argument and of result, two workers",
            METRICS(tasks_metrics),
            .measure = measure_tasks,
            .peers = pools,
            .n_peers = sizeof pools / sizeof *pools,
        },
        {
            .name = "round_trip",
            .title = "one task at a time, submitted and waited for",
            METRICS(round_trip_metrics),
            .measure = measure_round_trip,
        },
        {
            .name = "large",
            .title = "an argument of 64 MiB; bare: written to shared memory",
            METRICS(large_metrics),
            .measure = measure_large,
        },
    };
    const struct bench_program program = {
        .name = "bench_process",
        .summary = "pools of processes",
        .seconds = 0.3,
        .rounds = 7,
        .pins = "none",
        .experiments = "tasks round_trip large",
        .peers = python ? all : without_python,
        .n_peers = python ? 3 : 2,
    };
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
