/* Faults: each call of a kind fails in turn. What follows is the documented error or none at all;
 * nothing has leaked; and the same call succeeds when it is tried again. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/await.h"
#include "../support/child.h"
#include "../support/live_memory.h"
#include "../support/scale.h"
#include "gate.h"
#include "kernel/inject.h"
#include "proc.h"
#include "suite.h"

/* --- operations: 0, or the negative errno of the first call that failed, with all undone --- */

static void *return_arg(void *arg)
{
    return arg;
}

static void count_callback(void *counter)
{
    ++*(int *)counter;
}

/* A thread with every attribute that costs memory. A start that failed leaves it as it was. */
static int run_a_thread(void)
{
    cpu_set_t set;
    int freed = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -errno;
    fx_thread_attr attr = {.name = "a name that is too long to stand in a thread's record, and "
                                   "longer still, lest there be room for it",
                           .affinity = &set,
                           .affinity_size = sizeof set,
                           .free_arg = count_callback};
    fx_thread *t = fx_thread_new(return_arg, &freed, &attr);
    if (!t)
        return -errno;
    void *result = NULL;
    int rc = fx_thread_start(t);
    if (rc != 0 && (fx_thread_is_alive(t) || fx_thread_ident(t) || fx_thread_native_id(t) ||
                    fx_thread_join(t, NULL) != -EINVAL || fx_active_count() != 1))
        rc = -ENOTRECOVERABLE;
    if (rc == 0 && (fx_thread_join(t, &result) != 0 || result != &freed))
        rc = -ENOTRECOVERABLE;
    fx_thread_unref(t);
    if (freed != (rc != 0))
        rc = -ENOTRECOVERABLE;
    return rc;
}

static int spawn_a_thread(void)
{
    errno = 0;
    fx_thread *t = fx_thread_spawn(return_arg, NULL);
    if (!t)
        return errno ? -errno : -ENOTRECOVERABLE;
    int rc = fx_thread_join(t, NULL);
    fx_thread_unref(t);
    return rc;
}

static size_t fresh_stack = 64 * 1024;

/* A thread on a stack of a size that none had before, so that no cache can serve. */
static int run_on_a_fresh_stack(void)
{
    fresh_stack += 4096;
    fx_thread *t = fx_thread_new(return_arg, NULL, &(fx_thread_attr){.stack_size = fresh_stack});
    if (!t)
        return -errno;
    int rc = fx_thread_start(t);
    if (rc == 0)
        rc = fx_thread_join(t, NULL);
    fx_thread_unref(t);
    return rc;
}

static int rename_a_thread(void)
{
    fx_thread *t = fx_thread_new(return_arg, NULL, &(fx_thread_attr){.name = "before"});
    if (!t)
        return -errno;
    int rc = fx_thread_set_name(t, "after, which is rather a longer name than the one before it");
    if (strncmp(fx_thread_name(t), rc ? "before" : "after", 5) != 0)
        rc = -ENOTRECOVERABLE;
    fx_thread_unref(t);
    return rc;
}

static int use_locals(void)
{
    enum { KEYS = 40 };
    fx_local keys[KEYS] = {0};
    int rc = 0, made = 0;
    while (rc == 0 && made < KEYS) {
        rc = fx_local_create(&keys[made], NULL);
        made += rc == 0;
    }
    for (int i = 0; rc == 0 && i < made; i++) {
        rc = fx_local_set(keys[i], &keys[i]);
        if (fx_local_get(keys[i]) != (rc == 0 ? &keys[i] : NULL))
            rc = -ENOTRECOVERABLE;
    }
    for (int i = 0; i < made; i++)
        if (fx_local_delete(keys[i]) != 0)
            rc = -ENOTRECOVERABLE;
    return rc;
}

static void *use_locals_in_thread(void *rc)
{
    *(int *)rc = use_locals();
    return NULL;
}

/* In a thread of its own, for it begins with no values at all. */
static int use_locals_elsewhere(void)
{
    int rc = 0;
    fx_thread *t = fx_thread_spawn(use_locals_in_thread, &rc);
    if (!t)
        return -errno;
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
    return rc;
}

static int run_a_timer(void)
{
    fx_timer *timer = fx_timer_new(FX_SEC(1000), return_arg, NULL);
    if (!timer)
        return -errno;
    int rc = fx_timer_start(timer);
    if (rc == 0 && fx_timer_cancel(timer) != 0)
        rc = -ENOTRECOVERABLE;
    fx_timer_unref(timer);
    return rc;
}

static void *tell_self(void *error)
{
    errno = 0;
    if (!fx_current_thread())
        *(int *)error = errno ? errno : ENOTRECOVERABLE;
    return NULL;
}

static int adopt_a_foreign_thread(void)
{
    int error = 0;
    pthread_t foreign;
    if (pthread_create(&foreign, NULL, tell_self, &error) != 0)
        return -ENOTRECOVERABLE;
    pthread_join(foreign, NULL);
    return -error;
}

