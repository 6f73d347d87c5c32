/* Read-write locks: who gets in with whom, in what order, and what a release says of a wrong
 * one. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "child.h"
#include "sync/reader_slots.h"
#include "sync/rwlock.h"
#include "worker.h"

static int read_and_release(void *rwlock)
{
    int rc = fx_rwlock_acquire_read(rwlock);
    return rc ? rc : fx_rwlock_release_read(rwlock);
}

static int write_and_release(void *rwlock)
{
    int rc = fx_rwlock_acquire_write(rwlock);
    return rc ? rc : fx_rwlock_release_write(rwlock);
}

static int read_20_ms(void *rwlock)
{
    int rc = fx_rwlock_acquire_read_for(rwlock, FX_MSEC(20));
    return rc ? rc : fx_rwlock_release_read(rwlock);
}

static int write_20_ms(void *rwlock)
{
    int rc = fx_rwlock_acquire_write_for(rwlock, FX_MSEC(20));
    return rc ? rc : fx_rwlock_release_write(rwlock);
}

START_TEST(an_rwlock_is_eight_bytes_and_zeroes_are_a_free_one)
{
    fx_rwlock zero = {0}, init = FX_RWLOCK_INIT;
    ck_assert_uint_eq(sizeof(fx_rwlock), 8);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
    ck_assert_int_eq(write_and_release(&zero), 0);
    ck_assert_int_eq(read_and_release(&zero), 0);
    ck_assert_uint_eq(zero.word, 0);
}
END_TEST

START_TEST(many_read_together_and_one_writes_alone)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), 0);
    ck_assert(fx_rwlock_try_acquire_read(&rwlock));
    ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(fx_rwlock_acquire_write(&rwlock), 0);
    ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
    ck_assert(!fx_rwlock_try_acquire_read(&rwlock));
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
    ck_assert(fx_rwlock_try_acquire_write(&rwlock));
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
}
END_TEST

START_TEST(release_of_what_is_not_held_is_eperm)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), -EPERM);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), -EPERM);
    fx_rwlock_acquire_read(&rwlock);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), -EPERM);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    fx_rwlock_acquire_write(&rwlock);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), -EPERM);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

START_TEST(more_readers_than_can_be_counted_is_eagain)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    rwlock.word = UINT32_C(0xfffffff0); /* one fewer than can be */
    ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), 0);
    ck_assert(!fx_rwlock_try_acquire_read(&rwlock));
    ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), -EAGAIN);
    ck_assert_int_eq(fx_rwlock_acquire_read_for(&rwlock, 0), -EAGAIN);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_uint_eq(rwlock.word, UINT32_C(0xfffffff0));
}
END_TEST

START_TEST(the_functions_behind_the_inline_ones_do_the_same)
{
    int (*volatile acquire)(fx_rwlock *) = fx_rwlock_acquire_read;
    bool (*volatile try_acquire)(fx_rwlock *) = fx_rwlock_try_acquire_read;
    int (*volatile release)(fx_rwlock *) = fx_rwlock_release_read;
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    ck_assert_int_eq(acquire(&rwlock), 0);
    ck_assert(try_acquire(&rwlock));
    ck_assert_int_eq(release(&rwlock), 0);
    ck_assert_int_eq(release(&rwlock), 0);
    ck_assert_int_eq(release(&rwlock), -EPERM);
}
END_TEST

