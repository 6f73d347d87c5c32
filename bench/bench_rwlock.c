/* Read-write locks: each side with nobody else there, and a crowd in which one in ten writes. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench/peers/rwlock.h"
#include "bench/support/clock.h"
#include "bench/support/loop.h"
#include "bench/support/pin.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_rwlock_pthread.peer,
    &bench_rwlock_fxthread.peer,
#ifdef BENCH_GLIB
    &bench_rwlock_glib.peer,
#endif
};

static const struct bench_rwlock_peer *peer_of(const struct bench_peer *peer)
{
    return (const struct bench_rwlock_peer *)peer;
}

static const struct bench_metric pair_metrics[] = {
    { .name = "read", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 0.55") },
    { .name = "write", .unit = "ns", .compared = true },
};

static void measure_pairs(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    trial->value[0] = bench_loop_measure(peer_of(peer)->reads, options->seconds / 2);
    trial->value[1] = bench_loop_measure(peer_of(peer)->writes, options->seconds / 2);
}

/* --- a crowd ---------------------------------------------------------------------------------- */

enum { CROWD = 4, READS_A_WRITE = 9 };

static const struct bench_metric crowd_metrics[] = {
    { .name = "turns", .unit = "M/s", .compared = true },
    { .name = "fairness", .unit = "Jain" },
};

struct member {
    const struct bench_rwlock_peer *peer;
    enum bench_pin pin;
    size_t index;
    atomic_bool *over;
    long turns;
};

static void *take_turns(void *arg)
{
    struct member *member = arg;
    bench_pin_member(member->pin, member->index);
    while (!atomic_load_explicit(member->over, memory_order_relaxed)) {
        member->peer->reads(READS_A_WRITE);
        member->peer->writes(1);
        member->turns += READS_A_WRITE + 1;
    }
    return NULL;
}

static void measure_crowd(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    pthread_t threads[CROWD];
    struct member members[CROWD];
    atomic_bool over = false;
    double got[CROWD], sum = 0;
    struct timespec time = { .tv_sec = (time_t)options->seconds,
                             .tv_nsec = (long)(options->seconds * 1e9) % 1000000000 };
    int64_t begin = bench_now();
    for (size_t i = 0; i < CROWD; i++) {
        members[i] = (struct member){ peer_of(peer), experiment->pin, i, &over, 0 };
        int rc = pthread_create(&threads[i], NULL, take_turns, &members[i]);
        if (rc != 0)
            bench_trial_fail(trial, "a thread cannot be started: %s", strerror(rc));
    }
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    atomic_store_explicit(&over, true, memory_order_relaxed);
    for (size_t i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        got[i] = (double)members[i].turns;
        sum += got[i];
    }
    trial->value[0] = sum / (double)(bench_now() - begin) * 1e3;
    trial->value[1] = bench_fairness(got, CROWD);
}

static const struct bench_program program = {
    .name = "bench_rwlock",
    .summary = "read-write locks",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,both",
    .experiments = "pair crowd",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const struct bench_experiment experiments[] = {
    {
        .name = "pair",
        .title = "acquire and release a lock that nobody else uses",
        .metrics = pair_metrics,
        .n_metrics = sizeof pair_metrics / sizeof *pair_metrics,
        .measure = measure_pairs,
    },
    {
        .name = "crowd",
        .title = "4 threads, each reading nine times and writing once",
        .metrics = crowd_metrics,
        .n_metrics = sizeof crowd_metrics / sizeof *crowd_metrics,
        .measure = measure_crowd,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
