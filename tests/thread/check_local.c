/* Thread-locals made at run time: keys, values, and destructors at a thread's end. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "../support/await.h"
#include "captured.h"
#include "gate.h"
#include "suite.h"

static atomic_int destroyed;
static void *_Atomic last_destroyed;

static void count_destroyed(void *value)
{
    atomic_store(&last_destroyed, value);
    atomic_fetch_add(&destroyed, 1);
}

static fx_local key_with(fx_callback destructor)
{
    fx_local key = 0;
    ck_assert_int_eq(fx_local_create(&key, destructor), 0);
    ck_assert_uint_ne(key, 0);
    return key;
}

/* Runs fn(arg) in a thread of ours; its end, destructors included, is over on return. */
static void *in_a_thread(fx_target fn, void *arg)
{
    void *result = NULL;
    fx_thread *t = fx_thread_spawn(fn, arg);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    fx_thread_unref(t);
    return result;
}

static void *in_a_foreign_thread(fx_target fn, void *arg)
{
    void *result = NULL;
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, fn, arg), 0);
    ck_assert_int_eq(pthread_join(foreign, &result), 0);
    return result;
}

START_TEST(create_without_a_place_for_the_key_is_einval)
{
    ck_assert_int_eq(fx_local_create(NULL, NULL), -EINVAL);
}
END_TEST

static void assert_no_key(fx_local key)
{
    int value;
    ck_assert_ptr_null(fx_local_get(key));
    ck_assert_int_eq(fx_local_set(key, &value), -EINVAL);
    ck_assert_int_eq(fx_local_set(key, NULL), -EINVAL);
    ck_assert_ptr_null(fx_local_get(key));
    ck_assert_int_eq(fx_local_delete(key), -EINVAL);
}

START_TEST(what_was_never_made_is_no_key)
{
    assert_no_key(0);
    assert_no_key(1);
    assert_no_key(UINT64_MAX);
    assert_no_key(UINT64_C(1) << 32);
    fx_local key = key_with(NULL);
    assert_no_key(0);
    assert_no_key(key + 1);
    assert_no_key(key ^ (UINT64_C(1) << 63));
    ck_assert_int_eq(fx_local_delete(key), 0);
}
END_TEST

START_TEST(a_value_is_null_until_set_and_what_was_set_last)
{
    int one, two;
    fx_local a = key_with(NULL), b = key_with(count_destroyed);
    ck_assert_ptr_null(fx_local_get(a));
    ck_assert_int_eq(fx_local_set(a, &one), 0);
    ck_assert_int_eq(fx_local_set(b, &one), 0);
    ck_assert_int_eq(fx_local_set(b, &two), 0);
    ck_assert_ptr_eq(fx_local_get(a), &one);
    ck_assert_ptr_eq(fx_local_get(b), &two);
    ck_assert_int_eq(fx_local_set(b, NULL), 0);
    ck_assert_ptr_null(fx_local_get(b));
    ck_assert_int_eq(atomic_load(&destroyed), 0); /* a replaced value is not destroyed */
}
END_TEST

START_TEST(a_deleted_key_is_none_any_more)
{
    int value;
    fx_local key = key_with(NULL);
    ck_assert_int_eq(fx_local_set(key, &value), 0);
    ck_assert_int_eq(fx_local_delete(key), 0);
    assert_no_key(key);
}
END_TEST

START_TEST(a_deleted_key_never_comes_back)
{
    enum { ROUNDS = 5000 };
    int value;
    fx_local first = key_with(NULL), last = first;
    ck_assert_int_eq(fx_local_set(first, &value), 0);
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(fx_local_delete(last), 0);
        fx_local next = key_with(NULL);
        ck_assert_uint_ne(next, first);
        ck_assert_uint_ne(next, last);
        /* It has no value from the key whose place it may have taken. */
        ck_assert_ptr_null(fx_local_get(next));
        ck_assert_int_eq(fx_local_set(next, &value), 0);
        ck_assert_ptr_null(fx_local_get(last));
        ck_assert_int_eq(fx_local_set(last, NULL), -EINVAL);
        ck_assert_int_eq(fx_local_delete(first), -EINVAL);
        ck_assert_ptr_eq(fx_local_get(next), &value);
        last = next;
    }
}
END_TEST

static fx_local shared_key;

static void *set_and_get(void *value)
{
    if (fx_local_get(shared_key) != NULL || fx_local_set(shared_key, value) != 0)
        return NULL;
    return fx_local_get(shared_key);
}