START_TEST(waits_last_their_full_time_and_leave_nothing_behind)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    const fx_nsec past[] = {0, -2, INT64_MIN};
    fx_rwlock_acquire_write(&rwlock);
    uint32_t word = rwlock.word;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_rwlock_acquire_read_for(&rwlock, past[i]), -ETIMEDOUT);
        ck_assert_int_eq(fx_rwlock_acquire_write_for(&rwlock, past[i]), -ETIMEDOUT);
        fx_deadline end = fx_deadline_after(FX_MSEC(8));
        ck_assert_int_eq(fx_rwlock_acquire_read_until(&rwlock, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
        end = fx_deadline_after(FX_MSEC(8));
        ck_assert_int_eq(fx_rwlock_acquire_write_until(&rwlock, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
    }
    ck_assert_uint_eq(rwlock.word, word);
    fx_rwlock_release_write(&rwlock);
}
END_TEST

START_TEST(another_thread_may_release)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    struct worker w;
    fx_rwlock_acquire_write(&rwlock);
    worker_start(&w, (int (*)(void *))fx_rwlock_release_write, &rwlock);
    ck_assert_int_eq(worker_end(&w), 0);
    fx_rwlock_acquire_read(&rwlock);
    worker_start(&w, (int (*)(void *))fx_rwlock_release_read, &rwlock);
    ck_assert_int_eq(worker_end(&w), 0);
    ck_assert(fx_rwlock_try_acquire_write(&rwlock));
}
END_TEST

static fx_rwlock gathering;
static atomic_int inside;
static fx_event may_leave;

static int read_until_told(void *arg)
{
    (void)arg;
    int rc = fx_rwlock_acquire_read(&gathering);
    if (rc != 0)
        return rc;
    atomic_fetch_add(&inside, 1);
    fx_event_wait(&may_leave);
    atomic_fetch_sub(&inside, 1);
    return fx_rwlock_release_read(&gathering);
}

START_TEST(readers_that_wait_are_let_in_all_together)
{
    enum { N = 9 };
    struct worker w[N];
    fx_rwlock_acquire_write(&gathering);
    workers_line_up(w, N, read_until_told, NULL, &gathering);
    ck_assert_int_eq(fx_rwlock_release_write(&gathering), 0);
    await(atomic_load(&inside) == N);
    fx_event_set(&may_leave);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_uint_eq(gathering.word, 0);
}
END_TEST

START_TEST(readers_behind_writers_in_the_line_go_with_the_first_reader)
{
    enum { N = 3 };
    struct worker readers[2 * N], writer;
    fx_rwlock_acquire_write(&gathering);
    workers_line_up(readers, N, read_until_told, NULL, &gathering);
    worker_start(&writer, write_and_release, &gathering);
    await_waiters(&gathering, N + 1);
    for (int i = 0; i < N; i++) {
        worker_start(&readers[N + i], read_until_told, NULL);
        await_waiters(&gathering, (size_t)(N + 2 + i));
    }
    fx_rwlock_release_write(&gathering);
    await(atomic_load(&inside) == 2 * N);
    ck_assert(!worker_done(&writer));
    ck_assert_uint_eq(fxi_park_count(&gathering), 1);
    fx_event_set(&may_leave);
    ck_assert_int_eq(worker_end(&writer), 0);
    for (int i = 0; i < 2 * N; i++)
        ck_assert_int_eq(worker_end(&readers[i]), 0);
    ck_assert_uint_eq(gathering.word, 0);
}
END_TEST

START_TEST(a_writer_that_has_starved_keeps_new_readers_out)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    struct worker writer, reader;
    fx_rwlock_acquire_read(&rwlock);
    worker_start(&writer, write_and_release, &rwlock);
    await_waiters(&rwlock, 1);
    ck_assert(!fx_rwlock_try_acquire_read(&rwlock)); /* not even within the millisecond */
    fx_sleep(FX_MSEC(2));
    ck_assert_int_eq(fx_rwlock_acquire_read_for(&rwlock, 0), -ETIMEDOUT);
    worker_start(&reader, read_and_release, &rwlock);
    await_waiters(&rwlock, 2);
    ck_assert(!worker_done(&reader));
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(worker_end(&writer), 0);
    ck_assert_int_eq(worker_end(&reader), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

START_TEST(a_writer_that_gives_up_lets_those_behind_it_in)
{
    struct worker writer, readers[3];
    fx_rwlock_acquire_read(&gathering);
    worker_start(&writer, write_20_ms, &gathering);
    await_waiters(&gathering, 1);
    fx_sleep(FX_MSEC(2));
    for (int i = 0; i < 3; i++)
        worker_start(&readers[i], read_until_told, NULL);
    ck_assert_int_eq(worker_end(&writer), -ETIMEDOUT);
    await(atomic_load(&inside) == 3);
    fx_event_set(&may_leave);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(worker_end(&readers[i]), 0);
    ck_assert_int_eq(fx_rwlock_release_read(&gathering), 0);
    ck_assert_uint_eq(gathering.word, 0);
}
END_TEST

START_TEST(a_reader_that_gives_up_leaves_the_others_waiting)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    struct worker hasty, writer;
    fx_rwlock_acquire_write(&rwlock);
    worker_start(&writer, write_and_release, &rwlock);
    await_waiters(&rwlock, 1);
    worker_start(&hasty, read_20_ms, &rwlock);
    ck_assert_int_eq(worker_end(&hasty), -ETIMEDOUT);
    ck_assert(!worker_done(&writer));
    fx_rwlock_release_write(&rwlock);
    ck_assert_int_eq(worker_end(&writer), 0);
}
END_TEST

static atomic_int turn;

static int write_and_note_turn(void *rwlock)
{
    if (fx_rwlock_acquire_write(rwlock) != 0)
        return -1;
    int mine = atomic_fetch_add(&turn, 1);
    return fx_rwlock_release_write(rwlock) == 0 ? mine : -1;
}

START_TEST(writers_that_have_starved_are_served_in_order)
{
    enum { N = 8 };
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    struct worker w[N];
    fx_rwlock_acquire_write(&rwlock);
    workers_line_up(w, N, write_and_note_turn, &rwlock, &rwlock);
    fx_sleep(FX_MSEC(3)); /* all have waited for more than a millisecond now */
    fx_rwlock_release_write(&rwlock);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), i);
}
END_TEST

