/* The attributes that a thread is made with: each is refused, honoured and copied as documented. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/await.h"
#include "gate.h"
#include "suite.h"

#define KIB ((size_t)1024)

/* ThreadSanitizer makes the stacks, and its own data takes the greater part of a small one. */
#ifdef FXI_TSAN
#define STACKS_ARE_OURS false
#else
#define STACKS_ARE_OURS true
#endif

static void *return_arg(void *arg)
{
    return arg;
}

static void count_callback(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

static void assert_refused(const fx_thread_attr *attr)
{
    errno = 0;
    ck_assert_ptr_null(fx_thread_new(return_arg, NULL, attr));
    ck_assert_int_eq(errno, EINVAL);
}

static void assert_runs(const fx_thread_attr *attr)
{
    int it;
    void *result = NULL;
    fx_thread *t = fx_thread_new(return_arg, &it, attr);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &it);
    fx_thread_unref(t);
}

START_TEST(an_attribute_struct_of_zeros_is_every_default)
{
    assert_runs(&(fx_thread_attr){0});
}
END_TEST

START_TEST(each_reserved_field_must_be_zero)
{
    fx_thread_attr attr = {0};
    for (size_t i = 0; i < sizeof attr.reserved / sizeof attr.reserved[0]; i++) {
        attr.reserved[i] = 1;
        assert_refused(&attr);
        attr.reserved[i] = UINT64_MAX;
        assert_refused(&attr);
        attr.reserved[i] = 0;
    }
}
END_TEST

START_TEST(every_stop_mode_is_taken_and_an_unknown_one_refused)
{
    assert_runs(&(fx_thread_attr){.stop_mode = FX_STOP_SAFE});
    assert_runs(&(fx_thread_attr){.stop_mode = FX_STOP_DEFERRED});
    assert_runs(&(fx_thread_attr){.stop_mode = FX_STOP_ASYNC});
    assert_refused(&(fx_thread_attr){.stop_mode = (fx_stop_mode)(FX_STOP_ASYNC + 1)});
    assert_refused(&(fx_thread_attr){.stop_mode = (fx_stop_mode)-1});
}
END_TEST

START_TEST(a_stack_below_32_kib_is_refused)
{
    assert_refused(&(fx_thread_attr){.stack_size = 1});
    assert_refused(&(fx_thread_attr){.stack_size = 32 * KIB - 1});
    assert_runs(&(fx_thread_attr){.stack_size = 32 * KIB});
}
END_TEST

struct stack_seen {
    int rc;
    char *low;
    size_t size;
    char *local;
};

static void *tell_stack(void *arg)
{
    struct stack_seen *seen = arg;
    pthread_attr_t attr;
    seen->rc = pthread_getattr_np(pthread_self(), &attr);
    if (seen->rc == 0) {
        pthread_attr_getstack(&attr, (void **)&seen->low, &seen->size);
        pthread_attr_destroy(&attr);
    }
    seen->local = (char *)__builtin_frame_address(0);
    return NULL;
}

static struct stack_seen stack_with(const fx_thread_attr *attr)
{
    struct stack_seen seen = {.rc = -1};
    fx_thread *t = fx_thread_new(tell_stack, &seen, attr);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    fx_thread_unref(t);
    ck_assert_int_eq(seen.rc, 0);
    ck_assert(seen.local > seen.low);
    ck_assert(seen.local < seen.low + seen.size);
    return seen;
}

/* How much of a stack may serve for other things than the program's frames: libc counts what it
 * keeps there, the guard among it. */
enum { STACK_SLACK = 64 * 1024 };

START_TEST(libc_is_told_of_the_stack_that_was_asked_for)
{
    const size_t sizes[] = {64 * KIB, 100000, 1024 * KIB, 1024 * KIB + 1, 32 * 1024 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct stack_seen seen = stack_with(&(fx_thread_attr){.stack_size = sizes[i]});
        size_t below = (size_t)(seen.local - seen.low);
        ck_assert_uint_ge(seen.size, sizes[i]);
        ck_assert_uint_le(seen.size, sizes[i] + STACK_SLACK);
        ck_assert_uint_ge(below + 8 * KIB, sizes[i]);
    }
}
END_TEST

