/* fork() from threads of ours, while others start, end and allocate: the child is a whole process,
 * with libc, this library and pthreads at work in it, and can fork again from a thread of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "crew.h"
#include "module_tls.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

static atomic_bool finished;
static atomic_int arrived;

/* --- what goes on meanwhile ------------------------------------------------------------------- */

static void *allocate_once(void *arg)
{
    char *memory = malloc(3000);
    if (expect(memory != NULL))
        memory[0] = 1;
    free(memory);
    return arg;
}

static void *start_and_end_threads(void *arg)
{
    while (!atomic_load(&finished))
        crew_run(2, allocate_once);
    return arg;
}

static void *allocate_and_print(void *arg)
{
    FILE *null = fopen("/dev/null", "w");
    while (null && !atomic_load(&finished)) {
        void *blocks[20];
        for (int i = 0; i < 20; i++)
            blocks[i] = malloc((size_t)(100 + i * 300));
        for (int i = 0; i < 20; i++)
            free(blocks[i]);
        fprintf(null, "%p\n", (void *)blocks);
    }
    if (expect(null != NULL))
        fclose(null);
    return arg;
}

static struct crew busy;

static void start_others(void)
{
    crew_run(8, allocate_once);
    busy.n = 2;
    busy.threads[0] = fx_thread_spawn(start_and_end_threads, NULL);
    busy.threads[1] = fx_thread_spawn(allocate_and_print, NULL);
    expect(busy.threads[0] && busy.threads[1]);
}

static void end_others(void)
{
    atomic_store(&finished, true);
    crew_join(&busy);
}

/* --- what a child must be able to do ---------------------------------------------------------- */

static _Thread_local int marked;

static void *work_of_child_thread(void *arg)
{
    expect_int(errno, ==, 0);
    expect_int(marked, ==, 0);
    marked = 1;
    char *text = NULL;
    expect_int(asprintf(&text, "%d %.2f", crew_number(arg), 0.25), >, 0);
    free(text);
    return arg;
}

static void *work_of_child_pthread(void *arg)
{
    return work_of_child_thread(arg);
}

/* The exit code of a child that could do everything, forking `depth` times more; else 1. */
static int live(int depth);

static void *fork_in_child_thread(void *arg)
{
    int depth = crew_number(arg);
    pid_t child = fork();
    if (child == 0)
        _exit(live(depth));
    expect_int(child_code(child), ==, 40 + depth);
    return NULL;
}

static int live(int depth)
{
    char text[64];
    FILE *stream = tmpfile();
    if (!expect(stream != NULL))
        return record_status();
    fprintf(stream, "child %d\n", depth);
    rewind(stream);
    expect(fgets(text, sizeof text, stream) && atoi(text + 6) == depth);
    fclose(stream);
    free(malloc(100000));
    expect_int(syscall(SYS_gettid), ==, getpid());

    crew_run(3, work_of_child_thread);
    pthread_t thread;
    void *result = NULL;
    if (expect_int(pthread_create(&thread, NULL, work_of_child_pthread, text), ==, 0)) {
        expect_int(pthread_join(thread, &result), ==, 0);
        expect(result == text);
    }
    if (depth > 0) {
        fx_thread *forker = fx_thread_spawn(fork_in_child_thread, (void *)(intptr_t)(depth - 1));
        if (expect(forker != NULL)) {
            expect_int(fx_thread_join_for(forker, FX_SEC(await_limit()), NULL), ==, 0);
            fx_thread_unref(forker);
        }
    }
    return record_status() ? 1 : 40 + depth;
}

static void *fork_again_and_again(void *arg)
{
    int rounds = scaled(30);
    for (int i = 0; i < rounds; i++) {
        marked = 5;
        pid_t child = fork();
        if (child == 0)
            _exit(marked == 5 ? live(2) : 99);
        if (!expect_int(child, >, 0))
            break;
        expect_int(child_code(child), ==, 42);
    }
    return arg;
}

START_TEST(a_child_forked_in_a_thread_can_do_everything)
{
    crew_run(8, allocate_once);
    crew_run(1, fork_again_and_again);
    ck_assert_recorded();
}
END_TEST

START_TEST(a_child_forked_in_main_while_threads_live_can_do_everything)
{
    start_others();
    fork_again_and_again(NULL);
    end_others();
    ck_assert_recorded();
}
END_TEST

START_TEST(children_of_threads_can_do_everything_while_others_start_and_end)
{
    start_others();
    crew_run(3, fork_again_and_again);
    end_others();
    ck_assert_recorded();
}
END_TEST

/* --- small children, many of them ------------------------------------------------------------- */

static void *fork_small_children(void *arg)
{
    int rounds = scaled(300);
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (child == 0) {
            crew_run(1, allocate_once);
            _exit(record_status() ? 1 : 23);
        }
        if (!expect_int(child, >, 0))
            break;
        int status = -1;
        expect_int(waitpid(child, &status, 0), ==, child);
        expect(WIFEXITED(status) && WEXITSTATUS(status) == 23);
    }
    return arg;
}

