/* Counts of durations on a logarithmic scale: each power of two is cut into 32 equal buckets, so a
 * value is known to 1/64 of itself whatever its size, and recording one is a few instructions.
 * All-zero bytes are an empty histogram. Not atomic: each thread fills one of its own, and they are
 * merged when the threads are done. */
#ifndef BENCH_SUPPORT_HISTOGRAM_H
#define BENCH_SUPPORT_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_HISTOGRAM_STEPS = 32,   /* buckets a power of two */
    BENCH_HISTOGRAM_OCTAVES = 36, /* up to 2^41 ns, 36 minutes; the last holds what is longer */
    BENCH_HISTOGRAM_BUCKETS = BENCH_HISTOGRAM_STEPS * (BENCH_HISTOGRAM_OCTAVES + 1)
};

struct bench_histogram {
    uint64_t count;
    int64_t max;
    uint32_t bucket[BENCH_HISTOGRAM_BUCKETS];
};

/* The bucket of a duration: below STEPS ns each has its own, then each power of two has STEPS. */
static inline size_t bench_histogram_index(int64_t ns)
{
    if (ns < BENCH_HISTOGRAM_STEPS)
        return ns < 0 ? 0 : (size_t)ns;
    unsigned octave = 63 - (unsigned)__builtin_clzll((unsigned long long)ns) - 5;
    size_t index = (size_t)octave * BENCH_HISTOGRAM_STEPS + (size_t)(ns >> octave);
    return index < BENCH_HISTOGRAM_BUCKETS ? index : BENCH_HISTOGRAM_BUCKETS - 1;
}

static inline void bench_histogram_add(struct bench_histogram *h, int64_t ns)
{
    h->bucket[bench_histogram_index(ns)]++;
    h->count++;
    if (ns > h->max)
        h->max = ns;
}

/* The middle of a bucket, in nanoseconds. */
double bench_histogram_value(size_t index);

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);

/* The duration that the share `q` (0.5, 0.99, 0.999) of what was recorded does not exceed, in
 * nanoseconds; NAN where nothing was recorded. q 1 is the exact maximum. */
double bench_histogram_quantile(const struct bench_histogram *h, double q);

#endif
