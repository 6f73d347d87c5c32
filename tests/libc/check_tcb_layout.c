/* lib/libc/tcb_layout: the offsets that were learned are where libc has its fields, in an ordinary
 * pthread and in a thread of ours. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fxthread.h>
#include <pthread.h>
#include <resolv.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "await.h"
#include "base/atomic.h"
#include "kernel/clone.h"
#include "kernel/inject.h"
#include "libc/tcb.h"
#include "libc/tcb_layout.h"
#include "record.h"
#include "sanitizer.h"

#include "../thread/suite.h"

#define STACK_SIZE ((size_t)512 << 10)
#define RESULT ((void *)(uintptr_t)0x123456789)
#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

static char *own_descriptor(void)
{
    return (char *)(uintptr_t)pthread_self();
}

static void *pointer_at(const char *descriptor, size_t offset)
{
    void *value;
    memcpy(&value, descriptor + offset, sizeof value);
    return value;
}

static uint32_t *word_at(char *descriptor, size_t offset)
{
    return (uint32_t *)(void *)(descriptor + offset);
}

static bool is_listed(const char *descriptor)
{
    bool found = false;
    fxi_lowlock_acquire(fxi_tcb_layout.threads_lock);
    fxi_list_for_each(node, fxi_tcb_layout.threads)
        found = found || (char *)node == descriptor + fxi_tcb_layout.list;
    fxi_lowlock_release(fxi_tcb_layout.threads_lock);
    return found;
}

static void learn(void)
{
    ck_assert_int_eq(fxi_tcb_layout_learn(), 0);
    ck_assert_ptr_nonnull(fxi_tcb_layout.threads);
    ck_assert_ptr_nonnull(fxi_tcb_layout.threads_lock);
}

/* --- what is the same in every thread ------------------------------------------------------- */

static void *const key_value = &test_record;

static void expect_fields_of_own_thread(void)
{
    const struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    char *own = own_descriptor();
    pthread_attr_t attr;
    pthread_key_t key;
    void *base = NULL;
    size_t size = 0;

    expect(fxi_descriptor_of(__builtin_thread_pointer()) == own);
    expect_int(*word_at(own, layout->tid), ==, fxi_gettid());
    expect(is_listed(own));
    expect_int(*word_at(own, layout->cancelhandling) & (uint32_t)layout->ended, ==, 0);
    expect((char *)__res_state() == own + layout->resolver);

    if (expect(pthread_getattr_np(pthread_self(), &attr) == 0)) {
        expect(pthread_attr_getstack(&attr, &base, &size) == 0);
        expect(pointer_at(own, layout->stack_base) == base);
        expect_int((size_t)pointer_at(own, layout->stack_size), ==, size);
        pthread_attr_destroy(&attr);
    }

    expect(pointer_at(own, layout->specific) == own + layout->first_keys);
    if (expect(pthread_key_create(&key, NULL) == 0)) {
        expect(pthread_setspecific(key, key_value) == 0);
        size_t value = layout->first_keys + (2 * key + 1) * sizeof(void *);
        expect(pointer_at(own, value) == key_value);
        pthread_key_delete(key);
    }
}

static void expect_robust_list_of_own_thread(void)
{
    const struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    char *own = own_descriptor(), *head = own + layout->robust_head;
    pthread_mutexattr_t attr;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    expect(pointer_at(head, 0) == head);
    expect_int((ptrdiff_t)pointer_at(head, sizeof(void *)), ==, FXI_ROBUST_LOCK_OFFSET);
    if (expect(pthread_mutex_init(&mutex, &attr) == 0)) {
        expect(pthread_mutex_lock(&mutex) == 0);
        expect(pointer_at(head, 0) == (void *)&mutex.__data.__list.__next);
        if (layout->robust_prev)
            expect(pointer_at(own, layout->robust_prev) == (void *)&mutex.__data.__list.__next);
        expect(pthread_mutex_unlock(&mutex) == 0);
        expect(pointer_at(head, 0) == head);
        if (layout->robust_prev)
            expect(pointer_at(own, layout->robust_prev) == head);
        pthread_mutex_destroy(&mutex);
    }
    pthread_mutexattr_destroy(&attr);

    void *registered = NULL;
    size_t size = 0;
    long rc = fxi_syscall3(SYS_get_robust_list, 0, &registered, &size);
    if (rc == 0) /* else the kernel, or an emulator, has no such call */
        expect(registered == head);
}

/* --- an ordinary pthread -------------------------------------------------------------------- */

static char *descriptor; /* of the thread that a test has started */
static int may_end;

static void *look_and_exit(void *arg)
{
    descriptor = own_descriptor();
    expect_fields_of_own_thread();
    expect_robust_list_of_own_thread();
    expect(pointer_at(descriptor, fxi_tcb_layout.stack_base) == arg);
    expect_int((size_t)pointer_at(descriptor, fxi_tcb_layout.stack_size), ==, STACK_SIZE);
    pthread_exit(RESULT);
}

/* On a stack of the test's, so that its descriptor can be read when it has ended. */
static pthread_t start_on_stack(void *(*fn)(void *), char *stack)
{
    pthread_t thread;
    pthread_attr_t attr;
    ck_assert_int_eq(pthread_attr_init(&attr), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attr, stack, STACK_SIZE), 0);
    ck_assert_int_eq(pthread_create(&thread, &attr, fn, stack), 0);
    pthread_attr_destroy(&attr);
    return thread;
}

static char *map_stack(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    ck_assert_ptr_ne(stack, MAP_FAILED);
    return stack;
}

