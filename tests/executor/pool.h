/* What the tests of thread pools share. */
#ifndef TESTS_EXECUTOR_POOL_H
#define TESTS_EXECUTOR_POOL_H

#include <check.h>
#include <fxthread.h>
#include <stdatomic.h>

#include "../support/await.h"
#include "../support/record.h"
#include "../support/scale.h"

static inline fx_executor *pool_of(size_t workers)
{
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = workers });
    ck_assert_ptr_nonnull(pool);
    return pool;
}

static inline fx_future *submit(fx_executor *pool, fx_target fn, void *arg)
{
    fx_future *future = fx_submit(pool, fn, arg);
    ck_assert_ptr_nonnull(future);
    return future;
}

/* Waits for it and gives it up: what the task returned. */
static inline void *result_of(fx_future *future)
{
    void *result = NULL;
    int rc = fx_future_result_for(future, FX_SEC(await_limit()), &result);
    ck_assert_int_eq(rc, 0);
    fx_future_unref(future);
    return result;
}

/* How it ended, which is not by returning. */
static inline fx_exc exception_of(fx_future *future)
{
    fx_exc code = 0;
    ck_assert_int_ne(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_exception(future, &code), 0);
    fx_future_unref(future);
    return code;
}

static inline void *run_in(fx_executor *pool, fx_target fn, void *arg)
{
    return result_of(submit(pool, fn, arg));
}

/* Shuts it down, waits, and looks at what the tasks expected. */
static inline void end_pool(fx_executor *pool)
{
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), 0);
    fx_executor_unref(pool);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

#endif
