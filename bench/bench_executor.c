/* Pools of threads: empty tasks a second, a submit to its result, tasks that sleep, tasks that wake each
 * other. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/peers/executor.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_executor_pthread.peer,
#ifdef BENCH_TBB
    &bench_executor_tbb.peer,
#endif
    &bench_executor_fxthread.peer,
};

enum { WORKERS = 2 };

static const struct bench_metric empty_metrics[] = {
    { .name = "tasks", .unit = "M/s", .compared = true, .goal = BENCH_GOAL("goal >= 1.40") },
};

static const struct bench_metric round_trip_metrics[] = {
    { .name = "submit to result", .unit = "us", .compared = true },
};

static const struct bench_metric sleep_metrics[] = {
    { .name = "late", .unit = "ms", .compared = true },
    { .name = "CPU each", .unit = "us", .goal = BENCH_GOAL("goal <= 6") },
    { .name = "memory each", .unit = "KiB", .goal = BENCH_GOAL("goal <= 6") },
};

static const struct bench_metric hand_over_metrics[] = {
    { .name = "hand over", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 0.33") },
};

static const struct bench_executor_peer *start(const struct bench_peer *peer, int workers,
                                               struct bench_trial *trial)
{
    const struct bench_executor_peer *pool = (const struct bench_executor_peer *)peer;
    if (!pool->start(workers))
        bench_trial_fail(trial, "the pool cannot be started");
    return pool;
}

static void need(bool done, struct bench_trial *trial)
{
    if (!done)
        bench_trial_fail(trial, "the pool does not take a task");
}

static void measure_empty(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    long n = options->quick ? 10000 : 1000000;
    (void)experiment;
    const struct bench_executor_peer *pool = start(peer, WORKERS, trial);
    int64_t begin = bench_now();
    need(pool->run_empty(n), trial);
    trial->value[0] = (double)n / (double)(bench_now() - begin) * 1e3;
}

static void measure_round_trip(const struct bench_experiment *experiment,
                               const struct bench_peer *peer, const struct bench_options *options,
                               struct bench_trial *trial)
{
    long n = options->quick ? 100 : 20000;
    (void)experiment;
    const struct bench_executor_peer *pool = start(peer, WORKERS, trial);
    need(pool->round_trip(), trial);
    int64_t begin = bench_now();
    for (long i = 0; i < n; i++)
        need(pool->round_trip(), trial);
    trial->value[0] = (double)(bench_now() - begin) / 1e3 / (double)n;
}

/* Ten thousand, as a thread each is what the others need, and the process may have no more. */
static void measure_sleep(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    long n = options->quick ? 100 : 10000, ns = options->quick ? 1000000 : 1000000000;
    struct rusage before, after;
    (void)experiment;
    const struct bench_executor_peer *pool = start(peer, WORKERS, trial);
    getrusage(RUSAGE_SELF, &before);
    int64_t begin = bench_now();
    need(pool->sleep(n, ns), trial);
    trial->value[0] = (double)(bench_now() - begin - ns) / 1e6;
    getrusage(RUSAGE_SELF, &after);
    double seconds = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec +
                              after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                     (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec +
                              after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    trial->value[1] = seconds * 1e6 / (double)n;
    trial->value[2] = (double)(after.ru_maxrss - before.ru_maxrss) / (double)n;
}

static void measure_hand_over(const struct bench_experiment *experiment,
                              const struct bench_peer *peer, const struct bench_options *options,
                              struct bench_trial *trial)
{
    long n = options->quick ? 1000 : 50000;
    (void)experiment;
    const struct bench_executor_peer *pool = start(peer, 1, trial);
    int64_t begin = bench_now();
    need(pool->hand_over(n), trial);
    trial->value[0] = (double)(bench_now() - begin) / (double)(2 * n);
}

static const struct bench_program program = {
    .name = "bench_executor",
    .summary = "pools of threads",
    .seconds = 0.3,
    .rounds = 7,
    .pins = "none",
    .experiments = "empty round_trip sleep hand_over",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

#define METRICS(table) .metrics = (table), .n_metrics = sizeof(table) / sizeof *(table)

static const struct bench_experiment experiments[] = {
    {
        .name = "empty",
        .title = "empty tasks, one producer, two workers",
        METRICS(empty_metrics),
        .measure = measure_empty,
    },
    {
        .name = "round_trip",
        .title = "one task at a time, submitted and waited for from outside",
        METRICS(round_trip_metrics),
        .measure = measure_round_trip,
    },
    {
        .name = "sleep",
        .title = "ten thousand tasks that sleep for a second, two workers",
        METRICS(sleep_metrics),
        .measure = measure_sleep,
    },
    {
        .name = "hand_over",
        .title = "two tasks of one worker, or two threads, hand a semaphore to and fro",
        METRICS(hand_over_metrics),
        .measure = measure_hand_over,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
