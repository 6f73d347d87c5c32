/* lib/kernel/jump: what a jump brings back. */
#define _GNU_SOURCE
#include <check.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "kernel/jump.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

#define NOINLINE __attribute__((noinline))

static struct fxi_jump target;

START_TEST(a_save_returns_0_and_after_a_jump_the_value)
{
    static const int values[] = {1, 2, -1, INT_MAX, INT_MIN, 0x10000, 0};
    volatile unsigned at = 0, saves = 0;
    for (at = 0; at < sizeof values / sizeof values[0]; at++) {
        volatile bool jumped = false;
        int got = fxi_jump_save(&target);
        if (!jumped) {
            ck_assert_int_eq(got, 0);
            jumped = true;
            saves++;
            fxi_jump_to(&target, values[at]);
        }
        ck_assert_int_eq(got, values[at]);
    }
    ck_assert_uint_eq(saves, sizeof values / sizeof values[0]);
}
END_TEST

/* Overwrites every register that a call preserves, but for the frame pointer, and jumps, so that
 * nothing puts them back. */
static NOINLINE void spoil_registers_and_jump(int value)
{
#if defined __x86_64__
    __asm__ volatile("mov $-1, %%rbx\n\tmov $-1, %%r12\n\tmov $-1, %%r13\n\tmov $-1, %%r14\n\t"
                     "mov $-1, %%r15" ::: "rbx", "r12", "r13", "r14", "r15");
#elif defined __aarch64__
    __asm__ volatile("mov x19, -1\n\tmov x20, -1\n\tmov x21, -1\n\tmov x22, -1\n\tmov x23, -1\n\t"
                     "mov x24, -1\n\tmov x25, -1\n\tmov x26, -1\n\tmov x27, -1\n\tmov x28, -1\n\t"
                     "movi d8, 0\n\tmovi d9, 0\n\tmovi d10, 0\n\tmovi d11, 0\n\tmovi d12, 0\n\t"
                     "movi d13, 0\n\tmovi d14, 0\n\tmovi d15, 0"
                     ::: "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
                     "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15");
#endif
    fxi_jump_to(&target, value);
}

/* Without the attribute that tells of two returns the compiler keeps values in registers across the
 * call, as it does across any. */
static int (*volatile save_as_any_function)(struct fxi_jump *) = fxi_jump_save;
static void (*volatile spoil_as_any_function)(int) = spoil_registers_and_jump;

static volatile uint64_t seeds[10] = {11, 22, 33, 44, 55, 66, 77, 88, 99, 110};
static volatile double real_seeds[8] = {1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5};

static NOINLINE bool integers_survive(void)
{
    uint64_t a = seeds[0], b = seeds[1], c = seeds[2], d = seeds[3], e = seeds[4];
    uint64_t f = seeds[5], g = seeds[6], h = seeds[7], i = seeds[8], j = seeds[9];
    if (save_as_any_function(&target) == 0)
        spoil_as_any_function(1);
    return a == 11 && b == 22 && c == 33 && d == 44 && e == 55 && f == 66 && g == 77 && h == 88 &&
           i == 99 && j == 110;
}

static NOINLINE bool reals_survive(void)
{
    double a = real_seeds[0], b = real_seeds[1], c = real_seeds[2], d = real_seeds[3];
    double e = real_seeds[4], f = real_seeds[5], g = real_seeds[6], h = real_seeds[7];
    if (save_as_any_function(&target) == 0)
        spoil_as_any_function(1);
    double sum = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
    return sum > 221.9 && sum < 222.1;
}

START_TEST(registers_that_a_call_preserves_are_as_they_were)
{
    for (int i = 0; i < 100; i++) {
        ck_assert(integers_survive());
        ck_assert(reals_survive());
    }
}
END_TEST

static NOINLINE int descend_and_jump(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth > 0)
        return descend_and_jump(depth - 1) + frame[0];
    spoil_as_any_function(5);
    return frame[0];
}

START_TEST(a_jump_out_of_deep_calls_leaves_the_stack_as_it_was)
{
    unsigned char pattern[512], expected[512];
    memset(pattern, 0xa5, sizeof pattern);
    memset(expected, 0xa5, sizeof expected);
    volatile int rounds = scaled(2000);
    char *volatile frame = __builtin_frame_address(0);
    for (volatile int i = 0; i < rounds; i++) {
        int got = fxi_jump_save(&target);
        if (got == 0)
            descend_and_jump(100);
        ck_assert_int_eq(got, 5);
        ck_assert_ptr_eq(__builtin_frame_address(0), frame);
        ck_assert_mem_eq(pattern, expected, sizeof pattern);
    }
}
END_TEST

START_TEST(the_same_place_can_be_jumped_to_again_and_again)
{
    volatile int jumps = 0;
    int got = fxi_jump_save(&target);
    ck_assert_int_eq(got, jumps);
    if (jumps < 50) {
        jumps++;
        fxi_jump_to(&target, jumps);
    }
    ck_assert_int_eq(got, 50);
}
END_TEST

START_TEST(of_nested_places_each_is_reached)
{
    struct fxi_jump outer, inner;
    volatile int reached_inner = 0;
    int got = fxi_jump_save(&outer);
    if (got == 0) {
        if (fxi_jump_save(&inner) == 0)
            fxi_jump_to(&inner, 3);
        reached_inner++;
        fxi_jump_to(&outer, 4);
    }
    ck_assert_int_eq(got, 4);
    ck_assert_int_eq(reached_inner, 1);
}
END_TEST

static void jump_out_of_handler(int number)
{
    fxi_jump_to(&target, number);
}

START_TEST(a_jump_from_another_stack_arrives_and_leaves_the_mask_alone)
{
    size_t size = 64 << 10;
    stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
    struct sigaction action = {.sa_handler = jump_out_of_handler, .sa_flags = SA_ONSTACK};
    ck_assert_ptr_nonnull(stack.ss_sp);
    ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    int got = fxi_jump_save(&target);
    if (got == 0)
        raise(SIGUSR1);
    ck_assert_int_eq(got, SIGUSR1);
    sigset_t mask;
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    ck_assert_int_eq(sigismember(&mask, SIGUSR1), 1);
    ck_assert_int_eq(sigaltstack(NULL, &stack), 0);
    ck_assert_int_eq(stack.ss_flags & SS_ONSTACK, 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_save_returns_0_and_after_a_jump_the_value);
    tcase_add_test(tests, registers_that_a_call_preserves_are_as_they_were);
    tcase_add_test(tests, a_jump_out_of_deep_calls_leaves_the_stack_as_it_was);
    tcase_add_test(tests, the_same_place_can_be_jumped_to_again_and_again);
    tcase_add_test(tests, of_nested_places_each_is_reached);
    /* Sanitizers put off signals, or keep shadows of the stack that the handler runs on. */
    if (!SIGNAL_STACK_IS_TAKEN && !THREADS_ARE_PTHREADS)
        tcase_add_test(tests, a_jump_from_another_stack_arrives_and_leaves_the_mask_alone);
}

int main(void)
{
    return run_suite("jump", add_tests);
}
