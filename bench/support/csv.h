/* The tables as CSV: a line for each experiment, peer and metric, under one head for all
 * benchmarks. */
#ifndef BENCH_SUPPORT_CSV_H
#define BENCH_SUPPORT_CSV_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/support/experiment.h"

/* Opens `path` and writes the head. NULL, and a line on stderr, where that fails. */
FILE *bench_csv_open(const char *path);

/* A metric that failed has empty numbers. */
void bench_csv_write(FILE *csv, const struct bench_program *program,
                     const struct bench_result *result);

/* False, and a line on stderr, where not all could be written. */
bool bench_csv_close(FILE *csv, const char *path);

#endif
