/* Queues: items a second from producers to consumers, by the number of each. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench/peers/queue.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

/* The first is what the goals are about; configure leaves it out where it is not installed. */
static const struct bench_peer *const peers[] = {
#ifdef BENCH_GLIB
    &bench_queue_glib.peer,
#endif
    &bench_queue_pthread.peer,
    &bench_queue_fxthread.peer,
};

enum { SIDES_MAX = 16 };

static const struct bench_metric single_metrics[] = {
    {
        .name = "items",
        .unit = "M/s",
        .compared = true,
        .goal = BENCH_GOAL("goal >= 1.50 of glib"),
    },
};

static const struct bench_metric crowd_metrics[] = {
    {
        .name = "items",
        .unit = "M/s",
        .compared = true,
        .goal = BENCH_GOAL("goal >= 2.00 of glib"),
    },
};

struct team {
    const struct bench_queue_peer *peer;
    enum bench_pin pin;
    atomic_size_t joined;
    atomic_bool over;
};

static int last_item;

static void *produce(void *arg)
{
    struct team *team = arg;
    bench_pin_member(team->pin, atomic_fetch_add(&team->joined, 1));
    while (!atomic_load_explicit(&team->over, memory_order_relaxed))
        for (int i = 0; i < 100; i++)
            team->peer->put(team);
    return NULL;
}

/* Until the last item: how many there were. */
static void *consume(void *arg)
{
    struct team *team = arg;
    size_t items = 0;
    bench_pin_member(team->pin, atomic_fetch_add(&team->joined, 1));
    while (team->peer->get() != &last_item)
        items++;
    return (void *)items;
}

static void start(pthread_t *thread, void *(*body)(void *), struct team *team,
                  struct bench_trial *trial)
{
    int rc = pthread_create(thread, NULL, body, team);
    if (rc != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(rc));
}

static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    int sides = *(const int *)experiment->arg;
    pthread_t producers[SIDES_MAX], consumers[SIDES_MAX];
    struct team team = { .peer = (const struct bench_queue_peer *)peer, .pin = experiment->pin };
    struct timespec time = { .tv_sec = (time_t)options->seconds,
                             .tv_nsec = (long)(options->seconds * 1e9) % 1000000000 };
    team.peer->init();
    int64_t begin = bench_now();
    for (int i = 0; i < sides; i++) {
        start(&producers[i], produce, &team, trial);
        start(&consumers[i], consume, &team, trial);
    }
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    atomic_store_explicit(&team.over, true, memory_order_relaxed);
    for (int i = 0; i < sides; i++)
        pthread_join(producers[i], NULL);
    for (int i = 0; i < sides; i++)
        team.peer->put(&last_item);
    size_t items = 0;
    for (int i = 0; i < sides; i++) {
        void *got;
        pthread_join(consumers[i], &got);
        items += (size_t)got;
    }
    trial->value[0] = (double)items / (double)(bench_now() - begin) * 1e3;
}

static const struct bench_program program = {
    .name = "bench_queue",
    .summary = "queues",
    .seconds = 0.3,
    .rounds = 7,
    .pins = "none,both",
    .experiments = "single crowd",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

static const int one_side = 1, four_a_side = 4;

static const struct bench_experiment experiments[] = {
    {
        .name = "single",
        .title = "one producer and one consumer",
        .metrics = single_metrics,
        .n_metrics = sizeof single_metrics / sizeof *single_metrics,
        .measure = measure,
        .arg = &one_side,
    },
    {
        .name = "crowd",
        .title = "four producers and four consumers",
        .metrics = crowd_metrics,
        .n_metrics = sizeof crowd_metrics / sizeof *crowd_metrics,
        .measure = measure,
        .arg = &four_a_side,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
