/* One line on stderr that says how far a benchmark is and what it measures at the moment. */
#ifndef BENCH_SUPPORT_PROGRESS_H
#define BENCH_SUPPORT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct bench_progress {
    size_t total, done; /* measurements; the total is set by whoever plans them */
    int percent;        /* as last shown */
    bool shown, terminal;
};

/* It is shown where stderr is a terminal, or if `always`. */
void bench_progress_begin(struct bench_progress *progress, bool always);

/* Called before a measurement with what it is, as printf does it. On a terminal the line is
 * rewritten; elsewhere a new one is written when the percentage has changed. */
void bench_progress_step(struct bench_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Removes the line, so that what is printed next stands alone. */
void bench_progress_clear(struct bench_progress *progress);

#endif
