/* After fork(): the child has one thread, which is its main thread, and the library works in it. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/await.h"
#include "../support/child.h"
#include "../support/scale.h"
#include "captured.h"
#include "gate.h"
#include "proc.h"
#include "sanitizer.h"
#include "suite.h"

/* In a forked child: a failed expectation is told on stderr and counted. */
static int failures;
#define EXPECT(condition)                                                        \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                          \
        }                                                                        \
    } while (0)

/* What stands in the parent when it forks. */
static struct {
    struct gate gate;
    fx_thread *running, *ended, *unstarted, *_Atomic forker;
    fx_timer *timer;
    fx_local key;
} parent;

static char value_of_the_forker;

static void *return_arg(void *arg)
{
    return arg;
}

static void set_the_scene(void)
{
    void *result = NULL;
    parent.running = fx_thread_spawn(gate_target, &parent.gate);
    parent.ended = fx_thread_spawn(return_arg, &parent);
    parent.unstarted = fx_thread_new(return_arg, &parent, NULL);
    parent.timer = fx_timer_new(FX_SEC(3600), return_arg, NULL);
    ck_assert_ptr_nonnull(parent.running);
    ck_assert_ptr_nonnull(parent.ended);
    ck_assert_ptr_nonnull(parent.unstarted);
    ck_assert_int_eq(fx_timer_start(parent.timer), 0);
    ck_assert_int_eq(fx_thread_join(parent.ended, &result), 0);
    ck_assert_int_eq(fx_local_create(&parent.key, NULL), 0);
    await(atomic_load(&parent.gate.waiters) == 1);
}

static void clear_the_scene(void)
{
    void *result = NULL;
    ck_assert(fx_thread_is_alive(parent.running));
    ck_assert_int_eq(fx_thread_join_for(parent.running, 0, &result), -ETIMEDOUT);
    gate_open(&parent.gate);
    ck_assert_int_eq(fx_thread_join(parent.running, &result), 0);
    ck_assert_ptr_eq(result, &parent.gate);
    ck_assert_int_eq(fx_thread_start(parent.unstarted), 0); /* started in the child or not */
    ck_assert_int_eq(fx_thread_join(parent.unstarted, NULL), 0);
    ck_assert_int_eq(fx_timer_cancel(parent.timer), 0);
    fx_timer_unref(parent.timer);
    fx_thread_unref(parent.running);
    fx_thread_unref(parent.ended);
    fx_thread_unref(parent.unstarted);
    await(fx_active_count() == 1);
}

static void expect_only_one_thread(void)
{
    fx_thread *seen[8] = {0}, *self = fx_current_thread();
    EXPECT(self != NULL);
    EXPECT(fx_main_thread() == self);
    EXPECT(fx_thread_is_alive(self));
    EXPECT(fx_thread_native_id(self) == getpid());
    EXPECT(fx_active_count() == 1);
    EXPECT(fx_enumerate(seen, 8) == 1);
    EXPECT(seen[0] == self);
    fx_thread_unref(seen[0]);
    EXPECT(fx_thread_join(self, NULL) == -EDEADLK);
    EXPECT(await_for(task_count() == 1, 20)); /* a joined one may be in its last steps */
}

static void expect_lost(fx_thread *lost)
{
    void *result = &failures;
    EXPECT(!fx_thread_is_alive(lost));
    EXPECT(fx_thread_join(lost, &result) == -ESRCH);
    EXPECT(fx_thread_join_for(lost, 0, &result) == -ESRCH);
    EXPECT(fx_thread_join_for(lost, FX_FOREVER, &result) == -ESRCH);
    EXPECT(fx_thread_join_until(lost, fx_now(), &result) == -ESRCH);
    EXPECT(result == &failures);
    EXPECT(strcmp(fx_thread_name(lost), "") != 0);
    EXPECT(fx_thread_start(lost) == -EALREADY);
}

static void expect_threads_work(void)
{
    enum { THREADS = 20 };
    fx_thread *threads[THREADS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < THREADS; i++)
            EXPECT((threads[i] = fx_thread_spawn(return_arg, &threads[i])) != NULL);
        for (int i = 0; i < THREADS; i++) {
            void *result = NULL;
            EXPECT(fx_thread_join(threads[i], &result) == 0);
            EXPECT(result == &threads[i]);
            EXPECT(fx_thread_ident(threads[i]) != fx_thread_ident(parent.running));
            fx_thread_unref(threads[i]);
        }
    }
    void *result = NULL;
    EXPECT(fx_thread_start(parent.unstarted) == 0);
    EXPECT(fx_thread_join(parent.unstarted, &result) == 0);
    EXPECT(result == &parent);
}

static void *open_gate(void *gate)
{
    gate_open(gate);
    return NULL;
}

static void expect_timers_work(void)
{
    static struct gate fired;
    fx_timer *timer = fx_timer_new(FX_MSEC(5), open_gate, &fired);
    EXPECT(fx_timer_start(timer) == 0);
    EXPECT(fx_timer_join(timer) == 0);
    EXPECT(fired.opened);
    fx_timer_unref(timer);
}

static void expect_locals_are_kept(void)
{
    EXPECT(fx_local_get(parent.key) == &value_of_the_forker);
    EXPECT(fx_local_set(parent.key, &parent) == 0);
    EXPECT(fx_local_get(parent.key) == &parent);
}

