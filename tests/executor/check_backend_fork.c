/* Backends and fork. (Not under qemu-user, whose own locks a fork may leave taken.) */
#include <fcntl.h>
#include <string.h>

#include "../support/child.h"
#include "../support/sanitizer.h"
#include "../thread/suite.h"
#include "operation.h"
#include "pipe_operation.h"

static void *use_a_path(void *arg)
{
    struct statx status;
    OPERATION(stat, statx, AT_FDCWD, "/", 0, STATX_SIZE, &status);
    expect_int(operation_run(&stat), ==, 0);
    return arg;
}

static int backend_of_child;

static int use_pool_in_child(void)
{
    fx_executor *pool = pool_on(backend_of_child, 1);
    fx_future *reader = submit(pool, read_pipe, (char[6]){ 0 });
    bool is_well = (intptr_t)run_in(pool, write_pipe, "hello") == 5 &&
                   (intptr_t)result_of(reader) == 5;
    end_pool(pool);
    return !is_well;
}

static int in_child(void)
{
    /* The worker's ring or epoll, and its event, are not here; the pipe is. */
    char link[64], target[64];
    for (int fd = 3; fd < 100; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        if (strncmp(target, "anon_inode:", 11) == 0)
            return fd;
    }
    return 0;
}

START_TEST(a_forked_child_has_none_of_its_parents_and_disturbs_none)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(child_run(in_child), 0);
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    close_pipe();
    end_pool(pool);
}
END_TEST

START_TEST(pools_of_a_forked_child_work)
{
    if (!CHILD_MAY_ALLOCATE || THREADS_ARE_PTHREADS) /* the thread sanitizer forbids it, too */
        return;
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    run_in(pool, use_a_path, NULL); /* by a helper, if there are any */
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    result_of(reader);
    backend_of_child = _i;
    ck_assert_int_eq(child_run(use_pool_in_child), 0);
    close_pipe();
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_forked_child_has_none_of_its_parents_and_disturbs_none, 0,
                        BACKENDS);
    tcase_add_loop_test(tests, pools_of_a_forked_child_work, 0, BACKENDS);
}

int main(void)
{
    return run_suite("backend_fork", add_tests);
}
