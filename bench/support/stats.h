/* What is said of repeated measurements. NAN stands for one that failed and is left out. */
#ifndef BENCH_SUPPORT_STATS_H
#define BENCH_SUPPORT_STATS_H

#include <stddef.h>

struct bench_summary {
    size_t n; /* how many were not NAN; with 0 all below are NAN */
    double median;
    double q1, q3; /* quartiles, interpolated linearly */
    double min, max;
};

struct bench_summary bench_summarise(const double *values, size_t n);

/* The summary of values[i] / baseline[i]: what was measured in the same round is compared, so that
 * a disturbance which outlasts a round falls on both. */
struct bench_summary bench_summarise_ratio(const double *values, const double *baseline, size_t n);

/* Jain's fairness index of what n parties got: (sum x)^2 / (n * sum x^2), from 1/n (one took all)
 * to 1 (all took the same). 1 where nobody got anything. */
double bench_fairness(const double *got, size_t n);

#endif
