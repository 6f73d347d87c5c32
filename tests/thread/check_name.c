/* Names: the library's, whole and lasting, and the kernel's, of 15 bytes. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../support/await.h"
#include "gate.h"
#include "proc.h"
#include "suite.h"

enum { COMM_BYTES = 15 };

/* The number in a name such as Thread-7; -1 if it is not of that form. */
static long number_after(const char *prefix, const char *name)
{
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || !isdigit((unsigned char)name[length]))
        return -1;
    char *end;
    long number = strtol(name + length, &end, 10);
    return *end ? -1 : number;
}

static void assert_comm_becomes(const fx_thread *t, const char *name)
{
    char wanted[COMM_BYTES + 1] = "";
    strncat(wanted, name, COMM_BYTES);
    pid_t tid = fx_thread_native_id(t);
    if (!await_for(task_comm_is(tid, wanted), 20)) {
        char comm[32];
        task_comm(tid, comm);
        ck_assert_str_eq(comm, wanted);
    }
}

START_TEST(a_thread_without_a_name_is_thread_n)
{
    enum { THREADS = 5 };
    fx_thread *t[THREADS];
    long last = 0;
    for (int i = 0; i < THREADS; i++) {
        t[i] = fx_thread_new(gate_target, NULL, i % 2 ? NULL : &(fx_thread_attr){0});
        long number = number_after("Thread-", fx_thread_name(t[i]));
        ck_assert_msg(number > last, "%s after Thread-%ld", fx_thread_name(t[i]), last);
        last = number;
    }
    for (int i = 0; i < THREADS; i++)
        fx_thread_unref(t[i]);
}
END_TEST

START_TEST(the_kernel_shows_a_default_name_too)
{
    struct gate gate = {0};
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    assert_comm_becomes(t, fx_thread_name(t));
    gate_open(&gate);
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
}
END_TEST

START_TEST(the_kernel_shows_the_first_15_bytes)
{
    const char *names[] = {"a", "exactly15bytes!", "this one has 16b",
                           "a name that is much too long"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct gate gate = {0};
        fx_thread *t = fx_thread_new(gate_target, &gate, &(fx_thread_attr){.name = names[i]});
        ck_assert_str_eq(fx_thread_name(t), names[i]);
        ck_assert_int_eq(fx_thread_start(t), 0);
        assert_comm_becomes(t, names[i]);
        ck_assert_str_eq(fx_thread_name(t), names[i]);
        gate_open(&gate);
        fx_thread_join(t, NULL);
        fx_thread_unref(t);
    }
}
END_TEST

START_TEST(a_long_name_is_kept_whole)
{
    static char name[5001];
    memset(name, 'n', sizeof name - 1);
    memcpy(name, "long-long-long-name", 19);
    struct gate gate = {0};
    fx_thread *t = fx_thread_new(gate_target, &gate, &(fx_thread_attr){.name = name});
    ck_assert_str_eq(fx_thread_name(t), name);
    ck_assert_int_eq(fx_thread_start(t), 0);
    assert_comm_becomes(t, name);
    name[0] = 'L';
    ck_assert_int_eq(fx_thread_set_name(t, name), 0);
    ck_assert_str_eq(fx_thread_name(t), name);
    assert_comm_becomes(t, name);
    gate_open(&gate);
    fx_thread_join(t, NULL);
    ck_assert_str_eq(fx_thread_name(t), name);
    fx_thread_unref(t);
}
END_TEST

START_TEST(set_name_before_the_start_is_what_the_thread_starts_with)
{
    struct gate gate = {0};
    fx_thread *t = fx_thread_new(gate_target, &gate, &(fx_thread_attr){.name = "before"});
    ck_assert_int_eq(fx_thread_set_name(t, "renamed"), 0);
    ck_assert_str_eq(fx_thread_name(t), "renamed");
    ck_assert_int_eq(fx_thread_start(t), 0);
    assert_comm_becomes(t, "renamed");
    gate_open(&gate);
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
}
END_TEST

