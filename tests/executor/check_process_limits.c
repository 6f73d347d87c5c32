/* Process pools in programs that are short of something, or have changed what they are: an error
 * is told, or all works; nobody hangs, and the program is not harmed. */
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "processes.h"
#include "sanitizer.h"

#include "../thread/suite.h"

static struct rlimit lower_limit(int resource, rlim_t limit)
{
    struct rlimit before, lower;
    ck_assert_int_eq(getrlimit(resource, &before), 0);
    lower = before;
    lower.rlim_cur = limit;
    ck_assert_int_eq(setrlimit(resource, &lower), 0);
    return before;
}

/* A pool, and some tasks of it: each works or says why not. True: they work. */
static bool try_a_pool(void)
{
    fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 2 });
    bool works = pool != NULL;
    if (!pool) {
        ck_assert(errno == EMFILE || errno == ENFILE || errno == EAGAIN || errno == ENOMEM);
        return false;
    }
    for (int i = 0; i < 4; i++) {
        static char argument[300000];
        errno = 0;
        fx_future *future = fx_submit_copy(pool, i % 2 ? count : sleep_and_count, argument,
                                           i % 2 ? sizeof argument : 1, 8);
        ck_assert(future || errno == EPIPE || errno == ENOMEM || errno == EAGAIN);
        int rc = future ? outcome_of(future) : -errno;
        ck_assert(rc == 0 || rc == -EPIPE || rc == -ENOMEM || rc == -EAGAIN || rc == -EOWNERDEAD);
        works = works && rc == 0;
    }
    end_kind(pool);
    return works;
}

START_TEST(few_descriptors_are_an_error_and_no_hang)
{
    int next = dup(0);
    close(next);
    ck_assert_int_ge(next, 0);
    bool works = false;
    for (int more = 0; more < 40; more += more < 16 ? 1 : 4) {
        struct rlimit before = lower_limit(RLIMIT_NOFILE, (rlim_t)(next + more));
        works = try_a_pool();
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    ck_assert(works); /* with the last there are enough */
}
END_TEST

START_TEST(a_program_that_is_out_of_descriptors_for_a_while_goes_on)
{
    fx_executor *pool = processes(2);
    int next = dup(0);
    close(next);
    struct rlimit before = lower_limit(RLIMIT_NOFILE, (rlim_t)next);
    fx_future *future = submit_bare(pool, compute_for_ever);
    await(atomic_load(&board->begun) == 1 || fx_future_done(future));
    fx_future_stop(future);
    int rc = outcome_of(future);
    ck_assert(rc == -ECANCELED || rc == -EPIPE || rc == -EALREADY);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    end_kind(pool);
    await(has_ended(atomic_load(&board->pids[0])));
    ck_assert(try_a_pool());
}
END_TEST

START_TEST(a_limit_to_the_size_of_files_does_not_kill_the_program)
{
    struct rlimit before = lower_limit(RLIMIT_FSIZE, 4096);
    try_a_pool();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    fx_executor *pool = processes(1);
    process_of(pool);
    lower_limit(RLIMIT_FSIZE, 4096);
    static char argument[1 << 20];
    fx_future *future = fx_submit_copy(pool, count, argument, sizeof argument, 8);
    ck_assert(future || errno == ENOMEM);
    if (future)
        ck_assert_int_eq(outcome_of(future), 0);
    ck_assert_int_eq(number_of(submit_number(pool, square, 3)), 9);
    end_kind(pool);
}
END_TEST

/* In MiB, above what the program has now. */
START_TEST(a_limit_to_addresses_is_an_error_and_no_hang)
{
    static const size_t more[] = { 1, 40, 300, 3000 };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        size_t kib = 0;
        char line[256];
        FILE *status = fopen("/proc/self/status", "re");
        ck_assert_ptr_nonnull(status);
        while (fgets(line, sizeof line, status) && sscanf(line, "VmSize: %zu", &kib) != 1)
            ;
        fclose(status);
        struct rlimit before = lower_limit(RLIMIT_AS, (rlim_t)((kib << 10) + (more[i] << 20)));
        try_a_pool();
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    }
    ck_assert(try_a_pool());
}
END_TEST