struct stack_use {
    size_t bytes;
    unsigned sum;
};

static void *use_stack(void *arg)
{
    struct stack_use *use = arg;
    volatile char *bytes = alloca(use->bytes);
    for (size_t i = use->bytes; i > 0; i -= i < 512 ? i : 512)
        bytes[i - 1] = 1;
    for (size_t i = use->bytes; i > 0; i -= i < 512 ? i : 512)
        use->sum += (unsigned)bytes[i - 1];
    return use;
}

START_TEST(nearly_all_of_the_stack_can_be_used)
{
    const size_t sizes[] = {64 * KIB, 256 * KIB, 4096 * KIB, 64 * 1024 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct stack_use use = {.bytes = sizes[i] - 16 * KIB};
        void *result = NULL;
        fx_thread *t = fx_thread_new(use_stack, &use, &(fx_thread_attr){.stack_size = sizes[i]});
        ck_assert_ptr_nonnull(t);
        ck_assert_int_eq(fx_thread_start(t), 0);
        ck_assert_int_eq(fx_thread_join(t, &result), 0);
        ck_assert_ptr_eq(result, &use);
        ck_assert_uint_eq(use.sum, (use.bytes + 511) / 512);
        fx_thread_unref(t);
    }
}
END_TEST

START_TEST(stack_size_sets_the_default_and_returns_the_former)
{
    ck_assert_uint_eq(fx_stack_size(512 * KIB), 0);
    ck_assert_uint_eq(fx_stack_size(1024 * KIB), 512 * KIB);
    errno = 0;
    ck_assert_uint_eq(fx_stack_size(32 * KIB - 1), SIZE_MAX);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_uint_eq(fx_stack_size(0), 1024 * KIB);
    ck_assert_uint_eq(fx_stack_size(0), 0);
}
END_TEST

START_TEST(the_default_stack_is_8_mib)
{
    size_t size = stack_with(NULL).size;
    ck_assert_uint_ge(size, 8192 * KIB);
    ck_assert_uint_le(size, 8192 * KIB + STACK_SLACK);
}
END_TEST

START_TEST(stack_size_holds_for_threads_made_from_then_on)
{
    struct stack_seen seen = {.rc = -1};
    fx_thread *before = fx_thread_new(tell_stack, &seen, NULL);
    fx_stack_size(256 * KIB);
    ck_assert_int_eq(fx_thread_start(before), 0);
    ck_assert_int_eq(fx_thread_join(before, NULL), 0);
    fx_thread_unref(before);
    ck_assert_uint_ge(seen.size, 8192 * KIB);
    ck_assert_uint_le(stack_with(NULL).size, 256 * KIB + STACK_SLACK);
    ck_assert_uint_ge(stack_with(&(fx_thread_attr){.stack_size = 2048 * KIB}).size, 2048 * KIB);
    fx_stack_size(0);
    ck_assert_uint_ge(stack_with(NULL).size, 8192 * KIB);
}
END_TEST

static void *tell_affinity(void *set)
{
    return sched_getaffinity(0, sizeof(cpu_set_t), set) == 0 ? set : NULL;
}

static cpu_set_t affinity_with(const fx_thread_attr *attr)
{
    cpu_set_t seen;
    void *result = NULL;
    fx_thread *t = fx_thread_new(tell_affinity, &seen, attr);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &seen);
    fx_thread_unref(t);
    return seen;
}

/* The set that holds only the highest processor of `from`. */
static cpu_set_t highest_of(const cpu_set_t *from)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, from)) {
            CPU_SET(cpu, &one);
            break;
        }
    return one;
}