START_TEST(set_name_from_another_thread_while_it_runs)
{
    struct gate gate = {0};
    char own[32], after[32];
    task_comm(getpid(), own);
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    ck_assert_int_eq(fx_thread_set_name(t, "first renaming of it"), 0);
    ck_assert_str_eq(fx_thread_name(t), "first renaming of it");
    assert_comm_becomes(t, "first renaming of it");
    ck_assert_int_eq(fx_thread_set_name(t, "second"), 0);
    assert_comm_becomes(t, "second");
    ck_assert_int_eq(fx_thread_set_name(t, ""), 0);
    ck_assert_str_eq(fx_thread_name(t), "");
    task_comm(getpid(), after);
    ck_assert_str_eq(after, own); /* the renamer keeps its own */
    gate_open(&gate);
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
}
END_TEST

static void *rename_self(void *comm)
{
    if (fx_thread_set_name(fx_current_thread(), "myself") == 0)
        task_comm(kernel_tid(), comm);
    return NULL;
}

START_TEST(a_thread_renames_itself)
{
    char comm[32] = "";
    fx_thread *t = fx_thread_spawn(rename_self, comm);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_str_eq(comm, "myself");
    ck_assert_str_eq(fx_thread_name(t), "myself");
    fx_thread_unref(t);
}
END_TEST

START_TEST(set_name_after_the_end_changes_only_the_handle)
{
    struct gate gate = {.opened = 1};
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(fx_thread_set_name(t, "late"), 0);
    ck_assert_str_eq(fx_thread_name(t), "late");
    fx_thread_unref(t);
}
END_TEST

START_TEST(set_name_without_a_thread_or_a_name_is_einval)
{
    fx_thread *t = fx_thread_new(gate_target, NULL, &(fx_thread_attr){.name = "kept"});
    ck_assert_int_eq(fx_thread_set_name(NULL, "x"), -EINVAL);
    ck_assert_int_eq(fx_thread_set_name(t, NULL), -EINVAL);
    ck_assert_str_eq(fx_thread_name(t), "kept");
    fx_thread_unref(t);
}
END_TEST

START_TEST(an_old_name_stays_as_it_was_while_the_handle_is_held)
{
    enum { RENAMINGS = 200 };
    static const char *kept[RENAMINGS + 1];
    char text[64];
    struct gate gate = {0};
    fx_thread *t = fx_thread_new(gate_target, &gate, &(fx_thread_attr){.name = "name 0"});
    kept[0] = fx_thread_name(t);
    ck_assert_int_eq(fx_thread_start(t), 0);
    for (int i = 1; i <= RENAMINGS; i++) {
        snprintf(text, sizeof text, "name %d", i);
        ck_assert_int_eq(fx_thread_set_name(t, text), 0);
        kept[i] = fx_thread_name(t);
    }
    gate_open(&gate);
    fx_thread_join(t, NULL);
    for (int i = 0; i <= RENAMINGS; i++) {
        snprintf(text, sizeof text, "name %d", i);
        ck_assert_str_eq(kept[i], text);
    }
    fx_thread_unref(t);
}
END_TEST

struct renaming {
    fx_thread *target;
    char letter;
    int failures;
};

enum { RENAMERS = 3, RENAME_ROUNDS = 300, SHARED_NAME_LENGTH = 40 };

/* Renames the target to a run of its own letter, and finds whole names only: some one letter's. */
static void *rename_and_read(void *arg)
{
    struct renaming *it = arg;
    char name[SHARED_NAME_LENGTH + 1] = "";
    memset(name, it->letter, SHARED_NAME_LENGTH);
    for (int i = 0; i < RENAME_ROUNDS; i++) {
        it->failures += fx_thread_set_name(it->target, name) != 0;
        const char *seen = fx_thread_name(it->target);
        it->failures += strlen(seen) != SHARED_NAME_LENGTH;
        it->failures += strspn(seen, (char[]){seen[0], '\0'}) != SHARED_NAME_LENGTH;
    }
    return NULL;
}

