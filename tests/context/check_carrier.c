/* lib/context/carrier and lib/context/stack: what threads leave behind is bounded and used again,
 * stacks are of the size asked for and end in guards, and memory that is out is an error. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fxthread.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "child.h"
#include "context/carrier.h"
#include "context/stack.h"
#include "context/thread_record.h"
#include "crew.h"
#include "kernel/inject.h"
#include "kernel/memory.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/proc.h"
#include "../thread/suite.h"

enum {
    KIB = 1024,
    MANY = 300,         /* more than the pool keeps */
    KEPT_AT_MOST = 240, /* idle stacks, what a slab has left, and those that ended all at once */
    TOUCHED = 256 * KIB,
};

static const size_t whole = FXI_STACK_SIZE_DEFAULT;

/* --- the stacks of many --------------------------------------------------------------------- */

static int arrived;

static __attribute__((noinline)) void touch(size_t size)
{
    volatile char *memory = __builtin_alloca(size);
    for (size_t at = 0; at < size; at += 1 * KIB)
        memory[at] = 1;
}

static void *touch_among_all(void *arg)
{
    touch(TOUCHED);
    fxi_add_relaxed(&arrived, 1);
    await(fxi_load_relaxed(&arrived) == MANY);
    return arg;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void run_many(void)
{
    fxi_store_relaxed(&arrived, 0);
    crew_run(MANY, touch_among_all);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    await(task_count() == 1);
}

START_TEST(idle_stacks_are_bounded)
{
    crew_run(1, do_nothing);
    size_t before = status_kib("VmSize");
    run_many();
    size_t more = status_kib("VmSize") - before;
    ck_assert_uint_lt(more, KEPT_AT_MOST * (whole / KIB + 256));
    for (int i = 0; i < 5; i++)
        run_many();
    more = status_kib("VmSize") - before;
    ck_assert_uint_lt(more, KEPT_AT_MOST * (whole / KIB + 256));
}
END_TEST

START_TEST(idle_stacks_give_their_memory_back)
{
    crew_run(1, do_nothing);
    run_many(); /* TCBs are kept: what they take is taken here */
    size_t before = status_kib("RssAnon");
    run_many();
    size_t after = status_kib("RssAnon");
    ck_assert_uint_lt(after, before + 8 * KIB);
    /* Less than the kept ones hold if they keep all that was touched. */
    ck_assert_uint_lt(after, (size_t)MANY * TOUCHED / KIB / 4);
}
END_TEST

START_TEST(threads_one_after_the_other_use_the_same_stack)
{
    crew_run_in_sequence(20, do_nothing);
    size_t before = status_kib("VmSize"), mappings = mapping_count();
    crew_run_in_sequence(scaled(2000), do_nothing);
    /* A start may find that the last thread has not quite ended, and then a new slab is mapped. */
    ck_assert_uint_le(status_kib("VmSize"), before + 40 * whole / KIB);
    ck_assert_uint_le(mapping_count(), mappings + 8);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

/* --- sizes ---------------------------------------------------------------------------------- */

static size_t wanted;

static void *look_at_own_stack(void *arg)
{
    const struct fxi_stack *stack = &fxi_thread_of(fxi_current)->carrier->stack;
    char here = 0;
    pthread_attr_t attr;
    void *base = NULL;
    size_t size = 0;
    expect_int(stack->size, ==, fxi_stack_round(wanted));
    expect((uintptr_t)&here - (uintptr_t)stack->base < stack->size);
    if (expect(pthread_getattr_np(pthread_self(), &attr) == 0)) {
        expect(pthread_attr_getstack(&attr, &base, &size) == 0);
        expect(base == stack->base);
        expect_int(size, ==, stack->size);
        pthread_attr_destroy(&attr);
    }
    touch((size_t)(&here - stack->base) - 8 * KIB);
    return arg;
}

static int run_with_stack(fx_target fn, size_t size)
{
    fx_thread *thread = fx_thread_new(fn, NULL, &(fx_thread_attr){.stack_size = size});
    int rc = thread ? fx_thread_start(thread) : -errno;
    if (rc == 0)
        rc = fx_thread_join(thread, NULL);
    fx_thread_unref(thread);
    return rc;
}

static const size_t sizes[] = {8192 * KIB, 64 * KIB, 1024 * KIB, 32 * KIB, 33 * KIB, 100001,
                               64 * KIB, 16384 * KIB, 8192 * KIB};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(a_stack_has_the_size_that_was_asked_for_and_all_of_it_is_of_use)
{
    for (int i = 0; i < SIZES; i++) {
        wanted = sizes[i];
        ck_assert_int_eq(run_with_stack(look_at_own_stack, sizes[i]), 0);
        ck_assert_msg(!record_failure(), "%s", record_failure());
    }
}
END_TEST

START_TEST(changing_sizes_leave_nothing_behind)
{
    for (int i = 0; i < 5 * SIZES; i++)
        ck_assert_int_eq(run_with_stack(do_nothing, sizes[i % SIZES]), 0);
    size_t before = status_kib("VmSize"), mappings = mapping_count();
    for (int i = 0; i < scaled(50) * SIZES; i++)
        ck_assert_int_eq(run_with_stack(do_nothing, sizes[i % SIZES]), 0);
    ck_assert_uint_lt(status_kib("VmSize"), before + 200 * KIB);
    ck_assert_uint_lt(mapping_count(), mappings + 50);
}
END_TEST

START_TEST(a_stack_that_no_memory_can_hold_is_enomem)
{
    const size_t page = fxi_page_size();
    const size_t too_large[] = {(size_t)1 << 62, PTRDIFF_MAX, PTRDIFF_MAX - page,
                                (size_t)PTRDIFF_MAX + 1, SIZE_MAX / page * page};
    ck_assert_int_eq(run_with_stack(do_nothing, too_large[_i]), -ENOMEM);
    ck_assert_int_eq(run_with_stack(do_nothing, 0), 0);
}
END_TEST

static int start_with_a_size_that_wraps_around(void)
{
    return run_with_stack(do_nothing, SIZE_MAX) == -ENOMEM &&
                   run_with_stack(do_nothing, 0) == 0 ? 0 : 1;
}

/* In a child: a thread without a stack would run on its starter's. */
START_TEST(a_size_that_cannot_be_rounded_up_is_enomem_too)
{
    ck_assert_int_eq(child_run(start_with_a_size_that_wraps_around), 0);
}
END_TEST

/* --- guards --------------------------------------------------------------------------------- */

enum { OUTER_GUARD_LOW, OUTER_GUARD_HIGH, INNER_GUARD_LOW, INNER_GUARD_HIGH, PLACES };

static struct fxi_stack stack;

static char *guarded_byte(int place)
{
    switch (place) {
    case OUTER_GUARD_LOW:
        return stack.reserve;
    case OUTER_GUARD_HIGH:
        return stack.reserve + fxi_page_size();
    case INNER_GUARD_LOW:
        return stack.base - fxi_page_size();
    default:
        return stack.base - 1;
    }
}

static int place_to_write;

static int write_to_guard(void)
{
    signal(SIGSEGV, SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    *(volatile char *)guarded_byte(place_to_write) = 1;
    return 0;
}

static int write_to_all_the_rest(void)
{
    char *alternate_end = stack.reserve + (stack.reserve_size - stack.size) -
                          (stack.reserve_size - stack.size - stack.alternate_size) / 2;
    for (size_t i = 0; i < stack.alternate_size; i++)
        *(volatile char *)(alternate_end - 1 - i) = 1;
    for (size_t i = 0; i < stack.size; i++)
        ((volatile char *)stack.base)[i] = 1;
    return 0;
}

/* Twice: the second is cut from what the first left, or from a slab. */
START_TEST(the_guards_fault_and_all_between_them_can_be_used)
{
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(fxi_stack_map(&stack, 64 * KIB), 0);
        ck_assert_uint_eq(stack.size, 64 * KIB);
        ck_assert_ptr_eq(stack.base + stack.size, stack.reserve + stack.reserve_size);
        for (place_to_write = 0; place_to_write < PLACES; place_to_write++)
            ck_assert_int_eq(child_run(write_to_guard), -SIGSEGV);
        ck_assert_int_eq(child_run(write_to_all_the_rest), 0);
        ck_assert(fxi_stack_overflowed_at(&stack, stack.base - 1));
        ck_assert(!fxi_stack_overflowed_at(&stack, stack.base));
        ck_assert(!fxi_stack_overflowed_at(&stack, stack.reserve));
        ck_assert(!fxi_stack_overflowed_at(&stack, NULL));
        if (round == 1)
            fxi_stack_unmap(&stack);
    }
    ck_assert_ptr_null(stack.reserve);
}
END_TEST

START_TEST(a_stack_that_sheds_keeps_its_top_and_its_guards)
{
    enum { TOP = 4 * KIB };
    ck_assert_int_eq(fxi_stack_map(&stack, 1024 * KIB), 0);
    memset(stack.base, 7, stack.size);
    fxi_stack_shed(&stack);
    for (size_t i = 0; i < TOP; i++)
        ck_assert_int_eq(stack.base[stack.size - 1 - i], 7);
    ck_assert_int_eq(stack.base[0], 0);
    for (place_to_write = 0; place_to_write < PLACES; place_to_write++)
        ck_assert_int_eq(child_run(write_to_guard), -SIGSEGV);
    fxi_stack_unmap(&stack);
}
END_TEST

/* --- faults --------------------------------------------------------------------------------- */

START_TEST(a_stack_that_cannot_be_mapped_or_guarded_is_enomem_and_leaves_nothing)
{
    /* Of a size of its own each time, so that nothing is left of a slab. */
    size_t size = 64 * KIB, before = status_kib("VmSize");
    unsigned n = 1, failed = 0;
    for (int rc = -ENOMEM; n < 10; n++, size += 64 * KIB) {
        fxi_inject_arm(FXI_INJECT_MMAP, n, ENOMEM);
        rc = fxi_stack_map(&stack, size);
        bool was_reached = fxi_inject_count(FXI_INJECT_MMAP) >= n;
        fxi_inject_disarm();
        if (rc == 0) {
            fxi_stack_unmap(&stack);
            if (!was_reached)
                break;
            continue;
        }
        failed++;
        ck_assert_int_eq(rc, -ENOMEM);
        ck_assert_ptr_null(stack.reserve);
    }
    ck_assert_uint_lt(n, 10);
    ck_assert_uint_ge(failed, 2); /* at least the guards: a slab that fails is tried smaller */
    ck_assert_uint_lt(status_kib("VmSize"), before + 1024);
}
END_TEST

START_TEST(a_start_that_no_stack_can_be_had_for_is_enomem_and_can_be_tried_again)
{
    for (unsigned n = 1; n < 8; n++) {
        size_t size = (64 + 4 * n) * (size_t)KIB;
        fx_thread *thread =
            fx_thread_new(do_nothing, NULL, &(fx_thread_attr){.stack_size = size});
        ck_assert_ptr_nonnull(thread);
        fxi_inject_arm(FXI_INJECT_MMAP, n, ENOMEM);
        int rc = fx_thread_start(thread);
        fxi_inject_disarm();
        ck_assert(rc == 0 || rc == -ENOMEM);
        if (rc != 0) {
            ck_assert(!fx_thread_is_alive(thread));
            ck_assert_int_eq(fx_thread_start(thread), 0);
        }
        ck_assert_int_eq(fx_thread_join(thread, NULL), 0);
        fx_thread_unref(thread);
    }
    ck_assert_uint_eq(fx_active_count(), 1);
}
END_TEST

/* The stack of an idle carrier is given up for a new one of another size. */
START_TEST(a_start_takes_idle_stacks_back_before_it_fails)
{
    fxi_store_relaxed(&arrived, MANY - 20);
    crew_run(20, touch_among_all);
    await(task_count() == 1);
    for (unsigned n = 1; n <= 3; n++) {
        size_t size = (2048 + 4 * n) * (size_t)KIB;
        fx_thread *thread =
            fx_thread_new(do_nothing, NULL, &(fx_thread_attr){.stack_size = size});
        size_t before = status_kib("VmSize");
        fxi_inject_arm(FXI_INJECT_MMAP, n, ENOMEM);
        ck_assert_int_eq(fx_thread_start(thread), 0);
        fxi_inject_disarm();
        ck_assert_int_eq(fx_thread_join(thread, NULL), 0);
        ck_assert_uint_lt(status_kib("VmSize"), before);
        fx_thread_unref(thread);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, idle_stacks_are_bounded);
    tcase_add_test(tests, idle_stacks_give_their_memory_back);
    tcase_add_test(tests, threads_one_after_the_other_use_the_same_stack);
    tcase_add_test(tests, a_stack_has_the_size_that_was_asked_for_and_all_of_it_is_of_use);
    tcase_add_test(tests, changing_sizes_leave_nothing_behind);
    tcase_add_loop_test(tests, a_stack_that_no_memory_can_hold_is_enomem, 0, 5);
    tcase_add_test(tests, a_size_that_cannot_be_rounded_up_is_enomem_too);
    tcase_add_test(tests, the_guards_fault_and_all_between_them_can_be_used);
    tcase_add_test(tests, a_stack_that_sheds_keeps_its_top_and_its_guards);
    tcase_add_test(tests, a_stack_that_cannot_be_mapped_or_guarded_is_enomem_and_leaves_nothing);
    tcase_add_test(tests, a_start_that_no_stack_can_be_had_for_is_enomem_and_can_be_tried_again);
    tcase_add_test(tests, a_start_takes_idle_stacks_back_before_it_fails);
}

int main(void)
{
    /* Sanitizers' own memory is counted with the process's. */
    if (THREADS_ARE_PTHREADS || SIGNAL_STACK_IS_TAKEN)
        return TEST_SKIPPED;
    return run_suite("carrier", add_tests);
}
