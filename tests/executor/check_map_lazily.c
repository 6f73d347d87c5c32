/* fx_map: items from a function, results in their order, a bound on what is in flight. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/thread_pool.h>

#include <errno.h>

#include "../support/await.h"
#include "../sync/worker.h"
#include "../thread/suite.h"
#include "kernel/inject.h"
#include "manual.h"

static struct manual ex;
static struct manual_crew crew;

/* Yields 0 to last; at `fails_at` returns -ENODEV, at `raises_at` raises 7. */
struct numbers {
    int next, last, fails_at, raises_at;
};

static int next_number(void *src, void *item)
{
    struct numbers *numbers = src;
    int n = numbers->next++;
    if (n == numbers->raises_at)
        fx_raise(7);
    if (n == numbers->fails_at)
        return -ENODEV;
    *(int *)item = n;
    return n <= numbers->last;
}

static struct numbers up_to(int last)
{
    return (struct numbers){ .last = last, .fails_at = -1, .raises_at = -1 };
}

static int square(const void *item, size_t item_size, void *result, size_t result_size)
{
    long n = *(const int *)item;
    if (item_size != sizeof(int) || result_size != sizeof(long))
        return -EILSEQ;
    if (n == 1000)
        return -EDOM;
    if (n == 2000)
        fx_raise(5);
    *(long *)result = n * n;
    return 0;
}

static const struct fxi_executor_ops *const kinds[] = { &manual_ops, &manual_copying_ops };

static void start(const struct fxi_executor_ops *ops)
{
    manual_init_with(&ex, ops);
    manual_crew_start(&crew, &ex);
}

static void end(void)
{
    await(manual_is_empty(&ex));
    manual_crew_end(&crew);
    manual_end(&ex);
}

static void begin(fx_map *map, struct numbers *numbers, const fx_map_attr *attr)
{
    ck_assert_int_eq(fx_map_init(map, &ex.executor, square, next_number, numbers, sizeof(int),
                                 sizeof(long), attr),
                     0);
}

static void expect_squares(fx_map *map, long first, long last)
{
    for (long i = first; i <= last; i++) {
        long result = -1;
        ck_assert_int_eq(fx_map_next(map, &result), 1);
        ck_assert_int_eq(result, i * i);
    }
}

START_TEST(results_come_in_the_order_of_the_items)
{
    start(kinds[_i]);
    for (size_t chunk = 0; chunk < 8; chunk += 3) {
        for (size_t flight = 0; flight < 4; flight++) {
            fx_map map;
            fx_map_attr attr = { .chunk = chunk, .max_in_flight = flight };
            struct numbers numbers = up_to(100);
            begin(&map, &numbers, &attr);
            ck_assert_int_eq(numbers.next, 0);
            expect_squares(&map, 0, 100);
            ck_assert_int_eq(fx_map_next(&map, NULL), 0);
            ck_assert_int_eq(fx_map_next(&map, NULL), 0);
            fx_map_end(&map);
            fx_map_end(&map);
            ck_assert_int_eq(fx_map_next(&map, NULL), -EINVAL);
        }
    }
    end();
}
END_TEST

START_TEST(no_more_than_the_bound_are_in_flight)
{
    fx_map map;
    fx_map_attr attr = { .chunk = 2, .max_in_flight = 3 };
    struct numbers numbers = up_to(1000);
    start(&manual_ops);
    begin(&map, &numbers, &attr);
    for (long i = 0; i < 20; i++) {
        expect_squares(&map, i, i);
        ck_assert_int_le(numbers.next, i + 2 * 3 + 1);
    }
    fx_map_end(&map);
    end();
}
END_TEST

START_TEST(no_items_are_the_end)
{
    fx_map map;
    struct numbers numbers = up_to(-1);
    start(&manual_ops);
    begin(&map, &numbers, NULL);
    ck_assert_int_eq(fx_map_next(&map, NULL), 0);
    ck_assert_int_eq(fx_map_next(&map, NULL), 0);
    ck_assert_int_eq(numbers.next, 1);
    fx_map_end(&map);
    end();
}
END_TEST

START_TEST(a_failure_comes_in_its_place_and_is_the_end)
{
    start(kinds[_i]);
    for (int raised = 0; raised < 2; raised++) {
        fx_map map;
        fx_map_attr attr = { .chunk = 3 };
        int fails = raised ? 2000 : 1000;
        struct numbers numbers = up_to(5000);
        numbers.next = fails - 20;
        begin(&map, &numbers, &attr);
        expect_squares(&map, fails - 20, fails - 1);
        ck_assert_int_eq(fx_map_next(&map, NULL), raised ? -EREMOTEIO : -EDOM);
        ck_assert_int_eq(fx_map_next(&map, NULL), raised ? -EREMOTEIO : -EDOM);
        fx_map_end(&map);
    }
    end();
}
END_TEST