START_TEST(renamings_at_once_leave_one_whole_name)
{
    struct gate gate = {0};
    struct renaming renamings[RENAMERS];
    fx_thread *t = fx_thread_spawn(gate_target, &gate), *renamers[RENAMERS];
    char first[SHARED_NAME_LENGTH + 1] = "";
    memset(first, 'z', SHARED_NAME_LENGTH);
    ck_assert_int_eq(fx_thread_set_name(t, first), 0);
    for (int i = 0; i < RENAMERS; i++) {
        renamings[i] = (struct renaming){t, (char)('a' + i), 0};
        ck_assert_ptr_nonnull(renamers[i] = fx_thread_spawn(rename_and_read, &renamings[i]));
    }
    for (int i = 0; i < RENAMERS; i++) {
        ck_assert_int_eq(fx_thread_join(renamers[i], NULL), 0);
        ck_assert_int_eq(renamings[i].failures, 0);
        fx_thread_unref(renamers[i]);
    }
    /* The kernel shows the name that the handle has, whichever was the last. */
    assert_comm_becomes(t, fx_thread_name(t));
    gate_open(&gate);
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
}
END_TEST

START_TEST(main_is_called_main_thread_and_keeps_its_kernel_name_until_renamed)
{
    char before[32], after[32];
    task_comm(getpid(), before);
    ck_assert_str_eq(fx_thread_name(fx_main_thread()), "MainThread");
    task_comm(getpid(), after);
    ck_assert_str_eq(after, before);
    ck_assert_int_eq(fx_thread_set_name(fx_main_thread(), "the chief of it all"), 0);
    ck_assert_str_eq(fx_thread_name(fx_main_thread()), "the chief of it all");
    assert_comm_becomes(fx_main_thread(), "the chief of it all");
}
END_TEST

struct foreign {
    struct gate gate;
    fx_thread *_Atomic self;
    char name[64], comm_before[32], comm_after[32];
};

static void *tell_foreign_name(void *arg)
{
    struct foreign *it = arg;
    task_comm(kernel_tid(), it->comm_before);
    fx_thread *self = fx_current_thread();
    snprintf(it->name, sizeof it->name, "%s", fx_thread_name(self));
    task_comm(kernel_tid(), it->comm_after);
    atomic_store(&it->self, fx_thread_ref(self));
    gate_wait(&it->gate);
    return NULL;
}

START_TEST(a_foreign_thread_is_dummy_n)
{
    struct foreign one = {0}, two = {0};
    pthread_t a, b;
    ck_assert_int_eq(pthread_create(&a, NULL, tell_foreign_name, &one), 0);
    ck_assert_int_eq(pthread_create(&b, NULL, tell_foreign_name, &two), 0);
    await(atomic_load(&one.self) && atomic_load(&two.self));
    ck_assert_msg(number_after("Dummy-", one.name) >= 0, "%s", one.name);
    ck_assert_msg(number_after("Dummy-", two.name) >= 0, "%s", two.name);
    ck_assert_str_ne(one.name, two.name);
    ck_assert_str_eq(one.comm_after, one.comm_before); /* the kernel's name is its owner's affair */
    ck_assert_int_eq(fx_thread_set_name(atomic_load(&one.self), "no longer a dummy"), 0);
    ck_assert_str_eq(fx_thread_name(atomic_load(&one.self)), "no longer a dummy");
    assert_comm_becomes(atomic_load(&one.self), "no longer a dummy");
    gate_open(&one.gate);
    gate_open(&two.gate);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    ck_assert_str_eq(fx_thread_name(one.self), "no longer a dummy");
    ck_assert_str_eq(fx_thread_name(two.self), two.name);
    fx_thread_unref(one.self);
    fx_thread_unref(two.self);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_thread_without_a_name_is_thread_n);
    tcase_add_test(tests, the_kernel_shows_a_default_name_too);
    tcase_add_test(tests, the_kernel_shows_the_first_15_bytes);
    tcase_add_test(tests, a_long_name_is_kept_whole);
    tcase_add_test(tests, set_name_before_the_start_is_what_the_thread_starts_with);
    tcase_add_test(tests, set_name_from_another_thread_while_it_runs);
    tcase_add_test(tests, a_thread_renames_itself);
    tcase_add_test(tests, set_name_after_the_end_changes_only_the_handle);
    tcase_add_test(tests, set_name_without_a_thread_or_a_name_is_einval);
    tcase_add_test(tests, an_old_name_stays_as_it_was_while_the_handle_is_held);
    tcase_add_test(tests, renamings_at_once_leave_one_whole_name);
    tcase_add_test(tests, main_is_called_main_thread_and_keeps_its_kernel_name_until_renamed);
    tcase_add_test(tests, a_foreign_thread_is_dummy_n);
}

int main(void)
{
    return run_suite("name", add_tests);
}
