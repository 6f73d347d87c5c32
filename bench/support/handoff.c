#include "bench/support/handoff.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "bench/support/clock.h"
#include "bench/support/pin.h"

enum { WARM_UP = 200, BATCH = 20 };

const struct bench_metric bench_handoff_metrics[BENCH_HANDOFF_METRICS] = {
    {
        .name = "round trip",
        .unit = "ns",
        .compared = true,
        .goal = { [BENCH_PIN_ONE] = "goal <= 1.10 of futex",
                  [BENCH_PIN_NONE] = "goal <= 0.50",
                  [BENCH_PIN_BOTH] = "goal <= 0.50" },
    },
};

struct game {
    const struct bench_handoff *calls;
    enum bench_pin pin;
    atomic_bool over;
};

static void *answer(void *arg)
{
    struct game *game = arg;
    bench_pin_member(game->pin, 1);
    for (;;) {
        game->calls->take(1);
        if (atomic_load_explicit(&game->over, memory_order_relaxed))
            return NULL;
        game->calls->give(0);
    }
}

static void make_trips(const struct bench_handoff *calls, int n)
{
    for (int i = 0; i < n; i++) {
        calls->give(1);
        calls->take(0);
    }
}

void bench_handoff_measure(const struct bench_handoff *calls,
                           const struct bench_experiment *experiment,
                           const struct bench_options *options, struct bench_trial *trial)
{
    struct game game = { .calls = calls, .pin = experiment->pin };
    pthread_t other;
    int rc = pthread_create(&other, NULL, answer, &game);
    if (rc != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(rc));
    bench_pin_member(game.pin, 0);
    make_trips(calls, WARM_UP);
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), now;
    long trips = 0;
    do {
        make_trips(calls, BATCH);
        trips += BATCH;
        now = bench_now();
    } while (now < enough);
    atomic_store_explicit(&game.over, true, memory_order_relaxed);
    calls->give(1);
    pthread_join(other, NULL);
    trial->value[0] = (double)(now - begin) / (double)trips;
}