START_TEST(affinity_is_honoured_for_each_processor)
{
    cpu_set_t mine, after;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &mine))
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        cpu_set_t seen = affinity_with(
            &(fx_thread_attr){.affinity = &one, .affinity_size = sizeof one});
        ck_assert(CPU_EQUAL(&seen, &one));
    }
    /* The starter's own is as it was. */
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&after, &mine));
}
END_TEST

START_TEST(without_affinity_a_thread_has_its_creators)
{
    cpu_set_t mine;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    cpu_set_t one = highest_of(&mine);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cpu_set_t seen = affinity_with(NULL);
    ck_assert(CPU_EQUAL(&seen, &one));
    ck_assert_int_eq(sched_setaffinity(0, sizeof mine, &mine), 0);
    /* Nor does the recycled memory of an ended thread remember one. */
    seen = affinity_with(NULL);
    ck_assert(CPU_EQUAL(&seen, &mine));
}
END_TEST

START_TEST(an_affinity_without_a_size_or_without_a_processor_is_refused)
{
    cpu_set_t mine, none;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    CPU_ZERO(&none);
    assert_refused(&(fx_thread_attr){.affinity = &mine});
    assert_refused(&(fx_thread_attr){.affinity = &none, .affinity_size = sizeof none});
}
END_TEST

START_TEST(processors_that_the_process_may_not_use_are_einval_at_the_start)
{
    cpu_set_t far;
    atomic_int freed = 0;
    CPU_ZERO(&far);
    CPU_SET(CPU_SETSIZE - 1, &far);
    fx_thread_attr attr = {
        .affinity = &far, .affinity_size = sizeof far, .free_arg = count_callback};
    fx_thread *t = fx_thread_new(return_arg, &freed, &attr);
    ck_assert_ptr_nonnull(t);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(fx_thread_start(t), -EINVAL);
        ck_assert(!fx_thread_is_alive(t));
        ck_assert_uint_eq(fx_active_count(), 1);
    }
    ck_assert_int_eq(fx_thread_join(t, NULL), -EINVAL);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 1);
}
END_TEST

START_TEST(what_the_attributes_point_at_is_copied)
{
    char name[] = "the name";
    cpu_set_t mine, set, seen;
    ck_assert_int_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    set = highest_of(&mine);
    cpu_set_t wanted = set;
    fx_thread_attr attr = {.name = name, .affinity = &set, .affinity_size = sizeof set};
    fx_thread *t = fx_thread_new(tell_affinity, &seen, &attr);
    memset(name, 'x', sizeof name - 1);
    CPU_ZERO(&set);
    memset(&attr, 0xff, sizeof attr);
    ck_assert_str_eq(fx_thread_name(t), "the name");
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert(CPU_EQUAL(&seen, &wanted));
    fx_thread_unref(t);
}
END_TEST

START_TEST(free_arg_is_called_only_if_the_function_never_began)
{
    atomic_int freed = 0;
    fx_thread_attr attr = {.free_arg = count_callback};
    fx_thread *t = fx_thread_new(return_arg, &freed, &attr);
    ck_assert_int_eq(atomic_load(&freed), 0);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 1);

    t = fx_thread_new(return_arg, &freed, &attr);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&freed), 1);
}
END_TEST

static void *exit_with_arg(void *arg)
{
    fx_thread_exit(arg);
}

START_TEST(free_result_is_called_at_the_last_unref_if_nobody_fetched_it)
{
    fx_target targets[] = {return_arg, exit_with_arg};
    for (int i = 0; i < 2; i++) {
        atomic_int freed = 0;
        fx_thread_attr attr = {.free_result = count_callback};
        fx_thread *t = fx_thread_new(targets[i], &freed, &attr);
        fx_thread_ref(t);
        ck_assert_int_eq(fx_thread_start(t), 0);
        ck_assert_int_eq(fx_thread_join(t, NULL), 0); /* waits and fetches nothing */
        fx_thread_unref(t);
        ck_assert_int_eq(atomic_load(&freed), 0);
        fx_thread_unref(t);
        /* The thread's own reference may outlive the join by a moment. */
        await(atomic_load(&freed) == 1);
    }
}
END_TEST

