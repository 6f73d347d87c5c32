#include "bench/support/histogram.h"

#include <math.h>

double bench_histogram_value(size_t index)
{
    if (index < 2 * BENCH_HISTOGRAM_STEPS)
        return (double)index;
    unsigned octave = (unsigned)(index / BENCH_HISTOGRAM_STEPS) - 1;
    uint64_t low = (uint64_t)(index % BENCH_HISTOGRAM_STEPS + BENCH_HISTOGRAM_STEPS) << octave;
    return (double)low + (double)((uint64_t)1 << octave) / 2;
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
}

double bench_histogram_quantile(const struct bench_histogram *h, double q)
{
    if (h->count == 0)
        return NAN;
    if (q >= 1)
        return (double)h->max;
    uint64_t rank = (uint64_t)(q * (double)h->count), seen = 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > rank) {
            /* The middle of the last bucket in use may lie above the longest in it. */
            double value = bench_histogram_value(i);
            return value < (double)h->max ? value : (double)h->max;
        }
    }
    return (double)h->max;
}