START_TEST(a_failure_of_the_source_comes_behind_the_items_before_it)
{
    fx_map map;
    fx_map_attr attr = { .chunk = 4 };
    struct numbers numbers = up_to(100);
    numbers.fails_at = 10;
    start(&manual_ops);
    begin(&map, &numbers, &attr);
    expect_squares(&map, 0, 9);
    ck_assert_int_eq(fx_map_next(&map, NULL), -ENODEV);
    ck_assert_int_eq(fx_map_next(&map, NULL), -ENODEV);
    fx_map_end(&map);
    end();
}
END_TEST

START_TEST(what_the_source_raises_goes_to_the_caller_and_ends_the_map)
{
    fx_map map;
    fx_map_attr attr = { .chunk = 4 };
    struct numbers numbers = up_to(100);
    volatile int raised = 0;
    numbers.raises_at = 10;
    start(&manual_ops);
    begin(&map, &numbers, &attr);
    FX_TRY {
        while (fx_map_next(&map, NULL) == 1)
            ;
    } FX_EXCEPT(e) {
        raised = e;
    } FX_END
    ck_assert_int_eq(raised, 7);
    ck_assert_int_eq(fx_map_next(&map, NULL), -EREMOTEIO);
    fx_map_end(&map);
    end();
}
END_TEST

START_TEST(an_executor_that_refuses_when_full_loses_no_item)
{
    start(&manual_ops);
    for (fx_when_full when = FX_FULL_BLOCK; when <= FX_FULL_RUN; when++) {
        fx_map map;
        struct numbers numbers = up_to(100);
        ck_assert_int_eq(fxi_executor_set_full(&ex.executor, 1, when, 0), 0);
        begin(&map, &numbers, NULL);
        expect_squares(&map, 0, 100);
        ck_assert_int_eq(fx_map_next(&map, NULL), 0);
        fx_map_end(&map);
    }
    end();
}
END_TEST

START_TEST(what_a_submit_says_is_told)
{
    static const int errors[] = { EAGAIN, ENOMEM, ESHUTDOWN };
    start(&manual_ops);
    for (int i = 0; i < 3; i++) {
        fx_map map;
        struct numbers numbers = up_to(10);
        ex.submit_error = -errors[i];
        begin(&map, &numbers, NULL);
        ck_assert_int_eq(fx_map_next(&map, NULL), -errors[i]);
        ck_assert_int_eq(fx_map_next(&map, NULL), -errors[i]);
        fx_map_end(&map);
    }
    end();
}
END_TEST

