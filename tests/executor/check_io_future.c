/* Futures of I/O as futures, and sleeps, over both backends. */
#include "io.h"
#include "child.h"

#include "../thread/suite.h"

/* --- sleeps ----------------------------------------------------------------------------------- */

START_TEST(a_sleep_is_done_when_it_is_due)
{
    fx_executor *pool = io_pool(_i, 1);
    fx_deadline due = fx_deadline_after(FX_MSEC(30));
    fx_future *long_one = fx_async_sleep(pool, FX_MSEC(30));
    ck_assert_int_eq(io_of(fx_async_sleep(pool, FX_MSEC(5))), 0);
    ck_assert_int_eq(io_of(fx_async_sleep(pool, 0)), 0);
    ck_assert_int_eq(io_of(fx_async_sleep(pool, -5)), 0);
    ck_assert_int_eq(io_of(long_one), 0);
    ck_assert_int_ge(fx_now(), due);
    end_pool(pool);
}
END_TEST

START_TEST(a_shorter_sleep_is_not_late_for_a_longer_one)
{
    enum { N = 20 };
    fx_executor *pool = io_pool(_i, 2);
    fx_future *sleeps[N];
    for (int i = 0; i < N; i++) {
        sleeps[i] = fx_async_sleep(pool, FX_SEC(1000 - i));
        if (i % 2)
            fx_sleep(FX_MSEC(1)); /* so that there are workers that rest, and others that do not yet */
        ck_assert_int_eq(io_of(fx_async_sleep(pool, FX_USEC(100 * i))), 0);
    }
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(fx_future_cancel(sleeps[i]), 0);
    fx_future_unref_all(sleeps, N);
    end_pool(pool);
}
END_TEST

/* Not by waiting: its worker does nothing else. */
static void *compute_until_done(void *future)
{
    while (!fx_future_done(future))
        continue;
    return NULL;
}

START_TEST(a_worker_that_computes_keeps_no_sleep_waiting)
{
    fx_executor *pool = io_pool(_i, 2);
    for (int i = 0; i < 10; i++) {
        fx_future *sleep = fx_async_sleep(pool, FX_MSEC(10));
        if (i % 2)
            fx_sleep(FX_MSEC(2)); /* so that the one that is to wake for it is given the task */
        run_in(pool, compute_until_done, sleep);
        ck_assert_int_eq(io_of(sleep), 0);
    }
    end_pool(pool);
}
END_TEST

START_TEST(workers_end_when_the_last_sleep_is_cancelled)
{
    fx_thread_pool_attr attr = { .max_workers = 2, .idle_timeout = FX_MSEC(1) };
    fx_executor_unref(io_pool(_i, 1));
    attr.backend = _i == IO_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL;
    fx_executor *pool = fx_thread_pool_new(&attr);
    fx_future *sleep = fx_async_sleep(pool, FX_SEC(1000));
    fx_sleep(FX_MSEC(5));
    ck_assert_int_eq(fx_executor_shutdown_for(pool, 0, false), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_cancel(sleep), 0);
    fx_future_unref(sleep);
    end_pool(pool);
}
END_TEST

START_TEST(a_sleep_can_be_cancelled_until_it_is_due)
{
    enum { N = 200 };
    fx_executor *pool = io_pool(_i, 2);
    fx_future *sleeps[N];
    for (int i = 0; i < N; i++)
        sleeps[i] = fx_async_sleep(pool, i % 3 ? FX_FOREVER : FX_SEC(1000));
    for (int i = 0; i < N; i++) {
        int n = (i * 7) % N;
        ck_assert(!fx_future_running(sleeps[n]) && !fx_future_done(sleeps[n]));
        ck_assert_int_eq(i % 2 ? fx_future_cancel(sleeps[n]) : fx_future_stop(sleeps[n]), 0);
        ck_assert(fx_future_cancelled(sleeps[n]));
        ck_assert_int_eq(fx_future_cancel(sleeps[n]), 0);
        ck_assert_int_eq(io_of(sleeps[n]), -ECANCELED);
    }
    end_pool(pool); /* which waits for none of them */
}
END_TEST

static void *cancel_own_sleep(void *pool)
{
    fx_future *sleep = fx_async_sleep(pool, FX_SEC(1000));
    expect_int(fx_future_cancel(sleep), ==, 0);
    expect_int(fx_future_io(sleep), ==, -ECANCELED);
    fx_future_unref(sleep);
    return NULL;
}

