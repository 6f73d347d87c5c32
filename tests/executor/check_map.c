/* fx_executor_map: results, failures, limits; nothing touches the arrays when it has returned. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/thread_pool.h>

#include <errno.h>
#include <string.h>

#include "../support/await.h"
#include "../sync/worker.h"
#include "../thread/suite.h"
#include "kernel/inject.h"
#include "manual.h"

enum { N = 200 };

static struct manual ex;
static struct manual_crew crew;
static int items[N];
static long results[N];
static fx_exc exceptions[N];
static atomic_int calls, in_calls, ended;

static void fill_items(void)
{
    for (int i = 0; i < N; i++)
        items[i] = i;
    memset(results, 0x77, sizeof results);
    memset(exceptions, 0x77, sizeof exceptions);
    atomic_store(&calls, 0);
}

static int square(const void *item, size_t item_size, void *result, size_t result_size)
{
    long n = *(const int *)item;
    atomic_fetch_add(&calls, 1);
    if (item_size != sizeof(int) || result_size != sizeof(long) || *(long *)result != 0)
        return -EILSEQ;
    *(long *)result = n * n;
    return 1;
}

/* Of 30, 31 and so on: fails by return; of 33: raises. */
static int fail_from_30(const void *item, size_t item_size, void *result, size_t result_size)
{
    int n = *(const int *)item;
    if (n == 33)
        fx_raise(n);
    return n >= 30 ? -n : square(item, item_size, result, result_size);
}

static void start(const struct fxi_executor_ops *ops)
{
    manual_init_with(&ex, ops);
    manual_crew_start(&crew, &ex);
    fill_items();
}

static void end(void)
{
    await(manual_is_empty(&ex));
    manual_crew_end(&crew);
    manual_end(&ex);
}

static int map(fx_copy_target fn, size_t n, const fx_map_attr *attr)
{
    return fx_executor_map(&ex.executor, fn, items, n, sizeof(int), results, sizeof(long), attr);
}

static const struct fxi_executor_ops *const kinds[] = { &manual_ops, &manual_copying_ops };

START_TEST(each_result_belongs_to_its_item)
{
    static const size_t sizes[] = { 1, 2, 7, N }, chunks[] = { 0, 1, 3, 1000 };
    static const size_t flights[] = { 0, 1, 5 };
    start(kinds[_i]);
    for (size_t s = 0; s < 4; s++) {
        for (size_t c = 0; c < 4; c++) {
            for (size_t f = 0; f < 3; f++) {
                fx_map_attr attr = { .chunk = chunks[c], .max_in_flight = flights[f] };
                fill_items();
                ck_assert_int_eq(map(square, sizes[s], &attr), 0);
                ck_assert_int_eq(atomic_load(&calls), (int)sizes[s]);
                for (size_t i = 0; i < sizes[s]; i++)
                    ck_assert_int_eq(results[i], (long)(i * i));
            }
        }
    }
    end();
}
END_TEST

static int count_call(const void *item, size_t item_size, void *result, size_t result_size)
{
    (void)item;
    (void)result;
    atomic_fetch_add(&calls, 1);
    return item_size == 0 && result_size == 0 ? 0 : -EILSEQ;
}

