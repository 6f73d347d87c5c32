/* Maps, the same on threads and on processes. */
#include "kinds.h"

#include "../thread/suite.h"

enum { N = 300 };

static int items[N];
static long results[N];
static fx_exc exceptions[N];

static void fill_items(void)
{
    for (int i = 0; i < N; i++)
        items[i] = i;
    memset(results, 0x77, sizeof results);
    memset(exceptions, 0x77, sizeof exceptions);
}

static int map(fx_executor *pool, fx_copy_target fn, const fx_map_attr *attr)
{
    fill_items();
    return fx_executor_map(pool, fn, items, N, sizeof *items, results, sizeof *results, attr);
}

/* --- arrays ----------------------------------------------------------------------------------- */

START_TEST(each_result_belongs_to_its_item)
{
    static const size_t chunks[] = { 0, 1, 7, N, 10000 }, flights[] = { 0, 1, 3, 1000 };
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int c = 0; c < 5; c++) {
        for (int f = 0; f < 4; f++) {
            fx_map_attr attr = { .chunk = chunks[c], .max_in_flight = flights[f] };
            ck_assert_int_eq(map(pool, square, &attr), 0);
            for (long i = 0; i < N; i++)
                ck_assert_int_eq(results[i], i * i);
        }
    }
    end_kind(pool);
}
END_TEST

/* Fails by return, and at 33 by raising. */
TASK(fail_from_30)
{
    int n = *(const int *)arg;
    atomic_fetch_add(&board->begun, 1);
    if (n == 33)
        fx_raise_msg(n, "number %d", n);
    return n >= 30 ? -n : square(arg, arg_size, result, result_size);
}

START_TEST(a_failure_is_told_and_ends_the_map)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    ck_assert_int_eq(map(pool, fail_from_30, &(fx_map_attr){ .max_in_flight = 1 }), -30);
    ck_assert_int_eq(atomic_load(&board->begun), 31);
    ck_assert_int_lt(map(pool, fail_from_30, &(fx_map_attr){ .chunk = 5 }), 0);
    ck_assert_int_lt(atomic_load(&board->begun), 31 + N);
    end_kind(pool);
}
END_TEST

START_TEST(with_an_array_of_exceptions_every_item_is_tried)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    for (size_t chunk = 1; chunk < 80; chunk += 39) {
        fx_map_attr attr = { .chunk = chunk, .exceptions = exceptions };
        ck_assert_int_eq(map(pool, fail_from_30, &attr), -30);
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(exceptions[i], i < 30 ? 0 : i == 33 ? 33 : -i);
            if (i < 30)
                ck_assert_int_eq(results[i], (long)i * i);
        }
    }
    end_kind(pool);
}
END_TEST

TASK(sleep_for_ever)
{
    UNUSED_TASK_ARGUMENTS();
    fx_sleep(FX_FOREVER);
    return 0;
}

START_TEST(a_map_that_takes_too_long_is_ended_and_the_pool_goes_on)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    ck_assert_int_eq(map(pool, sleep_for_ever, &(fx_map_attr){ .timeout = FX_MSEC(30) }),
                     -ETIMEDOUT);
    ck_assert_int_eq(map(pool, square, NULL), 0);
    end_kind(pool);
}
END_TEST

START_TEST(a_map_of_a_pool_that_was_shut_down_is_refused)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    ck_assert_int_eq(fx_executor_shutdown(pool, false, false), 0);
    ck_assert_int_eq(map(pool, square, NULL), -ESHUTDOWN);
    end_kind(pool);
}
END_TEST

struct large {
    int number;
    char filling[10000];
};

TASK(copy_large)
{
    task_expects(arg_size == sizeof(struct large) && result_size == sizeof(struct large));
    memcpy(result, arg, sizeof(struct large));
    ((struct large *)result)->number++;
    return 0;
}

