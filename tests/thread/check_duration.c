/* Durations and deadlines: the arithmetic, and its ends. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <time.h>

#include "suite.h"

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

START_TEST(numbers_become_nanoseconds)
{
    ck_assert_int_eq(FX_SEC(1), INT64_C(1000000000));
    ck_assert_int_eq(FX_SEC(0.5), 500000000);
    ck_assert_int_eq(FX_MSEC(10), 10000000);
    ck_assert_int_eq(FX_USEC(3), 3000);
    ck_assert_int_eq(FX_SEC(86400 * 100), INT64_C(86400) * 100 * 1000000000);
    ck_assert_int_eq(FX_SEC(0), 0);
    ck_assert_int_eq(FX_SEC(1 + 1), FX_SEC(2));
    ck_assert_int_eq(FX_FOREVER, -1);
}
END_TEST

START_TEST(now_is_the_monotonic_clock)
{
    for (int i = 0; i < 1000; i++) {
        int64_t before = clock_now();
        fx_deadline now = fx_now();
        ck_assert_int_ge(now, before);
        ck_assert_int_le(now, clock_now());
    }
}
END_TEST

START_TEST(a_deadline_lies_the_duration_ahead)
{
    fx_deadline before = fx_now(), deadline = fx_deadline_after(FX_SEC(5));
    ck_assert_int_ge(deadline, before + FX_SEC(5));
    ck_assert_int_le(deadline, fx_now() + FX_SEC(5));
}
END_TEST

START_TEST(the_deadline_of_nothing_and_of_the_past_is_now)
{
    const fx_nsec past[] = {0, -2, -FX_SEC(1000000), INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        fx_deadline before = fx_now(), deadline = fx_deadline_after(past[i]);
        ck_assert_int_ge(deadline, before);
        ck_assert_int_le(deadline, fx_now());
    }
}
END_TEST

START_TEST(the_deadline_of_forever_is_forever)
{
    ck_assert_int_eq(fx_deadline_after(FX_FOREVER), FX_FOREVER);
}
END_TEST

START_TEST(a_deadline_beyond_the_last_point_is_the_last_point)
{
    ck_assert_int_eq(fx_deadline_after(INT64_MAX), INT64_MAX);
    ck_assert_int_eq(fx_deadline_after(INT64_MAX - 1), INT64_MAX);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, numbers_become_nanoseconds);
    tcase_add_test(tests, now_is_the_monotonic_clock);
    tcase_add_test(tests, a_deadline_lies_the_duration_ahead);
    tcase_add_test(tests, the_deadline_of_nothing_and_of_the_past_is_now);
    tcase_add_test(tests, the_deadline_of_forever_is_forever);
    tcase_add_test(tests, a_deadline_beyond_the_last_point_is_the_last_point);
}

int main(void)
{
    return run_suite("duration", add_tests);
}
