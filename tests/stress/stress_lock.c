/* Many threads on few locks: sections do not overlap, no waiter is forgotten, and every wait ends.
 *
 *     stress_lock [sections] [threads] [seed]
 *
 * What each thread does follows from the seed. Three parts: plain acquires, all of which have to be
 * served; the same with timeouts, tries, releases by other threads, signals, and futex calls and
 * membarriers that fail; and, in a child, a lock that leaves its barrier out: there a waiter must
 * be forgotten, or this test could not tell. */
#include <fxthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "kernel/inject.h"
#include "kernel/membarrier.h"
#include "kernel/processor.h"
#include "kernel/rseq.h"
#include "park/park.h"
#include "record.h"
#include "sanitizer.h"
#include "scale.h"
#include "sync/lock.h"

enum { LOCKS = 3, THREADS_MAX = 64, FORGOTTEN = 42 };

/* A lock, and what it protects. */
static struct guarded {
    fx_lock lock;
    uint32_t inside;      /* how many are in the section */
    uint64_t sections;    /* plain: only a holder counts */
    uint32_t left_behind; /* 1: it is held, and whoever changes this to 0 releases it */
} guarded[LOCKS];

static struct {
    long sections_each;
    int threads;
    uint64_t seed;
    bool rough;         /* with timeouts and all that */
    bool barriers_fail; /* where rough: the barriers, else the futex waits */
    uint32_t running, disturbing;
    uint64_t entered;
    struct worker {
        uint64_t random, entered, progress;
        pid_t id; /* 0: not there yet */
    } worker[THREADS_MAX];
} run;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void pass_time(uint64_t turns)
{
    for (uint64_t i = 0; i < turns; i++)
        __asm__ volatile("");
}

/* Acquires in one of the ways there are. */
static bool enter(struct guarded *it, uint64_t random)
{
    int rc = 0;
    if (!run.rough) {
        rc = fx_lock_acquire(&it->lock);
    } else {
        switch (random % 8) {
        case 0:
            return fx_lock_try_acquire(&it->lock);
        case 1:
            rc = fx_lock_acquire_for(&it->lock, (fx_nsec)(random >> 8) % 2000 - 200);
            break;
        case 2:
            rc = fx_lock_acquire_for(&it->lock, (fx_nsec)(random >> 8) % 200000);
            break;
        case 3:
            rc = fx_lock_acquire_until(&it->lock, fx_deadline_after(FX_SEC(await_limit())));
            break;
        default:
            rc = fx_lock_acquire(&it->lock);
        }
        if (rc == -ETIMEDOUT && random % 8 < 3)
            return false;
    }
    expect_int(rc, ==, 0);
    return rc == 0;
}