START_TEST(items_and_results_may_be_large)
{
    enum { LARGE = 100 };
    static struct large from[LARGE], to[LARGE];
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int i = 0; i < LARGE; i++) {
        from[i].number = i;
        memset(from[i].filling, i, sizeof from[i].filling);
    }
    for (size_t chunk = 1; chunk <= 10; chunk += 9) {
        memset(to, 0x77, sizeof to);
        ck_assert_int_eq(fx_executor_map(pool, copy_large, from, LARGE, sizeof *from, to,
                                         sizeof *to, &(fx_map_attr){ .chunk = chunk }),
                         0);
        for (int i = 0; i < LARGE; i++) {
            ck_assert_int_eq(to[i].number, i + 1);
            ck_assert_int_eq(memcmp(to[i].filling, from[i].filling, sizeof to[i].filling), 0);
        }
    }
    end_kind(pool);
}
END_TEST

/* --- one by one ------------------------------------------------------------------------------- */

struct source {
    int next, end, code_at_end;
};

static int next_number(void *arg, void *item)
{
    struct source *source = arg;
    if (source->next == source->end)
        return source->code_at_end;
    *(int *)item = source->next++;
    return 1;
}

START_TEST(results_come_in_the_order_of_the_items)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    for (size_t chunk = 1; chunk <= 16; chunk += 15) {
        struct source source = { 0, 1000, 0 };
        long result = 0, n = 0;
        fx_map map;
        ck_assert_int_eq(fx_map_init(&map, pool, square, next_number, &source, sizeof(int),
                                     sizeof(long), &(fx_map_attr){ .chunk = chunk }),
                         0);
        for (int rc; (rc = fx_map_next(&map, &result)) != 0; n++) {
            ck_assert_int_eq(rc, 1);
            ck_assert_int_eq(result, n * n);
        }
        ck_assert_int_eq(n, 1000);
        fx_map_end(&map);
    }
    end_kind(pool);
}
END_TEST

START_TEST(a_lazy_map_ends_with_the_first_failure)
{
    struct source source = { 0, -1, 0 };
    long result = 0;
    fx_map map;
    fx_executor *pool = pool_of_kind(_i, 2);
    ck_assert_int_eq(fx_map_init(&map, pool, fail_from_30, next_number, &source, sizeof(int),
                                 sizeof(long), NULL),
                     0);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(fx_map_next(&map, &result), 1);
    ck_assert_int_eq(fx_map_next(&map, &result), -30);
    ck_assert_int_eq(fx_map_next(&map, &result), -30);
    fx_map_end(&map);
    end_kind(pool);
}
END_TEST

START_TEST(the_end_of_a_lazy_map_stops_what_runs)
{
    struct source source = { 0, 100, 0 };
    long result = 0;
    fx_map map;
    fx_executor *pool = pool_of_kind(_i, 2);
    ck_assert_int_eq(fx_map_init(&map, pool, sleep_for_ever, next_number, &source, sizeof(int),
                                 sizeof(long), &(fx_map_attr){ .timeout = FX_MSEC(20) }),
                     0);
    ck_assert_int_eq(fx_map_next(&map, &result), -ETIMEDOUT);
    fx_map_end(&map);
    fx_map_end(&map);
    ck_assert_int_eq(number_of(submit_number(pool, square, 3)), 9);
    end_kind(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests, each_result_belongs_to_its_item, 0, KINDS);
    tcase_add_loop_test(tests, a_failure_is_told_and_ends_the_map, 0, KINDS);
    tcase_add_loop_test(tests, with_an_array_of_exceptions_every_item_is_tried, 0, KINDS);
    tcase_add_loop_test(tests, a_map_that_takes_too_long_is_ended_and_the_pool_goes_on, 0, KINDS);
    tcase_add_loop_test(tests, a_map_of_a_pool_that_was_shut_down_is_refused, 0, KINDS);
    tcase_add_loop_test(tests, items_and_results_may_be_large, 0, KINDS);
    tcase_add_loop_test(tests, results_come_in_the_order_of_the_items, 0, KINDS);
    tcase_add_loop_test(tests, a_lazy_map_ends_with_the_first_failure, 0, KINDS);
    tcase_add_loop_test(tests, the_end_of_a_lazy_map_stops_what_runs, 0, KINDS);
}

int main(void)
{
    return run_suite("maps of both kinds", add_tests);
}