/* All that is expected in a child, and its end: exit(), which is to find nobody to wait for. */
static void expect_in_child(void *arg)
{
    (void)arg;
    EXPECT_LOST_STACKS();
    expect_only_one_thread();
    expect_lost(parent.running);
    if (parent.forker) {
        EXPECT(fx_main_thread() == parent.forker);
        EXPECT(fx_thread_is_alive(parent.forker));
    }
    void *result = NULL;
    EXPECT(fx_thread_join(parent.ended, &result) == 0);
    EXPECT(result == &parent);
    expect_locals_are_kept();
    expect_threads_work();
    expect_timers_work();
    EXPECT(fx_sleep(FX_MSEC(1)) == 0);
    EXPECT(fx_active_count() == 1);
    fx_thread_unref(parent.running);
    exit(failures ? EXIT_FAILURE : EXIT_SUCCESS);
}

START_TEST(fork_in_main)
{
    struct child child;
    set_the_scene();
    fx_local_set(parent.key, &value_of_the_forker);
    child_fork(&child, expect_in_child, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_ptr_eq(fx_local_get(parent.key), &value_of_the_forker);
    clear_the_scene();
}
END_TEST

static void *fork_here(void *status)
{
    fx_local_set(parent.key, &value_of_the_forker);
    atomic_store(&parent.forker, fx_current_thread());
    pid_t pid = fork();
    if (pid == 0)
        expect_in_child(NULL);
    *(int *)status = pid < 0 ? -1 : child_code(pid);
    return fx_local_get(parent.key) == &value_of_the_forker ? status : NULL;
}

START_TEST(fork_in_a_thread_of_ours)
{
    int status = -1;
    void *result = NULL;
    set_the_scene();
    fx_thread *t = fx_thread_spawn(fork_here, &status);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_eq(result, &status);
    fx_thread_unref(t);
    clear_the_scene();
}
END_TEST

START_TEST(fork_in_a_foreign_thread)
{
    int status = -1;
    pthread_t foreign;
    void *result = NULL;
    set_the_scene();
    ck_assert_int_eq(pthread_create(&foreign, NULL, fork_here, &status), 0);
    ck_assert_int_eq(pthread_join(foreign, &result), 0);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_eq(result, &status);
    clear_the_scene();
}
END_TEST

/* The child's child finds the same, and the child is then a parent as good as the first. */
static void fork_again(void *arg)
{
    (void)arg;
    struct gate gate = {0};
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    pid_t pid = fork();
    if (pid == 0) {
        expect_lost(t);
        expect_in_child(NULL);
    }
    EXPECT(child_code(pid) == 0);
    EXPECT(fx_thread_is_alive(t));
    gate_open(&gate);
    EXPECT(fx_thread_join(t, NULL) == 0);
    fx_thread_unref(t);
    expect_in_child(NULL);
}

START_TEST(fork_in_the_forked)
{
    struct child child;
    set_the_scene();
    fx_local_set(parent.key, &value_of_the_forker);
    child_fork(&child, fork_again, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    clear_the_scene();
}
END_TEST

static void fork_and_run_threads(int *bad)
{
    pid_t pid = fork();
    if (pid == 0) {
        void *result = NULL;
        fx_thread *t = fx_thread_spawn(return_arg, &result);
        int rc = t ? fx_thread_join(t, &result) : -ENOMEM;
        _exit(rc == 0 && result == &result && fx_active_count() == 1 ? 0 : 1);
    }
    *bad += pid < 0 || child_code(pid) != 0;
}

static atomic_int churn_is_over;

static void *churn_threads(void *bad)
{
    while (!atomic_load(&churn_is_over)) {
        fx_thread *t = fx_thread_spawn(return_arg, bad);
        *(int *)bad += !t || fx_thread_join(t, NULL) != 0;
        fx_thread_unref(t);
    }
    return NULL;
}

static void *fork_repeatedly(void *bad)
{
    for (int i = scaled(60); i > 0; i--)
        fork_and_run_threads(bad);
    return NULL;
}

START_TEST(fork_while_threads_start_and_end)
{
    enum { CHURNERS = 2 };
    int bad[CHURNERS + 2] = {0};
    fx_thread *churners[CHURNERS];
    for (int i = 0; i < CHURNERS; i++)
        ck_assert_ptr_nonnull(churners[i] = fx_thread_spawn(churn_threads, &bad[i]));
    fx_thread *forker = fx_thread_spawn(fork_repeatedly, &bad[CHURNERS]);
    fork_repeatedly(&bad[CHURNERS + 1]);
    ck_assert_int_eq(fx_thread_join(forker, NULL), 0);
    atomic_store(&churn_is_over, 1);
    for (int i = 0; i < CHURNERS; i++) {
        ck_assert_int_eq(fx_thread_join(churners[i], NULL), 0);
        fx_thread_unref(churners[i]);
    }
    for (int i = 0; i < CHURNERS + 2; i++)
        ck_assert_int_eq(bad[i], 0);
    fx_thread_unref(forker);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, fork_in_main);
    tcase_add_test(tests, fork_in_a_thread_of_ours);
    tcase_add_test(tests, fork_in_a_foreign_thread);
    tcase_add_test(tests, fork_in_the_forked);
    if (CHILD_MAY_ALLOCATE)
        tcase_add_test(tests, fork_while_threads_start_and_end);
}

int main(void)
{
#ifdef FXI_TSAN /* it can start no thread in a child of a process that had several */
    return 77;
#endif
    return run_suite("thread_fork", add_tests);
}