static const struct operation {
    const char *name;
    int (*run)(void);
    enum fxi_inject_kind kind;
    int error;
} operations[] = {
    {"run_a_thread, clone", run_a_thread, FXI_INJECT_CLONE, EAGAIN},
    {"run_a_thread, mmap", run_a_thread, FXI_INJECT_MMAP, ENOMEM},
    {"run_a_thread, allocation", run_a_thread, FXI_INJECT_ALLOC, ENOMEM},
    {"spawn_a_thread, clone", spawn_a_thread, FXI_INJECT_CLONE, EAGAIN},
    {"spawn_a_thread, allocation", spawn_a_thread, FXI_INJECT_ALLOC, ENOMEM},
    {"run_on_a_fresh_stack, mmap", run_on_a_fresh_stack, FXI_INJECT_MMAP, ENOMEM},
    {"run_on_a_fresh_stack, allocation", run_on_a_fresh_stack, FXI_INJECT_ALLOC, ENOMEM},
    {"rename_a_thread, allocation", rename_a_thread, FXI_INJECT_ALLOC, ENOMEM},
    {"use_locals, allocation", use_locals, FXI_INJECT_ALLOC, ENOMEM},
    {"use_locals_elsewhere, allocation", use_locals_elsewhere, FXI_INJECT_ALLOC, ENOMEM},
    {"run_a_timer, clone", run_a_timer, FXI_INJECT_CLONE, EAGAIN},
    {"run_a_timer, mmap", run_a_timer, FXI_INJECT_MMAP, ENOMEM},
    {"run_a_timer, allocation", run_a_timer, FXI_INJECT_ALLOC, ENOMEM},
    {"adopt_a_foreign_thread, allocation", adopt_a_foreign_thread, FXI_INJECT_ALLOC, ENOMEM},
};

enum {
    OPERATIONS = sizeof operations / sizeof operations[0],
    CALLS_AT_MOST = 500, /* of one kind in one operation; more would be a loop without end */
    NOT_REACHED = 77     /* how a child says that there was no n-th call */
};

/* Runs the operation with the n-th call failing. false if it makes fewer calls than n. */
static bool run_with_fault(const struct operation *operation, unsigned n, int *rc)
{
    fxi_inject_arm(operation->kind, n, operation->error);
    *rc = operation->run();
    unsigned calls = fxi_inject_count(operation->kind);
    fxi_inject_disarm();
    return calls >= n;
}

/* --- each call in turn, in a process that has used nothing of the library before ----------- */

/* Exits with 0 if all is well, with NOT_REACHED, or with the number of what is not so. */
static void fail_the_first_use(const struct operation *operation, unsigned n)
{
    int rc;
    if (!run_with_fault(operation, n, &rc))
        _exit(rc == 0 ? NOT_REACHED : 1);
    if (rc != 0 && rc != -operation->error)
        _exit(2);
    if (operation->run() != 0)
        _exit(3);
    _exit(fx_active_count() == 1 ? 0 : 4);
}

START_TEST(a_fault_in_the_first_use_is_told_and_the_second_works)
{
    const struct operation *operation = &operations[_i];
    for (unsigned n = 1; n < CALLS_AT_MOST; n++) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
            fail_the_first_use(operation, n);
        int code = child_code(pid);
        if (code == NOT_REACHED)
            return;
        ck_assert_msg(code == 0, "%s, call %u: %s (%d)", operation->name, n,
                      code == 1   ? "failed without a fault"
                      : code == 2 ? "another error than the fault's"
                      : code == 3 ? "did not work when tried again"
                      : code == 4 ? "a thread is left"
                                  : "crashed or hung",
                      code);
    }
    ck_abort_msg("%s: it never ends to make calls", operation->name);
}
END_TEST

/* --- each call in turn, again and again: what leaks adds up --------------------------------- */

/* Each call in turn once. */
static void fail_each_in_turn(const struct operation *operation)
{
    int rc = -1;
    unsigned n = 1;
    while (n < CALLS_AT_MOST && run_with_fault(operation, n, &rc)) {
        ck_assert_msg(rc == 0 || rc == -operation->error, "%s, call %u: %s", operation->name, n,
                      strerror(-rc));
        rc = operation->run();
        ck_assert_msg(rc == 0, "%s, after call %u failed: %s", operation->name, n, strerror(-rc));
        n++;
    }
    ck_assert_uint_lt(n, CALLS_AT_MOST);
    ck_assert_msg(rc == 0, "%s without a fault: %s", operation->name, strerror(-rc));
}

/* The kernel's threads are gone, and with them all that they gave back on their last steps. (The thread
 * sanitizer has some of its own.) */
static void await_rest(void)
{
#if LIVE_BYTES_ARE_COUNTED
    await(task_count() == 1);
#endif
}

