/* A benchmark's main part: runs its experiments under each pinning, and with each number of threads
 * where it has --threads; prints a table for each, and writes and draws the same as asked. */
#ifndef BENCH_SUPPORT_SUITE_H
#define BENCH_SUPPORT_SUITE_H

#include "bench/support/experiment.h"
#include "bench/support/options.h"

/* Of each experiment the benchmark fills in name, title, parameters, metrics, histograms,
 * measure and arg; pinning and threads come from the options, and so do the peers: all that are
 * selected, or, of an experiment that names peers itself, those among them. Returns the
 * program's exit status: EXIT_SUCCESS; EXIT_FAILURE where a peer failed or a file could not be
 * written (whether a goal is met never matters); 2 where an option names what there is not. */
int bench_suite_run(const struct bench_program *program, const struct bench_experiment *experiments,
                    size_t n, const struct bench_options *options);

#endif