START_TEST(a_task_cancels_a_sleep_of_its_own_worker)
{
    fx_executor *pool = io_pool(_i, 1);
    run_in(pool, cancel_own_sleep, pool);
    end_pool(pool);
}
END_TEST

/* --- as futures ------------------------------------------------------------------------------- */

static fx_event event;
static atomic_int calls;

static void wait_for_event(fx_future *future, void *arg)
{
    expect(fx_future_done(future));
    expect_int(fx_event_wait(&event), ==, 0);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void note_call(fx_future *future, void *arg)
{
    expect_int(fx_future_io(future), ==, 1);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void raise_one(fx_future *future, void *arg)
{
    (void)future;
    (void)arg;
    fx_raise(3);
}

static void *set_event(void *arg)
{
    fx_event_set(&event);
    return arg;
}

static void ignore_exception(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    (void)info;
}

START_TEST(a_done_callback_may_wait_while_its_worker_goes_on)
{
    fx_executor *pool = io_pool(_i, 1);
    int ends[2];
    char c;
    fx_set_excepthook(ignore_exception);
    io_pipe(ends);
    fx_future *read = fx_async_read(pool, ends[0], &c, 1, -1);
    fx_future *sleep = fx_async_sleep(pool, FX_MSEC(5));
    ck_assert_int_eq(fx_future_add_done_callback(sleep, wait_for_event, &calls), 0);
    ck_assert_int_eq(fx_future_add_done_callback(read, wait_for_event, &calls), 0);
    ck_assert_int_eq(fx_future_add_done_callback(read, raise_one, NULL), 0);
    ck_assert_int_eq(fx_future_add_done_callback(read, note_call, &calls), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(io_of(read), 1);
    ck_assert_int_eq(io_of(sleep), 0);
    run_in(pool, set_event, NULL);
    await(atomic_load(&calls) == 3);
    io_close(ends);
    end_pool(pool);
}
END_TEST

static void *add_ten(fx_future *done, void *arg)
{
    (void)arg;
    return (void *)(intptr_t)(fx_future_io(done) + 10);
}

START_TEST(a_continuation_follows_an_operation)
{
    fx_executor *pool = io_pool(_i, 1);
    int fd = io_file(100);
    char buf[30];
    fx_future *read = fx_async_read(pool, fd, buf, 30, 0);
    fx_future *then = fx_future_then(read, pool, add_ten, NULL);
    ck_assert_int_eq((int)(intptr_t)result_of(then), 40);
    fx_future_unref(read);
    close(fd);
    end_pool(pool);
}
END_TEST

static void *return_it(void *arg)
{
    return arg;
}

START_TEST(operations_are_waited_for_beside_tasks)
{
    fx_executor *pool = io_pool(_i, 2);
    int fd = io_file(100), ends[2];
    char buf[2][10];
    io_pipe(ends);
    fx_future *all[] = { fx_async_read(pool, fd, buf[0], 10, 0), submit(pool, return_it, NULL),
                         fx_async_sleep(pool, FX_MSEC(1)),
                         fx_async_read(pool, ends[0], buf[1], 10, -1) };
    size_t n_done = 0;
    ck_assert_int_eq(fx_wait(all, 3, FX_SEC(await_limit()), FX_ALL_COMPLETED, &n_done), 0);
    ck_assert_int_eq(fx_wait(all, 4, FX_MSEC(10), FX_ALL_COMPLETED, &n_done), -ETIMEDOUT);
    ck_assert_uint_eq(n_done, 3);
    ck_assert_int_eq(write(ends[1], "y", 1), 1);
    fx_as_completed each;
    fx_future *next;
    size_t index, sum = 0;
    ck_assert_int_eq(fx_as_completed_init(&each, all, 4, FX_SEC(await_limit())), 0);
    while (fx_as_completed_next(&each, &next, &index) == 1)
        sum += index;
    fx_as_completed_end(&each);
    ck_assert_uint_eq(sum, 6);
    fx_future_unref_all(all, 4);
    close(fd);
    io_close(ends);
    end_pool(pool);
}
END_TEST

struct ahead {
    fx_executor *pool;
    int fd;
};

/* What is read ahead is under way while the task computes. */
static void *read_ahead(void *arg)
{
    struct ahead *ahead = arg;
    char buf[2][1000];
    fx_future *next = fx_async_read(ahead->pool, ahead->fd, buf[0], 1000, 0);
    for (size_t i = 0; i < 10; i++) {
        int rc = fx_future_cancel(next);
        expect(rc == -EBUSY || rc == -EALREADY);
        expect_int(fx_future_io(next), ==, 1000);
        expect(is_of_file(buf[i % 2], 1000, i * 1000));
        fx_future_unref(next);
        next = fx_async_read(ahead->pool, ahead->fd, buf[(i + 1) % 2], 1000,
                             (off_t)(i + 1) * 1000);
    }
    expect_int(fx_future_io(next), ==, 0);
    fx_future_unref(next);
    return NULL;
}

START_TEST(a_task_reads_ahead)
{
    fx_executor *pool = io_pool(_i, 1);
    struct ahead ahead = { pool, io_file(10000) };
    run_in(pool, read_ahead, &ahead);
    close(ahead.fd);
    end_pool(pool);
}
END_TEST

START_TEST(giving_a_handle_up_does_not_cancel)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    static char buf[8];
    io_pipe(ends);
    fx_future_unref(fx_async_read(pool, ends[0], buf, sizeof buf, -1));
    ck_assert_int_eq(write(ends[1], "kept", 4), 4);
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), 0);
    ck_assert_str_eq(buf, "kept");
    fx_executor_unref(pool);
    io_close(ends);
}
END_TEST