/* Releases what another thread has left behind, if somebody did. */
static void clear_up(struct guarded *it)
{
    uint32_t behind = 1;
    if (__atomic_compare_exchange_n(&it->left_behind, &behind, 0, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        expect_int(fx_lock_release(&it->lock), ==, 0);
}

static void one_section(struct guarded *it, struct worker *self)
{
    uint64_t random = next_random(&self->random);
    if (!enter(it, random >> 20)) {
        clear_up(it);
        return;
    }
    expect(__atomic_fetch_add(&it->inside, 1, __ATOMIC_RELAXED) == 0);
    it->sections++;
    self->entered++;
    if (random % 64 == 0)
        pass_time(random >> 10 & 1023);
    if (random % 2048 == 7)
        fx_sleep((fx_nsec)(random >> 12) % 5000); /* so that others queue even on one processor */
    expect(__atomic_fetch_sub(&it->inside, 1, __ATOMIC_RELAXED) == 1);
    if (run.rough && random % 1024 == 1) {
        __atomic_store_n(&it->left_behind, 1, __ATOMIC_RELEASE);
        pass_time(200);
        clear_up(it); /* unless somebody was faster */
        return;
    }
    expect_int(fx_lock_release(&it->lock), ==, 0);
}

static void *work(void *arg)
{
    struct worker *self = &run.worker[(intptr_t)arg];
    __atomic_store_n(&self->id, fx_thread_native_id(fx_current_thread()), __ATOMIC_RELAXED);
    for (long i = 0; i < run.sections_each && !record_failure(); i++) {
        one_section(&guarded[self->random % (run.rough ? LOCKS : 1)], self);
        if (self->random % 4 == 0)
            pass_time(self->random >> 20 & 63);
        __atomic_store_n(&self->progress, (uint64_t)i + 1, __ATOMIC_RELAXED);
    }
    __atomic_fetch_sub(&run.running, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Signals the workers, and makes calls fail, as long as they run. The calls are of one kind in each
 * run, for a fault is armed while such calls are under way. */
static void *disturb(void *arg)
{
    static const int futex_errors[] = { EINTR, EAGAIN };
    uint64_t random = run.seed * 2 + 1;
    (void)arg;
    while (__atomic_load_n(&run.disturbing, __ATOMIC_RELAXED)) {
        uint64_t choice = next_random(&random);
        struct worker *worker = &run.worker[choice % (uint64_t)run.threads];
        pid_t id = __atomic_load_n(&worker->id, __ATOMIC_RELAXED);
        if (id != 0)
            syscall(SYS_tgkill, getpid(), id, SIGUSR1); /* it may have ended */
        unsigned nth = 1 + (unsigned)(choice >> 32) % 4;
        if (run.barriers_fail)
            fxi_inject_arm(FXI_INJECT_MEMBARRIER, nth, ENOMEM);
        else
            fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, nth, futex_errors[choice >> 40 & 1]);
        fx_sleep(FX_USEC(100));
    }
    fxi_inject_disarm();
    return NULL;
}

static uint64_t progress(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < run.threads; i++)
        sum += __atomic_load_n(&run.worker[i].progress, __ATOMIC_RELAXED);
    return sum;
}

/* A free lock with a waiter, though nothing has happened for `seconds`. */
static bool waiter_is_forgotten(double seconds)
{
    uint64_t before = progress();
    if (await_for(__atomic_load_n(&run.running, __ATOMIC_ACQUIRE) == 0 || progress() != before,
                  seconds))
        return false;
    for (int i = 0; i < LOCKS; i++)
        if (!fx_lock_locked(&guarded[i].lock) && fxi_park_count(&guarded[i].lock) > 0)
            return true;
    fprintf(stderr, "nothing happens, and no lock is free\n");
    return true;
}

static bool run_workers(bool rough, long sections, double patience)
{
    fx_thread *threads[THREADS_MAX], *disturber = NULL;
    memset(guarded, 0, sizeof guarded);
    fxi_inject_arm(FXI_INJECT_ANY, 0, 0); /* counts anew, and no call fails */
    run.rough = rough;
    run.sections_each = sections / run.threads;
    run.running = (uint32_t)run.threads;
    run.disturbing = 1;
    for (int i = 0; i < run.threads; i++) {
        run.worker[i] = (struct worker){ .random = run.seed * 64 + (uint64_t)i + 1 };
        threads[i] = fx_thread_spawn(work, (void *)(intptr_t)i);
        expect(threads[i] != NULL);
    }
    if (rough)
        disturber = fx_thread_spawn(disturb, NULL);
    while (__atomic_load_n(&run.running, __ATOMIC_ACQUIRE) > 0)
        if (waiter_is_forgotten(patience))
            return false;
    __atomic_store_n(&run.disturbing, 0, __ATOMIC_RELAXED);
    if (disturber)
        fx_thread_join(disturber, NULL);
    fx_thread_unref(disturber);
    uint64_t entered = 0, counted = 0;
    for (int i = 0; i < run.threads; i++) {
        fx_thread_join(threads[i], NULL);
        fx_thread_unref(threads[i]);
        entered += run.worker[i].entered;
    }
    for (int i = 0; i < LOCKS; i++) {
        counted += guarded[i].sections;
        expect(!fx_lock_locked(&guarded[i].lock));
    }
    expect_int(counted, ==, entered);
    printf("%s: %llu sections by %d threads, seed %llu, looks %u, calm after %u: %u waits, "
           "%u barriers\n",
           rough ? "rough" : "plain", (unsigned long long)entered, run.threads,
           (unsigned long long)run.seed, fxi_lock_tuning.looks, fxi_lock_tuning.calm_releases,
           fxi_inject_count(FXI_INJECT_FUTEX_WAIT), fxi_inject_count(FXI_INJECT_MEMBARRIER));
    return true;
}

/* In a child: without the barrier. */
static int run_mutant(void)
{
    fxi_membarrier_is_left_out = true;
    fxi_lock_tuning = (struct fxi_lock_tuning){ 0 };
    run.threads = 3;
    for (double end = await_now() + 30; await_now() < end; run.seed++)
        if (!run_workers(false, 2000000, 1))
            return FORGOTTEN;
    return 0;
}

int main(int argc, char **argv)
{
    long sections = argc > 1 ? atol(argv[1]) : scaled(1000000);
    run.threads = argc > 2 ? atoi(argv[2]) : 8;
    run.seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    if (run.threads < 1 || run.threads > THREADS_MAX) {
        fprintf(stderr, "usage: stress_lock [sections] [threads, at most %d] [seed]\n",
                THREADS_MAX);
        return 2;
    }
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = ignore_signal }, NULL);
    const char *barrier = getenv("FX_STRESS_NO_BARRIER");
    if (barrier && *barrier == '1')
        fxi_membarrier_is_left_out = true;

    const int threads = run.threads;
    const struct {
        struct fxi_lock_tuning tuning;
        int threads;
    } runs[] = {
        { fxi_lock_tuning, threads },
        { { 0, 0 }, 2 },
        { { 0, 0 }, 3 },
        { { 20, 20 }, threads },
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        fxi_lock_tuning = runs[i].tuning;
        run.threads = runs[i].threads;
        run.barriers_fail = i % 2;
        if (!run_workers(false, sections, await_limit()) ||
            !run_workers(true, sections, await_limit())) {
            fprintf(stderr, "a waiter was forgotten\n");
            return EXIT_FAILURE;
        }
    }
    if (record_status() != 0)
        return EXIT_FAILURE;
    if (fxi_processors() > 1 && fxi_membarrier_works() && fxi_rseq_sequence() &&
        !THREADS_ARE_PTHREADS) {
        int code = child_run(run_mutant);
        printf("without the barrier: %s\n",
               code == FORGOTTEN ? "a waiter is forgotten" : "nothing is noticed");
        if (code != FORGOTTEN)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
