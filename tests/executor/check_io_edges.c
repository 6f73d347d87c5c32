/* I/O in line and futures of it where one thing could be taken for another, or one task keep others
 * waiting. */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "io_contexts.h"

#include "../thread/suite.h"

static void *change_mode(void *arg)
{
    int ends[2];
    char c;
    io_pipe(ends);
    set_non_blocking(ends[0], true);
    expect_int(fx_read(ends[0], &c, 1, -1), ==, -EAGAIN);
    set_non_blocking(ends[0], false);
    expect_int(fx_read_for(ends[0], &c, 1, -1, FX_MSEC(5)), ==, -ETIMEDOUT);
    io_close(ends);
    io_pipe(ends); /* with the same numbers */
    expect_int(fx_read_for(ends[0], &c, 1, -1, FX_MSEC(5)), ==, -ETIMEDOUT);
    io_close(ends);
    return arg;
}

START_TEST(a_descriptor_that_blocks_again_is_waited_for)
{
    run_as(_i, change_mode, NULL);
}
END_TEST

static void *read_counter(void *arg)
{
    uint64_t value[2] = { 5, 0 };
    int fd = eventfd(0, EFD_CLOEXEC);
    expect_int(fx_write(fd, value, sizeof value[0], -1), ==, 8);
    value[0] = 0;
    expect_int(fx_read(fd, value, sizeof value, -1), ==, 8);
    expect_int(value[0], ==, 5);
    expect_int(fx_close(fd), ==, 0);
    return arg;
}

START_TEST(a_short_read_of_what_is_no_file_is_the_end_of_it)
{
    run_as(_i, read_counter, NULL);
}
END_TEST

static void *write_much(void *arg)
{
    size_t size = 1500000000;
    void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct iovec parts[] = { { memory, size }, { memory, size } };
    int fd = fx_openat(AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0);
    if (memory != MAP_FAILED) {
        expect_int(fx_writev(fd, parts, 2, -1), ==, 0x7ffff000);
        munmap(memory, size);
    }
    fx_close(fd);
    return arg;
}

START_TEST(a_transfer_ends_where_the_kernels_does)
{
    run_as(_i, write_much, NULL);
}
END_TEST

static atomic_bool is_told;

static void *read_until_told(void *arg)
{
    char buf[64];
    while (!atomic_load(&is_told))
        expect_int(fx_read(*(int *)arg, buf, sizeof buf, 0), ==, sizeof buf);
    return NULL;
}

static void *sleep_and_tell(void *arg)
{
    for (int i = 0; i < 20; i++)
        fx_sleep(FX_MSEC(1));
    atomic_store(&is_told, true);
    return arg;
}

START_TEST(a_task_that_never_waits_lets_others_have_their_turn)
{
    fx_executor *pool = io_pool(_i, 1);
    int fd = io_file(100);
    fx_future *sleeper = submit(pool, sleep_and_tell, NULL);
    fx_future *reader = submit(pool, read_until_told, &fd);
    result_of(sleeper);
    result_of(reader);
    close(fd);
    end_pool(pool);
}
END_TEST

/* There the future goes to another worker, as this one will be blocked. */
static int sleep_in_comparison(const void *a, const void *b)
{
    fx_future *future = fx_async_sleep(fx_current_executor(), FX_MSEC(1));
    (void)a;
    (void)b;
    expect_int(fx_future_io(future), ==, 0);
    fx_future_unref(future);
    return 0;
}

static void *sleep_below_qsort(void *arg)
{
    int numbers[2] = { 1, 2 };
    qsort(numbers, 2, sizeof numbers[0], sleep_in_comparison);
    return arg;
}

START_TEST(a_future_begun_in_a_callback_of_libc_is_done)
{
    fx_executor *pool = io_pool(_i, 1);
    run_in(pool, sleep_below_qsort, NULL);
    end_pool(pool);
}
END_TEST

static void *sleep_a_little(void *arg)
{
    fx_sleep(FX_MSEC(2));
    return arg;
}

static fx_executor *initialized_pool;

static int sleep_in_initializer(void *arg)
{
    fx_future *future = fx_async_sleep(initialized_pool, FX_MSEC(1));
    (void)arg;
    expect_int(fx_future_cancel(future), ==, 0);
    expect_int(fx_future_io(future), ==, -ECANCELED);
    fx_future_unref(future);
    return 0;
}

START_TEST(a_future_begun_in_an_initializer_is_queued)
{
    fx_executor_unref(io_pool(_i, 1));
    initialized_pool = fx_thread_pool_new(&(fx_thread_pool_attr){
        .max_workers = 1, .initializer = sleep_in_initializer,
        .backend = _i == IO_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL });
    run_in(initialized_pool, sleep_a_little, NULL);
    end_pool(initialized_pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_descriptor_that_blocks_again_is_waited_for, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_short_read_of_what_is_no_file_is_the_end_of_it, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_transfer_ends_where_the_kernels_does, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_task_that_never_waits_lets_others_have_their_turn, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_future_begun_in_a_callback_of_libc_is_done, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_future_begun_in_an_initializer_is_queued, 0, IO_BACKENDS);
}

int main(void)
{
    return run_suite("io_edges", add_tests);
}
