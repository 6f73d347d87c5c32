/* Queues: order, bounds, tasks, both shutdowns, and whose an item is after an error. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "worker.h"

#define ITEM(n) ((void *)(intptr_t)(n))

static fx_queue *queue;

static void make(fx_queue_kind kind, size_t maxsize)
{
    queue = fx_queue_new(kind, maxsize);
    ck_assert_ptr_nonnull(queue);
}

static void put(int n)
{
    ck_assert_int_eq(fx_queue_put_for(queue, ITEM(n), 0), 0);
}

static int get(void)
{
    void *item = ITEM(-1);
    int rc = fx_queue_get_for(queue, 0, &item);
    return rc ? rc : (int)(intptr_t)item;
}

/* Threads in a call that blocks. That they do is seen in the threads' own words: the queue's lines
 * have no address that a test knows. */
static int get_one(void *arg)
{
    void *item = ITEM(-1);
    (void)arg;
    int rc = fx_queue_get(queue, &item);
    return rc ? rc : (int)(intptr_t)item;
}

static int put_one(void *item)
{
    return fx_queue_put(queue, item);
}

static int join_queue(void *arg)
{
    (void)arg;
    return fx_queue_join(queue);
}

static struct fxi_waiter *waiter_of(struct worker *w)
{
    return &((struct fxi_context *)w->thread)->waiter;
}

/* Until it has begun to wait. */
static void await_blocked(struct worker *w)
{
    await(__atomic_load_n(&waiter_of(w)->address, __ATOMIC_RELAXED) != NULL);
}

static void start_blocked(struct worker *w, int (*call)(void *), void *arg)
{
    worker_start(w, call, arg);
    await_blocked(w);
}