/* Memory grows when more threads than ever before are alive at once, the last instructions of one
 * that was joined included: what each ran on is kept. What leaks in every round makes it grow in
 * every batch of rounds. */
START_TEST(faults_leak_nothing)
{
    const struct operation *operation = &operations[_i];
    enum { WARM_UP = 20, BATCHES = 10, ROUNDS = 50 };
#if LIVE_BYTES_ARE_COUNTED
    const int rounds = scaled(ROUNDS) > ROUNDS ? scaled(ROUNDS) : ROUNDS;
#else
    const int rounds = scaled(ROUNDS);
#endif
    long least_bytes = LONG_MAX, least_mappings = LONG_MAX;
    for (int i = 0; i < WARM_UP; i++)
        fail_each_in_turn(operation);
    await_rest();
    for (int batch = 0; batch < BATCHES && (least_bytes > 0 || least_mappings >= rounds); batch++) {
        size_t bytes = live_bytes(), mappings = mapping_count();
        for (int i = 0; i < rounds; i++)
            fail_each_in_turn(operation);
        await_rest();
        long more_bytes = (long)(live_bytes() - bytes);
        long more_mappings = (long)(mapping_count() - mappings);
        least_bytes = more_bytes < least_bytes ? more_bytes : least_bytes;
        least_mappings = more_mappings < least_mappings ? more_mappings : least_mappings;
    }
#if LIVE_BYTES_ARE_COUNTED
    ck_assert_msg(least_bytes <= 0, "%s: at least %ld bytes more in every %d rounds",
                  operation->name, least_bytes, rounds);
    ck_assert_msg(least_mappings < rounds,
                  "%s: at least %ld mappings more in every %d rounds", operation->name,
                  least_mappings, rounds);
#endif
    ck_assert_uint_eq(fx_active_count(), 1);
}
END_TEST

/* --- other promises ------------------------------------------------------------------------- */

START_TEST(a_thread_that_could_not_be_cloned_can_be_started_again)
{
    int freed = 0;
    void *result = NULL;
    fx_thread *t = fx_thread_new(return_arg, &freed, &(fx_thread_attr){.free_arg = count_callback});
    for (int i = 0; i < 5; i++) {
        fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
        ck_assert_int_eq(fx_thread_start(t), -EAGAIN);
        ck_assert(!fx_thread_is_alive(t));
        ck_assert_uint_eq(fx_thread_ident(t), 0);
        ck_assert_int_eq(fx_thread_native_id(t), 0);
        ck_assert_int_eq(fx_thread_join_for(t, 0, NULL), -EINVAL);
    }
    fxi_inject_disarm();
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &freed);
    ck_assert_int_eq(fx_thread_start(t), -EALREADY);
    fx_thread_unref(t);
    ck_assert_int_eq(freed, 0);
}
END_TEST

static void *count_call(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
    return NULL;
}

START_TEST(a_timer_whose_thread_cannot_be_made_at_once_still_calls)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(FX_MSEC(30), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    fxi_inject_disarm();
    ck_assert_int_eq(atomic_load(&calls), 1);
    fx_timer_unref(timer);
}
END_TEST

static void *open_soon(void *gate)
{
    fx_sleep(FX_MSEC(20));
    gate_open(gate);
    return NULL;
}

START_TEST(a_futex_wait_that_returns_for_nothing_changes_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 40; i++) {
        int error = errors[i % 2];
        unsigned n = 1 + i / 2 % 5;
        struct gate gate = {0};
        void *result = NULL;
        fx_thread *t = fx_thread_spawn(gate_target, &gate);

        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, n, error);
        fx_deadline deadline = fx_deadline_after(FX_MSEC(5));
        ck_assert_int_eq(fx_thread_join_until(t, deadline, &result), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), deadline);
        ck_assert_ptr_null(result);

        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, n, error);
        deadline = fx_deadline_after(FX_MSEC(5));
        ck_assert_int_eq(fx_sleep_until(deadline), 0);
        ck_assert_int_ge(fx_now(), deadline);

        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, n, error);
        fx_thread *opener = fx_thread_spawn(open_soon, &gate);
        ck_assert_int_eq(fx_thread_join(t, &result), 0);
        ck_assert_ptr_eq(result, &gate);
        ck_assert_int_eq(fx_thread_join(opener, NULL), 0);
        fxi_inject_disarm();
        fx_thread_unref(t);
        fx_thread_unref(opener);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_fault_in_the_first_use_is_told_and_the_second_works, 0,
                        OPERATIONS);
    tcase_add_loop_test(tests, faults_leak_nothing, 0, OPERATIONS);
    tcase_add_test(tests, a_thread_that_could_not_be_cloned_can_be_started_again);
    tcase_add_test(tests, a_timer_whose_thread_cannot_be_made_at_once_still_calls);
    tcase_add_test(tests, a_futex_wait_that_returns_for_nothing_changes_nothing);
}

int main(void)
{
    return run_suite("faults", add_tests);
}
