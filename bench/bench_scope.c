/* Scopes: what a block costs that is entered and left, a lock held for a block, a return out of a block
 * with something to run on the way, and an exception. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/peers/scope.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_scope_plain.peer,
    &bench_scope_fxthread.peer,
#ifdef BENCH_CXX
    &bench_scope_cxx.peer,
#endif
};

enum { BATCH = 1000 };

fx_lock bench_scope_lock;

__attribute__((noinline)) void bench_scope_work(void)
{
    __asm__ volatile("");
}

typedef void (*bench_loop)(uint64_t n);

enum { BLOCK, LOCK, LEAVE, RAISE, EXPERIMENTS };

static const int experiment_number[EXPERIMENTS] = { BLOCK, LOCK, LEAVE, RAISE };

static bench_loop loop_of(const struct bench_peer *peer, int experiment)
{
    const struct bench_scope_peer *it = (const struct bench_scope_peer *)peer;
    switch (experiment) {
    case BLOCK:
        return it->block;
    case LOCK:
        return it->lock;
    case LEAVE:
        return it->leave;
    default:
        return it->raise;
    }
}

static const struct bench_metric metrics[] = {
    { .name = "each", .unit = "ns", .compared = true },
};

static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    bench_loop loop = loop_of(peer, *(const int *)experiment->arg);
    loop(BATCH);
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), before = begin;
    int64_t now, best = INT64_MAX;
    do {
        loop(BATCH);
        now = bench_now();
        /* The fastest batch: the others were disturbed. */
        best = now - before < best ? now - before : best;
        before = now;
    } while (now < enough);
    trial->value[0] = (double)best / BATCH;
}

static const struct bench_program program = {
    .name = "bench_scope",
    .summary = "scopes: try, with, finally, raise",
    .seconds = 0.1,
    .rounds = 7,
    .pins = "one",
    .experiments = "block lock leave raise",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

#define EXPERIMENT(its_name, its_title, number)           \
    {                                                     \
        .name = its_name,                                 \
        .title = its_title,                               \
        .metrics = metrics,                               \
        .n_metrics = 1,                                   \
        .measure = measure,                               \
        .arg = &experiment_number[number],                \
    }

int main(int argc, char **argv)
{
    static const struct bench_experiment experiments[EXPERIMENTS] = {
        EXPERIMENT("block", "enter and leave a block in which exceptions are caught", BLOCK),
        EXPERIMENT("lock", "hold a lock for a block", LOCK),
        EXPERIMENT("leave", "return out of a block, with a call on the way", LEAVE),
        EXPERIMENT("raise", "raise and catch, three calls further up", RAISE),
    };
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    return bench_suite_run(&program, experiments, EXPERIMENTS, &options);
}
