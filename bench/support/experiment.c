#include "bench/support/experiment.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A measurement that takes this much longer than it was asked to is taken to hang. */
enum { HANG_LIMIT_SECONDS = 120 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "benchmark: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory)
        die("memory");
    return memory;
}

void bench_trial_fail(struct bench_trial *trial, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trial->why, sizeof trial->why, format, args);
    va_end(args);
    _exit(EXIT_FAILURE);
}

static _Noreturn void measure_in_child(const struct bench_experiment *experiment,
                                       const struct bench_peer *peer,
                                       const struct bench_options *options,
                                       struct bench_trial *trial)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(HANG_LIMIT_SECONDS + (unsigned)options->seconds);
    int rc = bench_pin_process(experiment->pin);
    if (rc != 0)
        bench_trial_fail(trial, "cannot be %s: %s", bench_pin_title(experiment->pin),
                         strerror(-rc));
    experiment->measure(experiment, peer, options, trial);
    /* Not exit(): a peer's own handlers have nothing to do here, and could wait for threads. */
    _exit(EXIT_SUCCESS);
}

/* Measures once and stores in trial->why what went wrong, if anything did. */
static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        measure_in_child(experiment, peer, options, trial);

    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            die("waitpid");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(trial->why, sizeof trial->why, "did not come to an end");
    else if (WIFSIGNALED(status))
        snprintf(trial->why, sizeof trial->why, "crashed: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 && trial->why[0] == '\0')
        snprintf(trial->why, sizeof trial->why, "ended with status %d", WEXITSTATUS(status));
}

static size_t sample_at(const struct bench_result *result, size_t metric, size_t peer)
{
    return (metric * result->experiment->n_peers + peer) * result->rounds;
}

static void record(struct bench_result *result, size_t peer, size_t round,
                   const struct bench_trial *trial)
{
    for (size_t m = 0; m < result->experiment->n_metrics; m++)
        result->sample[sample_at(result, m, peer) + round] = trial->value[m];
    for (size_t h = 0; h < BENCH_HISTOGRAMS_MAX; h++)
        bench_histogram_merge(&result->histogram[peer * BENCH_HISTOGRAMS_MAX + h],
                              &trial->histogram[h]);
}

/* splitmix64: small, and the same on every machine, so that a run can be repeated. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void shuffle(size_t *order, size_t n, uint64_t *state)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = next_random(state) % i, swapped = order[j];
        order[j] = order[i - 1];
        order[i - 1] = swapped;
    }
}

size_t bench_experiment_rounds(const struct bench_options *options)
{
    return (size_t)options->rounds + 1;
}

void bench_experiment_run(const struct bench_experiment *experiment,
                          const struct bench_options *options, struct bench_progress *progress,
                          struct bench_result *result)
{
    size_t n_peers = experiment->n_peers, rounds = (size_t)options->rounds;
    size_t n_samples = experiment->n_metrics * n_peers * rounds;
    *result = (struct bench_result){
        .experiment = experiment,
        .rounds = rounds,
        .sample = allocate(n_samples, sizeof(double)),
        .histogram = allocate(n_peers * BENCH_HISTOGRAMS_MAX, sizeof(struct bench_histogram)),
        .why = allocate(n_peers, sizeof *result->why),
    };
    for (size_t i = 0; i < n_samples; i++)
        result->sample[i] = NAN;
    struct bench_trial *trial = mmap(NULL, sizeof *trial, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED)
        die("memory");

    size_t *order = allocate(n_peers, sizeof *order);
    for (size_t i = 0; i < n_peers; i++)
        order[i] = i;
    uint64_t random = 1;
    for (size_t round = 0; round < bench_experiment_rounds(options); round++) {
        shuffle(order, n_peers, &random);
        for (size_t i = 0; i < n_peers; i++) {
            size_t peer = order[i];
            bench_progress_step(progress, "round %zu of %zu, %s: %s, %s", round + 1, rounds + 1,
                                experiment->peers[peer]->name, experiment->title,
                                bench_pin_title(experiment->pin));
            if (result->why[peer][0] != '\0')
                continue; /* it failed before, and would only fail again */
            measure(experiment, experiment->peers[peer], options, trial);
            if (trial->why[0] != '\0')
                memcpy(result->why[peer], trial->why, sizeof trial->why);
            else if (round > 0)
                record(result, peer, round - 1, trial);
        }
    }
    free(order);
    munmap(trial, sizeof *trial);
    bench_progress_clear(progress);
}

void bench_result_free(struct bench_result *result)
{
    free(result->sample);
    free(result->histogram);
    free(result->why);
}

const double *bench_result_samples(const struct bench_result *result, size_t metric, size_t peer)
{
    return &result->sample[sample_at(result, metric, peer)];
}

struct bench_summary bench_result_value(const struct bench_result *result, size_t metric,
                                        size_t peer)
{
    return bench_summarise(bench_result_samples(result, metric, peer), result->rounds);
}

struct bench_summary bench_result_ratio(const struct bench_result *result, size_t metric,
                                        size_t peer)
{
    return bench_summarise_ratio(bench_result_samples(result, metric, peer),
                                 bench_result_samples(result, metric, 0), result->rounds);
}

const struct bench_histogram *bench_result_histogram(const struct bench_result *result, size_t peer,
                                                     size_t which)
{
    return &result->histogram[peer * BENCH_HISTOGRAMS_MAX + which];
}

bool bench_result_failed(const struct bench_result *result)
{
    for (size_t p = 0; p < result->experiment->n_peers; p++)
        if (result->why[p][0] != '\0')
            return true;
    return false;
}
