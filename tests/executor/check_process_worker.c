/* Where a task of a process pool runs: what its worker has of the program, and what it has not. */
#include <fcntl.h>

#include "processes.h"
#include "sanitizer.h"

#include "../thread/captured.h"
#include "../thread/suite.h"

/* --- what a worker has of the program --------------------------------------------------------- */

static int variable;

TASK(add_to_variable)
{
    UNUSED_TASK_ARGUMENTS();
    *(long *)result = ++variable;
    return 0;
}

START_TEST(variables_are_copies_that_stay_with_the_worker)
{
    variable = 10;
    fx_executor *pool = processes(1);
    variable = 20;
    ck_assert_int_eq(number_of(submit_number(pool, add_to_variable, 0)), 11);
    ck_assert_int_eq(number_of(submit_number(pool, add_to_variable, 0)), 12);
    ck_assert_int_eq(variable, 20);
    end_kind(pool);
    pool = processes(1); /* there was none: what is forked now finds what stands there now */
    ck_assert_int_eq(number_of(submit_number(pool, add_to_variable, 0)), 21);
    end_kind(pool);
}
END_TEST

enum { HIGH = 300 };

TASK(look_at_descriptors)
{
    UNUSED_TASK_ARGUMENTS();
    for (int fd = 0; fd <= 2; fd++)
        task_expects(fcntl(fd, F_GETFD) >= 0);
    for (int fd = HIGH; fd < HIGH + 3; fd++)
        task_expects(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
    *(long *)result = (long)descriptor_count();
    return 0;
}

START_TEST(workers_have_none_of_the_programs_descriptors)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(fcntl(fds[0], F_DUPFD, HIGH), HIGH);
    ck_assert_int_eq(fcntl(fds[1], F_DUPFD, HIGH), HIGH + 1);
    fx_executor *pool = processes(1);
    ck_assert_int_eq(fcntl(fds[1], F_DUPFD, HIGH), HIGH + 2);
    long first = number_of(submit_number(pool, look_at_descriptors, 0));
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(outcome_of(submit_copy(pool, look_at_descriptors, "text", 5, 1 << 20)), 0);
    ck_assert_int_eq(number_of(submit_number(pool, look_at_descriptors, 0)), first);
    for (int fd = HIGH; fd < HIGH + 3; fd++)
        close(fd);
    close(fds[1]);
    char byte;
    ck_assert_int_eq(read(fds[0], &byte, 1), 0); /* nobody else holds the other end */
    close(fds[0]);
    end_kind(pool);
}
END_TEST

static void ignore_signal(int number)
{
    (void)number;
    atomic_fetch_add(&board->done, 1);
}

TASK(look_at_signals)
{
    struct sigaction action;
    UNUSED_TASK_ARGUMENTS();
    sigaction(SIGINT, NULL, &action);
    task_expects(action.sa_handler == SIG_IGN);
    sigaction(SIGTERM, NULL, &action);
    task_expects(action.sa_handler == SIG_DFL);
    sigaction(SIGUSR1, NULL, &action);
    task_expects(action.sa_handler == SIG_DFL);
    raise(SIGINT);
    *(long *)result = 1;
    return 0;
}

START_TEST(the_programs_handlers_are_not_the_workers)
{
    signal(SIGTERM, ignore_signal);
    signal(SIGINT, ignore_signal);
    signal(SIGUSR1, ignore_signal);
    fx_executor *pool = processes(1);
    ck_assert_int_eq(number_of(submit_number(pool, look_at_signals, 0)), 1);
    fx_future *running = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    ck_assert_int_eq(fx_executor_terminate_workers(pool), 0);
    ck_assert_int_eq(outcome_of(running), -EOWNERDEAD);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->done), 0);
}
END_TEST

START_TEST(terminating_workers_ends_them_whatever_the_program_does_at_the_signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (_i)
        signal(SIGTERM, SIG_IGN);
    else
        sigprocmask(SIG_BLOCK, &set, NULL);
    fx_executor *pool = processes(1);
    fx_future *running = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    ck_assert_int_eq(fx_executor_terminate_workers(pool), 0);
    ck_assert_int_eq(outcome_of(running), -EOWNERDEAD);
    end_kind(pool);
}
END_TEST

TASK(use_the_library)
{
    UNUSED_TASK_ARGUMENTS();
    static fx_lock lock;
    task_expects(fx_current_executor() == NULL);
    FX_WITH(&lock) {
        fx_sleep(FX_MSEC(1));
    }
    void *volatile memory = malloc(100000);
    free(memory);
    *(long *)result = fx_current_thread() == fx_main_thread();
    return 0;
}

