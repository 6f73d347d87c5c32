/* Threads from new to the end of their handle: start, idents, and the references that keep them. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../support/await.h"
#include "gate.h"
#include "proc.h"
#include "suite.h"

static void *count_call(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
    return NULL;
}

static void count_callback(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

static void *return_arg(void *arg)
{
    return arg;
}

START_TEST(new_without_a_function_is_einval)
{
    errno = 0;
    ck_assert_ptr_null(fx_thread_new(NULL, NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(spawn_without_a_function_is_einval)
{
    errno = 0;
    ck_assert_ptr_null(fx_thread_spawn(NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(spawn_passes_the_argument_and_begins)
{
    int it;
    void *result = NULL;
    fx_thread *t = fx_thread_spawn(return_arg, &it);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &it);
    fx_thread_unref(t);
}
END_TEST

START_TEST(start_of_null_and_of_main_is_einval)
{
    ck_assert_int_eq(fx_thread_start(NULL), -EINVAL);
    ck_assert_int_eq(fx_thread_start(fx_main_thread()), -EINVAL);
}
END_TEST

static void *start_own_handle(void *result)
{
    *(int *)result = fx_thread_start(fx_current_thread());
    return NULL;
}

START_TEST(start_of_a_foreign_thread_is_einval)
{
    pthread_t foreign;
    int result = 0;
    ck_assert_int_eq(pthread_create(&foreign, NULL, start_own_handle, &result), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_int_eq(result, -EINVAL);
}
END_TEST

START_TEST(a_new_thread_does_not_run_before_its_start)
{
    atomic_int calls = 0;
    fx_thread *t = fx_thread_new(count_call, &calls, NULL);
    ck_assert_ptr_nonnull(t);
    ck_assert(!fx_thread_is_alive(t));
    ck_assert_uint_eq(fx_thread_ident(t), 0);
    ck_assert_int_eq(fx_thread_native_id(t), 0);
    ck_assert_int_eq(fx_thread_exception(t), 0);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_thread_that_is_never_started_may_be_given_up)
{
    atomic_int calls = 0;
    fx_thread_unref(fx_thread_new(count_call, &calls, NULL));
    ck_assert_int_eq(atomic_load(&calls), 0);
}
END_TEST

START_TEST(a_second_start_is_ealready_while_it_runs_and_after)
{
    struct gate gate = {0};
    fx_thread *t = fx_thread_new(gate_target, &gate, NULL);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_start(t), -EALREADY);
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(fx_thread_start(t), -EALREADY);
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_thread_that_starts_itself_again_gets_ealready)
{
    int result = 0;
    fx_thread *t = fx_thread_spawn(start_own_handle, &result);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(result, -EALREADY);
    fx_thread_unref(t);
}
END_TEST

enum { STARTERS = 4, START_ROUNDS = 150 };

struct start_race {
    fx_thread *_Atomic target;
    atomic_int round, arrived;
    atomic_int won, already, other;
};

static void *race_to_start(void *arg)
{
    struct start_race *race = arg;
    for (int round = 1; round <= START_ROUNDS; round++) {
        while (atomic_load(&race->round) < round)
            sched_yield();
        int rc = fx_thread_start(atomic_load(&race->target));
        atomic_fetch_add(rc == 0 ? &race->won : rc == -EALREADY ? &race->already : &race->other, 1);
        atomic_fetch_add(&race->arrived, 1);
    }
    return NULL;
}

START_TEST(of_many_starts_at_once_exactly_one_wins)
{
    struct start_race race = {.round = 0};
    atomic_int calls = 0;
    pthread_t starters[STARTERS];
    for (int i = 0; i < STARTERS; i++)
        ck_assert_int_eq(pthread_create(&starters[i], NULL, race_to_start, &race), 0);
    for (int round = 1; round <= START_ROUNDS; round++) {
        fx_thread *t = fx_thread_new(count_call, &calls, NULL);
        ck_assert_ptr_nonnull(t);
        atomic_store(&race.target, t);
        atomic_store(&race.round, round);
        await(atomic_load(&race.arrived) == round * STARTERS);
        ck_assert_int_eq(atomic_load(&race.won), round);
        ck_assert_int_eq(fx_thread_join(t, NULL), 0);
        ck_assert_int_eq(atomic_load(&calls), round);
        fx_thread_unref(t);
    }
    ck_assert_int_eq(atomic_load(&race.already), START_ROUNDS * (STARTERS - 1));
    ck_assert_int_eq(atomic_load(&race.other), 0);
    for (int i = 0; i < STARTERS; i++)
        pthread_join(starters[i], NULL);
}
END_TEST

START_TEST(start_without_memory_is_enomem_and_nothing_has_happened)
{
    atomic_int freed = 0;
    /* More than any processor's address space holds. */
    fx_thread_attr attr = {.stack_size = (size_t)1 << 60, .free_arg = count_callback};
    fx_thread *t = fx_thread_new(return_arg, &freed, &attr);
    ck_assert_ptr_nonnull(t);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_thread_start(t), -ENOMEM);
        ck_assert(!fx_thread_is_alive(t));
        ck_assert_uint_eq(fx_thread_ident(t), 0);
        ck_assert_int_eq(fx_thread_native_id(t), 0);
        ck_assert_int_eq(fx_thread_join(t, NULL), -EINVAL);
        ck_assert_uint_eq(fx_active_count(), 1);
    }
    ck_assert_int_eq(atomic_load(&freed), 0);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 1);
}
END_TEST

