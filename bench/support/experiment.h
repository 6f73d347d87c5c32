/* An experiment: the same measurement of several peers, in interleaved rounds.
 *
 * Each round measures every peer once, in an order that a fixed seed shuffles anew for each round;
 * the first round warms the machine up and is not counted. What is compared has therefore run
 * within one round of time, and a ratio is formed round by round.
 *
 * Every measurement runs in a child process of its own, forked from this process, which never calls
 * a peer itself: no cache, no arena and no thread that one measurement leaves behind helps or
 * disturbs the next. A child that crashes, hangs or reports a failure costs its peer the row in the
 * table, and the benchmark its exit status. */
#ifndef BENCH_SUPPORT_EXPERIMENT_H
#define BENCH_SUPPORT_EXPERIMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/support/histogram.h"
#include "bench/support/options.h"
#include "bench/support/peer.h"
#include "bench/support/progress.h"
#include "bench/support/stats.h"

enum { BENCH_METRICS_MAX = 8, BENCH_HISTOGRAMS_MAX = 2, BENCH_WHY_MAX = 120 };

/* One of the figures that a measurement yields. */
struct bench_metric {
    const char *name; /* "create+join" */
    const char *unit; /* "us" */
    bool compared;    /* shown with its quartiles and its ratio to the baseline */
    /* By pinning: what is shown beside the subject's figure, "goal <= 0.85"; NULL: nothing. */
    const char *goal[BENCH_PINS_MAX];
};

/* The same goal under every pinning. */
#define BENCH_GOAL(text) { (text), (text), (text) }

/* What one measurement yields, in memory that parent and child share; zeroed before each. */
struct bench_trial {
    double value[BENCH_METRICS_MAX]; /* in the order of the experiment's metrics */
    struct bench_histogram histogram[BENCH_HISTOGRAMS_MAX];
    char why[BENCH_WHY_MAX]; /* "", or why it failed */
};

struct bench_experiment {
    const char *name;       /* "create_join": a CSV file's key */
    const char *title;      /* "create and join an empty thread": a table's headline */
    const char *parameters; /* "inside=50ns outside=100ns": for title and CSV; NULL: none */
    enum bench_pin pin;
    int threads; /* 0: no parameter of it */
    const struct bench_metric *metrics;
    size_t n_metrics;
    const char *histogram[BENCH_HISTOGRAMS_MAX]; /* what each one counts; NULL: it is not used */
    const struct bench_peer *const *peers; /* as selected; the first is the baseline */
    size_t n_peers;
    /* Runs in the child, which is pinned already. */
    void (*measure)(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial);
    const void *arg; /* the benchmark's own */
};

/* Ends a measurement, from anywhere below `measure`: the text says why, as printf does it. */
_Noreturn void bench_trial_fail(struct bench_trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct bench_result {
    const struct bench_experiment *experiment;
    size_t rounds;
    double *sample;                    /* by metric, peer and round: bench_result_samples() */
    struct bench_histogram *histogram; /* by peer and use, merged over the counted rounds */
    char (*why)[BENCH_WHY_MAX];        /* by peer: "", or why it failed */
};

/* How many rounds bench_experiment_run() goes through, the warm-up among them. */
size_t bench_experiment_rounds(const struct bench_options *options);

/* Runs all rounds. Ends the program where memory is out or no process can be forked. */
void bench_experiment_run(const struct bench_experiment *experiment,
                          const struct bench_options *options, struct bench_progress *progress,
                          struct bench_result *result);
void bench_result_free(struct bench_result *result);

/* The `rounds` values of a metric of a peer; NAN in each round that failed. */
const double *bench_result_samples(const struct bench_result *result, size_t metric, size_t peer);
struct bench_summary bench_result_value(const struct bench_result *result, size_t metric,
                                        size_t peer);
struct bench_summary bench_result_ratio(const struct bench_result *result, size_t metric,
                                        size_t peer);
const struct bench_histogram *bench_result_histogram(const struct bench_result *result, size_t peer,
                                                     size_t which);
bool bench_result_failed(const struct bench_result *result);

#endif