START_TEST(the_library_works_in_tasks)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(number_of(submit_number(pool, use_the_library, 0)), 1);
    end_kind(pool);
}
END_TEST

static void *add_one(void *number)
{
    ++*(long *)number;
    return number;
}

TASK(use_threads)
{
    UNUSED_TASK_ARGUMENTS();
    fx_thread *thread = fx_thread_spawn(add_one, result);
    task_expects(thread != NULL);
    task_expects(fx_thread_join(thread, NULL) == 0);
    fx_thread_unref(thread);
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 1 });
    task_expects(pool != NULL);
    fx_future *future = fx_submit(pool, add_one, result);
    task_expects(fx_future_result(future, NULL) == 0);
    fx_future_unref(future);
    task_expects(fx_executor_shutdown(pool, true, false) == 0);
    fx_executor_unref(pool);
    return 0;
}

START_TEST(a_task_may_have_threads_and_thread_pools)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(number_of(submit_number(pool, use_threads, 0)), 2);
    end_kind(pool);
}
END_TEST

TASK(use_processes)
{
    UNUSED_TASK_ARGUMENTS();
    int n = 5;
    fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1 });
    task_expects(pool != NULL);
    fx_future *future = fx_submit_copy(pool, square, &n, sizeof n, sizeof(long));
    task_expects(fx_future_result_copy(future, result, result_size) == 0);
    fx_future_unref(future);
    task_expects(fx_executor_shutdown(pool, true, false) == 0);
    fx_executor_unref(pool);
    return 0;
}

START_TEST(a_task_may_have_a_process_pool)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(number_of(submit_number(pool, use_processes, 0)), 25);
    end_kind(pool);
}
END_TEST

/* --- what is printed -------------------------------------------------------------------------- */

static void note_exit(void)
{
    fputs("exit handler\n", stderr);
}

TASK(exit_quietly)
{
    UNUSED_TASK_ARGUMENTS();
    exit(0);
}

static void print_and_have_a_worker_exit(void *arg)
{
    (void)arg;
    printf("once\n"); /* stands in stdio's buffer when the worker is forked */
    fx_executor *pool = processes(1);
    fx_future_result(submit_bare(pool, exit_quietly), NULL);
    fx_future_result(submit_bare(pool, count), NULL);
    fx_executor_shutdown(pool, true, false);
    atexit(note_exit);
}

START_TEST(what_the_program_has_printed_is_written_once)
{
    struct child child;
    child_fork(&child, print_and_have_a_worker_exit, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "once\n");
    /* Beside what a sanitizer may have to say. */
    const char *handled = strstr(child.err, "exit handler\n");
    ck_assert_ptr_nonnull(handled);
    ck_assert_ptr_null(strstr(handled + 1, "exit handler\n"));
}
END_TEST

TASK(print_number)
{
    UNUSED_TASK_ARGUMENTS();
    printf("%d\n", *(const int *)arg);
    return 0;
}

static void print_and_kill(void *arg)
{
    (void)arg;
    fx_executor *pool = processes(1);
    for (int i = 0; i < 3; i++)
        fx_future_unref(submit_number(pool, print_number, i));
    fx_future *running = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    fx_executor_kill_workers(pool);
    fx_future_result(running, NULL);
}

START_TEST(what_a_task_printed_is_written_when_it_ends)
{
    struct child child;
    child_fork(&child, print_and_kill, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "0\n1\n2\n");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_test(tests, variables_are_copies_that_stay_with_the_worker);
    tcase_add_test(tests, workers_have_none_of_the_programs_descriptors);
    tcase_add_test(tests, the_programs_handlers_are_not_the_workers);
    tcase_add_loop_test(
        tests, terminating_workers_ends_them_whatever_the_program_does_at_the_signal, 0, 2);
    tcase_add_test(tests, the_library_works_in_tasks);
    if (!THREADS_ARE_PTHREADS) { /* which that sanitizer does not have in a child of threads */
        tcase_add_test(tests, a_task_may_have_threads_and_thread_pools);
        tcase_add_test(tests, a_task_may_have_a_process_pool);
    }
    tcase_add_test(tests, what_the_program_has_printed_is_written_once);
    tcase_add_test(tests, what_a_task_printed_is_written_when_it_ends);
}

int main(void)
{
    return run_suite("process worker", add_tests);
}