/* The sanitizers' allocators cannot live with a limit to the address space. */
#if !defined FXI_ASAN && !defined FXI_TSAN
START_TEST(a_start_that_failed_may_be_tried_again)
{
    struct rlimit old, tight;
    fx_thread_attr attr = {.stack_size = (size_t)4 << 30};
    int it;
    void *result = NULL;
    fx_thread *t = fx_thread_new(return_arg, &it, &attr);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)status_kib("VmSize") * 1024 + ((rlim_t)1 << 30);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
    void *probe = mmap(NULL, attr.stack_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int failed = probe == MAP_FAILED ? fx_thread_start(t) : -ENOMEM;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
    if (probe != MAP_FAILED) /* an emulator of another processor, to which the limit is nothing */
        munmap(probe, attr.stack_size);
    ck_assert_int_eq(failed, -ENOMEM);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &it);
    fx_thread_unref(t);
}
END_TEST
#endif

START_TEST(is_alive_from_the_start_to_the_end)
{
    struct gate gate = {0};
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    ck_assert(fx_thread_is_alive(t));
    await(atomic_load(&gate.waiters) == 1);
    ck_assert(fx_thread_is_alive(t));
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert(!fx_thread_is_alive(t));
    fx_thread_unref(t);
    ck_assert(fx_thread_is_alive(fx_main_thread()));
}
END_TEST

struct identity {
    fx_thread *self, *main;
    uint64_t ident;
    pid_t native, kernel;
    bool alive;
};

static void *tell_identity(void *arg)
{
    struct identity *identity = arg;
    identity->self = fx_current_thread();
    identity->main = fx_main_thread();
    identity->ident = fx_thread_ident(identity->self);
    identity->native = fx_thread_native_id(identity->self);
    identity->kernel = kernel_tid();
    identity->alive = fx_thread_is_alive(identity->self);
    return NULL;
}

START_TEST(a_thread_knows_itself_and_main)
{
    struct identity identity = {0};
    fx_thread *t = fx_thread_new(tell_identity, &identity, NULL);
    ck_assert_int_eq(fx_thread_start(t), 0);
    uint64_t ident = fx_thread_ident(t);
    pid_t native = fx_thread_native_id(t);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_ptr_eq(identity.self, t);
    ck_assert_ptr_eq(identity.main, fx_main_thread());
    ck_assert(identity.alive);
    ck_assert_uint_ne(ident, 0);
    ck_assert_uint_eq(ident, identity.ident);
    ck_assert_int_eq(native, identity.kernel);
    ck_assert_int_eq(identity.native, identity.kernel);
    /* Both stay after the end. */
    ck_assert_uint_eq(fx_thread_ident(t), ident);
    ck_assert_int_eq(fx_thread_native_id(t), native);
    fx_thread_unref(t);
}
END_TEST