START_TEST(a_fork_never_meets_a_half_made_thread)
{
    start_others();
    crew_run(2, fork_small_children);
    end_others();
    ck_assert_recorded();
}
END_TEST

/* --- the child's end -------------------------------------------------------------------------- */

static bool is_child;

#ifdef FXI_ASAN
/* The leak sanitizer asks. What main's stack holds is lost to a thread's child, and no leak. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return is_child;
}
#endif

static char written[] = "/tmp/fxthread-check-fork-XXXXXX";

static void *fork_and_return_in_child(void *arg)
{
    pid_t *child = arg;
    FILE *stream = fopen(written, "w");
    if (!expect(stream != NULL))
        return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        is_child = true;
        fprintf(stream, "from the child\n"); /* in the stream's buffer, unless exit() flushes it */
        return stream; /* not NULL, and no exit status */
    }
    *child = pid;
    fclose(stream);
    return NULL;
}

START_TEST(a_child_that_returns_from_its_thread_s_function_exits_with_0)
{
    int fd = mkstemp(written);
    ck_assert_int_ge(fd, 0);
    pid_t child = -1;
    fflush(NULL);
    fx_thread *thread = fx_thread_spawn(fork_and_return_in_child, &child);
    ck_assert_ptr_nonnull(thread);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(thread);
    ck_assert_int_eq(child_code(child), 0);
    char text[64] = "";
    ck_assert_int_eq(read(fd, text, sizeof text - 1), 15);
    ck_assert_str_eq(text, "from the child\n");
    close(fd);
    unlink(written);
    ck_assert_recorded();
}
END_TEST

static void *fork_and_exit_thread_in_child(void *arg)
{
    pid_t pid = fork();
    if (pid == 0) {
        is_child = true;
        pthread_exit(arg); /* not NULL, and no exit status */
    }
    *(pid_t *)arg = pid;
    return NULL;
}

START_TEST(a_child_whose_only_thread_calls_pthread_exit_exits_with_0)
{
    pid_t child = -1;
    fflush(NULL);
    fx_thread *thread = fx_thread_spawn(fork_and_exit_thread_in_child, &child);
    ck_assert_ptr_nonnull(thread);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(thread);
    ck_assert_int_eq(child_code(child), 0);
}
END_TEST

/* --- threads that are not in the child -------------------------------------------------------- */

static fx_thread *lost;

static void *stay(void *arg)
{
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&finished));
    return arg;
}

static int join_lost_thread(void)
{
    expect_int(fx_thread_join_for(lost, FX_SEC(await_limit()), NULL), ==, -ESRCH);
    crew_run(4, work_of_child_thread);
    return record_status();
}

static void *fork_beside_stayer(void *arg)
{
    expect_int(child_run(join_lost_thread), ==, 0);
    return arg;
}

START_TEST(a_thread_lost_in_the_fork_cannot_be_joined_in_the_child)
{
    lost = fx_thread_spawn(stay, NULL);
    ck_assert_ptr_nonnull(lost);
    await(atomic_load(&arrived) == 1);
    ck_assert_int_eq(child_run(join_lost_thread), 0);
    crew_run(1, fork_beside_stayer);
    atomic_store(&finished, true);
    ck_assert_int_eq(fx_thread_join_for(lost, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(lost);
    ck_assert_recorded();
}
END_TEST

/* --- recycled TLS in the child ---------------------------------------------------------------- */

static struct tls_module module;

static void *look_at_module(void *arg)
{
    expect(module.is_initial());
    module.set(9);
    return arg;
}

/* The TCBs of ended threads came along into the child: the module must reach them there. */
static int open_module_in_child(void)
{
    if (!expect(tls_module_open(&module, MODULE_INITIAL_EXEC)))
        return record_status();
    crew_run(12, look_at_module);
    crew_run_in_sequence(12, look_at_module);
    look_at_module(NULL);
    expect_int(setgid(getgid()), ==, 0);
    return record_status();
}

static void *fork_and_open_module(void *arg)
{
    expect_int(child_run(open_module_in_child), ==, 0);
    return arg;
}

START_TEST(recycled_tls_works_in_the_child)
{
    crew_run(12, work_of_child_thread);
    ck_assert_int_eq(child_run(open_module_in_child), 0);
    crew_run(1, fork_and_open_module);
    ck_assert_recorded();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_child_forked_in_a_thread_can_do_everything);
    if (CHILD_MAY_ALLOCATE) {
        tcase_add_test(tests, a_child_forked_in_main_while_threads_live_can_do_everything);
        tcase_add_test(tests, children_of_threads_can_do_everything_while_others_start_and_end);
        tcase_add_test(tests, a_fork_never_meets_a_half_made_thread);
    }
    tcase_add_test(tests, a_child_that_returns_from_its_thread_s_function_exits_with_0);
    tcase_add_test(tests, a_child_whose_only_thread_calls_pthread_exit_exits_with_0);
    tcase_add_test(tests, a_thread_lost_in_the_fork_cannot_be_joined_in_the_child);
    tcase_add_test(tests, recycled_tls_works_in_the_child);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("fork", add_tests);
}
