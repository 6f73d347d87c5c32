/* A library built with --enable-debug, as it is for the address sanitizer, ends a program that raises
 * across a frame of another library. */
#include <fxthread.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../thread/suite.h"
#include "child.h"

static int raise_in_comparison(const void *one, const void *other)
{
    (void)one;
    (void)other;
    fx_raise(5);
}

static int catch_in_comparison(const void *one, const void *other)
{
    FX_TRY { fx_raise(5); } FX_EXCEPT(e) { return *(const char *)one - *(const char *)other; } FX_END
    abort();
}

static int sort(int (*compare)(const void *, const void *))
{
    char bytes[] = { 3, 2, 1 };
    FX_TRY { qsort(bytes, sizeof bytes, 1, compare); } FX_EXCEPT(e) { return 1; } FX_END
    return memcmp(bytes, (char[]){ 1, 2, 3 }, sizeof bytes) == 0 ? 0 : 2;
}

static int raise_across_qsort(void)
{
    if (!freopen("/dev/null", "w", stderr)) /* what is told there is told by design */
        return 3;
    return sort(raise_in_comparison);
}

static int catch_within_qsort(void)
{
    return sort(catch_in_comparison);
}

START_TEST(an_exception_that_crosses_a_foreign_frame_aborts)
{
    ck_assert_int_eq(child_run(raise_across_qsort), -SIGABRT);
}
END_TEST

START_TEST(one_that_is_caught_in_the_callback_is_fine)
{
    ck_assert_int_eq(child_run(catch_within_qsort), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_exception_that_crosses_a_foreign_frame_aborts);
    tcase_add_test(tests, one_that_is_caught_in_the_callback_is_fine);
}

int main(void)
{
#ifndef FXI_DEBUG
    return 77;
#endif
    return run_suite("raise_foreign", add_tests);
}
