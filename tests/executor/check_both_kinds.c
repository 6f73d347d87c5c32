/* Arguments, results and failures of tasks, the same on threads and on processes. */
#include "kinds.h"
#include "sanitizer.h"

#include "../thread/suite.h"

/* --- results ---------------------------------------------------------------------------------- */

START_TEST(each_future_has_the_result_of_its_own_argument)
{
    enum { N = 500 };
    static fx_future *futures[N];
    fx_executor *pool = pool_of_kind(_i, 3);
    for (int i = 0; i < N; i++)
        futures[i] = submit_number(pool, square, i);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(number_of(futures[i]), (long)i * i);
    end_kind(pool);
}
END_TEST

/* Both areas are filled with bytes that depend on their place. */
static unsigned char byte_at(size_t place, unsigned seed)
{
    return (unsigned char)(place * 31 + place / 4096 * 7 + seed);
}

TASK(transform)
{
    const unsigned char *from = arg;
    unsigned char *to = result;
    task_expects((uintptr_t)arg % 16 == 0 && (uintptr_t)result % 16 == 0);
    for (size_t i = 0; i < arg_size; i++)
        if (from[i] != byte_at(i, 1))
            return -EBADMSG;
    for (size_t i = 0; i < result_size; i++) {
        if (to[i] != 0)
            return -EUCLEAN;
        to[i] = byte_at(i, 2);
    }
    return 0;
}

static void expect_transform(fx_executor *pool, size_t arg_size, size_t result_size)
{
    unsigned char *arg = malloc(arg_size + 1);
    for (size_t i = 0; i < arg_size; i++)
        arg[i] = byte_at(i, 1);
    fx_future *future = submit_copy(pool, transform, arg_size ? arg : NULL, arg_size, result_size);
    memset(arg, 0, arg_size); /* its own copy is what the task has */
    free(arg);
    void *result = NULL;
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), &result), 0);
    ck_assert_uint_eq(fx_future_result_size(future), result_size);
    size_t wrong = 0;
    for (size_t i = 0; i < result_size; i++)
        wrong += ((unsigned char *)result)[i] != byte_at(i, 2);
    ck_assert_uint_eq(wrong, 0);
    fx_future_unref(future);
}

START_TEST(arguments_and_results_have_any_size)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 64, 4095, 4096, 4097, 100000, 9 << 20 };
    enum { N = sizeof sizes / sizeof *sizes };
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int round = 0; round < 2; round++) { /* memory that was used before is zeroed again */
        for (int i = 0; i < N; i++) {
            expect_transform(pool, sizes[i], sizes[N - 1 - i]);
            expect_transform(pool, sizes[i], sizes[i]);
        }
    }
    end_kind(pool);
}
END_TEST

START_TEST(sizes_beyond_all_memory_are_refused)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8, (size_t)1 << 50 };
    int n = ALLOCATOR_MAY_FAIL ? 4 : 2;
    for (int i = 0; i < n; i++) {
        errno = 0;
        ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, sizes[i]));
        ck_assert_int_eq(errno, ENOMEM);
    }
    ck_assert_int_eq(number_of(submit_number(pool, square, 3)), 9);
    end_kind(pool);
}
END_TEST

START_TEST(many_results_are_held_at_once)
{
    enum { N = 3000, SIZE = 5000 };
    static fx_future *futures[N];
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int i = 0; i < N; i++)
        futures[i] = submit_copy(pool, transform, NULL, 0, SIZE);
    for (int i = 0; i < N; i++) {
        unsigned char *result = NULL;
        ck_assert_int_eq(fx_future_result_for(futures[i], FX_SEC(await_limit()), (void **)&result),
                         0);
        ck_assert_int_eq(result[SIZE - 1], byte_at(SIZE - 1, 2));
    }
    fx_future_unref_all(futures, N);
    end_kind(pool);
}
END_TEST

START_TEST(a_result_is_copied_only_where_there_is_room)
{
    long number[2] = { 7, 7 };
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *future = submit_number(pool, square, 5);
    ck_assert_uint_eq(fx_future_result_size(future), sizeof(long));
    ck_assert_int_eq(fx_future_result_copy(future, number, sizeof(long) - 1), -EMSGSIZE);
    ck_assert_int_eq(number[0], 7);
    ck_assert_int_eq(fx_future_result_copy(future, number, sizeof number), 0);
    ck_assert_int_eq(number[0], 25);
    ck_assert_int_eq(number[1], 7);
    fx_future_unref(future);
    end_kind(pool);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    const fx_submit_attr wrong[] = { { .time_limit = -5 }, { .reserved = { [1] = 1 } },
                                     { .free_arg = free }, { .free_result = free } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        ck_assert_ptr_null(fx_submit_copy_with(pool, count, NULL, 0, 0, &wrong[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, NULL, NULL, 0, 0));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 1, 0));
    ck_assert_int_eq(errno, EINVAL);
    end_kind(pool);
}
END_TEST