START_TEST(a_writer_that_has_starved_is_handed_the_lock)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    for (int i = 0; i < 20; i++) {
        struct worker w;
        fx_rwlock_acquire_read(&rwlock);
        worker_start(&w, write_20_ms, &rwlock);
        await_waiters(&rwlock, 1);
        fx_deadline starved = fx_deadline_after(FX_MSEC(2));
        while (fx_now() < starved && fxi_park_count(&rwlock) == 1)
            ;
        bool waits = fxi_park_count(&rwlock) == 1;
        fx_rwlock_release_read(&rwlock);
        /* The lock is the waiter's from the release on: it is held, or was and is free again. */
        if (waits && fx_rwlock_try_acquire_write(&rwlock)) {
            await(worker_done(&w));
            ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
        }
        ck_assert_int_eq(worker_end(&w), waits ? 0 : -ETIMEDOUT);
    }
}
END_TEST

static atomic_bool stream_ends;

/* Two of these hold the lock for reading at every moment, by turns: it is never free by itself. */
static int read_by_turns(void *rwlock)
{
    while (!atomic_load(&stream_ends)) {
        if (fx_rwlock_acquire_read(rwlock) != 0)
            return -1;
        int others = atomic_fetch_add(&inside, 1);
        fx_deadline end = fx_deadline_after(FX_MSEC(1));
        while (others == 0 && atomic_load(&inside) < 2 && fx_now() < end)
            ;
        atomic_fetch_sub(&inside, 1);
        if (fx_rwlock_release_read(rwlock) != 0)
            return -1;
    }
    return 0;
}

static int write_by_turns(void *rwlock)
{
    while (!atomic_load(&stream_ends))
        if (write_and_release(rwlock) != 0)
            return -1;
    return 0;
}

START_TEST(neither_side_starves_in_a_stream_of_the_other)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    struct worker w[3];
    for (int i = 0; i < 3; i++)
        worker_start(&w[i], _i ? write_by_turns : read_by_turns, &rwlock);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq((_i ? read_and_release : write_and_release)(&rwlock), 0);
    atomic_store(&stream_ends, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

static void *write_in_pthread(void *rwlock)
{
    return (void *)(intptr_t)write_and_release(rwlock);
}

static void *read_in_pthread(void *rwlock)
{
    return (void *)(intptr_t)read_and_release(rwlock);
}

START_TEST(foreign_threads_wait_whatever_signals_come)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    pthread_t t[2];
    void *rc;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    fx_rwlock_acquire_write(&rwlock);
    ck_assert_int_eq(pthread_create(&t[0], NULL, write_in_pthread, &rwlock), 0);
    ck_assert_int_eq(pthread_create(&t[1], NULL, read_in_pthread, &rwlock), 0);
    await_waiters(&rwlock, 2);
    for (int i = 0; i < 100; i++)
        pthread_kill(t[i % 2], SIGUSR1);
    ck_assert_uint_eq(fxi_park_count(&rwlock), 2);
    fx_rwlock_release_write(&rwlock);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], &rc);
        ck_assert_ptr_null(rc);
    }
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 20; i++) {
        fx_rwlock rwlock = FX_RWLOCK_INIT;
        struct worker w;
        fx_rwlock_acquire_write(&rwlock);
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 4 % 3, errors[i % 2]);
        worker_start(&w, i / 2 % 2 ? read_and_release : write_and_release, &rwlock);
        await_waiters(&rwlock, 1);
        fx_rwlock_release_write(&rwlock);
        ck_assert_int_eq(worker_end(&w), 0);
        fxi_inject_disarm();
    }
}
END_TEST

enum { TURNS = 20000 };
static struct {
    fx_rwlock lock;
    long one, other;
} shared;

static int use_both_sides(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg;
    for (int i = 0; i < TURNS; i++) {
        seed = seed * 1103515245 + 12345;
        if (seed >> 16 & 3) {
            fx_rwlock_acquire_read(&shared.lock);
            if (shared.one != shared.other)
                return -1;
            fx_rwlock_release_read(&shared.lock);
        } else {
            fx_rwlock_acquire_write(&shared.lock);
            shared.one++;
            shared.other++;
            fx_rwlock_release_write(&shared.lock);
        }
    }
    return 0;
}

