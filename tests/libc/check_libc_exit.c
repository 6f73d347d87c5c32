/* How a thread ends, in libc's eyes: pthread_exit, clean-up handlers, the order of destructors; and
 * the mutexes that know their owner: robust ones of a dead thread, recursive ones of two. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "module_tls.h"
#include "robust_list.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

static fx_thread *spawn(fx_target fn, void *arg)
{
    fx_thread *thread = fx_thread_spawn(fn, arg);
    ck_assert_ptr_nonnull(thread);
    return thread;
}

/* --- pthread_exit ----------------------------------------------------------------------------- */

static int result_object;

static int __attribute__((noinline)) exit_from_depth(volatile int depth)
{
    if (depth == 0)
        pthread_exit(&result_object);
    if (depth < 0)
        return 0;
    return depth + exit_from_depth(depth - 1);
}

static void *end_by_pthread_exit(void *arg)
{
    return (void *)(intptr_t)exit_from_depth(crew_number(arg));
}

static void assert_ends_as_by_fx_thread_exit(fx_thread *thread)
{
    void *result = NULL;
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), &result), 0);
    ck_assert_ptr_eq(result, &result_object);
    ck_assert_int_eq(fx_thread_exception(thread), FX_EXITED);
    ck_assert(!fx_thread_is_alive(thread));
    fx_thread_unref(thread);
    ck_assert_recorded();
}

START_TEST(pthread_exit_ends_the_thread_as_fx_thread_exit_does)
{
    for (int i = 0; i < 100; i++)
        assert_ends_as_by_fx_thread_exit(spawn(end_by_pthread_exit, (void *)(intptr_t)(i % 10)));
}
END_TEST

static void *pthread_exit_at_once(void *arg)
{
    pthread_exit(arg);
}

START_TEST(many_threads_call_pthread_exit_at_once)
{
    fx_thread *threads[32];
    for (int i = 0; i < 32; i++)
        threads[i] = spawn(pthread_exit_at_once, &result_object);
    for (int i = 0; i < 32; i++)
        assert_ends_as_by_fx_thread_exit(threads[i]);
}
END_TEST

static atomic_int steps;
static int step_of_inner, step_of_outer, step_of_key;
static pthread_key_t key;

static void note_step(void *where)
{
    *(int *)where = atomic_fetch_add(&steps, 1) + 1;
    pthread_t self = pthread_self();
    expect(pthread_equal(self, *(pthread_t *)pthread_getspecific(key)));
}

static void note_key(void *value)
{
    (void)value;
    step_of_key = atomic_fetch_add(&steps, 1) + 1;
}

static void __attribute__((noinline)) push_inner_and_exit(bool by_pthread_exit)
{
    pthread_cleanup_push(note_step, &step_of_inner);
    if (by_pthread_exit)
        pthread_exit(&result_object);
    pthread_cleanup_pop(1);
}

static void *push_handlers(void *arg)
{
    static pthread_t self;
    self = pthread_self();
    expect_int(pthread_setspecific(key, &self), ==, 0);
    pthread_cleanup_push(note_step, &step_of_outer);
    push_inner_and_exit(arg != NULL);
    pthread_cleanup_pop(1);
    pthread_exit(&result_object);
}

START_TEST(pthread_exit_runs_cleanup_handlers_inside_out_and_then_destructors)
{
    ck_assert_int_eq(pthread_key_create(&key, note_key), 0);
    assert_ends_as_by_fx_thread_exit(spawn(push_handlers, &key));
    ck_assert_int_eq(step_of_inner, 1);
    ck_assert_int_eq(step_of_outer, 2);
    ck_assert_int_eq(step_of_key, 3);
}
END_TEST

START_TEST(cleanup_handlers_run_once_when_popped)
{
    ck_assert_int_eq(pthread_key_create(&key, note_key), 0);
    assert_ends_as_by_fx_thread_exit(spawn(push_handlers, NULL));
    ck_assert_int_eq(atomic_load(&steps), 3);
}
END_TEST

/* --- destructors ------------------------------------------------------------------------------ */

static int (*cxx_touch)(void), (*cxx_destroyed)(void);
static int destroyed_before_key;
static pthread_key_t late_key;
static atomic_int late_calls;

static void look_at_destroyed(void *value)
{
    destroyed_before_key = cxx_destroyed();
    if (value == &late_key) { /* a destructor may set what has a destructor */
        char *text = malloc(64);
        snprintf(text, 64, "%d", destroyed_before_key);
        expect_int(pthread_setspecific(late_key, text), ==, 0);
    }
}

static void free_late(void *value)
{
    atomic_fetch_add(&late_calls, 1);
    free(value);
}

static void *leave_object_and_key(void *arg)
{
    expect_int(pthread_setspecific(key, &late_key), ==, 0);
    expect_int(cxx_touch(), ==, 1);
    return arg;
}

