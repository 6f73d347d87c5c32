/* What a benchmark prints: the machine, and a table for each experiment. */
#ifndef BENCH_SUPPORT_REPORT_H
#define BENCH_SUPPORT_REPORT_H

#include <stdio.h>

#include "bench/support/experiment.h"

/* The machine and how the figures are to be read. */
void bench_report_begin(FILE *out, const struct bench_program *program,
                        const struct bench_options *options);

/* A line a peer: each metric's median and, where it is compared, its quartiles, the ratio to the
 * baseline with its quartiles, and the goal beside the subject's. Each compared metric begins a
 * table, and those after it that are not compared stand in the same. */
void bench_report_table(FILE *out, const struct bench_result *result);

/* What the names of the peers stand for. */
void bench_report_end(FILE *out, const struct bench_peer *const *peers, size_t n);

#endif