/* --- what the program is ---------------------------------------------------------------------- */

TASK(look_at_standard_descriptors)
{
    UNUSED_TASK_ARGUMENTS();
    for (int fd = 0; fd <= 2; fd++) {
        struct stat file;
        task_expects(fstat(fd, &file) != 0 || S_ISCHR(file.st_mode));
    }
    return 0;
}

START_TEST(a_program_without_standard_descriptors_has_pools)
{
    int kept = dup(2);
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1 });
    int first = -1, second = -1;
    if (pool) {
        first = outcome_of(submit_bare(pool, look_at_standard_descriptors));
        second = outcome_of(submit_number(pool, square, 3));
        fx_executor_shutdown(pool, true, false);
        fx_executor_unref(pool);
    }
    for (int fd = 0; fd <= 2; fd++)
        dup2(kept, fd);
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_eq(first, 0);
    ck_assert_int_eq(second, 0);
    ck_assert_msg(!board->record.claimed, "%s", board->record.text);
}
END_TEST

START_TEST(a_program_that_has_dropped_its_privileges_still_rules_its_workers)
{
    if (geteuid() != 0)
        return; /* there is nothing to drop */
    fx_executor *pool = processes(2);
    process_of(pool);
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    fx_future *stopped = submit_bare(pool, compute_for_ever);
    await(atomic_load(&board->begun) == 1);
    ck_assert_int_eq(fx_future_stop(stopped), 0);
    ck_assert_int_eq(outcome_of(stopped), -ECANCELED);
    fx_future *limited = fx_submit_copy_with(pool, compute_for_ever, NULL, 0, 0,
                                             &(fx_submit_attr){ .time_limit = FX_MSEC(20) });
    ck_assert_int_eq(outcome_of(limited), -ETIME);
    ck_assert_int_eq(number_of(submit_number(pool, square, 3)), 9);
    end_kind(pool);
    await(has_ended(atomic_load(&board->pids[0])) && has_ended(atomic_load(&board->pids[1])));
}
END_TEST

static bool has_no_dead_child(void)
{
    siginfo_t info;
    info.si_pid = 0;
    int rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    return rc != 0 || info.si_pid == 0;
}

/* As in the first process of a container. */
START_TEST(a_program_that_orphans_come_to_is_left_no_zombies)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    fx_executor *pool = processes(2);
    struct family family = family_of(pool);
    ck_assert_int_eq(kill(family.server, SIGKILL), 0);
    fx_future *future = fx_submit_copy(pool, sleep_and_count, NULL, 0, 0);
    if (future)
        ck_assert_int_ne(outcome_of(future), -ETIMEDOUT);
    end_kind(pool);
    await(has_ended(family.worker) && has_ended(family.server));
    waitpid(family.server, NULL, WNOHANG); /* whose end nobody else may have asked for */
    await(has_no_dead_child());
}
END_TEST

