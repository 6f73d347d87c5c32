/* Scopes: which block runs when, which exception goes on, and what is known of it. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>

#include "../thread/suite.h"
#include "raise_below.h"
#include "trace.h"

/* --- which block runs --- */

START_TEST(without_an_exception_the_block_and_finally_run)
{
    FX_TRY { note("block"); } FX_EXCEPT(e) { note("except"); } FX_FINALLY { note("finally"); } FX_END
    note("after");
    ck_assert(traced("block finally after"));
}
END_TEST

START_TEST(blocks_may_be_left_out)
{
    FX_TRY { note("1"); } FX_END
    FX_TRY { note("2"); } FX_FINALLY { note("f2"); } FX_END
    FX_TRY { fx_raise(3); } FX_EXCEPT(e) { note("e3"); } FX_END
    ck_assert(traced("1 2 f2 e3"));
}
END_TEST

START_TEST(except_takes_what_was_raised_in_the_block)
{
    fx_exc code = 0;
    FX_TRY { note("block"); fx_raise(-ENOENT); note("not here"); }
    FX_EXCEPT(e) { note("except"); code = e; }
    FX_FINALLY { note("finally"); } FX_END
    ck_assert_int_eq(code, -ENOENT);
    ck_assert(traced("block except finally"));
}
END_TEST

START_TEST(except_takes_what_was_raised_in_functions_below)
{
    for (int depth = 1; depth < 100; depth += 7) {
        fx_exc code = 0;
        FX_TRY { raise_below(depth, 17); } FX_EXCEPT(e) { code = e; } FX_END
        ck_assert_int_eq(code, 17);
    }
}
END_TEST

static int clause_that_takes(fx_exc code)
{
    volatile int clause = 0;
    FX_TRY { fx_raise(code); }
    FX_EXCEPT_IF(e, e == 1) { clause = 1; }
    FX_EXCEPT_IF(e, e > 0 && e < 10) { clause = 2; }
    FX_EXCEPT(e) { clause = 3; }
    FX_EXCEPT_ANY(e) { clause = 4; }
    FX_END
    return clause;
}

START_TEST(the_first_clause_that_is_true_takes_it)
{
    ck_assert_int_eq(clause_that_takes(1), 1);
    ck_assert_int_eq(clause_that_takes(2), 2);
    ck_assert_int_eq(clause_that_takes(10), 3);
    ck_assert_int_eq(clause_that_takes(-EIO), 3);
    ck_assert_int_eq(clause_that_takes(FX_TIMED_OUT), 3);
    ck_assert_int_eq(clause_that_takes(FX_STOPPED), 4);
    ck_assert_int_eq(clause_that_takes(FX_EXITED), 4);
}
END_TEST

START_TEST(except_if_is_asked_of_stops_and_exits)
{
    static const fx_exc codes[] = {FX_STOPPED, FX_EXITED};
    for (int i = 0; i < 2; i++) {
        FX_TRY { fx_raise(codes[i]); }
        FX_EXCEPT(e) { note("except"); }
        FX_EXCEPT_IF(e, e == codes[i]) { note("if"); }
        FX_END
    }
    ck_assert(traced("if if"));
}
END_TEST

START_TEST(what_no_clause_takes_goes_on_outwards)
{
    FX_TRY {
        FX_TRY {
            FX_TRY { raise_below(3, 8); }
            FX_EXCEPT_IF(e, e == 9) { note("9"); }
            FX_FINALLY { note("f1"); } FX_END
            note("not here");
        } FX_FINALLY { note("f2"); } FX_END
        note("not here");
    } FX_EXCEPT(e) { ck_assert_int_eq(e, 8); note("except"); }
    FX_FINALLY { note("f3"); } FX_END
    ck_assert(traced("f1 f2 except f3"));
}
END_TEST

static int descend(int depth)
{
    volatile int finally_blocks = 0;
    FX_TRY {
        if (depth == 0)
            fx_raise(5);
        descend(depth - 1);
    } FX_FINALLY {
        char number[16];
        snprintf(number, sizeof number, "%d", depth);
        note(number);
        finally_blocks++;
    } FX_END
    return finally_blocks;
}

START_TEST(finally_blocks_run_innermost_first)
{
    FX_TRY { descend(5); } FX_EXCEPT(e) { note("caught"); } FX_END
    ck_assert(traced("0 1 2 3 4 5 caught"));
}
END_TEST

static int count_down(int depth)
{
    volatile int below = 0;
    FX_TRY {
        if (depth == 0)
            fx_raise(5);
        below = count_down(depth - 1);
    } FX_EXCEPT(e) { below = 0; fx_raise(e); }
    FX_FINALLY { trace[0]++; } FX_END
    return below + 1;
}