START_TEST(each_thread_has_its_own_value)
{
    int mine, ours, foreign;
    shared_key = key_with(count_destroyed);
    ck_assert_ptr_eq(set_and_get(&mine), &mine);
    ck_assert_ptr_eq(in_a_thread(set_and_get, &ours), &ours);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_ptr_eq(atomic_load(&last_destroyed), &ours);
    ck_assert_ptr_eq(in_a_foreign_thread(set_and_get, &foreign), &foreign);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
    ck_assert_ptr_eq(atomic_load(&last_destroyed), &foreign);
    ck_assert_ptr_eq(fx_local_get(shared_key), &mine);
}
END_TEST

START_TEST(a_thread_finds_nothing_of_the_threads_before_it)
{
    int value;
    shared_key = key_with(NULL);
    for (int i = 0; i < 500; i++)
        ck_assert_ptr_eq(in_a_thread(set_and_get, &value), &value);
}
END_TEST

static void *set_then_clear(void *value)
{
    fx_local_set(shared_key, value);
    fx_local_set(shared_key, NULL);
    return NULL;
}

START_TEST(no_destructor_for_a_value_of_null)
{
    int value;
    shared_key = key_with(count_destroyed);
    in_a_thread(set_then_clear, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 0);
}
END_TEST

static struct gate set_gate;

static void *set_and_wait(void *value)
{
    fx_local_set(shared_key, value);
    gate_wait(&set_gate);
    return fx_local_get(shared_key);
}

START_TEST(values_of_a_deleted_key_are_dropped_and_not_destroyed)
{
    int value;
    void *result = &value;
    shared_key = key_with(count_destroyed);
    fx_thread *t = fx_thread_spawn(set_and_wait, &value);
    await(atomic_load(&set_gate.waiters) == 1);
    ck_assert_int_eq(fx_local_delete(shared_key), 0);
    fx_local_create(&(fx_local){0}, count_destroyed); /* may take the deleted one's place */
    gate_open(&set_gate);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(atomic_load(&destroyed), 0);
    fx_thread_unref(t);
}
END_TEST

static void *exit_with_value(void *value)
{
    fx_local_set(shared_key, value);
    fx_thread_exit(NULL);
}

static void *pthread_exit_with_value(void *value)
{
    fx_local_set(shared_key, value);
    pthread_exit(NULL);
}

static void *raise_with_value(void *value)
{
    fx_local_set(shared_key, value);
    fx_raise(-EIO);
}

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

START_TEST(destructors_run_however_the_thread_ends)
{
    int value;
    fx_target ends[] = {set_and_get, exit_with_value, pthread_exit_with_value, raise_with_value};
    fx_set_excepthook(silent_hook);
    shared_key = key_with(count_destroyed);
    for (int i = 0; i < 4; i++) {
        in_a_thread(ends[i], &value);
        ck_assert_int_eq(atomic_load(&destroyed), i + 1);
    }
}
END_TEST

/* --- destructors that raise --- */

static atomic_int reports, last_report;

static void count_reports(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    atomic_store(&last_report, info->code);
    atomic_fetch_add(&reports, 1);
}

static void raise_17(void *value)
{
    (void)value;
    fx_raise(17);
}

static void exit_thread(void *value)
{
    fx_thread_exit(value);
}

static fx_local keys_that_differ[3];

static void make_keys_that_differ(void)
{
    fx_callback destructors[] = {count_destroyed, raise_17, count_destroyed};
    for (int i = 0; i < 3; i++)
        keys_that_differ[i] = key_with(destructors[i]);
}

static void *set_keys_that_differ(void *value)
{
    for (int i = 0; i < 3; i++)
        fx_local_set(keys_that_differ[i], value);
    return value;
}

START_TEST(what_a_destructor_raises_is_reported_and_the_others_run)
{
    int value;
    fx_set_excepthook(count_reports);
    make_keys_that_differ();
    ck_assert_ptr_eq(in_a_thread(set_keys_that_differ, &value), &value);
    ck_assert_int_eq(atomic_load(&reports), 1);
    ck_assert_int_eq(atomic_load(&last_report), 17);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
    ck_assert_ptr_eq(in_a_foreign_thread(set_keys_that_differ, &value), &value);
    ck_assert_int_eq(atomic_load(&reports), 2);
    ck_assert_int_eq(atomic_load(&destroyed), 4);
}
END_TEST

START_TEST(a_destructor_that_exits_ends_itself_alone)
{
    int value;
    make_keys_that_differ();
    keys_that_differ[1] = key_with(exit_thread);
    ck_assert_ptr_eq(in_a_thread(set_keys_that_differ, &value), &value);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
}
END_TEST

static void *set_and_raise(void *value)
{
    set_keys_that_differ(value);
    fx_raise_msg(-EIO, "before them");
}

