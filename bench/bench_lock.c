/* Locks: what a pair of acquire and release costs alone, and what becomes of a lock that many
 * threads want: how much they get done, how it is shared out, and how long one waits. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/peers/lock.h"
#include "bench/peers/lock_loops.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_lock_pthread.peer,
    &bench_lock_fxthread.peer,
#ifdef BENCH_GLIB
    &bench_lock_glib.peer,
#endif
#ifdef BENCH_NSYNC
    &bench_lock_nsync.peer,
#endif
#ifdef BENCH_ABSEIL
    &bench_lock_abseil.peer,
#endif
#ifdef BENCH_TBB
    &bench_lock_tbb.peer,
    &bench_lock_tbb_spin.peer,
    &bench_lock_tbb_queuing.peer,
#endif
#ifdef BENCH_CK
    &bench_lock_ck_fas.peer,
    &bench_lock_ck_ticket.peer,
    &bench_lock_ck_mcs.peer,
#endif
};

enum { BATCH = 20000 };

static const struct bench_lock_peer *lock_peer(const struct bench_peer *peer)
{
    return (const struct bench_lock_peer *)peer;
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg, struct bench_trial *trial)
{
    int error = pthread_create(thread, NULL, body, arg);
    if (error != 0)
        bench_trial_fail(trial, "a thread cannot be started: %s", strerror(error));
}

/* --- one thread ------------------------------------------------------------------------------- */

static const struct bench_metric pair_metrics[] = {
    {
        .name = "acquire+release",
        .unit = "ns",
        .compared = true,
        .goal = BENCH_GOAL("goal <= 0.35"),
    },
};

static void *wait_for_ever(void *arg)
{
    for (;;)
        nanosleep(&(struct timespec){ .tv_sec = 1000 }, NULL);
    return arg;
}

/* Several locks save themselves the locked instruction as long as the process has one thread: so
 * there is a second one, which sleeps. */
static void measure_batches(void (*pairs)(uint64_t), const struct bench_options *options,
                            struct bench_trial *trial)
{
    pthread_t sleeper;
    start(&sleeper, wait_for_ever, NULL, trial);
    pairs(BATCH);
    int64_t begin = bench_now(), enough = begin + (int64_t)(options->seconds * 1e9), before = begin;
    int64_t now, best = INT64_MAX;
    do {
        pairs(BATCH);
        now = bench_now();
        /* The fastest batch: the others were disturbed. */
        best = now - before < best ? now - before : best;
        before = now;
    } while (now < enough);
    trial->value[0] = (double)best / BATCH;
}

static void measure_pair(const struct bench_experiment *experiment, const struct bench_peer *peer,
                         const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    measure_batches(lock_peer(peer)->pairs, options, trial);
}

static void measure_nested(const struct bench_experiment *experiment, const struct bench_peer *peer,
                           const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    if (lock_peer(peer)->nested)
        measure_batches(lock_peer(peer)->nested, options, trial);
    else
        trial->value[0] = NAN;
}

/* --- many threads ----------------------------------------------------------------------------- */

enum { SECTIONS, FAIRNESS, GAP, WAIT_P50, WAIT_P99, WAIT_P999, WAIT_MAX };

static const struct bench_metric contention_metrics[] = {
    [SECTIONS] = { .name = "sections", .unit = "M/s", .compared = true },
    [FAIRNESS] = { .name = "fairness", .unit = "Jain" },
    [GAP] = { .name = "no turn for", .unit = "ms" },
    [WAIT_P50] = { .name = "wait p50", .unit = "us" },
    [WAIT_P99] = { .name = "p99", .unit = "us" },
    [WAIT_P999] = { .name = "p99.9", .unit = "us" },
    [WAIT_MAX] = { .name = "max", .unit = "us" },
};

struct contention {
    int64_t inside, outside;
    char parameters[64];
};

struct member {
    const struct bench_lock_peer *peer;
    const struct bench_experiment *experiment;
    size_t index;
    const bool *go;
    pthread_t thread;
    struct bench_lock_turns turns;
};

static double turns_a_ns;

/* How many turns of bench_lock_work() are a nanosecond: at best, as when nothing else runs. */
static void calibrate(void)
{
    enum { TURNS = 100000 };
    int64_t best = INT64_MAX;
    for (int i = 0; i < 50; i++) {
        int64_t before = bench_now();
        bench_lock_work(TURNS);
        int64_t took = bench_now() - before;
        best = took < best ? took : best;
    }
    turns_a_ns = TURNS / (double)best;
}

static void *take_part(void *arg)
{
    struct member *member = arg;
    bench_pin_member(member->experiment->pin, member->index);
    while (!__atomic_load_n(member->go, __ATOMIC_ACQUIRE))
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    member->peer->contend(&member->turns);
    return NULL;
}

/* Looks at every thread's count each millisecond for as long as the measurement lasts. Returns the
 * longest time, in ns, for which one of them did not change. */
static int64_t watch(const struct member *members, size_t n, int64_t begin, int64_t end)
{
    uint64_t *seen = calloc(n, sizeof *seen);
    int64_t *since = calloc(n, sizeof *since), longest = 0, now;
    for (size_t i = 0; i < n; i++)
        since[i] = begin;
    do {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        now = bench_now();
        for (size_t i = 0; i < n; i++) {
            uint64_t done = __atomic_load_n(&members[i].turns.done, __ATOMIC_RELAXED);
            int64_t gap = now - since[i];
            longest = gap > longest ? gap : longest;
            if (done != seen[i]) {
                seen[i] = done;
                since[i] = now;
            }
        }
    } while (now < end);
    free(since);
    free(seen);
    return longest;
}