START_TEST(no_items_are_done_and_items_and_results_may_be_empty)
{
    start(kinds[_i]);
    ck_assert_int_eq(fx_executor_map(&ex.executor, square, NULL, 0, 4, NULL, 8, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
    ck_assert_int_eq(fx_executor_map(&ex.executor, count_call, NULL, 10, 0, NULL, 0, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 10);
    end();
}
END_TEST

START_TEST(a_failure_is_told_and_ends_the_map)
{
    start(kinds[_i]);
    for (size_t chunk = 1; chunk < 50; chunk += 24) {
        fx_map_attr attr = { .chunk = chunk, .max_in_flight = 4 };
        fill_items();
        int rc = map(fail_from_30, N, &attr);
        ck_assert(rc == 33 || (rc <= -30 && rc > -30 - 5 * (int)chunk));
        ck_assert_int_lt(atomic_load(&calls), N);
    }
    fx_map_attr one = { .max_in_flight = 1 };
    ck_assert_int_eq(map(fail_from_30, N, &one), -30);
    items[30] = 33;
    ck_assert_int_eq(map(fail_from_30, N, &one), 33);
    end();
}
END_TEST

START_TEST(with_an_array_of_exceptions_every_item_is_tried)
{
    start(kinds[_i]);
    for (size_t chunk = 1; chunk < 80; chunk += 39) {
        fx_map_attr attr = { .chunk = chunk, .exceptions = exceptions };
        fill_items();
        ck_assert_int_eq(map(fail_from_30, N, &attr), -30);
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(exceptions[i], i < 30 ? 0 : i == 33 ? 33 : -i);
            if (i < 30)
                ck_assert_int_eq(results[i], (long)i * i);
        }
        ck_assert_int_eq(map(square, N, &attr), 0);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(exceptions[i], 0);
    }
    end();
}
END_TEST

START_TEST(an_executor_that_refuses_when_full_is_given_one_after_the_other)
{
    start(&manual_ops);
    for (fx_when_full when = FX_FULL_BLOCK; when <= FX_FULL_RUN; when++) {
        fill_items();
        ck_assert_int_eq(fxi_executor_set_full(&ex.executor, 2, when, 0), 0);
        ck_assert_int_eq(map(square, N, NULL), 0);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(results[i], (long)i * i);
    }
    end();
}
END_TEST

START_TEST(what_a_submit_says_is_told)
{
    start(&manual_ops);
    ex.submit_error = -EAGAIN;
    ck_assert_int_eq(map(square, N, NULL), -EAGAIN);
    ex.submit_error = -ENOMEM;
    ck_assert_int_eq(map(square, N, NULL), -ENOMEM);
    ex.submit_error = 0;
    fx_executor_shutdown(&ex.executor, true, false);
    fx_map_attr attr = { .exceptions = exceptions };
    ck_assert_int_eq(map(square, N, &attr), -ESHUTDOWN);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(exceptions[i], FX_CANCELLED);
    ck_assert_int_eq(atomic_load(&calls), 0);
    end();
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    fx_map_attr reserved = { .reserved = { 1 } }, past = { .timeout = -2 };
    start(&manual_ops);
    fx_executor *e = &ex.executor;
    ck_assert_int_eq(fx_executor_map(NULL, square, items, 1, 4, results, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_executor_map(e, NULL, items, 1, 4, results, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_executor_map(e, square, NULL, 1, 4, results, 8, NULL), -EINVAL);
    ck_assert_int_eq(fx_executor_map(e, square, items, 1, 4, NULL, 8, NULL), -EINVAL);
    ck_assert_int_eq(map(square, 1, &reserved), -EINVAL);
    ck_assert_int_eq(map(square, 1, &past), -EINVAL);
    end();
}
END_TEST

START_TEST(the_want_of_memory_is_told_and_leaves_nothing_running)
{
    manual_init_with(&ex, &manual_plain_ops);
    fill_items();
    manual_crew_start(&crew, &ex);
    for (unsigned nth = 1; nth <= 3; nth++) {
        fxi_inject_arm(FXI_INJECT_ALLOC, nth, ENOMEM);
        ck_assert_int_eq(map(square, N, NULL), -ENOMEM);
    }
    fxi_inject_disarm();
    end();
}
END_TEST

/* --- on a thread pool: what waits ----------------------------------------------------------- */

/* Waits as many ms as the item says, for ever if that is negative; 1000 fails. */
static int wait_ms(const void *item, size_t item_size, void *result, size_t result_size)
{
    int ms = *(const int *)item;
    (void)item_size;
    (void)result_size;
    atomic_fetch_add(&in_calls, 1);
    FX_TRY {
        fx_sleep(ms < 0 ? FX_FOREVER : FX_MSEC(ms == 1000 ? 1 : ms));
        *(long *)result = ms;
    } FX_FINALLY {
        atomic_fetch_add(&ended, 1);
    } FX_END
    return ms == 1000 ? -EDOM : 0;
}

static int map_on(fx_executor *pool, size_t n, const fx_map_attr *attr)
{
    return fx_executor_map(pool, wait_ms, items, n, sizeof(int), results, sizeof(long), attr);
}

static fx_executor *new_pool(void)
{
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    ck_assert_ptr_nonnull(pool);
    atomic_store(&in_calls, 0);
    atomic_store(&ended, 0);
    return pool;
}

static void end_pool(fx_executor *pool)
{
    ck_assert_int_eq(atomic_load(&in_calls), atomic_load(&ended));
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    fx_executor_unref(pool);
}

START_TEST(a_failure_stops_those_that_wait)
{
    fx_executor *pool = new_pool();
    for (int i = 0; i < N; i++)
        items[i] = i == 5 ? 1000 : -1;
    ck_assert_int_eq(map_on(pool, N, NULL), -EDOM);
    ck_assert_int_eq(atomic_load(&in_calls), atomic_load(&ended));
    fx_map_attr attr = { .chunk = 3 };
    for (int i = 0; i < N; i++)
        items[i] = i % 3 == 1 ? 1000 : 0;
    ck_assert_int_eq(map_on(pool, N, &attr), -EDOM);
    end_pool(pool);
}
END_TEST

START_TEST(a_timeout_stops_all)
{
    fx_executor *pool = new_pool();
    fx_map_attr attr = { .timeout = FX_MSEC(20), .exceptions = exceptions };
    for (int i = 0; i < N; i++)
        items[i] = i < 3 ? 0 : -1;
    fx_deadline limit = fx_deadline_after(FX_MSEC(20));
    ck_assert_int_eq(map_on(pool, N, &attr), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), limit);
    for (int i = 0; i < N; i++)
        ck_assert(exceptions[i] == FX_STOPPED || exceptions[i] == FX_CANCELLED ||
                  (i < 3 && exceptions[i] == 0));
    ck_assert_int_eq(exceptions[N - 1], FX_CANCELLED);
    attr.exceptions = NULL;
    ck_assert_int_eq(map_on(pool, N, &attr), -ETIMEDOUT);
    end_pool(pool);
}
END_TEST

static fx_executor *stopped_pool;

static int map_for_ever(void *arg)
{
    volatile int caught = 0;
    (void)arg;
    FX_TRY {
        map_on(stopped_pool, N, NULL);
    } FX_EXCEPT_ANY(e) {
        caught = e == FX_STOPPED;
    } FX_END
    return caught;
}

START_TEST(a_stop_of_the_caller_stops_all)
{
    struct worker w;
    stopped_pool = new_pool();
    for (int i = 0; i < N; i++)
        items[i] = -1;
    worker_start(&w, map_for_ever, NULL);
    await(atomic_load(&in_calls) > 2);
    ck_assert_int_eq(fx_thread_stop(w.thread), 0);
    ck_assert_int_eq(worker_end(&w), 1);
    end_pool(stopped_pool);
}
END_TEST

static void *map_in_task(void *pool)
{
    long sums[10];
    int numbers[10];
    for (int i = 0; i < 10; i++)
        numbers[i] = i;
    int rc = fx_executor_map(pool, wait_ms, numbers, 10, sizeof(int), sums, sizeof(long), NULL);
    return rc == 0 && sums[9] == 9 ? pool : NULL;
}

START_TEST(maps_in_tasks_of_the_same_pool_do_not_deadlock)
{
    enum { MAPS = 20 };
    fx_future *futures[MAPS];
    fx_executor *pool = new_pool();
    for (int i = 0; i < MAPS; i++)
        futures[i] = fx_submit(pool, map_in_task, pool);
    for (int i = 0; i < MAPS; i++) {
        void *value = NULL;
        ck_assert_int_eq(fx_future_result_for(futures[i], FX_SEC(await_limit()), &value), 0);
        ck_assert_ptr_eq(value, pool);
    }
    fx_future_unref_all(futures, MAPS);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, each_result_belongs_to_its_item, 0, 2);
    tcase_add_loop_test(tests, no_items_are_done_and_items_and_results_may_be_empty, 0, 2);
    tcase_add_loop_test(tests, a_failure_is_told_and_ends_the_map, 0, 2);
    tcase_add_loop_test(tests, with_an_array_of_exceptions_every_item_is_tried, 0, 2);
    tcase_add_test(tests, an_executor_that_refuses_when_full_is_given_one_after_the_other);
    tcase_add_test(tests, what_a_submit_says_is_told);
    tcase_add_test(tests, bad_arguments_are_refused);
    tcase_add_test(tests, the_want_of_memory_is_told_and_leaves_nothing_running);
    tcase_add_test(tests, a_failure_stops_those_that_wait);
    tcase_add_test(tests, a_timeout_stops_all);
    tcase_add_test(tests, a_stop_of_the_caller_stops_all);
    tcase_add_test(tests, maps_in_tasks_of_the_same_pool_do_not_deadlock);
}

int main(void)
{
    return run_suite("map", add_tests);
}
