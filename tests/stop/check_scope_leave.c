/* Scopes that are left by return, break, continue or goto, and deferred calls. */
#define _GNU_SOURCE
#include <fxthread.h>

#include "../thread/suite.h"
#include "raise_below.h"
#include "trace.h"

static int freed;

static void count_free(void *payload)
{
    (void)payload;
    freed++;
}

struct wide {
    long number[20];
};

typedef long pair __attribute__((vector_size(16)));

#define RETURNS_THROUGH_FINALLY(name, type, value)  \
    __attribute__((noinline)) static type name(int x) \
    {                                               \
        FX_TRY {                                    \
            if (x > 0)                              \
                return value;                       \
            note("end");                            \
        } FX_FINALLY {                              \
            note("finally");                        \
            scribble(x);                            \
        } FX_END                                    \
        x = 0;                                      \
        return value;                               \
    }
RETURNS_THROUGH_FINALLY(return_int, int, x * 7 + 1)
RETURNS_THROUGH_FINALLY(return_double, double, x * 1.5)
RETURNS_THROUGH_FINALLY(return_long_double, long double, x * 2.5L)
RETURNS_THROUGH_FINALLY(return_pair, pair, ((pair){ x, x + 1 }))
RETURNS_THROUGH_FINALLY(return_wide, struct wide, ((struct wide){ { x, [19] = x + 2 } }))

START_TEST(return_runs_finally_and_keeps_its_value)
{
    ck_assert_int_eq(return_int(3), 22);
    ck_assert(return_double(3) == 4.5);
    ck_assert(return_long_double(3) == 7.5L);
    ck_assert_int_eq(return_pair(3)[0], 3);
    ck_assert_int_eq(return_pair(3)[1], 4);
    ck_assert_int_eq(return_wide(3).number[0], 3);
    ck_assert_int_eq(return_wide(3).number[19], 5);
    ck_assert(traced("finally finally finally finally finally finally finally"));
    ck_assert_int_eq(return_int(-3), 1);
    ck_assert(traced("end finally"));
}
END_TEST

static int return_from_the_middle(int how)
{
    FX_TRY {
        FX_TRY {
            FX_TRY {
                if (how == 0)
                    return 10;
                fx_raise(1);
            } FX_EXCEPT(e) { note("except"); if (how == 1) return 11; }
            FX_FINALLY { note("1"); scribble(1); } FX_END
            if (how == 2)
                return 12;
        } FX_FINALLY { note("2"); scribble(2); } FX_END
    } FX_FINALLY { note("3"); scribble(3); } FX_END
    return 13;
}