START_TEST(readers_never_see_half_of_a_writers_work)
{
    struct worker w[4];
    for (int i = 0; i < 4; i++)
        worker_start(&w[i], use_both_sides, (void *)(intptr_t)(i + 1));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_int_eq(shared.one, shared.other);
    ck_assert_uint_eq(shared.lock.word, 0);
}
END_TEST

/* --- the bias --------------------------------------------------------------------------------- */

enum { FEW_READS = 4 };

/* Reads the lock until it is biased. Where there is no rseq(2) it never is, and the tests below hold
 * without it. */
static void bias(fx_rwlock *rwlock)
{
    fxi_rwlock_tuning = (struct fxi_rwlock_tuning){ .sampled = 1, .reads_before_bias = FEW_READS };
    for (int i = 0; i < FEW_READS + 64; i++)
        ck_assert_int_eq(read_and_release(rwlock), 0);
}

/* Whether the calling thread, which reads the lock, is noted in its slot. */
static bool is_in_slot(const fx_rwlock *rwlock)
{
    return *fx_rwlock_slot_(fx_rwlock_self.slots, rwlock) == rwlock;
}

START_TEST(a_lock_that_is_often_read_is_biased_and_its_word_left_alone)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    if (fx_rwlock_self.biased != FX_RWLOCK_BIASED)
        return; /* no rseq(2) */
    ck_assert_uint_eq(rwlock.word, FX_RWLOCK_BIASED);
    ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), 0);
    ck_assert(is_in_slot(&rwlock) == (rwlock.word == FX_RWLOCK_BIASED));
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(write_and_release(&rwlock), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

START_TEST(a_write_begins_the_count_of_reads_anew)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    fxi_rwlock_tuning = (struct fxi_rwlock_tuning){ .sampled = 1, .reads_before_bias = 100 };
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(i % 50 == 0 ? write_and_release(&rwlock) : read_and_release(&rwlock), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

START_TEST(a_writer_finds_who_reads_a_biased_lock)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), 0);
    ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
    ck_assert(!is_in_slot(&rwlock));
    ck_assert_uint_eq(rwlock.word, FX_RWLOCK_READER);
    struct worker writer;
    worker_start(&writer, write_and_release, &rwlock);
    await_waiters(&rwlock, 1);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(worker_end(&writer), 0);
    ck_assert_uint_eq(rwlock.word, 0);
}
END_TEST

START_TEST(release_of_a_biased_lock_that_nobody_reads_is_eperm)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), -EPERM);
    bias(&rwlock);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), -EPERM);
}
END_TEST

static int acquire_read(void *rwlock)
{
    return fx_rwlock_acquire_read(rwlock);
}

/* The thread has also given up its slots by then. */
START_TEST(what_a_thread_reads_when_it_ends_stays_read)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    struct worker reader;
    worker_start(&reader, acquire_read, &rwlock);
    ck_assert_int_eq(worker_end(&reader), 0);
    ck_assert_uint_eq(rwlock.word & ~FX_RWLOCK_BITS, FX_RWLOCK_READER);
    ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(write_and_release(&rwlock), 0);
}
END_TEST

static atomic_bool reads, may_end;

static int read_and_stay(void *rwlock)
{
    int rc = fx_rwlock_acquire_read(rwlock);
    atomic_store(&reads, true);
    await(atomic_load(&may_end));
    return rc;
}

START_TEST(another_thread_may_release_a_biased_read)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    struct worker reader;
    worker_start(&reader, read_and_stay, &rwlock);
    await(atomic_load(&reads));
    ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
    bias(&rwlock); /* its read is counted, and others are in slots again */
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), -EPERM);
    ck_assert_int_eq(write_and_release(&rwlock), 0);
    atomic_store(&may_end, true);
    ck_assert_int_eq(worker_end(&reader), 0);
}
END_TEST

static fx_rwlock read_before_fork;

static int is_still_read(void)
{
    if (fx_rwlock_try_acquire_write(&read_before_fork))
        return 1;
    if (fx_rwlock_release_read(&read_before_fork) != 0)
        return 2;
    return fx_rwlock_try_acquire_write(&read_before_fork) ? 0 : 3;
}

START_TEST(in_a_forked_child_a_biased_lock_is_read_by_whom_it_was)
{
    bias(&read_before_fork);
    struct worker reader;
    worker_start(&reader, read_and_stay, &read_before_fork);
    await(atomic_load(&reads));
    ck_assert_int_eq(child_run(is_still_read), 0);
    atomic_store(&may_end, true);
    ck_assert_int_eq(worker_end(&reader), 0);
    ck_assert_int_eq(fx_rwlock_release_read(&read_before_fork), 0);
}
END_TEST

