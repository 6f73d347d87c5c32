/* What becomes of requests when the kernel refuses what the backends ask of it. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/annotate.h"
#include "executor/entry.h"
#include "kernel/inject.h"

#include "../support/sanitizer.h"
#include "../thread/suite.h"
#include "pipe_operation.h"

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* --- no ring ---------------------------------------------------------------------------------- */

START_TEST(where_the_kernel_refuses_rings_pools_use_epoll)
{
    fxi_inject_arm(FXI_INJECT_URING_OPEN, 1, EPERM);
    fx_executor *pool = fx_thread_pool_new(NULL);
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_EPOLL);
    end_pool(pool);
    errno = 0;
    ck_assert_ptr_null(fx_thread_pool_new(&(fx_thread_pool_attr){ .backend = FX_BACKEND_URING }));
    ck_assert_int_eq(errno, ENOTSUP);
}
END_TEST

START_TEST(a_lack_of_descriptors_is_no_refusal)
{
    if (fxi_runs_on_valgrind())
        return; /* where rings are not used */
    fxi_inject_arm(FXI_INJECT_URING_OPEN, 1, EMFILE);
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .backend = FX_BACKEND_URING });
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_URING);
    end_pool(pool);
}
END_TEST

/* --- reading and writing, whatever fails ------------------------------------------------------- */

static char buffer[6];

static void *return_it(void *arg)
{
    return arg;
}

/* A read that waits, a wake from outside, a write. */
static void read_and_write(fx_executor *pool)
{
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_ptr_eq(run_in(pool, return_it, &pool), &pool);
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    ck_assert_str_eq(buffer, "hello");
}

START_TEST(a_kernel_that_knows_older_flags_alone_will_do)
{
    make_pipe();
    fx_executor *pool = pool_on(ON_URING, 1);
    fxi_inject_arm(FXI_INJECT_URING_OPEN, 1, EINVAL);
    read_and_write(pool);
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_URING_OPEN), 2);
    read_and_write(pool);
    end_pool(pool);
    close_pipe();
}
END_TEST

static const int hiccups[] = { EAGAIN, EBUSY, EINTR };

START_TEST(a_call_of_the_ring_that_fails_is_made_again)
{
    make_pipe();
    fx_executor *pool = pool_on(ON_URING, 1);
    for (unsigned nth = 1; nth < 12; nth++) {
        fxi_inject_arm(FXI_INJECT_URING, nth, hiccups[_i]);
        read_and_write(pool);
        fxi_inject_disarm();
    }
    ck_assert_uint_gt(fxi_inject_count(FXI_INJECT_URING), 0);
    end_pool(pool);
    close_pipe();
}
END_TEST

START_TEST(so_is_a_wait_of_epoll)
{
    make_pipe();
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    read_and_write(pool);
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    for (unsigned nth = 1; nth < 6; nth++) {
        fxi_inject_arm(FXI_INJECT_EPOLL, nth, EINTR);
        for (int i = 0; i < 6; i++) {
            await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
            ck_assert_ptr_eq(run_in(pool, return_it, &pool), &pool);
        }
        fxi_inject_disarm();
    }
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    end_pool(pool);
    close_pipe();
}
END_TEST

/* --- no backend, no memory, no thread ---------------------------------------------------------- */

static const struct {
    int backend;
    enum fxi_inject_kind kind;
    unsigned nth;
    int error;
} refusals[] = {
    { ON_URING, FXI_INJECT_EVENT, 1, EMFILE },
    { ON_URING, FXI_INJECT_URING_OPEN, 1, ENOMEM },
    { ON_EPOLL, FXI_INJECT_EVENT, 1, ENFILE },
    { ON_EPOLL, FXI_INJECT_EPOLL, 1, EMFILE },
    { ON_EPOLL, FXI_INJECT_EPOLL, 2, ENOMEM },
};

static void *begin_in_vain(void *arg)
{
    int i = (int)(intptr_t)arg;
    char byte;
    OPERATION(read, read, pipes[0], &byte, 1, -1);
    fxi_inject_arm(refusals[i].kind, refusals[i].nth, refusals[i].error);
    expect_int(operation_begin(&read), ==, -refusals[i].error);
    fxi_inject_disarm();
    return NULL;
}

START_TEST(a_worker_that_gets_no_backend_says_so_and_tries_again)
{
    make_pipe();
    fx_executor *pool = pool_on(refusals[_i].backend, 1);
    int before = open_descriptors();
    run_in(pool, begin_in_vain, (void *)(intptr_t)_i);
    ck_assert_int_eq(open_descriptors(), before);
    read_and_write(pool);
    end_pool(pool);
    close_pipe();
}
END_TEST

static void *begin_without_memory(void *arg)
{
    char byte;
    int backend = (int)(intptr_t)arg, rc = 0;
    for (unsigned nth = 1; rc == 0 && nth < 10; nth++) {
        OPERATION(nop, read, pipes[0], &byte, 0, -1);
        fxi_inject_arm(FXI_INJECT_ALLOC, nth, ENOMEM);
        rc = operation_begin(&nop);
        fxi_inject_disarm();
        expect(rc == 0 || rc == -ENOMEM);
        if (rc == 0)
            operation_wait(&nop);
    }
    expect_int(rc, ==, -ENOMEM);
    (void)backend;
    return NULL;
}

START_TEST(so_does_one_without_memory_for_it)
{
    make_pipe();
    fx_executor *pool = pool_on(_i, 1);
    run_in(pool, begin_without_memory, (void *)(intptr_t)_i);
    read_and_write(pool);
    end_pool(pool);
    close_pipe();
}
END_TEST

