/* Barriers: what a round costs, by the number of parties. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench/peers/barrier.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_barrier_pthread.peer,
    &bench_barrier_fxthread.peer,
};

static const struct bench_metric metrics[] = {
    { .name = "round", .unit = "us", .compared = true, .goal = BENCH_GOAL("goal <= 0.50") },
};

enum { BATCH = 10 };

struct team {
    const struct bench_barrier_peer *peer;
    enum bench_pin pin;
    atomic_size_t joined;
    atomic_bool over;
};

/* Whether there is another batch is settled before its first round, and read after that round. */
static void *take_part(void *arg)
{
    struct team *team = arg;
    bench_pin_member(team->pin, atomic_fetch_add(&team->joined, 1));
    for (;;) {
        team->peer->wait();
        if (atomic_load_explicit(&team->over, memory_order_relaxed))
            return NULL;
        for (int i = 1; i < BATCH; i++)
            team->peer->wait();
    }
}

static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    int parties = experiment->threads;
    pthread_t threads[256];
    struct team team = { .peer = (const struct bench_barrier_peer *)peer,
                         .pin = experiment->pin,
                         .joined = 1 };
    if (parties < 1 || parties > (int)(sizeof threads / sizeof *threads))
        bench_trial_fail(trial, "%d parties: from 1 to 256", parties);
    team.peer->init((unsigned)parties);
    for (int i = 1; i < parties; i++) {
        int rc = pthread_create(&threads[i], NULL, take_part, &team);
        if (rc != 0)
            bench_trial_fail(trial, "a thread cannot be started: %s", strerror(rc));
    }
    bench_pin_member(team.pin, 0);
    for (int i = 0; i < 5 * BATCH; i++)
        team.peer->wait();
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), now;
    long rounds = 0;
    do {
        for (int i = 0; i < BATCH; i++)
            team.peer->wait();
        rounds += BATCH;
        now = bench_now();
    } while (now < enough);
    atomic_store_explicit(&team.over, true, memory_order_relaxed);
    team.peer->wait();
    for (int i = 1; i < parties; i++)
        pthread_join(threads[i], NULL);
    trial->value[0] = (double)(now - begin) / (double)rounds / 1e3;
}

static const struct bench_program program = {
    .name = "bench_barrier",
    .summary = "barriers",
    .seconds = 0.2,
    .rounds = 7,
    .threads = "2,4,8",
    .pins = "both,none",
    .experiments = "round",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const struct bench_experiment experiments[] = {
    {
        .name = "round",
        .title = "a round of a barrier",
        .metrics = metrics,
        .n_metrics = sizeof metrics / sizeof *metrics,
        .measure = measure,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