START_TEST(main_is_the_current_thread_here)
{
    fx_thread *main_thread = fx_main_thread();
    ck_assert_ptr_nonnull(main_thread);
    ck_assert_ptr_eq(fx_current_thread(), main_thread);
    ck_assert_uint_ne(fx_thread_ident(main_thread), 0);
    ck_assert_int_eq(fx_thread_native_id(main_thread), getpid());
    ck_assert_int_eq(fx_thread_exception(main_thread), 0);
}
END_TEST

START_TEST(a_foreign_thread_knows_itself)
{
    struct identity one = {0}, two = {0};
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, tell_identity, &one), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_int_eq(pthread_create(&foreign, NULL, tell_identity, &two), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_ptr_nonnull(one.self);
    ck_assert_ptr_ne(one.self, fx_main_thread());
    ck_assert_ptr_eq(one.main, fx_main_thread());
    ck_assert(one.alive);
    ck_assert_int_eq(one.native, one.kernel);
    ck_assert_uint_ne(one.ident, 0);
    ck_assert_uint_ne(one.ident, two.ident);
    ck_assert_uint_ne(one.ident, fx_thread_ident(fx_main_thread()));
}
END_TEST

static int compare_idents(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(idents_are_never_given_twice)
{
    enum { THREADS = 1000, BATCH = 20 };
    static uint64_t idents[THREADS + 1];
    fx_thread *batch[BATCH];
    atomic_int calls = 0;
    for (int i = 0; i < THREADS; i += BATCH) {
        for (int j = 0; j < BATCH; j++) {
            batch[j] = fx_thread_spawn(count_call, &calls);
            ck_assert_ptr_nonnull(batch[j]);
            idents[i + j] = fx_thread_ident(batch[j]);
        }
        for (int j = 0; j < BATCH; j++) {
            ck_assert_int_eq(fx_thread_join(batch[j], NULL), 0);
            fx_thread_unref(batch[j]);
        }
    }
    idents[THREADS] = fx_thread_ident(fx_main_thread());
    qsort(idents, THREADS + 1, sizeof idents[0], compare_idents);
    ck_assert_uint_ne(idents[0], 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_uint_ne(idents[i], idents[i + 1]);
}
END_TEST

struct late {
    struct gate gate;
    atomic_int done;
};

static void *finish_late(void *arg)
{
    struct late *late = arg;
    gate_wait(&late->gate);
    atomic_store(&late->done, 1);
    return NULL;
}

START_TEST(giving_up_the_handle_of_a_running_thread_does_not_disturb_it)
{
    struct late late = {0};
    fx_thread_unref(fx_thread_spawn(finish_late, &late));
    await(atomic_load(&late.gate.waiters) == 1);
    ck_assert_uint_eq(fx_active_count(), 2);
    gate_open(&late.gate);
    await(atomic_load(&late.done) == 1);
    await(fx_active_count() == 1);
}
END_TEST

START_TEST(ref_returns_the_handle_and_counts)
{
    atomic_int freed = 0;
    fx_thread *t = fx_thread_new(return_arg, &freed, &(fx_thread_attr){.free_arg = count_callback});
    ck_assert_ptr_eq(fx_thread_ref(t), t);
    ck_assert_ptr_eq(fx_thread_ref(t), t);
    fx_thread_unref(t);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 0);
    ck_assert(!fx_thread_is_alive(t));
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 1);
}
END_TEST

START_TEST(null_is_no_thread_and_asking_of_it_is_no_fault)
{
    fx_thread_unref(NULL);
    ck_assert_ptr_null(fx_thread_ref(NULL));
    ck_assert(!fx_thread_is_alive(NULL) && !fx_thread_daemon(NULL));
    ck_assert_str_eq(fx_thread_name(NULL), "");
    ck_assert_uint_eq(fx_thread_ident(NULL), 0);
    ck_assert_int_eq(fx_thread_native_id(NULL), 0);
    ck_assert_int_eq(fx_thread_exception(NULL), 0);
}
END_TEST

static void *start_another(void *arg)
{
    fx_thread *inner = arg;
    return fx_thread_start(inner) == 0 ? inner : NULL;
}

