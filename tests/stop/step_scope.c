/* A stop after every single instruction of what scopes, guards and libc do: each FX_FINALLY runs
 * once, what is held is given back once, and libc is whole. */
#define _GNU_SOURCE
#include <string.h>

#include "../thread/suite.h"
#include "step.h"

#if CAN_STEP

static int entered, finally_ran, caught, deferred;

static void reset(void)
{
    entered = finally_ran = caught = deferred = 0;
}

/* --- FX_TRY --- */

static void tries(void)
{
    step_begin();
    FX_TRY { entered++; } FX_FINALLY { finally_ran++; } FX_END
    step_end();
}

/* A stop between the beginning of the block and its first statement has FX_FINALLY run without it.
 * */
static void look_at_finally(long k)
{
    ck_assert_msg(finally_ran == entered || (finally_ran == 1 && entered == 0),
                  "after %ld: entered %d, finally %d", k, entered, finally_ran);
    if (k == 0)
        ck_assert_int_eq(finally_ran, 1);
}

START_TEST(a_block_with_finally)
{
    ck_assert_int_gt(step_through(tries, reset, look_at_finally), 10);
}
END_TEST

static void raises(void)
{
    step_begin();
    FX_TRY {
        entered++;
        fx_raise(6);
    } FX_EXCEPT(e) {
        caught++;
    } FX_FINALLY {
        finally_ran++;
    } FX_END
    step_end();
}

static void look_at_raise(long k)
{
    look_at_finally(k);
    ck_assert_int_le(caught, entered);
    if (k == 0)
        ck_assert_int_eq(caught, 1);
}

START_TEST(a_raise_that_is_caught)
{
    step_through(raises, reset, look_at_raise);
}
END_TEST

static int leaves_by_return(void)
{
    FX_TRY {
        entered++;
        return 3;
    } FX_FINALLY {
        finally_ran++;
    } FX_END
    return 4;
}

static void returns_out(void)
{
    step_begin();
    int rc = leaves_by_return();
    step_end();
    expect_int(rc, ==, 3);
}

START_TEST(a_return_out_of_a_block)
{
    step_through(returns_out, reset, look_at_finally);
}
END_TEST

static void nested(void)
{
    step_begin();
    FX_TRY {
        entered++;
        FX_TRY { entered++; } FX_FINALLY { finally_ran++; } FX_END
    } FX_FINALLY {
        finally_ran++;
    } FX_END
    step_end();
}

static void look_at_nested(long k)
{
    ck_assert_msg(finally_ran >= entered && finally_ran <= entered + 1, "after %ld: %d, %d", k,
                  entered, finally_ran);
}

START_TEST(nested_blocks)
{
    step_through(nested, reset, look_at_nested);
}
END_TEST

static void count_deferred(void *arg)
{
    (void)arg;
    deferred++;
}

static void defers(void)
{
    step_begin();
    {
        FX_DEFER(count_deferred, NULL);
        entered++;
        FX_DEFER(count_deferred, NULL);
        entered++;
    }
    step_end();
}

static void look_at_deferred(long k)
{
    ck_assert_msg(deferred >= entered && deferred <= entered + 1, "after %ld: %d, %d", k, entered,
                  deferred);
}

START_TEST(deferred_calls)
{
    step_through(defers, reset, look_at_deferred);
}
END_TEST

static void disables(void)
{
    step_begin();
    fx_stop_disable();
    entered++;
    fx_checkpoint();
    finally_ran++;
    fx_stop_enable();
    step_end();
}

static void look_at_disabled(long k)
{
    ck_assert_msg(entered == finally_ran, "after %ld", k);
}

START_TEST(a_disabled_region)
{
    step_through(disables, reset, look_at_disabled);
}
END_TEST

/* --- guards, with nobody else there --- */

static fx_lock lock;
static fx_rlock rlock;
static fx_rwlock rwlock;
static fx_semaphore semaphore = FX_BOUNDED_SEMAPHORE_INIT(2);

static void with_lock(void)
{
    step_begin();
    FX_WITH(&lock)
        entered++;
    step_end();
}