START_TEST(thread_local_objects_end_before_keys_do)
{
    void *handle = dlopen(MODULE_CXX, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return; /* built without a C++ compiler */
    cxx_touch = (int (*)(void))dlsym(handle, "module_cxx_touch");
    cxx_destroyed = (int (*)(void))dlsym(handle, "module_cxx_destroyed");
    ck_assert_int_eq(pthread_key_create(&key, look_at_destroyed), 0);
    ck_assert_int_eq(pthread_key_create(&late_key, free_late), 0);
    crew_run(1, leave_object_and_key);
    ck_assert_recorded();
    ck_assert_int_eq(destroyed_before_key, 1);
    ck_assert_int_eq(atomic_load(&late_calls), 1);
}
END_TEST

/* --- mutexes of a dead owner ------------------------------------------------------------------ */

static pthread_mutex_t robust[3];
static atomic_int holding;

static bool make_robust(void)
{
    struct robust_list_head *list;
    if (!robust_list_of_self(&list))
        return false;
    for (int i = 0; i < 3; i++) {
        pthread_mutexattr_t attr;
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        if (i == 1)
            pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
        if (i == 2)
            pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
        ck_assert_int_eq(pthread_mutex_init(&robust[i], &attr), 0);
    }
    return true;
}

static void *end_as_owner(void *arg)
{
    for (int i = 0; i < 3; i++)
        expect_int(pthread_mutex_lock(&robust[i]), ==, 0);
    atomic_store(&holding, 1);
    switch (crew_number(arg)) {
    case 1:
        pthread_exit(NULL);
    case 2:
        fx_thread_exit(NULL);
    default:
        return NULL;
    }
}

static void inherit_from_the_dead(int i)
{
    expect_int(pthread_mutex_lock(&robust[i]), ==, EOWNERDEAD);
    expect_int(pthread_mutex_consistent(&robust[i]), ==, 0);
    expect_int(pthread_mutex_unlock(&robust[i]), ==, 0);
    expect_int(pthread_mutex_lock(&robust[i]), ==, 0);
    expect_int(pthread_mutex_unlock(&robust[i]), ==, 0);
}

static void *inherit_all(void *arg)
{
    for (int i = 0; i < 3; i++)
        inherit_from_the_dead(i);
    return arg;
}

START_TEST(the_next_locker_of_a_dead_owner_s_robust_mutex_learns_of_it)
{
    if (!make_robust())
        return;
    for (int way = 0; way < 3; way++) {
        fx_thread *owner = spawn(end_as_owner, (void *)(intptr_t)way);
        ck_assert_int_eq(fx_thread_join_for(owner, FX_SEC(await_limit()), NULL), 0);
        fx_thread_unref(owner);
        crew_run(1, inherit_all); /* on the owner's very TCB, most likely */
        ck_assert_recorded();
    }
}
END_TEST

static void *inherit_waiting(void *arg)
{
    await(atomic_load(&holding));
    inherit_from_the_dead(crew_number(arg));
    return NULL;
}

static void *end_as_owner_later(void *arg)
{
    end_as_owner(arg);
    for (int i = 0; i < 30; i++)
        await_pause(); /* the others wait in the lock by now; nothing depends on it */
    return NULL;
}

START_TEST(a_waiter_for_a_dying_owner_s_robust_mutex_learns_of_it)
{
    if (!make_robust())
        return;
    struct crew waiters;
    fx_thread *owner = spawn(end_as_owner_later, NULL);
    crew_start(&waiters, 3, inherit_waiting);
    crew_join(&waiters);
    ck_assert_int_eq(fx_thread_join_for(owner, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(owner);
    ck_assert_recorded();
}
END_TEST

/* --- two threads and one recursive mutex ------------------------------------------------------ */

static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static atomic_int inside, total;
static long guarded;

static void *enter_recursively(void *arg)
{
    int rounds = scaled(20000);
    for (int i = 0; i < rounds; i++) {
        pthread_mutex_lock(&recursive);
        expect_int(atomic_fetch_add(&inside, 1), ==, 0);
        pthread_mutex_lock(&recursive);
        guarded++;
        if (i % 256 == 0)
            sched_yield();
        pthread_mutex_unlock(&recursive);
        expect_int(atomic_fetch_sub(&inside, 1), ==, 1);
        pthread_mutex_unlock(&recursive);
    }
    atomic_fetch_add(&total, rounds);
    return arg;
}

START_TEST(two_threads_are_never_both_in_a_recursive_mutex)
{
    crew_run(8, enter_recursively);
    ck_assert_recorded();
    ck_assert_int_eq(guarded, atomic_load(&total));
}
END_TEST

static void *try_what_another_holds(void *arg)
{
    expect_int(pthread_mutex_trylock(&recursive), ==, EBUSY);
    expect_int(pthread_mutex_unlock(&recursive), ==, EPERM);
    return arg;
}

static void *hold_and_start(void *arg)
{
    pthread_mutex_lock(&recursive);
    crew_run(1, try_what_another_holds);
    pthread_mutex_unlock(&recursive);
    return arg;
}

START_TEST(a_recursive_mutex_is_one_thread_s_only)
{
    crew_run(1, hold_and_start);
    pthread_mutex_lock(&recursive);
    crew_run(1, try_what_another_holds);
    crew_run_in_sequence(20, try_what_another_holds);
    pthread_mutex_unlock(&recursive);
    ck_assert_recorded();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, pthread_exit_ends_the_thread_as_fx_thread_exit_does);
    tcase_add_test(tests, many_threads_call_pthread_exit_at_once);
    tcase_add_test(tests, pthread_exit_runs_cleanup_handlers_inside_out_and_then_destructors);
    tcase_add_test(tests, cleanup_handlers_run_once_when_popped);
    tcase_add_test(tests, thread_local_objects_end_before_keys_do);
    tcase_add_test(tests, the_next_locker_of_a_dead_owner_s_robust_mutex_learns_of_it);
    tcase_add_test(tests, a_waiter_for_a_dying_owner_s_robust_mutex_learns_of_it);
    tcase_add_test(tests, two_threads_are_never_both_in_a_recursive_mutex);
    tcase_add_test(tests, a_recursive_mutex_is_one_thread_s_only);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("a thread's end, and owners", add_tests);
}