START_TEST(scopes_nest_a_thousand_deep)
{
    int caught = 0;
    FX_TRY { count_down(1000); } FX_EXCEPT(e) { caught = e; } FX_END
    ck_assert_int_eq(caught, 5);
    ck_assert_int_eq(trace[0], (char)1001);
}
END_TEST

/* --- exceptions that replace others --- */

START_TEST(raise_in_except_replaces_and_finally_runs)
{
    FX_TRY {
        FX_TRY { fx_raise(1); }
        FX_EXCEPT(e) { note("first"); fx_raise(2); }
        FX_EXCEPT_ANY(e) { note("no other clause"); }
        FX_FINALLY { note("finally"); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(e, 2); note("outer"); } FX_END
    ck_assert(traced("first finally outer"));
}
END_TEST

START_TEST(raise_in_finally_replaces)
{
    FX_TRY {
        FX_TRY { fx_raise(1); } FX_FINALLY { note("finally"); fx_raise(3); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(e, 3); note("outer"); } FX_END
    FX_TRY {
        FX_TRY { note("ends"); } FX_FINALLY { fx_raise(4); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(e, 4); note("outer"); } FX_END
    ck_assert(traced("finally outer ends outer"));
}
END_TEST

static bool raise_in_condition(void)
{
    fx_raise(6);
}

START_TEST(raise_in_a_condition_replaces_and_no_clause_takes_it)
{
    FX_TRY {
        FX_TRY { fx_raise(1); }
        FX_EXCEPT_IF(e, raise_in_condition()) { note("if"); }
        FX_EXCEPT(e) { note("except"); }
        FX_FINALLY { note("finally"); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(e, 6); note("outer"); } FX_END
    ck_assert(traced("finally outer"));
}
END_TEST

START_TEST(what_is_raised_and_caught_inside_finally_does_not_replace)
{
    FX_TRY {
        FX_TRY { fx_raise_msg(1, "the %s", "first"); }
        FX_FINALLY {
            FX_TRY { fx_raise_msg(2, "another"); } FX_EXCEPT(e) { note("inner"); } FX_END
        } FX_END
    } FX_EXCEPT(e) {
        ck_assert_int_eq(e, 1);
        ck_assert_str_eq(fx_caught()->message, "the first");
        note("outer");
    } FX_END
    ck_assert(traced("inner outer"));
}
END_TEST

/* --- what is known of it --- */

static int raise_line;

START_TEST(caught_tells_all_of_the_innermost_except)
{
    int payload;
    ck_assert_ptr_null(fx_caught());
    FX_TRY { raise_line = __LINE__; fx_raise_with(7, &payload, NULL); }
    FX_EXCEPT(e) {
        ck_assert_int_eq(fx_caught()->code, 7);
        ck_assert_ptr_eq(fx_caught()->payload, &payload);
        ck_assert_str_eq(fx_caught()->file, __FILE__);
        ck_assert_int_eq(fx_caught()->line, raise_line);
        FX_TRY {
            ck_assert_int_eq(fx_caught()->code, 7);
            fx_raise_msg(8, "number %d", 8);
        } FX_EXCEPT(inner) {
            ck_assert_int_eq(fx_caught()->code, 8);
            ck_assert_str_eq(fx_caught()->message, "number 8");
            ck_assert_ptr_null(fx_caught()->payload);
        } FX_FINALLY {
            ck_assert_int_eq(fx_caught()->code, 7);
        } FX_END
        ck_assert_int_eq(fx_caught()->code, 7);
        ck_assert_ptr_eq(fx_caught()->payload, &payload);
    } FX_FINALLY {
        ck_assert_ptr_null(fx_caught());
    } FX_END
    ck_assert_ptr_null(fx_caught());
}
END_TEST

static int freed;

static void count_free(void *payload)
{
    (void)payload;
    freed++;
}

START_TEST(reraise_keeps_everything)
{
    static int payload;
    FX_TRY {
        FX_TRY { raise_line = __LINE__; fx_raise_with(7, &payload, count_free); }
        FX_EXCEPT(e) { fx_reraise(); }
        FX_FINALLY { note("finally"); } FX_END
    } FX_EXCEPT(e) {
        ck_assert_int_eq(fx_caught()->line, raise_line);
        ck_assert_str_eq(fx_caught()->file, __FILE__);
        ck_assert_ptr_eq(fx_caught()->payload, &payload);
        ck_assert_int_eq(freed, 0);
    } FX_END
    FX_TRY {
        FX_TRY { fx_raise_msg(8, "said %s", "so"); } FX_EXCEPT(e) { fx_reraise(); } FX_END
    } FX_EXCEPT(e) { ck_assert_str_eq(fx_caught()->message, "said so"); } FX_END
    ck_assert_int_eq(freed, 1);
    ck_assert(traced("finally"));
}
END_TEST

START_TEST(reraise_without_an_exception_raises_einval)
{
    fx_exc code = 0;
    FX_TRY { fx_reraise(); } FX_EXCEPT(e) { code = e; } FX_END
    ck_assert_int_eq(code, -EINVAL);
}
END_TEST

START_TEST(payload_is_freed_where_its_except_ends_and_before_finally)
{
    static int payload;
    FX_TRY { fx_raise_with(1, &payload, count_free); }
    FX_EXCEPT(e) { ck_assert_int_eq(freed, 0); }
    FX_FINALLY { ck_assert_int_eq(freed, 1); } FX_END
    FX_TRY { fx_raise_with(1, &payload, count_free); } FX_EXCEPT(e) { } FX_END
    ck_assert_int_eq(freed, 2);
    for (int i = 0; i < 3; i++) {
        FX_TRY { fx_raise_with(1, &payload, count_free); } FX_EXCEPT(e) { continue; } FX_END
    }
    ck_assert_int_eq(freed, 5);
}
END_TEST

START_TEST(payload_is_freed_where_its_exception_is_replaced_or_dropped)
{
    static int payload;
    FX_TRY {
        FX_TRY { fx_raise_with(1, &payload, count_free); } FX_FINALLY { fx_raise(2); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(freed, 1); } FX_END
    FX_TRY {
        FX_TRY { fx_raise_with(1, &payload, count_free); } FX_EXCEPT(e) { fx_raise(2); } FX_END
    } FX_EXCEPT(e) { ck_assert_int_eq(freed, 2); } FX_END
    for (int i = 0; i < 1; i++) {
        FX_TRY { fx_raise_with(1, &payload, count_free); } FX_FINALLY { break; } FX_END
    }
    ck_assert_int_eq(freed, 3);
    FX_TRY {
        FX_TRY { fx_raise_with(1, &payload, count_free); }
        FX_EXCEPT(e) { fx_raise_with(2, fx_caught()->payload, count_free); } FX_END
    } FX_EXCEPT(e) {
        ck_assert_ptr_eq(fx_caught()->payload, &payload);
        ck_assert_int_eq(freed, 3); /* it went over to the other one */
    } FX_END
    ck_assert_int_eq(freed, 4);
}
END_TEST

static void free_with_an_exception_inside(void *payload)
{
    count_free(payload);
    FX_TRY { fx_raise(99); } FX_EXCEPT(e) { note("inside"); } FX_END
}

START_TEST(free_it_may_use_scopes)
{
    static int payload;
    FX_TRY {
        FX_TRY { fx_raise_with(1, &payload, free_with_an_exception_inside); }
        FX_FINALLY { fx_raise_msg(2, "kept"); } FX_END
    } FX_EXCEPT(e) {
        ck_assert_int_eq(e, 2);
        ck_assert_str_eq(fx_caught()->message, "kept");
    } FX_END
    ck_assert_int_eq(freed, 1);
    ck_assert(traced("inside"));
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, without_an_exception_the_block_and_finally_run);
    tcase_add_test(tests, blocks_may_be_left_out);
    tcase_add_test(tests, except_takes_what_was_raised_in_the_block);
    tcase_add_test(tests, except_takes_what_was_raised_in_functions_below);
    tcase_add_test(tests, the_first_clause_that_is_true_takes_it);
    tcase_add_test(tests, except_if_is_asked_of_stops_and_exits);
    tcase_add_test(tests, what_no_clause_takes_goes_on_outwards);
    tcase_add_test(tests, finally_blocks_run_innermost_first);
    tcase_add_test(tests, scopes_nest_a_thousand_deep);
    tcase_add_test(tests, raise_in_except_replaces_and_finally_runs);
    tcase_add_test(tests, raise_in_finally_replaces);
    tcase_add_test(tests, raise_in_a_condition_replaces_and_no_clause_takes_it);
    tcase_add_test(tests, what_is_raised_and_caught_inside_finally_does_not_replace);
    tcase_add_test(tests, caught_tells_all_of_the_innermost_except);
    tcase_add_test(tests, reraise_keeps_everything);
    tcase_add_test(tests, reraise_without_an_exception_raises_einval);
    tcase_add_test(tests, payload_is_freed_where_its_except_ends_and_before_finally);
    tcase_add_test(tests, payload_is_freed_where_its_exception_is_replaced_or_dropped);
    tcase_add_test(tests, free_it_may_use_scopes);
}

int main(void)
{
    return run_suite("scope", add_tests);
}
