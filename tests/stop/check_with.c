/* FX_WITH and FX_GUARD: every kind of resource is held inside, and released however the block is
 * left. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>

#include "../support/record.h"
#include "../thread/suite.h"
#include "raise_below.h"
#include "trace.h"

/* A resource of each kind, and whether it is acquired at the moment. */
static fx_lock lock;
static fx_rlock rlock;
static fx_semaphore semaphore = FX_SEMAPHORE_INIT(1);
static fx_rwlock rwlock;

static bool lock_is_held(void)
{
    return fx_lock_locked(&lock);
}

static bool rlock_is_held(void)
{
    return fx_rlock_owned(&rlock);
}

static bool semaphore_is_held(void)
{
    return fx_semaphore_value(&semaphore) == 0;
}

static bool reading_is_held(void)
{
    bool writable = fx_rwlock_try_acquire_write(&rwlock);
    if (writable)
        fx_rwlock_release_write(&rwlock);
    return !writable;
}

static bool writing_is_held(void)
{
    bool readable = fx_rwlock_try_acquire_read(&rwlock);
    if (readable)
        fx_rwlock_release_read(&rwlock);
    return !readable;
}

enum { END, BREAK, CONTINUE, RETURN, GOTO, RAISE, WAYS };

/* Leaves the block of FX_WITH(ptr), and that of FX_GUARD(ptr), in the way asked for; returns how often
 * the resource was held inside, of 2. */
