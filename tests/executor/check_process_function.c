/* Where a function lies that is to run in another process: in an object that the fork server
 * has, in one that was opened later, or in none. */
#include <dlfcn.h>

#include "processes.h"
#include "sanitizer.h"

#include "../thread/suite.h"

SANITIZER_IGNORE_LEAKS

static const char module_path[] = TEST_BUILDDIR "/tests/executor/.libs/module_task.so";
static const char other_module_path[] = TEST_BUILDDIR "/tests/libc/.libs/module_tls.so";

struct module {
    void *handle;
    fx_copy_target square, count_calls;
    int (*initialize)(const void *, size_t);
};

static struct module open_module(const char *path)
{
    struct module module = { .handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
    ck_assert_msg(module.handle, "%s", dlerror());
    module.square = (fx_copy_target)dlsym(module.handle, "module_square");
    module.count_calls = (fx_copy_target)dlsym(module.handle, "module_count_calls");
    module.initialize = (int (*)(const void *, size_t))dlsym(module.handle, "module_initialize");
    ck_assert(module.square && module.count_calls && module.initialize);
    return module;
}

/* A copy of a module's file, for a test to spoil. */
static void copy_module(const char *from, char path[64])
{
    char command[512];
    strcpy(path, "/tmp/fxthread-module-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(command, sizeof command, "cp '%s' '%s'", from, path);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(functions_of_objects_that_were_there_are_run)
{
    fx_executor *pool = NULL;
    struct module module = { 0 };
    if (_i) { /* before the fork server */
        module = open_module(module_path);
        pool = processes(1);
    } else {
        pool = processes(1);
        module = open_module(module_path);
    }
    ck_assert_int_eq(number_of(submit_number(pool, module.square, 6)), 36);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    ck_assert_int_eq(number_of(submit_number(pool, module.square, 8)), 64);
    end_kind(pool);
    dlclose(module.handle);
}
END_TEST

START_TEST(an_object_opened_later_is_opened_once_in_each_worker)
{
    fx_executor *pool = processes(1);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49); /* the worker is there */
    struct module module = open_module(module_path);
    for (int i = 1; i <= 5; i++)
        ck_assert_int_eq(number_of(submit_number(pool, module.count_calls, 0)), i);
    kill(process_of(pool), SIGKILL);
    ck_assert_int_eq(number_of(submit_number(pool, module.count_calls, 0)), 1);
    end_kind(pool);
    dlclose(module.handle);
}
END_TEST

START_TEST(maps_run_a_function_of_an_object_opened_later)
{
    enum { N = 50 };
    int items[N];
    long results[N];
    fx_executor *pool = processes(2);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    struct module module = open_module(module_path);
    for (int i = 0; i < N; i++)
        items[i] = i;
    for (size_t chunk = 1; chunk <= 8; chunk += 7) {
        memset(results, 0, sizeof results);
        ck_assert_int_eq(fx_executor_map(pool, module.square, items, N, sizeof *items, results,
                                         sizeof *results, &(fx_map_attr){ .chunk = chunk }),
                         0);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(results[i], i * i);
    }
    end_kind(pool);
    dlclose(module.handle);
}
END_TEST

START_TEST(an_initializer_may_lie_in_an_object_opened_later)
{
    long hundred = 100;
    fx_executor *first = processes(1);
    ck_assert_int_eq(number_of(submit_number(first, square, 7)), 49);
    struct module module = open_module(module_path);
    fx_executor *pool =
        fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1,
                                                     .initializer = module.initialize,
                                                     .initarg = &hundred,
                                                     .initarg_size = sizeof hundred });
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_eq(number_of(submit_number(pool, module.count_calls, 0)), 101);
    end_kind(pool);
    end_kind(first);
    dlclose(module.handle);
}
END_TEST

START_TEST(a_function_of_an_object_whose_file_is_gone_is_refused)
{
    char path[64];
    copy_module(module_path, path);
    fx_executor *pool = processes(1);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    struct module module = open_module(path);
    ck_assert_int_eq(unlink(path), 0);
    int six = 6;
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, module.square, &six, sizeof six, sizeof(long)));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    end_kind(pool);
    dlclose(module.handle);
}
END_TEST

START_TEST(an_object_whose_file_is_another_now_is_told)
{
    char path[64], other[64];
    copy_module(module_path, path);
    fx_executor *pool = processes(1);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    struct module module = open_module(path);
    copy_module(other_module_path, other);
    ck_assert_int_eq(rename(other, path), 0);
    expect_exception(submit_number(pool, module.square, 6), -EREMOTEIO, -ENOEXEC, NULL);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    end_kind(pool);
    dlclose(module.handle);
    unlink(path);
}
END_TEST

START_TEST(a_function_of_no_object_is_refused)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    fx_executor *pool = processes(1);
    int item = 1;
    long result;
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, (fx_copy_target)page, NULL, 0, 0));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_int_eq(fx_executor_map(pool, (fx_copy_target)page, &item, 1, sizeof item, &result,
                                     sizeof result, NULL),
                     -ENOTSUP);
    errno = 0;
    ck_assert_ptr_null(fx_process_pool_new(
        &(fx_process_pool_attr){ .initializer = (int (*)(const void *, size_t))page }));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_int_eq(number_of(submit_number(pool, square, 7)), 49);
    end_kind(pool);
    munmap(page, 4096);
}
END_TEST

/* Opens the module whose path is the argument, after it has made a pool of its own. */
TASK(use_module_in_own_pool)
{
    UNUSED_TASK_ARGUMENTS();
    int six = 6;
    fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1 });
    void *handle = dlopen(arg, RTLD_NOW | RTLD_LOCAL);
    fx_copy_target fn = handle ? (fx_copy_target)dlsym(handle, "module_square") : NULL;
    fx_future *future =
        pool && fn ? fx_submit_copy(pool, fn, &six, sizeof six, sizeof(long)) : NULL;
    int rc = future ? fx_future_result_copy(future, result, result_size) : -EINVAL;
    fx_future_unref(future);
    fx_executor_unref(pool);
    return rc;
}

START_TEST(a_pool_of_a_worker_finds_its_own_objects)
{
    char path[64];
    copy_module(module_path, path);
    fx_executor *pool = processes(1);
    struct module module = open_module(module_path);
    ck_assert_int_eq(number_of(submit_number(pool, module.count_calls, 0)), 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(number_of(submit_copy(pool, use_module_in_own_pool, path, sizeof path,
                                               sizeof(long))),
                         36);
    ck_assert_int_eq(number_of(submit_number(pool, module.count_calls, 0)), 2);
    end_kind(pool);
    dlclose(module.handle);
    unlink(path);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests, functions_of_objects_that_were_there_are_run, 0, 2);
    tcase_add_test(tests, an_object_opened_later_is_opened_once_in_each_worker);
    tcase_add_test(tests, maps_run_a_function_of_an_object_opened_later);
    tcase_add_test(tests, an_initializer_may_lie_in_an_object_opened_later);
    tcase_add_test(tests, a_function_of_an_object_whose_file_is_gone_is_refused);
    tcase_add_test(tests, an_object_whose_file_is_another_now_is_told);
    tcase_add_test(tests, a_function_of_no_object_is_refused);
    if (!THREADS_ARE_PTHREADS) /* which that sanitizer does not have in a child of threads */
        tcase_add_test(tests, a_pool_of_a_worker_finds_its_own_objects);
}

int main(void)
{
    return run_suite("process functions", add_tests);
}
