/* Plots as one SVG file, drawn by gnuplot where it is installed: panels side by side, each with a
 * title, axes with units and a legend.
 *
 *     struct bench_plot *plot = bench_plot_open("out.svg");
 *     bench_plot_panel(plot, BENCH_PLOT_LINES, "throughput", "threads", "million a second");
 *     bench_plot_series(plot, "pthread");
 *     bench_plot_point(plot, 2, 40.1);
 *     ...
 *     bench_plot_close(plot);
 */
#ifndef BENCH_SUPPORT_PLOT_H
#define BENCH_SUPPORT_PLOT_H

#include <stdbool.h>

#include "bench/support/experiment.h"

enum bench_plot_kind {
    BENCH_PLOT_LINES,       /* points joined by lines; x on a scale of powers of two */
    BENCH_PLOT_BARS,        /* a group of bars for each label, one bar a series, with whiskers */
    BENCH_PLOT_DISTRIBUTION /* lines on two logarithmic scales */
};

struct bench_plot;

/* NULL where memory is out. */
struct bench_plot *bench_plot_open(const char *path);
void bench_plot_panel(struct bench_plot *plot, enum bench_plot_kind kind, const char *title,
                      const char *x_label, const char *y_label);
void bench_plot_series(struct bench_plot *plot, const char *name);
void bench_plot_point(struct bench_plot *plot, double x, double y);
void bench_plot_bar(struct bench_plot *plot, const char *label, struct bench_summary value);
/* Draws and frees. Where gnuplot is not installed a line on stderr says so, and there is no file.
 * False, with a line on stderr too, where drawing fails. */
bool bench_plot_close(struct bench_plot *plot);

/* A panel that shows a metric of all peers in each of the n results, which are the same experiment
 * under different pinning: medians, with whiskers at the quartiles. */
void bench_plot_metric(struct bench_plot *plot, const struct bench_result *results, size_t n,
                       size_t metric);

/* A panel that shows a metric of all peers by number of threads in the n results, which are the
 * same experiment with different numbers of threads. */
void bench_plot_scaling(struct bench_plot *plot, const struct bench_result *results, size_t n,
                        size_t metric);

/* A panel that shows, for every peer, which share of what a histogram counted took longer than a
 * time: the further to the left a line falls, the better. */
void bench_plot_latency(struct bench_plot *plot, const struct bench_result *result, size_t which);

#endif
