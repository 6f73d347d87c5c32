/* Stops: how long it takes from the call that stops a thread until it is joined, by the place where
 * it finds the thread. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/peers/stop.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_stop_pthread.peer,
    &bench_stop_fxthread.peer,
};

enum place { SLEEP, CONDITION, READ, LOOP, MALLOC, PLACES };

static const enum place place_number[PLACES] = { SLEEP, CONDITION, READ, LOOP, MALLOC };

enum { SETTLE_NS = 50000, WARM_UP = 20 };

/* The thread that is to be stopped. */
static struct {
    const struct bench_stop_peer *peer;
    enum place place;
    int silent[2]; /* a pipe that nobody writes to */
    atomic_int there;
} victim;

static bool is_defined(void)
{
    switch (victim.place) {
    case READ:
        return victim.peer->may_read();
    case LOOP:
        return victim.peer->may_compute();
    case MALLOC:
        return victim.peer->may_allocate();
    default:
        return true;
    }
}

static _Noreturn void stay(void)
{
    char byte;
    for (;;) {
        switch (victim.place) {
        case SLEEP:
            victim.peer->sleep();
            break;
        case CONDITION:
            victim.peer->wait();
            break;
        case READ:
            if (read(victim.silent[0], &byte, 1) > 0)
                abort();
            break;
        case LOOP:
            for (;;)
                __asm__ volatile("");
        default:
            free(malloc(400));
        }
    }
}

static void *run(void *arg)
{
    bool defined = is_defined();
    atomic_store_explicit(&victim.there, defined ? 1 : -1, memory_order_release);
    if (defined)
        stay();
    return arg;
}

static void settle(void)
{
    struct timespec time = { 0, SETTLE_NS };
    nanosleep(&time, NULL);
}

/* The time from the stop to the end of the join; -1: this peer does not do that. */
static int64_t stop_one(struct bench_trial *trial)
{
    struct bench_thread thread = { 0 };
    atomic_store_explicit(&victim.there, 0, memory_order_relaxed);
    int rc = victim.peer->thread->start(&thread, run, NULL), there;
    if (rc != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(-rc));
    while ((there = atomic_load_explicit(&victim.there, memory_order_acquire)) == 0)
        settle();
    if (there < 0) {
        victim.peer->thread->join(&thread);
        return -1;
    }
    settle(); /* so that it waits, where it is going to */
    int64_t begin = bench_now();
    victim.peer->stop(&thread);
    victim.peer->thread->join(&thread);
    return bench_now() - begin;
}

static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    victim.peer = (const struct bench_stop_peer *)peer;
    victim.place = *(const enum place *)experiment->arg;
    if (pipe(victim.silent) != 0)
        bench_trial_fail(trial, "no pipe");
    trial->value[0] = trial->value[1] = NAN;
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), took;
    for (int i = 0; i < WARM_UP; i++)
        if (stop_one(trial) < 0)
            return;
    do {
        took = stop_one(trial);
        bench_histogram_add(&trial->histogram[0], took);
    } while (bench_now() < enough);
    trial->value[0] = bench_histogram_quantile(&trial->histogram[0], 0.5) / 1e3;
    trial->value[1] = bench_histogram_quantile(&trial->histogram[0], 0.99) / 1e3;
}

static const struct bench_metric at_stop_points[] = {
    { .name = "p50", .unit = "us", .compared = true, .goal = BENCH_GOAL("goal <= 2.00") },
    { .name = "p99", .unit = "us" },
};

static const struct bench_metric elsewhere[] = {
    { .name = "p50", .unit = "us", .compared = true, .goal = BENCH_GOAL("goal <= 200 us") },
    { .name = "p99", .unit = "us" },
};

static const struct bench_program program = {
    .name = "bench_stop",
    .summary = "stopping threads",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,none",
    .experiments = "sleep condition read loop malloc",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

#define EXPERIMENT(its_name, its_title, its_metrics, number) \
    {                                                        \
        .name = its_name,                                    \
        .title = its_title,                                  \
        .metrics = its_metrics,                              \
        .n_metrics = 2,                                      \
        .histogram = { "from the stop to the joined thread" }, \
        .measure = measure,                                  \
        .arg = &place_number[number],                        \
    }

int main(int argc, char **argv)
{
    static const struct bench_experiment experiments[PLACES] = {
        EXPERIMENT("sleep", "stop and join a thread that sleeps", at_stop_points, SLEEP),
        EXPERIMENT("condition", "stop and join a thread that waits at a condition", at_stop_points,
                   CONDITION),
        EXPERIMENT("read", "stop and join a thread that reads from a pipe", at_stop_points, READ),
        EXPERIMENT("loop", "stop and join a thread in an empty loop", elsewhere, LOOP),
        EXPERIMENT("malloc", "stop and join a thread that calls malloc and free", elsewhere,
                   MALLOC),
    };
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, PLACES, &options);
}
