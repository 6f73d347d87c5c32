/* What a process pool does when the system refuses something: whichever call it is that fails, the
 * pool is not made, or breaks, or does without; nobody waits for ever, nothing is left, and the
 * next pool works. */
#include <errno.h>
#include <stdlib.h>

#include "executor/process_pool.h"
#include "kernel/inject.h"
#include "processes.h"

#include "../thread/suite.h"

#define CALLS_MOST 60

static void check_that_pools_work(void)
{
    fx_executor *pool = processes(2);
    ck_assert_int_eq(number_of(submit_number(pool, square, 5)), 25);
    end_kind(pool);
}

/* The nth call of the kind fails, in the program or in a process that it forks meanwhile, which
 * inherits the count. Whether the pool worked all the same. */
static bool use_pool(enum fxi_inject_kind kind, unsigned nth, int error)
{
    int n = 3;
    fxi_inject_arm(kind, nth, error);
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = 2, .initarg = "x", .initarg_size = 1 });
    if (!pool) {
        fxi_inject_disarm();
        ck_assert_msg(errno == ENOMEM || errno == EMFILE || errno == EAGAIN, "call %u: %d", nth, errno);
        return false;
    }
    fx_future *future = fx_submit_copy(pool, square, &n, sizeof n, sizeof(long));
    ck_assert_msg(future || errno == ENOMEM || errno == EPIPE, "call %u: %d", nth, errno);
    int rc = future ? outcome_of(future) : -ENOMEM;
    ck_assert_msg(rc == 0 || rc == -EPIPE || !future, "call %u: %d", nth, rc);
    fxi_inject_disarm();
    end_kind(pool);
    return rc == 0;
}

struct fault {
    enum fxi_inject_kind kind;
    int error;
    unsigned least; /* so many calls at least are seen to fail */
};

static const struct fault faults[] = {
    { FXI_INJECT_DESCRIPTOR, EMFILE, 6 }, /* memory, channels, processes */
    { FXI_INJECT_EVENT, EMFILE, 1 },
    { FXI_INJECT_EPOLL, ENOMEM, 3 },      /* the making, and what it is to tell of */
    { FXI_INJECT_FORK, EAGAIN, 3 },       /* the one in between, the server, a worker */
    { FXI_INJECT_MMAP, ENOMEM, 2 },       /* pages of the memory; with less room among addresses it works */
    { FXI_INJECT_ALLOC, ENOMEM, 4 },
    { FXI_INJECT_CLONE, EAGAIN, 1 },      /* the monitor */
};

START_TEST(whatever_is_refused_nobody_hangs_and_nothing_is_left)
{
    const struct fault *fault = &faults[_i];
    unsigned failed = 0, worked = 0;
    check_that_pools_work(); /* what is made once is there now */
    size_t descriptors = descriptor_count(), memory = mappings_with("memfd:");
    for (unsigned nth = 1; nth <= CALLS_MOST && worked < 5; nth++) {
        bool works = use_pool(fault->kind, nth, fault->error);
        failed += !works;
        worked = works ? worked + 1 : 0;
    }
    ck_assert_uint_ge(failed, fault->least);
    await(descriptor_count() <= descriptors);
    await(mappings_with("memfd:") <= memory);
    check_that_pools_work();
}
END_TEST

START_TEST(a_submit_without_shared_memory_is_enomem_and_the_next_one_works)
{
    size_t size = 4 << 20;
    char *argument = calloc(1, size);
    fx_executor *pool = processes(1);
    for (int way = 0; way < 2; way++) { /* an argument that is written, a result that is provided */
        fxi_inject_arm(FXI_INJECT_MMAP, 1, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(fx_submit_copy(pool, count, way ? NULL : argument, way ? 0 : size,
                                          way ? size : 0));
        ck_assert_int_eq(errno, ENOMEM);
        fxi_inject_disarm();
    }
    ck_assert_int_eq(outcome_of(submit_copy(pool, count, argument, size, 8)), 0);
    end_kind(pool);
    free(argument);
}
END_TEST

START_TEST(more_than_the_machine_has_is_enomem)
{
    fx_executor *pool = processes(1);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, (size_t)1 << 50));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, SIZE_MAX - 7));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(outcome_of(submit_copy(pool, count, NULL, 0, 8)), 0);
    end_kind(pool);
}
END_TEST

/* The seat's worker is not to be had: the fork server's fork fails, as it inherited that. */
START_TEST(a_pool_that_gets_no_worker_is_broken)
{
    fxi_inject_arm(FXI_INJECT_FORK, 3, EAGAIN);
    fx_executor *pool = processes(1);
    fx_future *future = submit_copy(pool, count, NULL, 0, 0);
    fx_exc_info info;
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -EPIPE);
    ck_assert_int_eq(fx_future_exception_info(future, &info), 0);
    ck_assert_int_eq(info.code, FX_POOL_BROKEN);
    ck_assert_str_eq(info.message, "no process could be started");
    fx_future_unref(future);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, EPIPE);
    fxi_inject_disarm();
    end_kind(pool);
    check_that_pools_work();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests, whatever_is_refused_nobody_hangs_and_nothing_is_left, 0,
                        (int)(sizeof faults / sizeof *faults));
    tcase_add_test(tests, a_submit_without_shared_memory_is_enomem_and_the_next_one_works);
    tcase_add_test(tests, more_than_the_machine_has_is_enomem);
    tcase_add_test(tests, a_pool_that_gets_no_worker_is_broken);
}

int main(void)
{
    return run_suite("process pool, refused", add_tests);
}