START_TEST(return_passes_all_finally_blocks)
{
    ck_assert_int_eq(return_from_the_middle(0), 10);
    ck_assert(traced("1 2 3"));
    ck_assert_int_eq(return_from_the_middle(1), 11);
    ck_assert(traced("except 1 2 3"));
    ck_assert_int_eq(return_from_the_middle(2), 12);
    ck_assert(traced("except 1 2 3"));
    ck_assert_int_eq(return_from_the_middle(3), 13);
    ck_assert(traced("except 1 2 3"));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

/* Many values live at once, so that some lie in registers and some on the stack when the block is
 * left; plain code beside it says what is right. */
static long leave_in_a_loop(int n, long a, long b, long c, bool with_scope)
{
    volatile int blocks = 0, finally_blocks = 0;
    volatile long sum = 0;
    for (int i = 0; i < n; i++) {
        long t1 = a * i, t2 = b * i, t3 = c + i, t4 = a ^ i, t5 = b - i, t6 = a + b + i, t7 = a * c + i;
        if (with_scope) {
            FX_TRY {
                blocks++;
                if (i % 3 == 0)
                    continue;
                if (i == 50)
                    break;
                if (i % 7 == 1)
                    goto next;
                raise_below(2, i % 11 == 2 ? i : 0);
            } FX_EXCEPT(e) {
                if (e % 2)
                    continue;
                if (e == 46)
                    goto next;
            } FX_FINALLY {
                finally_blocks++;
                scribble(i);
            } FX_END
        } else {
            if (i % 3 == 0)
                continue;
            if (i == 50)
                break;
            if (i % 7 == 1)
                goto next;
            if (i % 11 == 2 && i % 2)
                continue;
            if (i % 11 == 2 && i == 46)
                goto next;
        }
        sum += t1 + t2 + t3 + t4 + t5 + t6 + t7;
        continue;
    next:
        sum += (t1 ^ t2) + (t3 ^ t4) + (t5 ^ t6) - t7;
    }
    ck_assert_int_eq(blocks, finally_blocks);
    return sum;
}

START_TEST(break_continue_and_goto_run_finally_and_go_on)
{
    for (int n = 0; n < 100; n++)
        ck_assert_int_eq(leave_in_a_loop(n, n + 1, n + 2, n + 3, true),
                         leave_in_a_loop(n, n + 1, n + 2, n + 3, false));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

static int leave_finally(int how)
{
    for (int i = 0; i < 2; i++) {
        FX_TRY {
            if (how == 0)
                fx_raise(3);
            if (how == 1)
                return 8;
            if (how == 2)
                break;
        } FX_FINALLY {
            note("finally");
            if (i == 0)
                continue;
            return 20 + how;
        } FX_END
    }
    return 4;
}

START_TEST(leaving_finally_drops_what_was_on_its_way)
{
    for (int how = 0; how < 4; how++) {
        ck_assert_int_eq(leave_finally(how), 20 + how);
        ck_assert(traced("finally finally"));
    }
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

START_TEST(raise_in_finally_replaces_a_return)
{
    FX_TRY { ck_assert_int_eq(return_int(2), 15); note("back"); } FX_END
    for (int i = 0; i < 1; i++) {
        FX_TRY {
            FX_TRY { break; } FX_FINALLY { fx_raise(2); } FX_END
        } FX_EXCEPT(e) { note("caught"); } FX_END
    }
    ck_assert(traced("finally back caught"));
}
END_TEST

/* --- defer --- */

static void raise_deferred(void *what)
{
    note((const char *)what);
    fx_raise(33);
}

static int defer_and_leave(int how)
{
    FX_DEFER(note_deferred, "1");
    FX_DEFER(note_deferred, "2");
    if (how == 0)
        return 4;
    if (how == 1)
        fx_raise(how);
    {
        FX_DEFER(note_deferred, "3");
        note("inside");
    }
    note("end");
    return 5;
}

START_TEST(deferred_calls_run_in_reverse_however_the_block_is_left)
{
    ck_assert_int_eq(defer_and_leave(0), 4);
    ck_assert(traced("2 1"));
    FX_TRY { defer_and_leave(1); } FX_EXCEPT(e) { note("caught"); } FX_END
    ck_assert(traced("2 1 caught"));
    ck_assert_int_eq(defer_and_leave(2), 5);
    ck_assert(traced("inside 3 end 2 1"));
}
END_TEST

START_TEST(a_deferred_call_that_raises_replaces_and_the_others_run)
{
    static int payload;
    for (int raises = 0; raises < 2; raises++) {
        FX_TRY {
            FX_DEFER(note_deferred, "1");
            FX_DEFER(raise_deferred, "2");
            FX_DEFER(raise_deferred, "3");
            if (raises)
                fx_raise_with(6, &payload, count_free);
        } FX_EXCEPT(e) { ck_assert_int_eq(e, 33); note("caught"); } FX_END
        ck_assert(traced("3 2 1 caught"));
        ck_assert_int_eq(freed, raises);
    }
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, return_runs_finally_and_keeps_its_value);
    tcase_add_test(tests, return_passes_all_finally_blocks);
    tcase_add_test(tests, break_continue_and_goto_run_finally_and_go_on);
    tcase_add_test(tests, leaving_finally_drops_what_was_on_its_way);
    tcase_add_test(tests, raise_in_finally_replaces_a_return);
    tcase_add_test(tests, deferred_calls_run_in_reverse_however_the_block_is_left);
    tcase_add_test(tests, a_deferred_call_that_raises_replaces_and_the_others_run);
}

int main(void)
{
    return run_suite("scope_leave", add_tests);
}