START_TEST(a_pthread_has_its_fields_where_they_were_found)
{
    learn();
    char *stack = map_stack();
    pthread_t thread = start_on_stack(look_and_exit, stack);
    void *result = NULL;
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_recorded();
    ck_assert_ptr_eq(result, RESULT);
    ck_assert_ptr_eq(descriptor, (char *)(uintptr_t)thread);
    ck_assert_ptr_eq(pointer_at(descriptor, fxi_tcb_layout.result), RESULT);
    /* Cleared by the kernel, and perhaps set to -1 by libc since. */
    ck_assert_int_le((int32_t)*word_at(descriptor, fxi_tcb_layout.tid), 0);
    uint32_t cancelhandling = *word_at(descriptor, fxi_tcb_layout.cancelhandling);
    ck_assert_uint_ne(cancelhandling & (uint32_t)fxi_tcb_layout.ended, 0);
    munmap(stack, STACK_SIZE);
}
END_TEST

static void *stay(void *arg)
{
    fxi_store_release(&descriptor, own_descriptor());
    await(fxi_load_acquire(&may_end));
    return arg;
}

START_TEST(the_list_holds_the_living_pthreads_on_stacks_of_the_program)
{
    learn();
    char *stack = map_stack();
    pthread_t thread = start_on_stack(stay, stack);
    await(fxi_load_acquire(&descriptor));
    ck_assert(is_listed(descriptor));
    fxi_store_release(&may_end, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!is_listed(descriptor));
    munmap(stack, STACK_SIZE);
}
END_TEST

START_TEST(the_list_holds_main)
{
    learn();
    ck_assert(is_listed(own_descriptor()));
    ck_assert_uint_eq(*word_at(own_descriptor(), fxi_tcb_layout.tid), (uint32_t)fxi_gettid());
}
END_TEST

static int lock_is_held;

static void *create_another(void *arg)
{
    pthread_t other;
    await(fxi_load_acquire(&lock_is_held));
    if (expect(pthread_create(&other, NULL, stay, NULL) == 0))
        expect(pthread_join(other, NULL) == 0);
    return arg;
}

START_TEST(the_lock_is_the_one_that_libc_waits_for)
{
    enum { HELD_WITH_WAITERS = 2 };
    learn();
    pthread_t creator;
    ck_assert_int_eq(pthread_create(&creator, NULL, create_another, NULL), 0);
    fxi_store_relaxed(&may_end, 1);
    fxi_lowlock_acquire(fxi_tcb_layout.threads_lock);
    fxi_store_release(&lock_is_held, 1);
    await(fxi_load_relaxed(fxi_tcb_layout.threads_lock) == HELD_WITH_WAITERS);
    fxi_lowlock_release(fxi_tcb_layout.threads_lock);
    ck_assert_int_eq(pthread_join(creator, NULL), 0);
    ck_assert_recorded();
}
END_TEST

/* --- a thread of ours ----------------------------------------------------------------------- */

static void *look(void *arg)
{
    descriptor = own_descriptor();
    expect_fields_of_own_thread();
    expect_robust_list_of_own_thread();
    return arg;
}

START_TEST(a_thread_of_ours_has_the_same_fields_there)
{
    for (int i = 0; i < 10; i++) {
        fx_thread *thread = fx_thread_spawn(look, NULL);
        ck_assert_ptr_nonnull(thread);
        ck_assert_int_eq(fx_thread_join(thread, NULL), 0);
        fx_thread_unref(thread);
        ck_assert_recorded();
        /* The TCB is parked: for libc a thread that has ended. */
        await(fxi_load_acquire(word_at(descriptor, fxi_tcb_layout.tid)) == 0);
        uint32_t cancelhandling = *word_at(descriptor, fxi_tcb_layout.cancelhandling);
        ck_assert_uint_eq(cancelhandling & (uint32_t)fxi_tcb_layout.ended,
                          (uint32_t)fxi_tcb_layout.ended);
        ck_assert(is_listed(descriptor));
    }
}
END_TEST

/* --- learning ------------------------------------------------------------------------------- */

START_TEST(what_was_learned_is_not_learned_again)
{
    learn();
    struct fxi_tcb_layout first = fxi_tcb_layout;
    fxi_inject_arm(FXI_INJECT_ANY, 1, ENOMEM);
    ck_assert_int_eq(fxi_tcb_layout_learn(), 0);
    fxi_inject_disarm();
    ck_assert_mem_eq(&first, &fxi_tcb_layout, sizeof first);
}
END_TEST

START_TEST(learning_that_failed_for_memory_can_be_tried_again)
{
    const enum fxi_inject_kind kinds[] = {FXI_INJECT_MMAP, FXI_INJECT_ALLOC};
    for (int i = 0; i < 2; i++) {
        fxi_inject_arm(kinds[i], 1, ENOMEM);
        ck_assert_int_eq(fxi_tcb_layout_learn(), -ENOMEM);
        fxi_inject_disarm();
    }
    learn();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_pthread_has_its_fields_where_they_were_found);
    tcase_add_test(tests, the_list_holds_the_living_pthreads_on_stacks_of_the_program);
    tcase_add_test(tests, the_list_holds_main);
    tcase_add_test(tests, the_lock_is_the_one_that_libc_waits_for);
    tcase_add_test(tests, a_thread_of_ours_has_the_same_fields_there);
    tcase_add_test(tests, what_was_learned_is_not_learned_again);
    tcase_add_test(tests, learning_that_failed_for_memory_can_be_tried_again);
}

int main(void)
{
    if (THREADS_ARE_PTHREADS)
        return TEST_SKIPPED;
    return run_suite("tcb layout", add_tests);
}