/* Jain's index of fairness: 1 where all have done the same, 1/n where one has done everything. */
static double jain(const struct member *members, size_t n, double *sum)
{
    double squares = 0;
    *sum = 0;
    for (size_t i = 0; i < n; i++) {
        double done = (double)__atomic_load_n(&members[i].turns.done, __ATOMIC_RELAXED);
        *sum += done;
        squares += done * done;
    }
    return squares > 0 ? *sum * *sum / ((double)n * squares) : 0;
}

static void measure_contention(const struct bench_experiment *experiment,
                               const struct bench_peer *peer, const struct bench_options *options,
                               struct bench_trial *trial)
{
    const struct contention *it = experiment->arg;
    size_t n = (size_t)experiment->threads;
    bool stop = false, go = false;
    struct member *members = aligned_alloc(64, n * sizeof *members);
    if (!members)
        bench_trial_fail(trial, "out of memory");
    memset(members, 0, n * sizeof *members);
    for (size_t i = 0; i < n; i++) {
        members[i].peer = lock_peer(peer);
        members[i].experiment = experiment;
        members[i].index = i;
        members[i].go = &go;
        members[i].turns.stop = &stop;
        members[i].turns.inside = (uint64_t)((double)it->inside * turns_a_ns);
        members[i].turns.outside = (uint64_t)((double)it->outside * turns_a_ns);
        start(&members[i].thread, take_part, &members[i], trial);
    }
    int64_t begin = bench_now();
    __atomic_store_n(&go, true, __ATOMIC_RELEASE);
    int64_t longest = watch(members, n, begin, begin + (int64_t)(options->seconds * 1e9));
    double sum;
    trial->value[FAIRNESS] = jain(members, n, &sum);
    trial->value[SECTIONS] = sum * 1e3 / (double)(bench_now() - begin);
    trial->value[GAP] = (double)longest / 1e6;
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    struct bench_histogram *waits = &trial->histogram[0];
    for (size_t i = 0; i < n; i++) {
        pthread_join(members[i].thread, NULL);
        bench_histogram_merge(waits, &members[i].turns.waits);
    }
    trial->value[WAIT_P50] = bench_histogram_quantile(waits, 0.5) / 1e3;
    trial->value[WAIT_P99] = bench_histogram_quantile(waits, 0.99) / 1e3;
    trial->value[WAIT_P999] = bench_histogram_quantile(waits, 0.999) / 1e3;
    trial->value[WAIT_MAX] = bench_histogram_quantile(waits, 1) / 1e3;
    free(members);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int64_t only_inside = -1, only_outside = -1;

static const struct bench_option own_options[] = {
    { "inside", "T", "time in a section: 0, 50ns, 1us (all three)", bench_parse_duration,
      &only_inside },
    { "outside", "T", "time between two: 0, 100ns, 1us (all three)", bench_parse_duration,
      &only_outside },
};

static const struct bench_program program = {
    .name = "bench_lock",
    .summary = "locks, alone and contended",
    .seconds = 0.2,
    .rounds = 3,
    .threads = "2,8,64",
    .pins = "none,both",
    .experiments = "pair nested contended",
    .own = own_options,
    .n_own = sizeof own_options / sizeof *own_options,
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

enum { EXPERIMENTS_MAX = 2 + 9 };

static struct contention contentions[EXPERIMENTS_MAX];

static void write_duration(char *text, size_t size, int64_t ns)
{
    if (ns >= 1000 && ns % 1000 == 0)
        snprintf(text, size, "%lldus", (long long)ns / 1000);
    else
        snprintf(text, size, "%lldns", (long long)ns);
}

static void add_contention(struct bench_experiment *experiment, struct contention *it,
                           int64_t inside, int64_t outside)
{
    char in[24], out[24];
    write_duration(in, sizeof in, inside);
    write_duration(out, sizeof out, outside);
    it->inside = inside;
    it->outside = outside;
    snprintf(it->parameters, sizeof it->parameters, "inside=%s outside=%s", in, out);
    *experiment = (struct bench_experiment){
        .name = "contended",
        .title = "many threads at one lock",
        .parameters = it->parameters,
        .metrics = contention_metrics,
        .n_metrics = sizeof contention_metrics / sizeof *contention_metrics,
        .histogram = { "waiting to acquire" },
        .measure = measure_contention,
        .arg = it,
    };
}

int main(int argc, char **argv)
{
    static const int64_t insides[] = { 0, 50, 1000 }, outsides[] = { 0, 100, 1000 };
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    calibrate();
    if (options.quick) { /* one contention, of the fewest threads */
        options.threads.n = options.pins.n = 1;
        only_inside = insides[1];
        only_outside = outsides[1];
    }
    /* Times that are given ask for the contended part alone. */
    bool chosen = !options.quick && (only_inside >= 0 || only_outside >= 0);

    struct bench_experiment experiments[EXPERIMENTS_MAX] = {
        {
            .name = "pair",
            .title = "acquire and release, one thread",
            .metrics = pair_metrics,
            .n_metrics = 1,
            .measure = measure_pair,
        },
        {
            .name = "nested",
            .title = "acquire and release once more what the thread has already",
            .metrics = pair_metrics,
            .n_metrics = 1,
            .measure = measure_nested,
        },
    };
    size_t n = chosen ? 0 : 2;
    for (size_t i = 0; i < 3; i++)
        for (size_t o = 0; o < 3; o++) {
            if ((i > 0 && only_inside >= 0) || (o > 0 && only_outside >= 0))
                continue;
            add_contention(&experiments[n], &contentions[n],
                           only_inside >= 0 ? only_inside : insides[i],
                           only_outside >= 0 ? only_outside : outsides[o]);
            n++;
        }
    return bench_suite_run(&program, experiments, n, &options);
}
