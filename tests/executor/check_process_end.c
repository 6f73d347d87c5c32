/* What is left of process pools: nothing, whatever dies when. Workers and the fork server end
 * with the pools, and with the program however that ends; descriptors, mappings and zombies are
 * given back. */
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "processes.h"
#include "sanitizer.h"

#include "../thread/captured.h"
#include "../thread/suite.h"

/* The processes whose ids stand on the board. */
static bool all_have_ended(void)
{
    for (int i = 0; i < 64; i++) {
        int pid = atomic_load(&board->pids[i]);
        if (pid > 0 && !has_ended(pid))
            return false;
    }
    return true;
}

/* --- while the program goes on ---------------------------------------------------------------- */

static void use_a_pool(int round)
{
    fx_executor *pool = processes(2);
    fx_future *kept = submit_copy(pool, square, &round, sizeof round, sizeof(long));
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(number_of(submit_number(pool, square, i)), i * i);
    ck_assert_int_eq(outcome_of(submit_copy(pool, count, NULL, 0, 3 << 20)), 0);
    if (round % 2) {
        fx_future *killed = submit_bare(pool, compute_for_ever);
        await(atomic_load(&board->begun) == round / 2 + 1);
        ck_assert_int_eq(kill(atomic_load(&board->pids[0]), SIGKILL), 0);
        ck_assert_int_eq(outcome_of(killed), -EOWNERDEAD);
    }
    if (round % 3 == 0)
        end_kind(pool);
    else
        fx_executor_unref(pool); /* it ends by itself */
    ck_assert_int_eq(number_of(kept), (long)round * round);
}

START_TEST(descriptors_and_mappings_are_given_back)
{
    use_a_pool(0); /* what is made once is there now */
    end_kind(processes(1));
    size_t descriptors = descriptor_count(), memory = mappings_with("memfd:");
    for (int round = 1; round <= 12; round++)
        use_a_pool(round);
    await(descriptor_count() <= descriptors);
    await(mappings_with("memfd:") <= memory);
}
END_TEST

START_TEST(descriptors_and_zombies_of_the_dead_are_given_back_while_the_pool_lives)
{
    enum { N = 20 };
    pid_t dead[N];
    fx_executor *pool = processes(1);
    process_of(pool);
    size_t descriptors = descriptor_count();
    for (int i = 0; i < N; i++) {
        dead[i] = process_of(pool);
        ck_assert_int_eq(kill(dead[i], SIGKILL), 0);
        await(state_of(dead[i]) == 0);
    }
    process_of(pool);
    await(descriptor_count() <= descriptors + 1); /* the first worker's may not have come by then */
    end_kind(pool);
}
END_TEST