START_TEST(operations_do_not_count_as_pending)
{
    fx_thread_pool_attr attr = { .max_workers = 1, .max_pending = 1, .when_full = FX_FULL_REFUSE,
                                 .backend = _i == IO_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL };
    fx_executor_unref(io_pool(_i, 1));
    fx_executor *pool = fx_thread_pool_new(&attr);
    fx_future *sleeps[100];
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(sleeps[i] = fx_async_sleep(pool, FX_MSEC(10)));
    ck_assert_int_eq(fx_wait(sleeps, 100, FX_SEC(await_limit()), FX_ALL_COMPLETED, NULL), 0);
    fx_future_unref_all(sleeps, 100);
    end_pool(pool);
}
END_TEST

/* --- the pool's end --------------------------------------------------------------------------- */

START_TEST(a_pool_that_was_shut_down_begins_nothing)
{
    fx_executor *pool = io_pool(_i, 1);
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    ck_assert_ptr_null(fx_async_sleep(pool, 0));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert_ptr_null(fx_async_fsync(pool, 0, false));
    ck_assert_int_eq(errno, ESHUTDOWN);
    fx_executor_unref(pool);
}
END_TEST

START_TEST(a_shutdown_waits_for_what_is_under_way)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char c = 0;
    io_pipe(ends);
    fx_future *read = fx_async_read(pool, ends[0], &c, 1, -1);
    fx_future *sleep = fx_async_sleep(pool, FX_MSEC(50));
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(20), false), -ETIMEDOUT);
    ck_assert_int_eq(write(ends[1], "z", 1), 1);
    end_pool(pool);
    ck_assert(fx_future_done(read) && fx_future_done(sleep));
    ck_assert_int_eq(io_of(read), 1);
    ck_assert_int_eq(io_of(sleep), 0);
    ck_assert_int_eq(c, 'z');
    io_close(ends);
}
END_TEST

START_TEST(a_shutdown_that_cancels_ends_what_is_under_way)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char buf[4];
    io_pipe(ends);
    fx_future *read = fx_async_read(pool, ends[0], buf, 4, -1);
    fx_future *sleep = fx_async_sleep(pool, FX_SEC(1000));
    fx_future *forever = fx_async_sleep(pool, FX_FOREVER);
    ck_assert_int_eq(fx_future_add_done_callback(sleep, wait_for_event, &calls), 0);
    fx_event_set(&event);
    await(fx_future_running(read));
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), true), 0);
    ck_assert(!fx_future_cancelled(read) && fx_future_cancelled(sleep));
    ck_assert_int_eq(exception_of(read), FX_STOPPED);
    ck_assert_int_eq(io_of(sleep), -ECANCELED);
    ck_assert_int_eq(io_of(forever), -ECANCELED);
    ck_assert_int_eq(atomic_load(&calls), 1);
    fx_executor_unref(pool);
    ck_assert_int_eq(write(ends[1], "a", 1), 1);
    ck_assert_int_eq((int)io_drain(ends[0]), 1);
    io_close(ends);
}
END_TEST

static atomic_int task_reads;
static int task_pipe[2];

static void *read_in_line(void *arg)
{
    char c;
    atomic_store(&task_reads, 1);
    expect_int(fx_read(task_pipe[0], &c, 1, -1), ==, 1);
    return arg;
}