/* Whatever places these have in the slots, there are more of them than slots. */
START_TEST(many_biased_locks_are_read_at_once)
{
    enum { LOCKS = 3 * FX_RWLOCK_SLOTS };
    fx_rwlock locks[LOCKS] = { 0 };
    for (int i = 0; i < LOCKS; i++)
        bias(&locks[i]);
    for (int i = 0; i < LOCKS; i++)
        ck_assert_int_eq(fx_rwlock_acquire_read(&locks[i]), 0);
    for (int i = 0; i < LOCKS; i++)
        ck_assert(!fx_rwlock_try_acquire_write(&locks[i]));
    for (int i = 0; i < LOCKS; i++)
        ck_assert_int_eq(fx_rwlock_release_read(&locks[i]), 0);
    for (int i = 0; i < LOCKS; i++)
        ck_assert_int_eq(write_and_release(&locks[i]), 0);
}
END_TEST

START_TEST(slots_of_threads_that_have_ended_are_used_again)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    bias(&rwlock);
    int slots = 0;
    for (int i = 0; i < 10; i++) {
        struct worker reader;
        worker_start(&reader, read_and_release, &rwlock);
        ck_assert_int_eq(worker_end(&reader), 0);
    }
    for (struct fxi_reader_slots *all = fxi_reader_slots_first(); all; all = all->next)
        slots++;
    ck_assert_int_le(slots, 2);
}
END_TEST

START_TEST(without_memory_for_slots_readers_are_counted)
{
    fx_rwlock rwlock = FX_RWLOCK_INIT;
    ck_assert_ptr_nonnull(fx_current_thread());
    fx_lock lock = FX_LOCK_INIT;
    ck_assert_int_eq(fx_lock_acquire(&lock), 0); /* so that the thread has a number */
    fxi_rwlock_tuning = (struct fxi_rwlock_tuning){ .sampled = 1, .reads_before_bias = 1 };
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_rwlock_acquire_read(&rwlock), 0);
    fxi_inject_disarm();
    ck_assert_uint_eq(rwlock.word, FX_RWLOCK_READER);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_rwlock_is_eight_bytes_and_zeroes_are_a_free_one);
    tcase_add_test(tests, many_read_together_and_one_writes_alone);
    tcase_add_test(tests, release_of_what_is_not_held_is_eperm);
    tcase_add_test(tests, more_readers_than_can_be_counted_is_eagain);
    tcase_add_test(tests, the_functions_behind_the_inline_ones_do_the_same);
    tcase_add_test(tests, waits_last_their_full_time_and_leave_nothing_behind);
    tcase_add_test(tests, another_thread_may_release);
    tcase_add_test(tests, readers_that_wait_are_let_in_all_together);
    tcase_add_test(tests, readers_behind_writers_in_the_line_go_with_the_first_reader);
    tcase_add_test(tests, a_writer_that_has_starved_keeps_new_readers_out);
    tcase_add_test(tests, a_writer_that_gives_up_lets_those_behind_it_in);
    tcase_add_test(tests, a_reader_that_gives_up_leaves_the_others_waiting);
    tcase_add_test(tests, writers_that_have_starved_are_served_in_order);
    tcase_add_test(tests, a_writer_that_has_starved_is_handed_the_lock);
    tcase_add_loop_test(tests, neither_side_starves_in_a_stream_of_the_other, 0, 2);
    tcase_add_test(tests, foreign_threads_wait_whatever_signals_come);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
    tcase_add_test(tests, readers_never_see_half_of_a_writers_work);
    tcase_add_test(tests, a_lock_that_is_often_read_is_biased_and_its_word_left_alone);
    tcase_add_test(tests, a_write_begins_the_count_of_reads_anew);
    tcase_add_test(tests, a_writer_finds_who_reads_a_biased_lock);
    tcase_add_test(tests, release_of_a_biased_lock_that_nobody_reads_is_eperm);
    tcase_add_test(tests, what_a_thread_reads_when_it_ends_stays_read);
    tcase_add_test(tests, another_thread_may_release_a_biased_read);
    tcase_add_test(tests, in_a_forked_child_a_biased_lock_is_read_by_whom_it_was);
    tcase_add_test(tests, many_biased_locks_are_read_at_once);
    tcase_add_test(tests, slots_of_threads_that_have_ended_are_used_again);
    tcase_add_test(tests, without_memory_for_slots_readers_are_counted);
}

int main(void)
{
    return run_suite("rwlock", add_tests);
}
