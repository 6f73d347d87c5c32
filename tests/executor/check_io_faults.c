/* I/O when something cannot be had: memory, a backend, the pool's kind. */
#include "io.h"
#include "kernel/inject.h"

#include "../thread/suite.h"

START_TEST(without_memory_nothing_is_begun)
{
    fx_executor *pool = io_pool(_i, 1);
    char c;
    int fd = io_file(10);
    /* So that there is a worker, and its backend. */
    ck_assert_int_eq(io_of(fx_async_read(pool, fd, &c, 1, 0)), 1);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    fx_future *future = fx_async_read(pool, fd, &c, 1, 0);
    ck_assert_ptr_null(future);
    ck_assert_int_eq(errno, ENOMEM);
    fxi_inject_disarm();
    ck_assert_int_eq(io_of(fx_async_read(pool, fd, &c, 1, 0)), 1);
    close(fd);
    end_pool(pool);
}
END_TEST

/* Of both, and on top of one of them. */
static const enum fxi_inject_kind needs[] = { FXI_INJECT_EVENT, FXI_INJECT_URING_OPEN,
                                              FXI_INJECT_EPOLL };

static bool is_needed(int backend, enum fxi_inject_kind kind)
{
    return kind == FXI_INJECT_EVENT ||
           kind == (backend == IO_URING ? FXI_INJECT_URING_OPEN : FXI_INJECT_EPOLL);
}

START_TEST(a_future_says_that_there_is_no_backend)
{
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (!is_needed(_i, needs[i]))
            continue;
        fx_executor *pool = io_pool(_i, 1);
        int ends[2];
        char c;
        io_pipe(ends);
        fxi_inject_arm(needs[i], 1, EMFILE);
        int64_t result = io_of(fx_async_read(pool, ends[0], &c, 1, -1));
        fxi_inject_disarm();
        ck_assert_msg(result == -EMFILE, "%lld", (long long)result);
        fx_future *again = fx_async_read(pool, ends[0], &c, 1, -1);
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        ck_assert_int_eq(io_of(again), 1);
        io_close(ends);
        end_pool(pool);
    }
}
END_TEST

static int line[2];
static atomic_int timed_out;

static void *read_line(void *arg)
{
    char c;
    expect_int(fx_read_for(line[0], &c, 1, -1, FX_MSEC(5)), ==, -ETIMEDOUT);
    atomic_fetch_add(&timed_out, 1);
    expect_int(fx_read(line[0], &c, 1, -1), ==, 1);
    return arg;
}

START_TEST(in_line_the_plain_call_is_made_where_there_is_no_backend)
{
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (!is_needed(_i, needs[i]))
            continue;
        fx_executor *pool = io_pool(_i, 1);
        io_pipe(line);
        fxi_inject_arm(needs[i], 1, EMFILE);
        fx_future *task = submit(pool, read_line, pool);
        await(atomic_load(&timed_out) == 1);
        ck_assert_uint_gt(fxi_inject_count(needs[i]), 0);
        fxi_inject_disarm();
        atomic_store(&timed_out, 0);
        ck_assert_int_eq(write(line[1], "x", 1), 1);
        ck_assert_ptr_eq(result_of(task), pool);
        io_close(line);
        end_pool(pool);
    }
}
END_TEST

START_TEST(a_pool_of_processes_has_no_io)
{
    fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1 });
    char c;
    ck_assert_ptr_nonnull(pool);
    ck_assert_ptr_null(fx_async_read(pool, 0, &c, 1, 0));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_ptr_null(fx_async_sleep(pool, 0));
    ck_assert_int_eq(errno, ENOTSUP);
    fx_executor_unref(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, without_memory_nothing_is_begun, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_future_says_that_there_is_no_backend, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, in_line_the_plain_call_is_made_where_there_is_no_backend, 0,
                        IO_BACKENDS);
    tcase_add_test(tests, a_pool_of_processes_has_no_io);
}

int main(void)
{
    return run_suite("io_faults", add_tests);
}