START_TEST(a_shutdown_that_cancels_leaves_the_reads_of_tasks_alone)
{
    fx_executor *pool = io_pool(_i, 1);
    io_pipe(task_pipe);
    fx_future *task = submit(pool, read_in_line, pool);
    await(atomic_load(&task_reads) == 1);
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(20), true), -ETIMEDOUT);
    ck_assert_int_eq(write(task_pipe[1], "x", 1), 1);
    ck_assert_ptr_eq(result_of(task), pool);
    end_pool(pool);
}
END_TEST

static int refuse(void *arg)
{
    (void)arg;
    return -1;
}

START_TEST(a_broken_pool_says_so)
{
    fx_executor_unref(io_pool(_i, 1));
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){
        .max_workers = 1, .initializer = refuse,
        .backend = _i == IO_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL });
    fx_future *future = fx_async_sleep(pool, FX_SEC(1000));
    if (future)
        ck_assert_int_eq(io_of(future), -EPIPE);
    await(!(future = fx_async_fsync(pool, 0, false)) || (fx_future_unref(future), false));
    ck_assert_int_eq(errno, EPIPE);
    fx_executor_unref(pool);
}
END_TEST

static fx_future *slept_for;

static void *wait_for_sleep(void *arg)
{
    atomic_fetch_add(&task_reads, 1);
    expect_int(fx_future_io_for(slept_for, FX_SEC(1000)), ==, -ECANCELED);
    fx_sleep(FX_MSEC(1));
    return arg;
}

START_TEST(tasks_that_wait_for_a_cancelled_sleep_with_a_deadline_go_on)
{
    enum { N = 10 };
    fx_executor *pool = io_pool(_i, 1);
    fx_future *tasks[N];
    slept_for = fx_async_sleep(pool, FX_SEC(1000));
    for (int i = 0; i < N; i++)
        tasks[i] = submit(pool, wait_for_sleep, NULL);
    await(atomic_load(&task_reads) == N);
    run_in(pool, return_it, NULL);
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), true), 0);
    for (int i = 0; i < N; i++)
        result_of(tasks[i]);
    fx_future_unref(slept_for);
    end_pool(pool);
}
END_TEST

/* --- fork ------------------------------------------------------------------------------------- */

static fx_executor *forked_pool;
static fx_future *forked_read, *forked_sleep;

static int look_in_child(void)
{
    bool right = fx_future_io(forked_read) == -ESRCH && fx_future_io(forked_sleep) == -ESRCH &&
                 !fx_async_sleep(forked_pool, 0) && errno == EPIPE &&
                 fx_future_stop(forked_read) != 0;
    fx_future_cancel(forked_sleep);
    fx_future_unref(forked_sleep);
    return right ? 0 : 1;
}

START_TEST(a_forked_child_has_lost_what_was_under_way)
{
    fx_executor *pool = forked_pool = io_pool(_i, 2);
    int ends[2];
    char c;
    io_pipe(ends);
    forked_read = fx_async_read(pool, ends[0], &c, 1, -1);
    forked_sleep = fx_async_sleep(pool, FX_MSEC(50));
    await(fx_future_running(forked_read));
    ck_assert_int_eq(child_run(look_in_child), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(io_of(forked_read), 1);
    ck_assert_int_eq(io_of(forked_sleep), 0);
    io_close(ends);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
#define ADD(test) tcase_add_loop_test(tests, test, 0, IO_BACKENDS)
    ADD(a_sleep_is_done_when_it_is_due);
    ADD(a_shorter_sleep_is_not_late_for_a_longer_one);
    ADD(a_worker_that_computes_keeps_no_sleep_waiting);
    ADD(workers_end_when_the_last_sleep_is_cancelled);
    ADD(a_sleep_can_be_cancelled_until_it_is_due);
    ADD(a_task_cancels_a_sleep_of_its_own_worker);
    ADD(a_done_callback_may_wait_while_its_worker_goes_on);
    ADD(a_continuation_follows_an_operation);
    ADD(operations_are_waited_for_beside_tasks);
    ADD(a_task_reads_ahead);
    ADD(giving_a_handle_up_does_not_cancel);
    ADD(operations_do_not_count_as_pending);
    ADD(a_pool_that_was_shut_down_begins_nothing);
    ADD(a_shutdown_waits_for_what_is_under_way);
    ADD(a_shutdown_that_cancels_ends_what_is_under_way);
    ADD(a_shutdown_that_cancels_leaves_the_reads_of_tasks_alone);
    ADD(tasks_that_wait_for_a_cancelled_sleep_with_a_deadline_go_on);
    ADD(a_broken_pool_says_so);
    ADD(a_forked_child_has_lost_what_was_under_way);
}

int main(void)
{
    return run_suite("io_future", add_tests);
}
