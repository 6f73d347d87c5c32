/* Threads: what it costs to start and join one, how long one takes to begin, and what each of many
 * that are alive at once costs in time and memory. */
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/peers/thread.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

/* ThreadSanitizer keeps its books in thread-local storage: a bare clone dies at its first
 * instruction. */
#if defined(__SANITIZE_THREAD__)
#define BENCH_WITH_CLONE 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BENCH_WITH_CLONE 0
#endif
#endif
#ifndef BENCH_WITH_CLONE
#define BENCH_WITH_CLONE 1
#endif

enum { WARM_UP = 50, BATCH = 10, ALIVE = 10000, QUICK_ALIVE = 100 };

static const struct bench_peer *const peers[] = {
    &bench_thread_pthread.peer,
    &bench_thread_fxthread.peer,
#if BENCH_WITH_CLONE
    &bench_thread_clone.peer,
#endif
#ifdef BENCH_GLIB
    &bench_thread_glib.peer,
#endif
};

static void start(const struct bench_peer *peer, struct bench_thread *thread, bench_body body,
                  void *arg, struct bench_trial *trial)
{
    *thread = (struct bench_thread){ 0 };
    int rc = ((const struct bench_thread_peer *)peer)->start(thread, body, arg);
    if (rc != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(-rc));
}

static void join(const struct bench_peer *peer, struct bench_thread *thread)
{
    ((const struct bench_thread_peer *)peer)->join(thread);
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void start_and_join(const struct bench_peer *peer, int times, struct bench_trial *trial)
{
    for (int i = 0; i < times; i++) {
        struct bench_thread thread;
        start(peer, &thread, do_nothing, NULL, trial);
        join(peer, &thread);
    }
}

/* --- create and join an empty thread, again and again --- */

static const struct bench_metric create_metrics[] = {
    {
        .name = "create+join",
        .unit = "us",
        .compared = true,
        .goal = { [BENCH_PIN_ONE] = "goal <= 0.85",
                  [BENCH_PIN_NONE] = "goal <= 1.00",
                  [BENCH_PIN_BOTH] = "goal <= 1.00" },
    },
    { .name = "processor time of it", .unit = "us", .compared = true },
};

static void measure_create(const struct bench_experiment *experiment, const struct bench_peer *peer,
                           const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    start_and_join(peer, WARM_UP, trial);
    int64_t cpu = bench_cpu_time(), begin = bench_now();
    int64_t enough = begin + (int64_t)(options->seconds * 1e9), now;
    int threads = 0;
    do {
        start_and_join(peer, BATCH, trial);
        threads += BATCH;
        now = bench_now();
    } while (now < enough);
    trial->value[0] = (double)(now - begin) / threads / 1e3;
    trial->value[1] = (double)(bench_cpu_time() - cpu) / threads / 1e3;
}

/* --- where that time goes: the call that starts, and the time until the thread runs --- */

static const struct bench_metric start_metrics[] = {
    { .name = "start call p50", .unit = "us", .compared = true },
    { .name = "start call p99", .unit = "us" },
    { .name = "start to run p50", .unit = "us", .compared = true },
    { .name = "start to run p99", .unit = "us" },
};

enum { START_CALL, START_TO_RUN };

static void *note_time(void *arg)
{
    *(int64_t *)arg = bench_now();
    return NULL;
}

static void measure_start(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    start_and_join(peer, WARM_UP, trial);
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), returned;
    do {
        struct bench_thread thread;
        int64_t runs, before = bench_now();
        start(peer, &thread, note_time, &runs, trial);
        returned = bench_now();
        join(peer, &thread);
        bench_histogram_add(&trial->histogram[START_CALL], returned - before);
        bench_histogram_add(&trial->histogram[START_TO_RUN], runs - before);
    } while (returned < enough);
    for (size_t h = 0; h < 2; h++) {
        trial->value[2 * h] = bench_histogram_quantile(&trial->histogram[h], 0.5) / 1e3;
        trial->value[2 * h + 1] = bench_histogram_quantile(&trial->histogram[h], 0.99) / 1e3;
    }
}

/* --- many alive at once --- */