TASK(close_and_open)
{
    UNUSED_TASK_ARGUMENTS();
    for (int fd = 3; fd < 1100; fd++)
        close(fd);
    for (int i = 0; i < 1100; i++) { /* whatever number the library had, it is a file's now */
        int fd = open((const char *)arg, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            break;
    }
    return 0;
}

/* With a callback, for which nobody waits directly. */
static void note_end(fx_future *future, void *arg)
{
    (void)future;
    atomic_store((atomic_int *)arg, 1);
}

START_TEST(a_task_that_closes_all_descriptors_and_opens_files_spoils_none)
{
    char path[] = "/tmp/fxthread-file-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    fx_executor *pool = processes(1);
    for (int i = 0; i < 5; i++) {
        static atomic_int is_over;
        atomic_store(&is_over, 0);
        fx_future *future = submit_copy(pool, close_and_open, path, sizeof path, 0);
        ck_assert_int_eq(fx_future_add_done_callback(future, note_end, &is_over), 0);
        await(atomic_load(&is_over));
        ck_assert_int_eq(outcome_of(future), 0);
        ck_assert_int_eq(number_of(submit_number(pool, square, i)), i * i);
    }
    struct stat file;
    ck_assert_int_eq(fstat(fd, &file), 0);
    ck_assert_int_eq(file.st_size, 0);
    end_kind(pool);
    unlink(path);
    close(fd);
}
END_TEST

/* --- workers that run wild -------------------------------------------------------------------- */

TASK(write_before_the_item)
{
    (void)arg_size;
    volatile unsigned char *byte = (volatile unsigned char *)(uintptr_t)arg;
    for (int i = 1; i <= 96; i++)
        byte[-i] = 0xff;
    return square(arg, sizeof(int), result, result_size);
}

START_TEST(a_map_whose_function_writes_before_its_item_does_not_harm_the_program)
{
    enum { N = 40 };
    int items[N + 1];
    long results[2 * N];
    for (int i = 0; i <= N; i++)
        items[i] = i;
    for (int i = 0; i < 2 * N; i++)
        results[i] = -1;
    fx_executor *pool = processes(2);
    fx_executor_map(pool, write_before_the_item, items, N, sizeof *items, results, sizeof *results,
                    &(fx_map_attr){ .chunk = 10 });
    for (int i = N; i < 2 * N; i++)
        ck_assert_int_eq(results[i], -1);
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), 0);
    fx_executor_unref(pool);
    ck_assert(try_a_pool());
}
END_TEST

/* From its argument on downwards, where all lies that the processes share; and it dies. */
TASK(overwrite_everything)
{
    UNUSED_TASK_ARGUMENTS();
    unsigned seed = (unsigned)*(const int *)arg;
    uintptr_t place = (uintptr_t)arg & ~(uintptr_t)4095;
    for (volatile unsigned char *byte = (volatile unsigned char *)place;; byte--)
        *byte = seed % 3 == 0 ? 0 : seed % 3 == 1 ? 0xff : (unsigned char)rand_r(&seed);
    return 0;
}

START_TEST(a_worker_that_overwrites_all_and_dies_keeps_nobody_waiting)
{
    double begin = await_now();
    fx_executor *pool = processes(2);
    fx_future *wild = submit_number(pool, overwrite_everything, _i);
    fx_future *others[5];
    for (int i = 0; i < 5; i++)
        others[i] = fx_submit_copy(pool, sleep_and_count, NULL, 0, 0);
    int rc = outcome_of(wild);
    ck_assert(rc == -EOWNERDEAD || rc == -EPIPE);
    for (int i = 0; i < 5; i++)
        if (others[i])
            ck_assert_int_ne(outcome_of(others[i]), -ETIMEDOUT);
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), 0);
    ck_assert(await_now() - begin < await_limit()); /* no wait ended by its limit */
    fx_executor_unref(pool);
    ck_assert(try_a_pool());
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_test(tests, few_descriptors_are_an_error_and_no_hang);
    tcase_add_test(tests, a_program_that_is_out_of_descriptors_for_a_while_goes_on);
    tcase_add_test(tests, a_limit_to_the_size_of_files_does_not_kill_the_program);
    if (ALLOCATOR_MAY_FAIL) { /* else there are more addresses than any limit allows */
        tcase_add_test(tests, a_limit_to_addresses_is_an_error_and_no_hang);
        tcase_add_loop_test(tests, a_worker_that_overwrites_all_and_dies_keeps_nobody_waiting, 0,
                            3);
    }
    tcase_add_test(tests, a_program_without_standard_descriptors_has_pools);
    tcase_add_test(tests, a_program_that_has_dropped_its_privileges_still_rules_its_workers);
    tcase_add_test(tests, a_program_that_orphans_come_to_is_left_no_zombies);
    tcase_add_test(tests, a_task_that_closes_all_descriptors_and_opens_files_spoils_none);
    tcase_add_test(tests, a_map_whose_function_writes_before_its_item_does_not_harm_the_program);
}

int main(void)
{
    return run_suite("process limits", add_tests);
}