START_TEST(what_ended_the_thread_is_told_whatever_its_destructors_raise)
{
    int value;
    fx_exc_info info;
    fx_set_excepthook(count_reports);
    make_keys_that_differ();
    fx_thread *t = fx_thread_spawn(set_and_raise, &value);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(atomic_load(&reports), 2);
    ck_assert_int_eq(fx_thread_exception(t), -EIO);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, -EIO);
    ck_assert_str_eq(info.message, "before them");
    fx_thread_unref(t);
}
END_TEST

#ifndef FXI_TSAN /* where libc runs them when the thread is no more the library's */
static pthread_key_t libcs_key;

static void *set_libcs_key_too(void *value)
{
    pthread_setspecific(libcs_key, value);
    return set_keys_that_differ(value);
}

START_TEST(destructors_of_libcs_keys_may_raise_in_the_librarys_threads)
{
    int value;
    fx_set_excepthook(count_reports);
    make_keys_that_differ();
    ck_assert_int_eq(pthread_key_create(&libcs_key, raise_17), 0);
    ck_assert_ptr_eq(in_a_thread(set_libcs_key_too, &value), &value);
    ck_assert_int_eq(atomic_load(&reports), 2);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
}
END_TEST
#endif

static atomic_int value_seen_in_destructor;

static void set_again(void *value)
{
    if (fx_local_get(shared_key) != NULL)
        atomic_store(&value_seen_in_destructor, 1);
    atomic_fetch_add(&destroyed, 1);
    fx_local_set(shared_key, value);
}

START_TEST(a_value_set_again_in_its_destructor_is_destroyed_in_4_rounds_in_all)
{
    int value;
    shared_key = key_with(set_again);
    in_a_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 4);
    ck_assert_int_eq(atomic_load(&value_seen_in_destructor), 0); /* it is taken out before */
    in_a_foreign_thread(set_and_get, &value);
    ck_assert_int_ge(atomic_load(&destroyed), 8); /* libc may give a foreign thread more */
    /* What is left after the rounds is no later thread's. */
    ck_assert_ptr_eq(in_a_thread(set_and_get, &value), &value);
}
END_TEST

static fx_local second_key;

static void set_the_second(void *value)
{
    fx_local_set(second_key, value);
}

START_TEST(a_value_set_in_another_keys_destructor_is_destroyed_too)
{
    int value;
    second_key = key_with(count_destroyed);
    shared_key = key_with(set_the_second);
    in_a_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_ptr_eq(atomic_load(&last_destroyed), &value);
    in_a_foreign_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
}
END_TEST

static void delete_the_key(void *value)
{
    (void)value;
    if (fx_local_delete(shared_key) == 0)
        atomic_fetch_add(&destroyed, 1);
    fx_local made = 0;
    if (fx_local_create(&made, NULL) == 0 && fx_local_set(made, value) == 0 &&
        fx_local_delete(made) == 0)
        atomic_fetch_add(&destroyed, 1);
}

START_TEST(a_destructor_may_delete_its_key_and_make_others)
{
    int value;
    shared_key = key_with(delete_the_key);
    in_a_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
    assert_no_key(shared_key);
}
END_TEST

static void *count_and_return(void *arg)
{
    atomic_fetch_add(&destroyed, 1);
    return arg;
}

static void start_a_thread(void *value)
{
    void *result = NULL;
    fx_thread *t = fx_thread_spawn(count_and_return, value);
    if (t && fx_thread_join(t, &result) == 0 && result == value)
        atomic_store(&last_destroyed, value);
    fx_thread_unref(t);
}

START_TEST(a_destructor_may_start_and_join_threads)
{
    int value;
    shared_key = key_with(start_a_thread);
    in_a_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 1);
    ck_assert_ptr_eq(atomic_load(&last_destroyed), &value);
    atomic_store(&last_destroyed, NULL);
    in_a_foreign_thread(set_and_get, &value);
    ck_assert_int_eq(atomic_load(&destroyed), 2);
    ck_assert_ptr_eq(atomic_load(&last_destroyed), &value);
}
END_TEST

enum { MANY_KEYS = 5000 };
static fx_local many[MANY_KEYS];
static char cells[MANY_KEYS];

static void *set_many(void *arg)
{
    for (int i = 0; i < MANY_KEYS; i++)
        if (fx_local_get(many[i]) != NULL || fx_local_set(many[i], &cells[i]) != 0)
            return NULL;
    for (int i = 0; i < MANY_KEYS; i++)
        if (fx_local_get(many[i]) != &cells[i])
            return NULL;
    return arg;
}