static void *read_and_fail(void *arg)
{
    char byte;
    OPERATION(read, read, pipes[0], &byte, 1, -1);
    fxi_inject_arm((enum fxi_inject_kind)(intptr_t)arg, 1, ENOMEM);
    expect_int(operation_run(&read), ==, -ENOMEM);
    fxi_inject_disarm();
    return NULL;
}

START_TEST(a_descriptor_that_epoll_has_no_memory_for_is_the_requests_failure)
{
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    make_pipe();
    read_and_write(pool);
    close_pipe();
    make_pipe();
    run_in(pool, read_and_fail, (void *)(intptr_t)FXI_INJECT_EPOLL);
    /* A number that the backend has no room for in its table yet. */
    int far = fcntl(pipes[0], F_DUPFD_CLOEXEC, 600);
    ck_assert_int_ge(far, 600);
    close(pipes[0]);
    pipes[0] = far;
    run_in(pool, read_and_fail, (void *)(intptr_t)FXI_INJECT_ALLOC);
    read_and_write(pool);
    end_pool(pool);
    close_pipe();
}
END_TEST

static void *stat_without_helper(void *arg)
{
    struct statx status;
    OPERATION(stat, statx, AT_FDCWD, "/", 0, STATX_SIZE, &status);
    fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
    expect_int(operation_run(&stat), ==, -EAGAIN);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    expect_int(operation_run(&stat), ==, -ENOMEM);
    fxi_inject_disarm();
    expect_int(operation_run(&stat), ==, 0);
    return arg;
}

START_TEST(without_a_helper_a_call_that_may_block_fails_and_the_next_one_works)
{
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    run_in(pool, stat_without_helper, NULL);
    end_pool(pool);
}
END_TEST

/* --- cancels ---------------------------------------------------------------------------------- */

static char directory[] = "/tmp/check_faults.XXXXXX", path[64];

static void *open_and_cancel(void *arg)
{
    struct operation open = { 0 };
    open.request.entry = fxi_entry_openat(AT_FDCWD, path, O_RDONLY, 0);
    expect_int(operation_begin(&open), ==, 0);
    fx_sleep(FX_MSEC(20)); /* by then the helper is in the call, or the cancel comes before: both are right */
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1, EAGAIN);
    fxi_request_cancel(&open.request);
    expect_int(operation_wait(&open), ==, -ECANCELED);
    fxi_inject_disarm();
    return arg;
}

START_TEST(a_cancel_finds_a_signal_in_the_end)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    run_in(pool, open_and_cancel, NULL);
    end_pool(pool);
    unlink(path);
    rmdir(directory);
}
END_TEST

/* --- an error that nobody waits for ------------------------------------------------------------ */

static int sockets[2];

/* Two sockets of datagrams, of which the first has something in its queue of errors. */
static void make_socket_with_error(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    int on = 1;
    for (int i = 0; i < 2; i++) {
        address.sin_port = 0;
        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(sockets[i], any, sizeof address), 0);
    }
    ck_assert_int_eq(getsockname(sockets[1], any, &length), 0);
    close(sockets[1]); /* the first sends to nobody */
    ck_assert_int_eq(setsockopt(sockets[0], SOL_IP, IP_RECVERR, &on, sizeof on), 0);
    ck_assert_int_eq(connect(sockets[0], any, sizeof address), 0);
    ck_assert_int_eq(send(sockets[0], "x", 1, 0), 1);
    struct pollfd descriptor = { .fd = sockets[0] };
    await(poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLERR));
    sockets[1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(sockets[1], any, sizeof address), 0);
    ck_assert_int_eq(getsockname(sockets[0], any, &length), 0);
    ck_assert_int_eq(connect(sockets[1], any, sizeof address), 0);
}

static void *receive(void *arg)
{
    OPERATION(receive, recv, sockets[0], arg, 5, 0);
    return (void *)(intptr_t)operation_run(&receive);
}

START_TEST(an_error_that_nobody_minds_does_not_keep_the_worker_busy)
{
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    make_socket_with_error();
    run_in(pool, receive, buffer); /* takes the error itself, and leaves what tells of it */
    fx_future *receiver = submit(pool, receive, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    fxi_inject_arm(FXI_INJECT_EPOLL, 1000000, 0);
    fx_sleep(FX_MSEC(30));
    ck_assert_uint_lt(fxi_inject_count(FXI_INJECT_EPOLL), 10);
    ck_assert_int_eq(send(sockets[1], "hello", 5, 0), 5);
    ck_assert_int_eq((intptr_t)result_of(receiver), 5);
    ck_assert_str_eq(buffer, "hello");
    end_pool(pool);
    close(sockets[0]);
    close(sockets[1]);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, where_the_kernel_refuses_rings_pools_use_epoll);
    tcase_add_test(tests, a_lack_of_descriptors_is_no_refusal);
    tcase_add_test(tests, a_kernel_that_knows_older_flags_alone_will_do);
    tcase_add_loop_test(tests, a_call_of_the_ring_that_fails_is_made_again, 0,
                        (int)(sizeof hiccups / sizeof hiccups[0]));
    tcase_add_test(tests, so_is_a_wait_of_epoll);
    tcase_add_loop_test(tests, a_worker_that_gets_no_backend_says_so_and_tries_again, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_loop_test(tests, so_does_one_without_memory_for_it, 0, BACKENDS);
    tcase_add_test(tests, a_descriptor_that_epoll_has_no_memory_for_is_the_requests_failure);
    tcase_add_test(tests, without_a_helper_a_call_that_may_block_fails_and_the_next_one_works);
    tcase_add_test(tests, a_cancel_finds_a_signal_in_the_end);
    tcase_add_test(tests, an_error_that_nobody_minds_does_not_keep_the_worker_busy);
}

int main(void)
{
    return run_suite("backend_faults", add_tests);
}
