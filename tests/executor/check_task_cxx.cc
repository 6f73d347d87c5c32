// C++ exceptions in tasks: what a task is handling stays its own while others run on its worker, and one
// that crosses a wait is caught where it belongs.
#include <fxthread.h>

#include <check.h>
#include <stdexcept>
#include <string>

#include "../thread/suite.h"

static fx_executor *pool;

// Waits while it handles its exception; others throw and catch meanwhile.
static void *throw_and_wait(void *arg)
{
    std::string own = "number " + std::to_string(reinterpret_cast<intptr_t>(arg));
    bool right = false;
    try {
        fx_yield();
        throw std::runtime_error(own);
    } catch (const std::runtime_error &caught) {
        for (int i = 0; i < 5; i++)
            fx_yield();
        try {
            fx_sleep(FX_USEC(100));
            throw;
        } catch (const std::exception &again) {
            fx_yield();
            right = own == again.what() && std::uncaught_exceptions() == 0 && own == caught.what();
        }
    }
    return right && !std::current_exception() ? arg : nullptr;
}

START_TEST(each_task_handles_its_own_exceptions)
{
    const int n = 20;
    fx_future *futures[n];
    fx_thread_pool_attr attr = {};
    attr.max_workers = 1;
    pool = fx_thread_pool_new(&attr);
    ck_assert_ptr_nonnull(pool);
    for (intptr_t i = 0; i < n; i++)
        futures[i] = fx_submit(pool, throw_and_wait, reinterpret_cast<void *>(i + 1));
    for (intptr_t i = 0; i < n; i++) {
        void *result = nullptr;
        ck_assert_int_eq(fx_future_result(futures[i], &result), 0);
        ck_assert_ptr_eq(result, reinterpret_cast<void *>(i + 1));
        fx_future_unref(futures[i]);
    }
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    fx_executor_unref(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, each_task_handles_its_own_exceptions);
}

int main()
{
    return run_suite("task_cxx", add_tests);
}