START_TEST(thousands_of_keys)
{
    for (int i = 0; i < MANY_KEYS; i++) {
        many[i] = key_with(count_destroyed);
        for (int j = i > 100 ? i - 100 : 0; j < i; j++)
            ck_assert_uint_ne(many[j], many[i]);
    }
    ck_assert_ptr_nonnull(in_a_thread(set_many, cells));
    ck_assert_int_eq(atomic_load(&destroyed), MANY_KEYS);
    ck_assert_ptr_nonnull(in_a_foreign_thread(set_many, cells));
    ck_assert_int_eq(atomic_load(&destroyed), 2 * MANY_KEYS);
    ck_assert_ptr_nonnull(set_many(cells));
    for (int i = 0; i < MANY_KEYS; i += 2)
        ck_assert_int_eq(fx_local_delete(many[i]), 0);
    for (int i = 0; i < MANY_KEYS; i++)
        ck_assert_ptr_eq(fx_local_get(many[i]), i % 2 ? &cells[i] : NULL);
    ck_assert_int_eq(atomic_load(&destroyed), 2 * MANY_KEYS);
}
END_TEST

/* Makes, uses and deletes keys of its own; returns its argument if each was its own alone. */
static void *churn_keys(void *mine)
{
    enum { HELD = 8, ROUNDS = 600 };
    fx_local held[HELD] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        fx_local *key = &held[round % HELD];
        if (*key && (fx_local_get(*key) != mine || fx_local_delete(*key) != 0))
            return NULL;
        if (fx_local_create(key, count_destroyed) != 0 || fx_local_get(*key) != NULL)
            return NULL;
        if (fx_local_set(*key, mine) != 0)
            return NULL;
    }
    return mine;
}

START_TEST(keys_are_made_and_deleted_by_many_threads_at_once)
{
    enum { THREADS = 6, HELD_AT_THE_END = 8 };
    int marks[THREADS];
    fx_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_nonnull(threads[i] = fx_thread_spawn(churn_keys, &marks[i]));
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        ck_assert_int_eq(fx_thread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, &marks[i]);
        fx_thread_unref(threads[i]);
    }
    ck_assert_int_eq(atomic_load(&destroyed), THREADS * HELD_AT_THE_END);
}
END_TEST

static void print_value(void *text)
{
    printf("%s\n", (const char *)text);
}

static void leave_main_with_a_value(void *arg)
{
    (void)arg;
    fx_local key;
    fx_local_create(&key, print_value);
    fx_local_set(key, "of main");
    fx_thread_exit(NULL);
}

START_TEST(main_that_exits_as_a_thread_has_its_destructors_run)
{
    struct child child;
    child_fork(&child, leave_main_with_a_value, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "of main\n");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, create_without_a_place_for_the_key_is_einval);
    tcase_add_test(tests, what_was_never_made_is_no_key);
    tcase_add_test(tests, a_value_is_null_until_set_and_what_was_set_last);
    tcase_add_test(tests, a_deleted_key_is_none_any_more);
    tcase_add_test(tests, a_deleted_key_never_comes_back);
    tcase_add_test(tests, each_thread_has_its_own_value);
    tcase_add_test(tests, a_thread_finds_nothing_of_the_threads_before_it);
    tcase_add_test(tests, no_destructor_for_a_value_of_null);
    tcase_add_test(tests, values_of_a_deleted_key_are_dropped_and_not_destroyed);
    tcase_add_test(tests, destructors_run_however_the_thread_ends);
    tcase_add_test(tests, what_a_destructor_raises_is_reported_and_the_others_run);
    tcase_add_test(tests, a_destructor_that_exits_ends_itself_alone);
    tcase_add_test(tests, what_ended_the_thread_is_told_whatever_its_destructors_raise);
#ifndef FXI_TSAN
    tcase_add_test(tests, destructors_of_libcs_keys_may_raise_in_the_librarys_threads);
#endif
    tcase_add_test(tests, a_value_set_again_in_its_destructor_is_destroyed_in_4_rounds_in_all);
    tcase_add_test(tests, a_value_set_in_another_keys_destructor_is_destroyed_too);
    tcase_add_test(tests, a_destructor_may_delete_its_key_and_make_others);
    tcase_add_test(tests, a_destructor_may_start_and_join_threads);
    tcase_add_test(tests, thousands_of_keys);
    tcase_add_test(tests, keys_are_made_and_deleted_by_many_threads_at_once);
    if (MAIN_CAN_LEAVE)
        tcase_add_test(tests, main_that_exits_as_a_thread_has_its_destructors_run);
}

int main(void)
{
    return run_suite("local", add_tests);
}