static const struct bench_metric alive_metrics[] = {
    { .name = "creation each", .unit = "us", .compared = true, .goal = BENCH_GOAL("goal <= 0.60") },
    { .name = "processor time of it", .unit = "us", .compared = true },
    { .name = "resident each",
      .unit = "KiB",
      .compared = true,
      .goal = BENCH_GOAL("goal <= 4.5 KiB") },
    { .name = "release+join each", .unit = "us", .compared = true },
};

/* Where the threads meet. The words are waited for with the kernel's futex itself, which is the
 * same for all peers and leaves every thread's memory alone. */
static struct {
    atomic_int arrived, all_here, released;
    int expected;
} meeting;

static void wait_until_set(atomic_int *word)
{
    while (atomic_load_explicit(word, memory_order_acquire) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void set(atomic_int *word)
{
    atomic_store_explicit(word, 1, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *meet(void *arg)
{
    int before = atomic_fetch_add_explicit(&meeting.arrived, 1, memory_order_relaxed);
    if (before + 1 == meeting.expected)
        set(&meeting.all_here);
    wait_until_set(&meeting.released);
    return arg;
}

/* Resident memory of this process in KiB, as /proc/self/status tells it. */
static double resident(struct bench_trial *trial)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];
    long kib = -1;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    if (kib < 0)
        bench_trial_fail(trial, "/proc/self/status does not tell VmRSS");
    return (double)kib;
}

static void measure_alive(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    (void)options;
    int n = *(const int *)experiment->arg;
    struct bench_thread *threads = malloc((size_t)n * sizeof *threads);
    if (!threads)
        bench_trial_fail(trial, "out of memory");
    /* What is paid once, and the benchmark's own memory, are not the threads'. */
    memset(threads, 0xff, (size_t)n * sizeof *threads);
    start_and_join(peer, 1, trial);
    meeting.expected = n;

    double before = resident(trial);
    int64_t cpu = bench_cpu_time(), begin = bench_now();
    for (int i = 0; i < n; i++)
        start(peer, &threads[i], meet, NULL, trial);
    wait_until_set(&meeting.all_here);
    int64_t created = bench_now();
    cpu = bench_cpu_time() - cpu;
    double after = resident(trial);

    int64_t release = bench_now();
    set(&meeting.released);
    for (int i = 0; i < n; i++)
        join(peer, &threads[i]);
    int64_t joined = bench_now();
    trial->value[0] = (double)(created - begin) / n / 1e3;
    trial->value[1] = (double)cpu / n / 1e3;
    trial->value[2] = (after - before) / n;
    trial->value[3] = (double)(joined - release) / n / 1e3;
    free(threads);
}

/* --- all of it --- */

static int alive = ALIVE;

static const struct bench_option own_options[] = {
    { "alive", "N", "threads alive at once (10000)", bench_parse_count, &alive },
};

static const struct bench_program program = {
    .name = "bench_thread",
    .summary = "starting and joining threads",
    .seconds = 0.2,
    .rounds = 7,
    .pins = "one,none",
    .experiments = "create start alive",
    .own = own_options,
    .n_own = sizeof own_options / sizeof *own_options,
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    if (options.quick && alive > QUICK_ALIVE)
        alive = QUICK_ALIVE;
    char alive_title[64];
    snprintf(alive_title, sizeof alive_title, "%d threads alive at once", alive);

    const struct bench_experiment experiments[] = {
        {
            .name = "create",
            .title = "create and join an empty thread",
            .metrics = create_metrics,
            .n_metrics = sizeof create_metrics / sizeof *create_metrics,
            .measure = measure_create,
        },
        {
            .name = "start",
            .title = "start a thread",
            .metrics = start_metrics,
            .n_metrics = sizeof start_metrics / sizeof *start_metrics,
            .histogram = { "the call that starts it", "from that call to the first instruction" },
            .measure = measure_start,
        },
        {
            .name = "alive",
            .title = alive_title,
            .metrics = alive_metrics,
            .n_metrics = sizeof alive_metrics / sizeof *alive_metrics,
            .measure = measure_alive,
            .arg = &alive,
        },
    };
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