/* In KiB: shared memory that this process has touched. */
static size_t shared_memory(void)
{
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "RssShmem: %zu", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

START_TEST(large_arguments_and_results_are_given_back_with_their_futures)
{
    enum { SIZE = 8 << 20 };
    char *argument = malloc(SIZE);
    memset(argument, 1, SIZE);
    fx_executor *pool = processes(1);
    ck_assert_int_eq(outcome_of(submit_copy(pool, count, argument, SIZE, SIZE)), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(outcome_of(submit_copy(pool, count, argument, SIZE, SIZE)), 0);
    ck_assert_uint_lt(shared_memory(), 3 * (SIZE >> 10));
    end_kind(pool);
    free(argument);
}
END_TEST

START_TEST(the_workers_and_the_fork_server_end_with_the_last_pool)
{
    fx_executor *one = processes(1), *other = processes(1);
    struct family first = family_of(one), second = family_of(other);
    end_kind(one);
    await(state_of(first.worker) == 0);
    ck_assert(!has_ended(second.worker));
    ck_assert_int_eq(process_of(other), second.worker);
    end_kind(other);
    await(has_ended(second.worker) && has_ended(second.server) && has_ended(first.server));
}
END_TEST

START_TEST(the_program_has_no_children_to_wait_for)
{
    fx_executor *pool = processes(2);
    process_of(pool);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    kill(process_of(pool), SIGKILL);
    process_of(pool);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    end_kind(pool);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

static atomic_int children_told;

static void note_child(int number)
{
    (void)number;
    atomic_fetch_add(&children_told, 1);
}

START_TEST(a_program_that_handles_or_ignores_its_childrens_deaths_has_pools)
{
    signal(SIGCHLD, _i ? SIG_IGN : note_child);
    fx_executor *pool = processes(1);
    for (int i = 0; i < 3; i++) {
        int status = 0;
        fx_future *future = submit_bare(pool, compute_for_ever);
        await(atomic_load(&board->begun) == i + 1);
        ck_assert_int_eq(kill(atomic_load(&board->pids[0]), SIGKILL), 0);
        ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -EOWNERDEAD);
        ck_assert_int_eq(fx_future_worker_status(future, &status), 0);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fx_future_unref(future);
    }
    end_kind(pool);
    ck_assert_int_le(atomic_load(&children_told), 1); /* the one that forked the server at most */
}
END_TEST

/* --- fork and exec meanwhile ------------------------------------------------------------------ */

static void *run_programs(void *arg)
{
    int n = 0;
    while (!atomic_load(&board->told)) {
        pid_t child = fork();
        if (child == 0) {
            if (n % 2)
                _exit(0);
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        expect(child > 0);
        int status = -1;
        expect_int(waitpid(child, &status, 0), ==, child);
        expect_int(status, ==, 0);
        n++;
    }
    atomic_store((atomic_int *)arg, n);
    return NULL;
}

TASK(square_or_die)
{
    if (*(const int *)arg % 13 == 12)
        raise(SIGKILL);
    return square(arg, arg_size, result, result_size);
}

START_TEST(the_program_may_fork_and_exec_meanwhile)
{
    enum { N = 100 };
    fx_future *futures[N];
    atomic_int forks = 0;
    fx_executor *pool = processes(2);
    fx_thread *thread = fx_thread_spawn(run_programs, &forks);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            futures[i] = submit_number(pool, square_or_die, i);
        for (int i = 0; i < N; i++) {
            if (i % 13 == 12)
                ck_assert_int_eq(outcome_of(futures[i]), -EOWNERDEAD);
            else
                ck_assert_int_eq(number_of(futures[i]), i * i);
        }
    }
    atomic_store(&board->told, 1);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(thread);
    ck_assert_int_gt(atomic_load(&forks), 0);
    end_kind(pool);
}
END_TEST

/* Descriptors of the kinds that pools need; without memory of the heap. */
static int pool_descriptors(void)
{
    static const char *const kinds[] = { "socket:", "anon_inode:", "/memfd:fxthread" };
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char path[40], name[40] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, name, sizeof name - 1) > 0)
            for (int kind = 0; kind < 3; kind++)
                n += strncmp(name, kinds[kind], strlen(kinds[kind])) == 0;
    }
    return n;
}

static void *make_and_end_pools(void *unused)
{
    while (!atomic_load(&board->told)) {
        fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 2 });
        fx_future *future = pool ? fx_submit_copy(pool, count, NULL, 0, 0) : NULL;
        expect(future != NULL);
        if (future)
            expect_int(fx_future_result_for(future, FX_SEC(await_limit()), NULL), ==, 0);
        fx_future_unref(future);
        fx_executor_unref(pool);
    }
    return unused;
}