/* --- failures --------------------------------------------------------------------------------- */

START_TEST(a_negative_return_is_the_exception)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    expect_exception(submit_number(pool, return_code, -EDOM), -EREMOTEIO, -EDOM, "");
    expect_exception(submit_number(pool, return_code, -1000000), -EREMOTEIO, -1000000, "");
    ck_assert_int_eq(outcome_of(submit_number(pool, return_code, 1)), 0);
    end_kind(pool);
}
END_TEST

TASK(raise_number)
{
    UNUSED_TASK_ARGUMENTS();
    fx_raise(*(const int *)arg);
}

TASK(raise_text)
{
    UNUSED_TASK_ARGUMENTS();
    fx_raise_msg(17, "%s", (const char *)arg);
}

START_TEST(what_a_task_raises_is_told_with_its_message)
{
    char text[300];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    fx_executor *pool = pool_of_kind(_i, 2);
    expect_exception(submit_number(pool, raise_number, -EIO), -EREMOTEIO, -EIO, NULL);
    expect_exception(submit_number(pool, raise_number, 0x3fffffff), -EREMOTEIO, 0x3fffffff, NULL);
    expect_exception(submit_copy(pool, raise_text, "no such file", 13, 0), -EREMOTEIO, 17,
                     "no such file");
    fx_future *future = submit_copy(pool, raise_text, text, sizeof text, 0);
    text[159] = '\0'; /* which is what is kept of it */
    expect_exception(future, -EREMOTEIO, 17, text);
    end_kind(pool);
}
END_TEST

TASK(raise_in_scopes)
{
    UNUSED_TASK_ARGUMENTS();
    FX_TRY {
        FX_TRY {
            fx_raise_msg(3, "inner");
        } FX_FINALLY {
            atomic_fetch_add(&board->done, 1);
        } FX_END
    } FX_EXCEPT(e) {
        task_expects(e == 3);
        fx_raise_msg(4, "outer");
    } FX_END
    return 0;
}

START_TEST(scopes_work_in_tasks)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    for (int i = 1; i <= 3; i++) {
        expect_exception(submit_bare(pool, raise_in_scopes), -EREMOTEIO, 4, "outer");
        ck_assert_int_eq(atomic_load(&board->done), i);
    }
    end_kind(pool);
}
END_TEST

TASK(leave_by_exit)
{
    UNUSED_TASK_ARGUMENTS();
    *(long *)result = 5;
    fx_thread_exit(NULL);
}

START_TEST(fx_thread_exit_ends_the_task_and_not_its_worker)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    pid_t worker = process_of(pool);
    ck_assert_int_eq(number_of(submit_number(pool, leave_by_exit, 0)), 5);
    ck_assert_int_eq(process_of(pool), worker);
    end_kind(pool);
}
END_TEST

static atomic_int unread;

static void note_unread(fx_future *future, const fx_exc_info *info)
{
    (void)future;
    atomic_store(&unread, info->code);
}

START_TEST(a_failure_that_nobody_asked_for_is_told_to_the_hook)
{
    fx_set_unread_hook(note_unread);
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future_unref(submit_number(pool, return_code, -EXDEV));
    end_kind(pool);
    await(atomic_load(&unread) == -EXDEV);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests, each_future_has_the_result_of_its_own_argument, 0, KINDS);
    tcase_add_loop_test(tests, arguments_and_results_have_any_size, 0, KINDS);
    tcase_add_loop_test(tests, sizes_beyond_all_memory_are_refused, 0, KINDS);
    tcase_add_loop_test(tests, many_results_are_held_at_once, 0, KINDS);
    tcase_add_loop_test(tests, a_result_is_copied_only_where_there_is_room, 0, KINDS);
    tcase_add_loop_test(tests, wrong_arguments_are_refused, 0, KINDS);
    tcase_add_loop_test(tests, a_negative_return_is_the_exception, 0, KINDS);
    tcase_add_loop_test(tests, what_a_task_raises_is_told_with_its_message, 0, KINDS);
    tcase_add_loop_test(tests, scopes_work_in_tasks, 0, KINDS);
    tcase_add_loop_test(tests, fx_thread_exit_ends_the_task_and_not_its_worker, 0, KINDS);
    tcase_add_loop_test(tests, a_failure_that_nobody_asked_for_is_told_to_the_hook, 0, KINDS);
}

int main(void)
{
    return run_suite("both kinds", add_tests);
}