START_TEST(a_thread_may_be_started_by_another_than_its_maker)
{
    int it;
    void *result = NULL;
    fx_thread *inner = fx_thread_new(return_arg, &it, NULL);
    fx_thread *outer = fx_thread_spawn(start_another, inner);
    ck_assert_int_eq(fx_thread_join(outer, &result), 0);
    ck_assert_ptr_eq(result, inner);
    ck_assert_int_eq(fx_thread_join(inner, &result), 0);
    ck_assert_ptr_eq(result, &it);
    fx_thread_unref(inner);
    fx_thread_unref(outer);
}
END_TEST

static void *descend(void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    void *below = NULL;
    if (depth == 0)
        return NULL;
    fx_thread *t = fx_thread_spawn(descend, (void *)(depth - 1));
    if (!t || fx_thread_join(t, &below) != 0)
        return NULL;
    fx_thread_unref(t);
    return (void *)((uintptr_t)below + 1);
}

START_TEST(threads_start_threads)
{
    void *depth = NULL;
    fx_thread *t = fx_thread_spawn(descend, (void *)(uintptr_t)50);
    ck_assert_int_eq(fx_thread_join(t, &depth), 0);
    ck_assert_uint_eq((uintptr_t)depth, 50);
    fx_thread_unref(t);
}
END_TEST

static void *spawn_and_join(void *result)
{
    fx_thread *t = fx_thread_spawn(return_arg, result);
    if (t && fx_thread_join(t, (void **)result) == 0)
        fx_thread_unref(t);
    return NULL;
}

START_TEST(a_foreign_thread_starts_and_joins)
{
    pthread_t foreign;
    void *result = NULL;
    ck_assert_int_eq(pthread_create(&foreign, NULL, spawn_and_join, &result), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_ptr_eq(result, &result);
}
END_TEST

static void *exit_below(void *result)
{
    fx_thread_exit(result);
}

static void *pthread_exit_below(void *result)
{
    pthread_exit(result);
}

START_TEST(exit_ends_the_thread_as_a_return_would)
{
    int it;
    fx_target ends[] = {exit_below, pthread_exit_below};
    for (int i = 0; i < 2; i++) {
        void *result = NULL;
        fx_thread *t = fx_thread_spawn(ends[i], &it);
        ck_assert_int_eq(fx_thread_join(t, &result), 0);
        ck_assert_ptr_eq(result, &it);
        ck_assert(!fx_thread_is_alive(t));
        fx_thread_unref(t);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, new_without_a_function_is_einval);
    tcase_add_test(tests, spawn_without_a_function_is_einval);
    tcase_add_test(tests, spawn_passes_the_argument_and_begins);
    tcase_add_test(tests, start_of_null_and_of_main_is_einval);
    tcase_add_test(tests, start_of_a_foreign_thread_is_einval);
    tcase_add_test(tests, a_new_thread_does_not_run_before_its_start);
    tcase_add_test(tests, a_thread_that_is_never_started_may_be_given_up);
    tcase_add_test(tests, a_second_start_is_ealready_while_it_runs_and_after);
    tcase_add_test(tests, a_thread_that_starts_itself_again_gets_ealready);
    tcase_add_test(tests, of_many_starts_at_once_exactly_one_wins);
    tcase_add_test(tests, start_without_memory_is_enomem_and_nothing_has_happened);
#if !defined FXI_ASAN && !defined FXI_TSAN
    tcase_add_test(tests, a_start_that_failed_may_be_tried_again);
#endif
    tcase_add_test(tests, is_alive_from_the_start_to_the_end);
    tcase_add_test(tests, a_thread_knows_itself_and_main);
    tcase_add_test(tests, main_is_the_current_thread_here);
    tcase_add_test(tests, a_foreign_thread_knows_itself);
    tcase_add_test(tests, idents_are_never_given_twice);
    tcase_add_test(tests, giving_up_the_handle_of_a_running_thread_does_not_disturb_it);
    tcase_add_test(tests, ref_returns_the_handle_and_counts);
    tcase_add_test(tests, null_is_no_thread_and_asking_of_it_is_no_fault);
    tcase_add_test(tests, a_thread_may_be_started_by_another_than_its_maker);
    tcase_add_test(tests, threads_start_threads);
    tcase_add_test(tests, a_foreign_thread_starts_and_joins);
    tcase_add_test(tests, exit_ends_the_thread_as_a_return_would);
}

int main(void)
{
    return run_suite("thread", add_tests);
}
