#include "bench/support/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the share `q` of the n sorted values lies. */
static double quantile(const double *sorted, size_t n, double q)
{
    double place = q * (double)(n - 1);
    size_t below = (size_t)place;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct bench_summary bench_summarise(const double *values, size_t n)
{
    struct bench_summary none = { 0, NAN, NAN, NAN, NAN, NAN };
    double *sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted)
        return none;
    size_t valid = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            sorted[valid++] = values[i];
    struct bench_summary s = none;
    if (valid > 0) {
        qsort(sorted, valid, sizeof *sorted, compare);
        s = (struct bench_summary){
            .n = valid,
            .median = quantile(sorted, valid, 0.5),
            .q1 = quantile(sorted, valid, 0.25),
            .q3 = quantile(sorted, valid, 0.75),
            .min = sorted[0],
            .max = sorted[valid - 1],
        };
    }
    free(sorted);
    return s;
}

struct bench_summary bench_summarise_ratio(const double *values, const double *baseline, size_t n)
{
    double *ratios = malloc((n ? n : 1) * sizeof *ratios);
    if (!ratios)
        return bench_summarise(NULL, 0);
    for (size_t i = 0; i < n; i++)
        ratios[i] = baseline[i] > 0 ? values[i] / baseline[i] : NAN;
    struct bench_summary s = bench_summarise(ratios, n);
    free(ratios);
    return s;
}

double bench_fairness(const double *got, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += got[i];
        squares += got[i] * got[i];
    }
    return squares > 0 ? sum * sum / ((double)n * squares) : 1;
}