static void look_at_lock(long k)
{
    ck_assert_msg(!fx_lock_locked(&lock), "after %ld", k);
    ck_assert(fx_lock_try_acquire(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}

START_TEST(a_lock_in_with)
{
    step_through(with_lock, reset, look_at_lock);
}
END_TEST

static void with_rlock(void)
{
    step_begin();
    FX_WITH(&rlock) FX_WITH(&rlock)
        entered++;
    step_end();
}

static void look_at_rlock(long k)
{
    ck_assert_msg(!fx_rlock_locked(&rlock), "after %ld", k);
}

START_TEST(an_rlock_in_with_twice)
{
    step_through(with_rlock, reset, look_at_rlock);
}
END_TEST

static void with_semaphore(void)
{
    step_begin();
    FX_WITH(&semaphore)
        entered++;
    step_end();
}

static void look_at_semaphore(long k)
{
    ck_assert_msg(fx_semaphore_value(&semaphore) == 2, "after %ld", k);
}

START_TEST(a_semaphore_in_with)
{
    step_through(with_semaphore, reset, look_at_semaphore);
}
END_TEST

static void with_reading(void)
{
    step_begin();
    FX_WITH(fx_reading(&rwlock))
        entered++;
    step_end();
}

static void with_writing(void)
{
    step_begin();
    FX_WITH(fx_writing(&rwlock))
        entered++;
    step_end();
}

static void look_at_rwlock(long k)
{
    ck_assert_msg(fx_rwlock_try_acquire_write(&rwlock), "after %ld", k);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
}

START_TEST(both_sides_of_an_rwlock_in_with)
{
    step_through(with_reading, reset, look_at_rwlock);
    step_through(with_writing, reset, look_at_rwlock);
}
END_TEST

/* --- libc --- */

static void *volatile block;

static void mallocs(void)
{
    step_begin();
    block = malloc(5000);
    free(block);
    block = malloc(40);
    free(block);
    step_end();
}

static void look_at_heap(long k)
{
    (void)k;
    void *blocks[10];
    for (size_t i = 0; i < 10; i++) {
        blocks[i] = malloc(i % 2 ? 40 : 5000);
        ck_assert_ptr_nonnull(blocks[i]);
        memset(blocks[i], 1, 40);
    }
    for (size_t i = 0; i < 10; i++)
        free(blocks[i]);
}

START_TEST(malloc_and_free)
{
    step_through(mallocs, NULL, look_at_heap);
}
END_TEST

static FILE *stream;

static void prints(void)
{
    step_begin();
    fprintf(stream, "x%d", 7);
    step_end();
}

static void look_at_stream(long k)
{
    ck_assert_msg(ftrylockfile(stream) == 0, "after %ld", k);
    funlockfile(stream);
}

START_TEST(printf_to_a_stream)
{
    stream = fopen("/dev/null", "we");
    step_through(prints, NULL, look_at_stream);
    fclose(stream);
}
END_TEST

static int compare(const void *one, const void *other)
{
    block = malloc(40);
    free(block);
    return *(const int *)one - *(const int *)other;
}

static void sorts(void)
{
    int numbers[] = { 3, 1, 2 };
    step_begin();
    qsort(numbers, 3, sizeof *numbers, compare);
    step_end();
    expect(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
}

START_TEST(qsort_with_a_callback_that_mallocs)
{
    step_through(sorts, NULL, look_at_heap);
}
END_TEST

/* --- swapcontext, whose unwind information is that of one of its two stacks --- */

static ucontext_t here, there;
static int switched;

static void switch_back(void)
{
    for (;;) {
        switched++;
        swapcontext(&there, &here);
    }
}

static void switches(void)
{
    static char stack[64 << 10];
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    makecontext(&there, switch_back, 0);
    swapcontext(&here, &there);
    step_begin();
    swapcontext(&here, &there);
    step_end();
}

static void look_at_switches(long k)
{
    ck_assert_msg(switched >= 1, "after %ld", k);
    switched = 0;
}

START_TEST(a_change_of_stacks)
{
    ck_assert_int_gt(step_through(switches, NULL, look_at_switches), 40);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_block_with_finally);
    tcase_add_test(tests, a_raise_that_is_caught);
    tcase_add_test(tests, a_return_out_of_a_block);
    tcase_add_test(tests, nested_blocks);
    tcase_add_test(tests, deferred_calls);
    tcase_add_test(tests, a_disabled_region);
    tcase_add_test(tests, a_lock_in_with);
    tcase_add_test(tests, an_rlock_in_with_twice);
    tcase_add_test(tests, a_semaphore_in_with);
    tcase_add_test(tests, both_sides_of_an_rwlock_in_with);
    tcase_add_test(tests, malloc_and_free);
    tcase_add_test(tests, printf_to_a_stream);
    tcase_add_test(tests, qsort_with_a_callback_that_mallocs);
    tcase_add_test(tests, a_change_of_stacks);
}

int main(void)
{
    return run_suite("step_scope", add_tests);
}

#else

int main(void)
{
    return TEST_SKIPPED;
}

#endif