START_TEST(free_result_is_not_called_for_a_result_that_was_fetched)
{
    atomic_int freed = 0;
    void *result = NULL;
    fx_thread *t = fx_thread_new(return_arg, &freed,
                                 &(fx_thread_attr){.free_result = count_callback});
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_join_for(t, FX_FOREVER, &result), 0);
    ck_assert_ptr_eq(result, &freed);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    fx_thread_unref(t);
    await(fx_active_count() == 1);
    ck_assert_int_eq(atomic_load(&freed), 0);
}
END_TEST

struct gated_result {
    struct gate gate;
    atomic_int freed;
};

static void count_freed(void *arg)
{
    atomic_fetch_add(&((struct gated_result *)arg)->freed, 1);
}

START_TEST(free_result_is_called_for_a_thread_given_up_while_it_runs)
{
    static struct gated_result it;
    fx_thread *t = fx_thread_new(gate_target, &it, &(fx_thread_attr){.free_result = count_freed});
    ck_assert_int_eq(fx_thread_start(t), 0);
    fx_thread_unref(t);
    await(atomic_load(&it.gate.waiters) == 1);
    ck_assert_int_eq(atomic_load(&it.freed), 0);
    gate_open(&it.gate);
    await(atomic_load(&it.freed) == 1);
}
END_TEST

static fx_lock of_freeing;
static fx_thread *_Atomic kept;
static atomic_int freed_by_own;

static void free_with_lock_and_handle(void *thread)
{
    FX_WITH(&of_freeing) {
        atomic_store(&kept, fx_thread_ref(thread));
        fx_thread_unref(fx_thread_ref(thread));
    }
    atomic_fetch_add(&freed_by_own, 1);
}

static void *return_own_handle(void *gate)
{
    gate_wait(gate);
    return fx_current_thread();
}

START_TEST(free_result_may_use_locks_and_the_handle)
{
    for (int i = 0; i < 300; i++) {
        struct gate gate = {0};
        fx_thread *t = fx_thread_new(return_own_handle, &gate,
                                     &(fx_thread_attr){.free_result = free_with_lock_and_handle});
        atomic_store(&freed_by_own, 0);
        ck_assert_int_eq(fx_thread_start(t), 0);
        await(atomic_load(&gate.waiters) == 1);
        fx_thread_unref(t); /* so that the thread's own handle is the last one */
        gate_open(&gate);
        await(atomic_load(&freed_by_own) == 1);
        ck_assert(!fx_thread_is_alive(kept));
        ck_assert_int_eq(fx_thread_stop(kept), -ESRCH);
        fx_thread_unref(kept);
        ck_assert_int_eq(atomic_load(&freed_by_own), 1);
        ck_assert(!fx_lock_locked(&of_freeing));
    }
}
END_TEST

struct daemon_seen {
    bool own, inherited, given, cleared;
};

static void *make_children(void *arg)
{
    struct daemon_seen *seen = arg;
    fx_thread *child = fx_thread_new(return_arg, NULL, NULL);
    fx_thread *given = fx_thread_new(return_arg, NULL, &(fx_thread_attr){.daemon = true});
    seen->own = fx_thread_daemon(fx_current_thread());
    seen->inherited = fx_thread_daemon(child);
    seen->given = fx_thread_daemon(given);
    seen->cleared = fx_thread_set_daemon(child, false) == 0 && !fx_thread_daemon(child);
    fx_thread_unref(child);
    fx_thread_unref(given);
    return NULL;
}