START_TEST(bad_arguments_and_the_want_of_memory_are_refused)
{
    fx_map map;
    fx_exc exceptions[1];
    fx_map_attr with_exceptions = { .exceptions = exceptions }, reserved = { .reserved = { 1 } };
    fx_map_attr past = { .timeout = -2 }, huge = { .chunk = SIZE_MAX / 2 };
    struct numbers numbers = up_to(10);
    manual_init_with(&ex, &manual_plain_ops);
    fx_executor *e = &ex.executor;
    ck_assert_int_eq(fx_map_init(NULL, e, square, next_number, NULL, 4, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_map_init(&map, NULL, square, next_number, NULL, 4, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_map_next(&map, NULL), -EINVAL);
    fx_map_end(&map);
    ck_assert_int_eq(fx_map_init(&map, e, NULL, next_number, NULL, 4, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_map_init(&map, e, square, NULL, NULL, 4, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_map_init(&map, e, square, next_number, NULL, 4, 8, &with_exceptions),
                     -EINVAL);
    ck_assert_int_eq(fx_map_init(&map, e, square, next_number, NULL, 4, 8, &reserved), -EINVAL);
    ck_assert_int_eq(fx_map_init(&map, e, square, next_number, NULL, 4, 8, &past), -EINVAL);
    fx_map_end(NULL);
    ck_assert_int_eq(fx_map_next(NULL, NULL), -EINVAL);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_map_init(&map, e, square, next_number, NULL, 4, 8, NULL), -ENOMEM);
    fxi_inject_disarm();
    begin(&map, &numbers, &huge);
    ck_assert_int_eq(fx_map_next(&map, NULL), -ENOMEM);
    fx_map_end(&map);
    ck_assert_int_eq(numbers.next, 0);
    manual_end(&ex);
}
END_TEST

START_TEST(it_keeps_the_executor)
{
    fx_map map;
    struct numbers numbers = up_to(10);
    manual_init(&ex);
    begin(&map, &numbers, NULL);
    fx_executor_unref(&ex.executor);
    ck_assert_int_eq(atomic_load(&ex.abandoned), 0);
    fx_map_end(&map);
    ck_assert_int_eq(atomic_load(&ex.abandoned), 1);
}
END_TEST

/* --- on a thread pool: what waits ----------------------------------------------------------- */

static atomic_int in_calls, ended;

static int wait_from_3(const void *item, size_t item_size, void *result, size_t result_size)
{
    atomic_fetch_add(&in_calls, 1);
    FX_TRY {
        fx_sleep(*(const int *)item < 3 ? 0 : FX_FOREVER);
    } FX_FINALLY {
        atomic_fetch_add(&ended, 1);
    } FX_END
    return square(item, item_size, result, result_size);
}

static fx_executor *pool;
static fx_map pool_map;
static struct numbers pool_numbers;

static void begin_on_pool(const fx_map_attr *attr)
{
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    ck_assert_ptr_nonnull(pool);
    pool_numbers = up_to(100);
    ck_assert_int_eq(fx_map_init(&pool_map, pool, wait_from_3, next_number, &pool_numbers,
                                 sizeof(int), sizeof(long), attr),
                     0);
}

static void end_on_pool(void)
{
    fx_map_end(&pool_map);
    ck_assert_int_eq(atomic_load(&in_calls), atomic_load(&ended));
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    fx_executor_unref(pool);
}

START_TEST(the_end_stops_what_runs)
{
    begin_on_pool(NULL);
    expect_squares(&pool_map, 0, 2);
    end_on_pool();
}
END_TEST

START_TEST(the_timeout_is_for_all_of_it)
{
    int rc, results = 0;
    fx_map_attr attr = { .timeout = FX_MSEC(50) };
    fx_deadline limit = fx_deadline_after(FX_MSEC(50));
    begin_on_pool(&attr);
    while ((rc = fx_map_next(&pool_map, NULL)) == 1)
        results++;
    ck_assert_int_eq(rc, -ETIMEDOUT);
    ck_assert_int_le(results, 3);
    ck_assert_int_ge(fx_now(), limit);
    ck_assert_int_eq(fx_map_next(&pool_map, NULL), -ETIMEDOUT);
    end_on_pool();
}
END_TEST

static atomic_bool entered;

static int next_stopped(void *arg)
{
    volatile int caught = 0;
    (void)arg;
    FX_TRY {
        atomic_store(&entered, true);
        fx_map_next(&pool_map, NULL);
    } FX_EXCEPT_ANY(e) {
        caught = e == FX_STOPPED;
    } FX_END
    return caught;
}

START_TEST(a_stop_ends_a_wait_for_the_next)
{
    struct worker w;
    begin_on_pool(NULL);
    expect_squares(&pool_map, 0, 2);
    worker_start(&w, next_stopped, NULL);
    await(atomic_load(&entered) && atomic_load(&in_calls) > 4);
    ck_assert_int_eq(fx_thread_stop(w.thread), 0);
    ck_assert_int_eq(worker_end(&w), 1);
    end_on_pool();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, results_come_in_the_order_of_the_items, 0, 2);
    tcase_add_test(tests, no_more_than_the_bound_are_in_flight);
    tcase_add_test(tests, no_items_are_the_end);
    tcase_add_loop_test(tests, a_failure_comes_in_its_place_and_is_the_end, 0, 2);
    tcase_add_test(tests, a_failure_of_the_source_comes_behind_the_items_before_it);
    tcase_add_test(tests, what_the_source_raises_goes_to_the_caller_and_ends_the_map);
    tcase_add_test(tests, an_executor_that_refuses_when_full_loses_no_item);
    tcase_add_test(tests, what_a_submit_says_is_told);
    tcase_add_test(tests, bad_arguments_and_the_want_of_memory_are_refused);
    tcase_add_test(tests, it_keeps_the_executor);
    tcase_add_test(tests, the_end_stops_what_runs);
    tcase_add_test(tests, the_timeout_is_for_all_of_it);
    tcase_add_test(tests, a_stop_ends_a_wait_for_the_next);
}

int main(void)
{
    return run_suite("map_lazily", add_tests);
}
