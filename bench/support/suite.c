#include "bench/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/support/csv.h"
#include "bench/support/plot.h"
#include "bench/support/report.h"

struct suite {
    const struct bench_program *program;
    const struct bench_options *options;
    const struct bench_peer **peers; /* as selected */
    size_t n_peers;
    struct bench_progress progress;
    FILE *csv;               /* NULL: none */
    struct bench_plot *plot; /* NULL: none */
    bool failed;
};

static bool is_wanted(const struct bench_experiment *experiment,
                      const struct bench_options *options)
{
    return strcmp(options->only, "all") == 0 || strcmp(options->only, experiment->name) == 0;
}

/* How many numbers of threads each experiment is run with. */
static size_t thread_counts(const struct suite *suite)
{
    return suite->program->threads ? suite->options->threads.n : 1;
}

/* What one experiment was: `counts` results for each pinning, by number of threads. */
static void draw(struct suite *suite, const struct bench_result *results, size_t counts)
{
    const struct bench_experiment *experiment = results[0].experiment;
    size_t n_pins = suite->options->pins.n;
    for (size_t m = 0; m < experiment->n_metrics; m++) {
        if (!experiment->metrics[m].compared)
            continue;
        if (counts == 1)
            bench_plot_metric(suite->plot, results, n_pins, m);
        else
            for (size_t p = 0; p < n_pins; p++)
                bench_plot_scaling(suite->plot, &results[p * counts], counts, m);
    }
    for (size_t h = 0; h < BENCH_HISTOGRAMS_MAX; h++)
        for (size_t p = 0; p < n_pins && experiment->histogram[h]; p++)
            bench_plot_latency(suite->plot, &results[p * counts + counts - 1], h);
}

/* Stores at `out` those of the selected peers that the experiment is about, and returns how
 * many. */
static size_t peers_of(const struct suite *suite, const struct bench_experiment *experiment,
                       const struct bench_peer **out)
{
    size_t n = 0, n_own = experiment->peers ? experiment->n_peers : suite->n_peers;
    const struct bench_peer *const *own = experiment->peers ? experiment->peers : suite->peers;
    for (size_t i = 0; i < n_own; i++)
        for (size_t j = 0; j < suite->n_peers; j++)
            if (own[i] == suite->peers[j])
                out[n++] = own[i];
    return n;
}

static const struct bench_peer **new_peers(const struct suite *suite)
{
    const struct bench_peer **peers = calloc(suite->n_peers, sizeof *peers);
    if (!peers) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return peers;
}

static void run_all_of(struct suite *suite, const struct bench_experiment *experiment)
{
    const struct bench_options *options = suite->options;
    const struct bench_peer **peers = new_peers(suite);
    size_t n_peers = peers_of(suite, experiment, peers);
    if (n_peers == 0) {
        free(peers);
        return;
    }
    size_t counts = thread_counts(suite), n = options->pins.n * counts;
    struct bench_experiment *variants = calloc(n, sizeof *variants);
    struct bench_result *results = calloc(n, sizeof *results);
    if (!variants || !results) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < n; i++) {
        variants[i] = *experiment;
        variants[i].pin = options->pins.pin[i / counts];
        variants[i].threads = suite->program->threads ? options->threads.count[i % counts] : 0;
        variants[i].peers = peers;
        variants[i].n_peers = n_peers;
        bench_experiment_run(&variants[i], options, &suite->progress, &results[i]);
        bench_report_table(stdout, &results[i]);
        if (suite->csv)
            bench_csv_write(suite->csv, suite->program, &results[i]);
        suite->failed |= bench_result_failed(&results[i]);
    }
    if (suite->plot)
        draw(suite, results, counts);
    for (size_t i = 0; i < n; i++)
        bench_result_free(&results[i]);
    free(results);
    free(variants);
    free(peers);
}

/* The number of measurements there will be, which is 0 where --only names no experiment, or none
 * of the selected peers'. */
static size_t measurements(const struct suite *suite, const struct bench_experiment *experiments,
                           size_t n)
{
    const struct bench_peer **peers = new_peers(suite);
    size_t wanted = 0;
    for (size_t i = 0; i < n; i++)
        if (is_wanted(&experiments[i], suite->options))
            wanted += peers_of(suite, &experiments[i], peers);
    free(peers);
    return wanted * suite->options->pins.n * thread_counts(suite) *
           bench_experiment_rounds(suite->options);
}

static void run_wanted(struct suite *suite, const struct bench_experiment *experiments, size_t n)
{
    bench_report_begin(stdout, suite->program, suite->options);
    for (size_t i = 0; i < n; i++)
        if (is_wanted(&experiments[i], suite->options))
            run_all_of(suite, &experiments[i]);
    bench_report_end(stdout, suite->peers, suite->n_peers);
    if (suite->csv && !bench_csv_close(suite->csv, suite->options->csv))
        suite->failed = true;
    if (suite->plot && !bench_plot_close(suite->plot))
        suite->failed = true;
}

int bench_suite_run(const struct bench_program *program, const struct bench_experiment *experiments,
                    size_t n, const struct bench_options *options)
{
    struct bench_options adapted = *options;
    struct suite suite = { .program = program, .options = &adapted };
    suite.peers = calloc(program->n_peers, sizeof *suite.peers);
    if (!suite.peers)
        return EXIT_FAILURE;
    suite.n_peers =
        bench_peers_select(program->peers, program->n_peers, options->peers, suite.peers);
    if (suite.n_peers == 0) {
        free(suite.peers);
        return 2;
    }
    bench_progress_begin(&suite.progress, options->progress);
    suite.progress.total = measurements(&suite, experiments, n);
    if (suite.progress.total == 0) {
        fprintf(stderr, "no such experiment: %s\n", options->only);
        free(suite.peers);
        return 2;
    }
    if (options->quick)
        adapted.seconds = options->budget / (double)suite.progress.total;
    if (options->csv && !(suite.csv = bench_csv_open(options->csv)))
        suite.failed = true;
    if (options->plot && !(suite.plot = bench_plot_open(options->plot)))
        suite.failed = true;
    if (!suite.failed)
        run_wanted(&suite, experiments, n);
    free(suite.peers);
    return suite.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