START_TEST(a_child_forked_while_pools_are_made_and_ended_has_none_of_their_descriptors)
{
    enum { MAKERS = 3, FORKS = 100 };
    int before = pool_descriptors(), n = scaled(FORKS);
    fx_thread *makers[MAKERS];
    for (int i = 0; i < MAKERS; i++)
        makers[i] = fx_thread_spawn(make_and_end_pools, NULL);
    await(atomic_load(&board->done) >= MAKERS);
    for (int i = 0; i < n; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(pool_descriptors() - before);
        int code = child_code(child);
        ck_assert_msg(code == 0, "child %d has %d", i, code);
    }
    atomic_store(&board->told, 1);
    for (int i = 0; i < MAKERS; i++) {
        ck_assert_int_eq(fx_thread_join_for(makers[i], FX_SEC(await_limit()), NULL), 0);
        fx_thread_unref(makers[i]);
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

static int end_at_once(void)
{
    return 0;
}

START_TEST(a_child_that_ends_in_any_way_takes_nothing_along)
{
    fx_executor *pool = processes(1);
    pid_t worker = process_of(pool);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(child_run(end_at_once), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            exit(0); /* with what the library does at the end of a program */
        ck_assert_int_eq(child_code(child), 0);
        child = fork();
        if (child == 0) {
            fx_executor_unref(pool);
            _exit(0);
        }
        ck_assert_int_eq(child_code(child), 0);
    }
    ck_assert_int_eq(process_of(pool), worker);
    end_kind(pool);
}
END_TEST

/* --- the program's own end -------------------------------------------------------------------- */

enum end { KILLED, LEFT_AT_ONCE, BECAME_ANOTHER, LEFT_MAIN, ENDS };

/* A program with two workers, one that computes and one that waits (which LEFT_MAIN has told),
 * and the server. It ends in that way once they run. */
static void be_a_program(void *arg)
{
    enum end end = (enum end)(intptr_t)arg;
    fx_executor *pool = processes(2);
    submit_bare(pool, note_family_and_wait);
    if (end != LEFT_MAIN)
        submit_bare(pool, compute_for_ever);
    await(atomic_load(&board->begun) == (end == LEFT_MAIN ? 1 : 2));
    switch (end) {
    case KILLED:
        raise(SIGKILL);
        break;
    case LEFT_AT_ONCE:
        _exit(0);
    case BECAME_ANOTHER: /* which lives until its input ends */
        execl("/bin/cat", "cat", (char *)NULL);
        break;
    case LEFT_MAIN:
        atomic_store(&board->told, 1);
        exit(0);
    case ENDS:
        break;
    }
    _exit(1);
}

START_TEST(no_process_outlives_the_program)
{
    int input[2];
    ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_LOST_STACKS();
        dup2(input[0], STDIN_FILENO);
        close(input[0]);
        close(input[1]);
        be_a_program((void *)(intptr_t)_i);
    }
    close(input[0]);
    await(atomic_load(&board->begun) == (_i == LEFT_MAIN ? 1 : 2));
    if (_i == BECAME_ANOTHER) {
        await(all_have_ended());
        ck_assert_int_eq(kill(child, 0), 0);
        ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
    }
    close(input[1]);
    ck_assert_int_eq(child_code(child), _i == KILLED ? -SIGKILL : 0);
    await(all_have_ended());
    ck_assert_int_ne(atomic_load(&board->pids[2]), 0);
    ck_assert_int_ne(atomic_load(&board->pids[3]), 0);
}
END_TEST

START_TEST(not_even_a_stopped_worker_outlives_the_program)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        fx_executor *pool = processes(1);
        submit_bare(pool, compute_for_ever);
        while (true)
            await_pause();
    }
    await(atomic_load(&board->begun) == 1);
    ck_assert_int_eq(kill(atomic_load(&board->pids[0]), SIGSTOP), 0);
    await(state_of(atomic_load(&board->pids[0])) == 'T');
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(child_code(child), -SIGKILL);
    await(all_have_ended());
}
END_TEST

/* --- the terminal's interrupt ----------------------------------------------------------------- */

static atomic_int interrupted;

static void note_interrupt(int number)
{
    (void)number;
    atomic_store(&interrupted, 1);
}

static void be_interrupted(void *arg)
{
    (void)arg;
    if (setpgid(0, 0) != 0)
        _exit(1);
    fx_executor *pool = processes(1);
    fx_future *future = submit_bare(pool, note_family_and_wait);
    await(atomic_load(&board->begun) == 1);
    signal(SIGINT, note_interrupt);
    kill(0, SIGINT); /* as a terminal does it */
    await(atomic_load(&interrupted));
    fx_sleep(FX_MSEC(5));
    atomic_store(&board->told, 1);
    if (fx_future_result(future, NULL) != 0)
        _exit(2);
}

START_TEST(an_interrupt_of_the_process_group_is_the_programs_to_handle)
{
    struct child child;
    child_fork(&child, be_interrupted, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    await(all_have_ended());
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_test(tests, descriptors_and_mappings_are_given_back);
    tcase_add_test(tests, descriptors_and_zombies_of_the_dead_are_given_back_while_the_pool_lives);
    tcase_add_test(tests, large_arguments_and_results_are_given_back_with_their_futures);
    tcase_add_test(tests, the_workers_and_the_fork_server_end_with_the_last_pool);
    tcase_add_test(tests, the_program_has_no_children_to_wait_for);
    tcase_add_loop_test(tests, a_program_that_handles_or_ignores_its_childrens_deaths_has_pools, 0,
                        2);
    if (CHILD_MAY_ALLOCATE && !THREADS_ARE_PTHREADS)
        tcase_add_test(tests, the_program_may_fork_and_exec_meanwhile);
    if (CHILD_MAY_ALLOCATE && !THREADS_ARE_PTHREADS)
        tcase_add_test(tests,
                       a_child_forked_while_pools_are_made_and_ended_has_none_of_their_descriptors);
    tcase_add_test(tests, a_child_that_ends_in_any_way_takes_nothing_along);
    tcase_add_loop_test(tests, no_process_outlives_the_program, 0, ENDS);
    tcase_add_test(tests, not_even_a_stopped_worker_outlives_the_program);
    tcase_add_test(tests, an_interrupt_of_the_process_group_is_the_programs_to_handle);
}

int main(void)
{
    return run_suite("process end", add_tests);
}