START_TEST(a_queue_of_no_kind_is_einval)
{
    errno = 0;
    ck_assert_ptr_null(fx_queue_new((fx_queue_kind)3, 0));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(fx_queue_new((fx_queue_kind)-1, 0));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

static int compare_ints(const void *one, const void *other)
{
    return *(const int *)one - *(const int *)other;
}

START_TEST(null_is_einval)
{
    void *item = ITEM(7);
    ck_assert_int_eq(fx_queue_put(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_queue_put_for(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(fx_queue_put_until(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(fx_queue_get(NULL, &item), -EINVAL);
    ck_assert_int_eq(fx_queue_get_for(NULL, 0, &item), -EINVAL);
    ck_assert_int_eq(fx_queue_get_until(NULL, 0, &item), -EINVAL);
    ck_assert_ptr_eq(item, ITEM(7));
    ck_assert_int_eq(fx_queue_task_done(NULL), -EINVAL);
    ck_assert_int_eq(fx_queue_join(NULL), -EINVAL);
    ck_assert_int_eq(fx_queue_join_for(NULL, 0), -EINVAL);
    ck_assert_int_eq(fx_queue_join_until(NULL, 0), -EINVAL);
    ck_assert_int_eq(fx_queue_shutdown(NULL, true), -EINVAL);
    ck_assert_int_eq(fx_queue_set_free(NULL, free), -EINVAL);
    ck_assert_int_eq(fx_queue_set_compare(NULL, compare_ints), -EINVAL);
    ck_assert_uint_eq(fx_queue_size(NULL), 0);
    fx_queue_unref(NULL);
    ck_assert_ptr_null(fx_queue_ref(NULL));
}
END_TEST

START_TEST(fifo_gives_the_oldest_and_lifo_the_latest)
{
    enum { N = 1000 }; /* it grows several times, and turns round */
    for (int kind = FX_QUEUE_FIFO; kind <= FX_QUEUE_LIFO; kind++) {
        make((fx_queue_kind)kind, 0);
        for (int round = 0; round < 3; round++) {
            put(-5);
            ck_assert_int_eq(get(), -5);
            for (int i = 0; i < N; i++)
                put(i);
            ck_assert_uint_eq(fx_queue_size(queue), N);
            for (int i = 0; i < N; i++)
                ck_assert_int_eq(get(), kind == FX_QUEUE_FIFO ? i : N - 1 - i);
            ck_assert_int_eq(get(), -ETIMEDOUT);
            ck_assert_uint_eq(fx_queue_size(queue), 0);
        }
        fx_queue_unref(queue);
    }
}
END_TEST

START_TEST(priority_gives_the_least_by_value_without_a_comparison)
{
    make(FX_QUEUE_PRIORITY, 0);
    unsigned seed = 5;
    for (int i = 0; i < 500; i++)
        put((int)(rand_r(&seed) % 1000));
    for (int i = 0, last = -1; i < 500; i++) {
        int n = get();
        ck_assert_int_ge(n, last);
        last = n;
    }
    fx_queue_unref(queue);
}
END_TEST

START_TEST(priority_goes_by_its_comparison_and_keeps_equal_ones_in_order)
{
    enum { N = 400 };
    struct { int priority, number; } items[N], *item;
    int last_of[10] = {0}, last = -1;
    unsigned seed = 9;
    make(FX_QUEUE_PRIORITY, 0);
    ck_assert_int_eq(fx_queue_set_compare(queue, compare_ints), 0);
    for (int i = 0; i < N; i++) {
        items[i].priority = (int)(rand_r(&seed) % 10);
        items[i].number = i + 1;
        ck_assert_int_eq(fx_queue_put(queue, &items[i]), 0);
    }
    ck_assert_int_eq(fx_queue_set_compare(queue, compare_ints), -EBUSY);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(fx_queue_get(queue, (void **)&item), 0);
        ck_assert_int_ge(item->priority, last);
        last = item->priority;
        ck_assert_int_gt(item->number, last_of[last]);
        last_of[last] = item->number;
    }
    fx_queue_unref(queue);
}
END_TEST

START_TEST(a_comparison_is_for_priority_queues)
{
    make(FX_QUEUE_FIFO, 0);
    ck_assert_int_eq(fx_queue_set_compare(queue, compare_ints), -EINVAL);
    fx_queue_unref(queue);
    make(FX_QUEUE_PRIORITY, 0);
    ck_assert_int_eq(fx_queue_set_compare(queue, NULL), -EINVAL);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(null_is_an_item_and_what_is_got_may_be_ignored)
{
    void *item = ITEM(3);
    make(FX_QUEUE_FIFO, 0);
    ck_assert_int_eq(fx_queue_put(queue, NULL), 0);
    ck_assert_int_eq(fx_queue_get(queue, &item), 0);
    ck_assert_ptr_null(item);
    put(1);
    ck_assert_int_eq(fx_queue_get(queue, NULL), 0);
    ck_assert_uint_eq(fx_queue_size(queue), 0);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(waits_last_their_full_time)
{
    const fx_nsec past[] = {0, -2, INT64_MIN};
    void *item = ITEM(9);
    make(FX_QUEUE_FIFO, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_queue_get_for(queue, past[i], &item), -ETIMEDOUT);
        fx_deadline end = fx_deadline_after(FX_MSEC(8));
        ck_assert_int_eq(fx_queue_get_until(queue, end, &item), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
    }
    put(1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_queue_put_for(queue, item, past[i]), -ETIMEDOUT);
        fx_deadline end = fx_deadline_after(FX_MSEC(8));
        ck_assert_int_eq(fx_queue_put_until(queue, item, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
        end = fx_deadline_after(FX_MSEC(8));
        ck_assert_int_eq(fx_queue_join_until(queue, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
    }
    ck_assert_ptr_eq(item, ITEM(9));
    ck_assert_uint_eq(fx_queue_size(queue), 1);
    ck_assert_int_eq(get(), 1);
    put(2); /* nobody waits to get any more */
    ck_assert_int_eq(get(), 2);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(those_that_get_are_served_in_order)
{
    enum { N = 10 };
    struct worker w[N];
    make((fx_queue_kind)_i, 0);
    for (int i = 0; i < N; i++)
        start_blocked(&w[i], get_one, NULL);
    for (int i = 0; i < N; i++)
        put(100 + i);
    ck_assert_int_eq(get(), -ETIMEDOUT); /* nobody overtakes: all are handed out already */
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 100 + i);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(those_that_put_are_served_in_order)
{
    enum { N = 10, MAX = 3 };
    struct worker w[N];
    make(FX_QUEUE_FIFO, MAX);
    for (int i = 0; i < MAX; i++)
        put(i);
    for (int i = 0; i < N; i++)
        start_blocked(&w[i], put_one, ITEM(MAX + i));
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(get(), i);
        ck_assert_int_eq(worker_end(&w[i]), 0);
        ck_assert_uint_eq(fx_queue_size(queue), MAX);
        ck_assert_int_eq(fx_queue_put_for(queue, NULL, 0), -ETIMEDOUT);
    }
    for (int i = N; i < N + MAX; i++)
        ck_assert_int_eq(get(), i);
    put(1); /* nobody waits for room any more */
    fx_queue_unref(queue);
}
END_TEST

START_TEST(join_waits_for_the_last_task)
{
    struct worker w[2];
    make(FX_QUEUE_FIFO, 0);
    ck_assert_int_eq(fx_queue_join(queue), 0);
    ck_assert_int_eq(fx_queue_task_done(queue), -EINVAL);
    put(1);
    put(2);
    for (int i = 0; i < 2; i++)
        start_blocked(&w[i], join_queue, NULL);
    get();
    get();
    ck_assert_int_eq(fx_queue_task_done(queue), 0);
    ck_assert(!worker_done(&w[0]));
    ck_assert_int_eq(fx_queue_join_for(queue, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_queue_task_done(queue), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_int_eq(fx_queue_task_done(queue), -EINVAL);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(handed_over_items_are_tasks_too)
{
    struct worker w;
    make(FX_QUEUE_FIFO, 1);
    start_blocked(&w, get_one, NULL);
    put(5);
    ck_assert_int_eq(worker_end(&w), 5);
    put(6);
    start_blocked(&w, put_one, ITEM(7));
    ck_assert_int_eq(get(), 6);
    ck_assert_int_eq(worker_end(&w), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_queue_join_for(queue, 0), -ETIMEDOUT);
        ck_assert_int_eq(fx_queue_task_done(queue), 0);
    }
    ck_assert_int_eq(fx_queue_join_for(queue, 0), 0);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(after_a_shutdown_nothing_is_put_and_the_rest_can_be_got)
{
    make(FX_QUEUE_FIFO, 0);
    put(1);
    put(2);
    ck_assert_int_eq(fx_queue_shutdown(queue, false), 0);
    ck_assert_int_eq(fx_queue_shutdown(queue, false), 0);
    ck_assert_int_eq(fx_queue_put(queue, ITEM(3)), -ESHUTDOWN);
    ck_assert_int_eq(fx_queue_put_for(queue, ITEM(3), 0), -ESHUTDOWN);
    ck_assert_int_eq(get(), 1);
    ck_assert_int_eq(get(), 2);
    ck_assert_int_eq(get(), -ESHUTDOWN);
    ck_assert_int_eq(fx_queue_get(queue, NULL), -ESHUTDOWN);
    ck_assert_int_eq(fx_queue_join_for(queue, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_queue_task_done(queue), 0);
    ck_assert_int_eq(fx_queue_task_done(queue), 0);
    ck_assert_int_eq(fx_queue_join(queue), 0);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(a_shutdown_wakes_those_that_get)
{
    struct worker w[4];
    make(FX_QUEUE_LIFO, 2);
    for (int i = 0; i < 4; i++)
        start_blocked(&w[i], get_one, NULL);
    ck_assert_int_eq(fx_queue_shutdown(queue, _i), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(worker_end(&w[i]), -ESHUTDOWN);
    fx_queue_unref(queue);
}
END_TEST

static int freed;

static void count_freed(void *item)
{
    freed += (int)(intptr_t)item;
}

START_TEST(a_shutdown_wakes_those_that_put_and_their_items_stay_theirs)
{
    struct worker w[4];
    make(FX_QUEUE_FIFO, 1);
    fx_queue_set_free(queue, count_freed);
    put(1);
    for (int i = 0; i < 4; i++)
        start_blocked(&w[i], put_one, ITEM(10));
    ck_assert_int_eq(fx_queue_shutdown(queue, _i), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(worker_end(&w[i]), -ESHUTDOWN);
    ck_assert_int_eq(freed, _i ? 1 : 0);
    ck_assert_int_eq(get(), _i ? -ESHUTDOWN : 1);
    fx_queue_unref(queue);
    ck_assert_int_eq(freed, _i ? 1 : 0);
}
END_TEST

START_TEST(an_immediate_shutdown_discards_what_is_in_it_and_lets_joiners_go)
{
    struct worker w;
    make((fx_queue_kind)_i, 0);
    fx_queue_set_free(queue, count_freed);
    for (int i = 0; i < 5; i++)
        put(1);
    start_blocked(&w, join_queue, NULL);
    ck_assert_int_eq(fx_queue_shutdown(queue, true), 0);
    ck_assert_int_eq(freed, 5);
    ck_assert_int_eq(worker_end(&w), 0);
    ck_assert_uint_eq(fx_queue_size(queue), 0);
    ck_assert_int_eq(get(), -ESHUTDOWN);
    ck_assert_int_eq(fx_queue_task_done(queue), -EINVAL);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(an_immediate_shutdown_leaves_tasks_that_were_got_unfinished)
{
    make(FX_QUEUE_FIFO, 0);
    put(1);
    put(2);
    ck_assert_int_eq(get(), 1);
    ck_assert_int_eq(fx_queue_shutdown(queue, false), 0);
    ck_assert_int_eq(fx_queue_shutdown(queue, true), 0); /* a graceful one can be hastened */
    ck_assert_int_eq(fx_queue_join_for(queue, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_queue_task_done(queue), 0);
    ck_assert_int_eq(fx_queue_join_for(queue, 0), 0);
    fx_queue_unref(queue);
}
END_TEST

START_TEST(the_last_handle_frees_what_is_left)
{
    make((fx_queue_kind)_i, 0);
    fx_queue_set_free(queue, count_freed);
    for (int i = 0; i < 50; i++)
        put(1);
    ck_assert_int_eq(get(), 1);
    ck_assert_ptr_eq(fx_queue_ref(queue), queue);
    fx_queue_unref(queue);
    ck_assert_int_eq(freed, 0);
    ck_assert_uint_eq(fx_queue_size(queue), 49);
    fx_queue_unref(queue);
    ck_assert_int_eq(freed, 49);
}
END_TEST

START_TEST(without_memory_the_item_stays_the_callers_and_the_queue_works)
{
    make((fx_queue_kind)_i, 0);
    for (int i = 0; i < 16; i++)
        put(i);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    int rc = fx_queue_put(queue, ITEM(99));
    fxi_inject_disarm();
    ck_assert_int_eq(rc, -ENOMEM);
    ck_assert_uint_eq(fx_queue_size(queue), 16);
    put(16);
    for (int i = 0; i < 17; i++)
        ck_assert_int_eq(get(), _i == FX_QUEUE_LIFO ? 16 - i : i);
    for (int i = 0; i < 17; i++)
        ck_assert_int_eq(fx_queue_task_done(queue), 0);
    ck_assert_int_eq(fx_queue_task_done(queue), -EINVAL);
    fx_queue_unref(queue);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    errno = 0;
    queue = fx_queue_new((fx_queue_kind)_i, 0);
    fxi_inject_disarm();
    ck_assert_ptr_null(queue);
    ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    make(FX_QUEUE_FIFO, 0);
    for (unsigned i = 0; i < 20; i++) {
        struct worker w;
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        start_blocked(&w, get_one, NULL);
        put((int)i);
        ck_assert_int_eq(worker_end(&w), (int)i);
        fxi_inject_disarm();
    }
    fx_queue_unref(queue);
}
END_TEST

/* --- many at once ----------------------------------------------------------------------------- */

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 10000 };

static int produce(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++)
        if (fx_queue_put(queue, ITEM(me * EACH + i)) != 0)
            return -1;
    return 0;
}

static atomic_llong sum;

/* Of each producer, a consumer gets the items in their order. */
static int consume(void *arg)
{
    int last[PRODUCERS] = {-1, -1, -1};
    void *item;
    long long mine = 0;
    (void)arg;
    while (fx_queue_get(queue, &item) == 0) {
        int n = (int)(intptr_t)item, producer = n / EACH;
        if (n % EACH <= last[producer])
            return -1;
        last[producer] = n % EACH;
        mine += n;
        fx_queue_task_done(queue);
    }
    atomic_fetch_add(&sum, mine);
    return 0;
}

START_TEST(nothing_is_lost_doubled_or_out_of_order)
{
    struct worker w[PRODUCERS + CONSUMERS];
    long long n = PRODUCERS * EACH;
    make(FX_QUEUE_FIFO, _i ? 8 : 0);
    for (int i = 0; i < CONSUMERS; i++)
        worker_start(&w[PRODUCERS + i], consume, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        worker_start(&w[i], produce, ITEM(i));
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_int_eq(fx_queue_join(queue), 0);
    fx_queue_shutdown(queue, false);
    for (int i = 0; i < CONSUMERS; i++)
        ck_assert_int_eq(worker_end(&w[PRODUCERS + i]), 0);
    ck_assert_int_eq(atomic_load(&sum), n * (n - 1) / 2);
    fx_queue_unref(queue);
}
END_TEST

static void add_tests(TCase *tests)
{
    enum { KINDS = FX_QUEUE_PRIORITY + 1 };
    tcase_add_test(tests, a_queue_of_no_kind_is_einval);
    tcase_add_test(tests, null_is_einval);
    tcase_add_test(tests, fifo_gives_the_oldest_and_lifo_the_latest);
    tcase_add_test(tests, priority_gives_the_least_by_value_without_a_comparison);
    tcase_add_test(tests, priority_goes_by_its_comparison_and_keeps_equal_ones_in_order);
    tcase_add_test(tests, a_comparison_is_for_priority_queues);
    tcase_add_test(tests, null_is_an_item_and_what_is_got_may_be_ignored);
    tcase_add_test(tests, waits_last_their_full_time);
    tcase_add_loop_test(tests, those_that_get_are_served_in_order, 0, KINDS);
    tcase_add_test(tests, those_that_put_are_served_in_order);
    tcase_add_test(tests, join_waits_for_the_last_task);
    tcase_add_test(tests, handed_over_items_are_tasks_too);
    tcase_add_test(tests, after_a_shutdown_nothing_is_put_and_the_rest_can_be_got);
    tcase_add_loop_test(tests, a_shutdown_wakes_those_that_get, 0, 2);
    tcase_add_loop_test(tests, a_shutdown_wakes_those_that_put_and_their_items_stay_theirs, 0, 2);
    tcase_add_loop_test(tests, an_immediate_shutdown_discards_what_is_in_it_and_lets_joiners_go, 0,
                        KINDS);
    tcase_add_test(tests, an_immediate_shutdown_leaves_tasks_that_were_got_unfinished);
    tcase_add_loop_test(tests, the_last_handle_frees_what_is_left, 0, KINDS);
    tcase_add_loop_test(tests, without_memory_the_item_stays_the_callers_and_the_queue_works, 0,
                        KINDS);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
    tcase_add_loop_test(tests, nothing_is_lost_doubled_or_out_of_order, 0, 2);
}

int main(void)
{
    return run_suite("queue", add_tests);
}