#define LEAVES(name, ptr)                                   \
    static int leave_##name(int way, volatile int *held)    \
    {                                                       \
        FX_WITH(ptr) {                                      \
            *held += name##_is_held();                      \
            if (way == BREAK)                               \
                break;                                      \
            if (way == CONTINUE)                            \
                continue;                                   \
            if (way == RETURN)                              \
                return *held;                               \
            if (way == GOTO)                                \
                goto out;                                   \
            raise_below(2, way == RAISE ? way : 0);         \
        }                                                   \
    out:                                                    \
        return *held;                                       \
    }                                                       \
    static int guard_##name(int way, volatile int *held)    \
    {                                                       \
        for (int i = 0; i < 1; i++) {                       \
            FX_GUARD(ptr);                                  \
            *held += name##_is_held();                      \
            if (way == BREAK)                               \
                break;                                      \
            if (way == CONTINUE)                            \
                continue;                                   \
            if (way == RETURN)                              \
                return *held;                               \
            if (way == GOTO)                                \
                goto out;                                   \
            raise_below(2, way == RAISE ? way : 0);         \
        }                                                   \
    out:                                                    \
        return *held;                                       \
    }                                                       \
    START_TEST(name##_is_held_inside_and_released_however_it_is_left) \
    {                                                       \
        for (int way = END; way < WAYS; way++) {            \
            volatile int held = 0, raised = 0;              \
            FX_TRY { leave_##name(way, &held); } FX_EXCEPT(e) { raised++; } FX_END \
            ck_assert(!name##_is_held());                   \
            FX_TRY { guard_##name(way, &held); } FX_EXCEPT(e) { raised++; } FX_END \
            ck_assert(!name##_is_held());                   \
            ck_assert_int_eq(held, 2);                      \
            ck_assert_int_eq(raised, way == RAISE ? 2 : 0); \
        }                                                   \
        ck_assert_ptr_null(fx_scope_own->innermost);                  \
    }                                                       \
    END_TEST
LEAVES(lock, &lock)
LEAVES(rlock, &rlock)
LEAVES(semaphore, &semaphore)
LEAVES(reading, fx_reading(&rwlock))
LEAVES(writing, fx_writing(&rwlock))

START_TEST(its_block_runs_once_and_its_operand_is_evaluated_once)
{
    fx_lock locks[2] = { FX_LOCK_INIT, FX_LOCK_INIT };
    fx_lock *next = locks;
    int blocks = 0;
    FX_WITH(next++) {
        blocks++;
        ck_assert(fx_lock_locked(&locks[0]));
    }
    ck_assert(!fx_lock_locked(&locks[0]));
    ck_assert_int_eq(blocks, 1);
    ck_assert_ptr_eq(next, &locks[1]);
    FX_GUARD(next++);
    ck_assert(fx_lock_locked(&locks[1]));
    ck_assert_ptr_eq(next, &locks[2]);
}
END_TEST

START_TEST(what_cannot_be_acquired_raises_and_the_block_does_not_run)
{
    fx_exc code = 0;
    fx_rlock_acquire(&rlock);
    rlock.again = UINT32_MAX; /* as often as can be */
    FX_TRY { FX_WITH(&rlock) { note("block"); } }
    FX_EXCEPT(e) {
        code = e;
        ck_assert_str_eq(fx_caught()->file, __FILE__);
    } FX_END
    ck_assert_int_eq(code, -EAGAIN);
    ck_assert_uint_eq(rlock.again, UINT32_MAX);
    rlock.again = 0;
    ck_assert_int_eq(fx_rlock_release(&rlock), 0);
    ck_assert(traced(""));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

START_TEST(several_are_released_in_reverse_and_recursive_ones_as_often_as_acquired)
{
    FX_TRY {
        FX_WITH(&rlock) {
            FX_WITH(&rlock) {
                FX_GUARD(&rlock);
                FX_GUARD(&lock);
                FX_DEFER(note_deferred, fx_lock_locked(&lock) ? "held" : "free");
                ck_assert_uint_eq(rlock.again, 2);
                raise_below(1, 3);
            }
        }
    } FX_EXCEPT(e) { note("caught"); } FX_END
    ck_assert(traced("held caught"));
    ck_assert(!fx_rlock_owned(&rlock));
    ck_assert(!fx_lock_locked(&lock));
}
END_TEST

static void *acquire_for_good(void *arg)
{
    expect_int(fx_lock_acquire(arg), ==, 0);
    return NULL;
}

START_TEST(a_lock_that_the_block_gave_to_another_thread_stays_with_that)
{
    for (int raises = 0; raises < 2; raises++) {
        FX_TRY {
            FX_WITH(&lock) {
                ck_assert_int_eq(fx_lock_release(&lock), 0);
                fx_thread *t = fx_thread_spawn(acquire_for_good, &lock);
                ck_assert_int_eq(fx_thread_join(t, NULL), 0);
                fx_thread_unref(t);
                raise_below(1, raises);
            }
        } FX_EXCEPT(e) { note("caught"); } FX_END
        ck_assert(fx_lock_locked(&lock));
        ck_assert_int_eq(fx_lock_release(&lock), 0);
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
    ck_assert(traced("caught"));
}
END_TEST

static void *end_inside(void *how)
{
    FX_WITH(&lock) {
        FX_WITH(&semaphore) {
            FX_GUARD(fx_writing(&rwlock));
            if (how)
                fx_thread_exit(how);
            fx_raise(FX_STOPPED);
        }
    }
    return NULL;
}

START_TEST(a_thread_that_ends_inside_releases_all)
{
    static int exits;
    void *how[] = { &exits, NULL };
    for (int i = 0; i < 2; i++) {
        void *result;
        fx_thread *t = fx_thread_spawn(end_inside, how[i]);
        ck_assert_int_eq(fx_thread_join(t, &result), 0);
        ck_assert_ptr_eq(result, how[i]);
        ck_assert_int_eq(fx_thread_exception(t), how[i] ? FX_EXITED : FX_STOPPED);
        ck_assert(!lock_is_held());
        ck_assert(!semaphore_is_held());
        ck_assert(!reading_is_held());
        fx_thread_unref(t);
    }
}
END_TEST

enum { ROUNDS = 2000, THREADS = 4 };
static int counter;

static void *count_with_exceptions(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        FX_TRY {
            FX_WITH(&lock) {
                counter++;
                raise_below(1, i % 3);
            }
        } FX_EXCEPT(e) { } FX_END
    }
    return arg;
}

START_TEST(a_lock_excludes_others_whatever_exceptions_there_are)
{
    fx_thread *t[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_nonnull(t[i] = fx_thread_spawn(count_with_exceptions, NULL));
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(fx_thread_join(t[i], NULL), 0);
        fx_thread_unref(t[i]);
    }
    ck_assert_int_eq(counter, ROUNDS * THREADS);
    ck_assert(!lock_is_held());
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, lock_is_held_inside_and_released_however_it_is_left);
    tcase_add_test(tests, rlock_is_held_inside_and_released_however_it_is_left);
    tcase_add_test(tests, semaphore_is_held_inside_and_released_however_it_is_left);
    tcase_add_test(tests, reading_is_held_inside_and_released_however_it_is_left);
    tcase_add_test(tests, writing_is_held_inside_and_released_however_it_is_left);
    tcase_add_test(tests, its_block_runs_once_and_its_operand_is_evaluated_once);
    tcase_add_test(tests, what_cannot_be_acquired_raises_and_the_block_does_not_run);
    tcase_add_test(tests, several_are_released_in_reverse_and_recursive_ones_as_often_as_acquired);
    tcase_add_test(tests, a_lock_that_the_block_gave_to_another_thread_stays_with_that);
    tcase_add_test(tests, a_thread_that_ends_inside_releases_all);
    tcase_add_test(tests, a_lock_excludes_others_whatever_exceptions_there_are);
}

int main(void)
{
    return run_suite("with", add_tests);
}
