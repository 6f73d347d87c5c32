/* Many threads at one read-write lock that is biased again and again: no writer is inside with
 * anybody else, and every wait ends.
 *
 *     stress_rwlock [turns] [threads] [seed]
 *
 * What each thread does follows from the seed. Two parts: with signals, and barriers that fail for
 * want of memory; and, in a child, without the barrier: there a reader must be overlooked, or one
 * that has left be waited for, or this test could not tell. */
#include <fxthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "kernel/inject.h"
#include "kernel/membarrier.h"
#include "kernel/processor.h"
#include "kernel/rseq.h"
#include "record.h"
#include "sanitizer.h"
#include "scale.h"
#include "sync/rwlock.h"

enum { THREADS_MAX = 64, NOTICED = 42 };

static struct {
    fx_rwlock lock;
    uint64_t one __attribute__((aligned(64))), other __attribute__((aligned(64)));
} guarded;

static struct {
    long turns_each;
    int threads;
    uint64_t seed, writes, overlooked;
    bool barriers_fail; /* and cannot be counted */
    uint32_t disturbing;
    pid_t id[THREADS_MAX];
} run;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Both change together, but for a moment that only the writer sees. */
static void look(void)
{
    uint64_t one = __atomic_load_n(&guarded.one, __ATOMIC_RELAXED);
    for (volatile int i = 0; i < 5; i++)
        ;
    if (one != __atomic_load_n(&guarded.other, __ATOMIC_RELAXED))
        __atomic_fetch_add(&run.overlooked, 1, __ATOMIC_RELAXED);
}

static void change(uint64_t random)
{
    uint64_t next = __atomic_load_n(&guarded.one, __ATOMIC_RELAXED) + 1;
    __atomic_store_n(&guarded.one, next, __ATOMIC_RELAXED);
    for (volatile uint64_t i = random & 15; i > 0; i--)
        ;
    __atomic_store_n(&guarded.other, next, __ATOMIC_RELAXED);
    __atomic_fetch_add(&run.writes, 1, __ATOMIC_RELAXED);
}

static void one_turn(uint64_t random)
{
    fx_rwlock *lock = &guarded.lock;
    if (random % 16 != 0) {
        if (random % 3 != 0)
            expect_int(fx_rwlock_acquire_read(lock), ==, 0);
        else if (!fx_rwlock_try_acquire_read(lock))
            return;
        look();
        expect_int(fx_rwlock_release_read(lock), ==, 0);
        return;
    }
    int rc = random >> 8 & 1 ? fx_rwlock_acquire_write(lock)
                             : fx_rwlock_acquire_write_for(lock, (fx_nsec)(random >> 9) % 20000);
    if (rc == -ETIMEDOUT)
        return;
    expect_int(rc, ==, 0);
    change(random >> 20);
    expect_int(fx_rwlock_release_write(lock), ==, 0);
}

static void *work(void *arg)
{
    intptr_t i = (intptr_t)arg;
    uint64_t random = run.seed * 64 + (uint64_t)i + 1;
    __atomic_store_n(&run.id[i], fx_thread_native_id(fx_current_thread()), __ATOMIC_RELAXED);
    for (long turn = 0; turn < run.turns_each && !record_failure(); turn++)
        one_turn(next_random(&random) >> 11);
    return NULL;
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Signals the workers, which aborts their sequences, and makes barriers fail. */
static void *disturb(void *arg)
{
    uint64_t random = run.seed * 2 + 1;
    (void)arg;
    while (__atomic_load_n(&run.disturbing, __ATOMIC_RELAXED)) {
        uint64_t choice = next_random(&random) >> 11;
        pid_t id = __atomic_load_n(&run.id[choice % (uint64_t)run.threads], __ATOMIC_RELAXED);
        if (id != 0)
            syscall(SYS_tgkill, getpid(), id, SIGUSR1); /* it may have ended */
        if (run.barriers_fail)
            fxi_inject_arm(FXI_INJECT_MEMBARRIER, 1 + (unsigned)(choice >> 20) % 4, ENOMEM);
        fx_sleep(FX_USEC(50));
    }
    fxi_inject_disarm();
    return NULL;
}

/* Whether all threads came to their ends, none of them after more than so many seconds. */
static bool run_workers(long turns, double patience)
{
    fx_thread *threads[THREADS_MAX];
    fxi_inject_arm(FXI_INJECT_ANY, 0, 0); /* counts anew, and no call fails */
    run.turns_each = turns / run.threads;
    run.disturbing = 1;
    run.writes = 0;
    for (int i = 0; i < run.threads; i++) {
        threads[i] = fx_thread_spawn(work, (void *)(intptr_t)i);
        expect(threads[i] != NULL);
    }
    fx_thread *disturber = fx_thread_spawn(disturb, NULL);
    for (int i = 0; i < run.threads; i++) {
        if (fx_thread_join_for(threads[i], (fx_nsec)(patience * 1e9), NULL) != 0)
            return false;
        fx_thread_unref(threads[i]);
    }
    __atomic_store_n(&run.disturbing, 0, __ATOMIC_RELAXED);
    fx_thread_join(disturber, NULL);
    fx_thread_unref(disturber);
    expect(fx_rwlock_try_acquire_write(&guarded.lock));
    expect_int(fx_rwlock_release_write(&guarded.lock), ==, 0);
    expect(guarded.lock.word == 0);
    printf("%ld turns by %d threads, seed %llu, biased after %u: %llu writes, %u barriers, "
           "%llu readers overlooked\n",
           turns, run.threads, (unsigned long long)run.seed, fxi_rwlock_tuning.reads_before_bias,
           (unsigned long long)run.writes, fxi_inject_count(FXI_INJECT_MEMBARRIER),
           (unsigned long long)run.overlooked);
    return true;
}

/* In a child: without the barrier. */
static int run_mutant(void)
{
    fxi_membarrier_is_left_out = true;
    run.threads = 3;
    run.barriers_fail = false;
    for (double end = await_now() + 30; await_now() < end; run.seed++) {
        if (!run_workers(500000, 5) || run.overlooked > 0 || record_failure())
            return NOTICED;
    }
    return 0;
}

int main(int argc, char **argv)
{
    long turns = argc > 1 ? atol(argv[1]) : scaled(1000000);
    int threads = argc > 2 ? atoi(argv[2]) : 8;
    run.seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    if (threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: stress_rwlock [turns] [threads, at most %d] [seed]\n",
                THREADS_MAX);
        return 2;
    }
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = ignore_signal }, NULL);
    for (int i = 0; i < 3; i++) {
        static const uint32_t reads_before_bias[] = { 1, 16, 8192 };
        fxi_rwlock_tuning = (struct fxi_rwlock_tuning){ 1, reads_before_bias[i] };
        run.threads = i == 0 ? 2 : threads;
        run.barriers_fail = i == 1;
        expect(run_workers(turns, 2 * await_limit()));
    }
    expect(run.overlooked == 0);
    if (record_status() != 0)
        return EXIT_FAILURE;
    if (fxi_processors() > 1 && fxi_membarrier_works() && fxi_rseq_sequence() &&
        !THREADS_ARE_PTHREADS) {
        fxi_rwlock_tuning.reads_before_bias = 1;
        int code = child_run(run_mutant);
        printf("without the barrier: %s\n",
               code == NOTICED ? "readers are overlooked, or waited for that have left"
                               : "nothing is noticed");
        if (code != NOTICED)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