START_TEST(a_thread_is_a_daemon_if_its_creator_is)
{
    for (int daemon = 0; daemon < 2; daemon++) {
        struct daemon_seen seen = {0};
        fx_thread *t = fx_thread_new(make_children, &seen, &(fx_thread_attr){.daemon = daemon});
        ck_assert_int_eq(fx_thread_daemon(t), daemon);
        ck_assert_int_eq(fx_thread_start(t), 0);
        ck_assert_int_eq(fx_thread_join(t, NULL), 0);
        ck_assert_int_eq(seen.own, daemon);
        ck_assert_int_eq(seen.inherited, daemon);
        ck_assert(seen.given);
        ck_assert(seen.cleared);
        fx_thread_unref(t);
    }
}
END_TEST

START_TEST(a_foreign_creators_flag_is_inherited_too)
{
    struct daemon_seen seen = {0};
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, make_children, &seen), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_int_eq(seen.inherited, seen.own);
    ck_assert(seen.given);
}
END_TEST

START_TEST(set_daemon_works_until_the_start)
{
    struct gate gate = {0};
    fx_thread *t = fx_thread_new(gate_target, &gate, NULL);
    ck_assert(!fx_thread_daemon(t));
    ck_assert_int_eq(fx_thread_set_daemon(t, true), 0);
    ck_assert(fx_thread_daemon(t));
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_set_daemon(t, false), -EBUSY);
    ck_assert(fx_thread_daemon(t));
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(fx_thread_set_daemon(t, false), -EBUSY);
    ck_assert(fx_thread_daemon(t));
    fx_thread_unref(t);
}
END_TEST

START_TEST(set_daemon_of_null_is_einval_and_of_main_ebusy)
{
    ck_assert_int_eq(fx_thread_set_daemon(NULL, true), -EINVAL);
    ck_assert_int_eq(fx_thread_set_daemon(fx_main_thread(), true), -EBUSY);
    ck_assert(!fx_thread_daemon(fx_main_thread()));
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_attribute_struct_of_zeros_is_every_default);
    tcase_add_test(tests, each_reserved_field_must_be_zero);
    tcase_add_test(tests, every_stop_mode_is_taken_and_an_unknown_one_refused);
    tcase_add_test(tests, a_stack_below_32_kib_is_refused);
    tcase_add_test(tests, stack_size_sets_the_default_and_returns_the_former);
    if (STACKS_ARE_OURS) {
        tcase_add_test(tests, libc_is_told_of_the_stack_that_was_asked_for);
        tcase_add_test(tests, nearly_all_of_the_stack_can_be_used);
        tcase_add_test(tests, the_default_stack_is_8_mib);
        tcase_add_test(tests, stack_size_holds_for_threads_made_from_then_on);
    }
    tcase_add_test(tests, affinity_is_honoured_for_each_processor);
    tcase_add_test(tests, without_affinity_a_thread_has_its_creators);
    tcase_add_test(tests, an_affinity_without_a_size_or_without_a_processor_is_refused);
    tcase_add_test(tests, processors_that_the_process_may_not_use_are_einval_at_the_start);
    tcase_add_test(tests, what_the_attributes_point_at_is_copied);
    tcase_add_test(tests, free_arg_is_called_only_if_the_function_never_began);
    tcase_add_test(tests, free_result_is_called_at_the_last_unref_if_nobody_fetched_it);
    tcase_add_test(tests, free_result_is_not_called_for_a_result_that_was_fetched);
    tcase_add_test(tests, free_result_is_called_for_a_thread_given_up_while_it_runs);
    tcase_add_test(tests, free_result_may_use_locks_and_the_handle);
    tcase_add_test(tests, a_thread_is_a_daemon_if_its_creator_is);
    tcase_add_test(tests, a_foreign_creators_flag_is_inherited_too);
    tcase_add_test(tests, set_daemon_works_until_the_start);
    tcase_add_test(tests, set_daemon_of_null_is_einval_and_of_main_ebusy);
}

int main(void)
{
    return run_suite("thread_attr", add_tests);
}
