/* Exceptions that nothing catches: what they end, what is known of them, who is told. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../support/await.h"
#include "captured.h"
#include "gate.h"
#include "proc.h"
#include "suite.h"

enum { MESSAGE_BYTES = 159 };

/* What the hook of a test has seen. Written in the hook, read after the thread was joined. */
static struct {
    atomic_int calls;
    fx_thread *thread, *current;
    pid_t tid;
    bool alive;
    fx_exc code;
    int line;
    char file[256], message[256];
    void *payload;
} seen;

static void recording_hook(fx_thread *thread, const fx_exc_info *info)
{
    seen.thread = thread;
    seen.current = fx_current_thread();
    seen.tid = kernel_tid();
    seen.alive = fx_thread_is_alive(thread);
    seen.code = info->code;
    seen.line = info->line;
    snprintf(seen.file, sizeof seen.file, "%s", info->file ? info->file : "(null)");
    snprintf(seen.message, sizeof seen.message, "%s", info->message ? info->message : "(null)");
    seen.payload = info->payload;
    atomic_fetch_add(&seen.calls, 1);
}

static void record_exceptions(void)
{
    fx_set_excepthook(recording_hook);
}

/* Runs fn(arg) in a thread to its end; the caller gives the handle up. */
static fx_thread *run_to_the_end(fx_target fn, void *arg)
{
    fx_thread *t = fx_thread_spawn(fn, arg);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    return t;
}

static atomic_int after_raise;
static int raise_line;

static void raise_deeply(int depth, fx_exc code)
{
    if (depth > 0) {
        raise_deeply(depth - 1, code);
        atomic_store(&after_raise, 1);
    } else if (code) {
        raise_line = __LINE__ + 1;
        fx_raise(code);
    }
}

static void *raise_enoent(void *arg)
{
    (void)arg;
    raise_deeply(10, -ENOENT);
    return NULL;
}

START_TEST(raise_ends_the_thread_and_tells_where)
{
    fx_exc_info info;
    fx_thread *t = run_to_the_end(raise_enoent, NULL);
    ck_assert_int_eq(atomic_load(&after_raise), 0);
    ck_assert(!fx_thread_is_alive(t));
    ck_assert_int_eq(fx_thread_exception(t), -ENOENT);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, -ENOENT);
    ck_assert_int_eq(info.line, raise_line);
    ck_assert_str_eq(info.file, __FILE__);
    ck_assert_str_eq(info.message, "");
    ck_assert_ptr_null(info.payload);
    fx_thread_unref(t);
}
END_TEST

static void *raise_code(void *code)
{
    fx_raise(*(int *)code);
}

START_TEST(every_kind_of_code_is_kept)
{
    int codes[] = {-1, -EINVAL, -4095, 1, 17, 0x3fffffff};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        fx_thread *t = run_to_the_end(raise_code, &codes[i]);
        ck_assert_int_eq(fx_thread_exception(t), codes[i]);
        fx_thread_unref(t);
    }
}
END_TEST

START_TEST(raise_of_0_raises_einval)
{
    int zero = 0;
    fx_thread *t = run_to_the_end(raise_code, &zero);
    ck_assert_int_eq(fx_thread_exception(t), -EINVAL);
    fx_thread_unref(t);
}
END_TEST

static void *raise_by_address(void *arg)
{
    (void)arg;
    void (*raise_it)(fx_exc) = (fx_raise);
    raise_it(-EPERM);
    return NULL;
}

START_TEST(raised_by_address_there_is_no_place)
{
    fx_exc_info info;
    fx_thread *t = run_to_the_end(raise_by_address, NULL);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, -EPERM);
    ck_assert_ptr_null(info.file);
    ck_assert_int_eq(info.line, 0);
    fx_thread_unref(t);
}
END_TEST

static void *raise_message(void *arg)
{
    char formatted_now[] = "config";
    (void)arg;
    fx_raise_msg(-ENOENT, "cannot open %s: %d of %s", formatted_now, 3, "all");
}

START_TEST(a_message_is_formatted_at_once_and_kept)
{
    fx_exc_info info;
    fx_thread *t = run_to_the_end(raise_message, NULL);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, -ENOENT);
    ck_assert_str_eq(info.message, "cannot open config: 3 of all");
    ck_assert_str_eq(info.file, __FILE__);
    ck_assert_str_eq(seen.message, "cannot open config: 3 of all");
    ck_assert_ptr_null(info.payload);
    fx_thread_unref(t);
}
END_TEST

static void *raise_long_message(void *text)
{
    fx_raise_msg(7, "%s", (const char *)text);
}

START_TEST(a_message_is_cut_at_159_bytes)
{
    char text[401];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i % 26);
    text[sizeof text - 1] = '\0';
    const size_t lengths[] = {400, MESSAGE_BYTES + 1, MESSAGE_BYTES, MESSAGE_BYTES - 1, 0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        fx_exc_info info;
        text[lengths[i]] = '\0';
        fx_thread *t = run_to_the_end(raise_long_message, text);
        ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
        size_t kept = lengths[i] < MESSAGE_BYTES ? lengths[i] : MESSAGE_BYTES;
        ck_assert_uint_eq(strlen(info.message), kept);
        ck_assert_int_eq(memcmp(info.message, text, kept), 0);
        fx_thread_unref(t);
    }
}
END_TEST

static atomic_int payloads_freed;

static void free_payload(void *payload)
{
    atomic_fetch_add(&payloads_freed, 1);
    free(payload);
}

static void *raise_payload(void *arg)
{
    fx_callback free_it = arg ? free_payload : NULL;
    static int unowned = 9;
    int *payload = &unowned;
    if (free_it) {
        payload = malloc(sizeof *payload);
        *payload = 42;
    }
    fx_raise_with(12, payload, free_it);
}

START_TEST(a_payload_lives_until_the_last_unref)
{
    fx_exc_info info;
    fx_thread *t = run_to_the_end(raise_payload, "owned");
    fx_thread_ref(t);
    await(fx_active_count() == 1);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, 12);
    ck_assert_ptr_nonnull(info.payload);
    ck_assert_int_eq(*(int *)info.payload, 42);
    ck_assert_ptr_eq(seen.payload, info.payload);
    ck_assert_str_eq(info.message, "");
    ck_assert_str_eq(info.file, __FILE__);
    fx_thread_unref(t);
    ck_assert_int_eq(atomic_load(&payloads_freed), 0);
    ck_assert_int_eq(*(int *)info.payload, 42);
    fx_thread_unref(t);
    await(atomic_load(&payloads_freed) == 1);
}
END_TEST

START_TEST(a_payload_without_a_destructor_is_the_programs)
{
    fx_exc_info info;
    fx_thread *t = run_to_the_end(raise_payload, NULL);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(*(int *)info.payload, 9);
    fx_thread_unref(t);
}
END_TEST

START_TEST(the_payload_of_a_thread_given_up_is_freed_at_its_end)
{
    fx_thread_unref(fx_thread_spawn(raise_payload, "owned"));
    await(atomic_load(&payloads_freed) == 1);
}
END_TEST

static void *check_values(void *line)
{
    if (fx_check(0) != 0 || fx_check(3) != 3 || fx_check(INT32_MAX) != INT32_MAX)
        return NULL;
    *(int *)line = __LINE__ + 1;
    fx_check(-ETIMEDOUT);
    return NULL;
}

START_TEST(check_raises_what_is_negative_and_returns_the_rest)
{
    int line = 0;
    fx_exc_info info;
    fx_thread *t = run_to_the_end(check_values, &line);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, -ETIMEDOUT);
    ck_assert_int_eq(info.line, line);
    ck_assert_str_eq(info.file, __FILE__);
    fx_thread_unref(t);
}
END_TEST

static void *return_arg(void *arg)
{
    return arg;
}

START_TEST(exception_info_is_refused_before_the_end)
{
    struct gate gate = {0};
    fx_exc_info info = {.code = 99};
    fx_thread *t = fx_thread_new(gate_target, &gate, NULL);
    ck_assert_int_eq(fx_thread_exception_info(NULL, &info), -EINVAL);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), -EINVAL);
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), -EBUSY);
    ck_assert_int_eq(fx_thread_exception_info(fx_main_thread(), &info), -EBUSY);
    ck_assert_int_eq(fx_thread_exception(t), 0);
    ck_assert_int_eq(info.code, 99);
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_thread_that_returned_has_no_exception)
{
    fx_exc_info info = {.code = 99};
    fx_thread *t = run_to_the_end(return_arg, NULL);
    ck_assert_int_eq(fx_thread_exception(t), 0);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_int_eq(info.code, 0);
    ck_assert_int_eq(fx_thread_exception_info(t, NULL), 0);
    ck_assert_int_eq(atomic_load(&seen.calls), 0);
    fx_thread_unref(t);
}
END_TEST

static void *exit_by_fx(void *arg)
{
    fx_thread_exit(arg);
}

static void *exit_by_pthread(void *arg)
{
    pthread_exit(arg);
}

START_TEST(an_exit_is_told_and_the_hook_is_not_called)
{
    fx_target exits[] = {exit_by_fx, exit_by_pthread};
    for (int i = 0; i < 2; i++) {
        fx_exc_info info;
        fx_thread *t = run_to_the_end(exits[i], NULL);
        ck_assert_int_eq(fx_thread_exception(t), FX_EXITED);
        ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
        ck_assert_int_eq(info.code, FX_EXITED);
        fx_thread_unref(t);
    }
    ck_assert_int_eq(atomic_load(&seen.calls), 0);
}
END_TEST

START_TEST(the_hook_is_called_once_in_the_thread_before_it_can_be_joined)
{
    fx_thread *t = run_to_the_end(raise_enoent, NULL);
    ck_assert_int_eq(atomic_load(&seen.calls), 1);
    ck_assert_ptr_eq(seen.thread, t);
    ck_assert_ptr_eq(seen.current, t);
    ck_assert_int_eq(seen.tid, fx_thread_native_id(t));
    ck_assert(seen.alive);
    ck_assert_int_eq(seen.code, -ENOENT);
    ck_assert_int_eq(seen.line, raise_line);
    ck_assert_str_eq(seen.file, __FILE__);
    ck_assert_str_eq(seen.message, "");
    ck_assert_ptr_null(seen.payload);
    fx_thread_unref(t);
}
END_TEST

static void another_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    (void)info;
}

START_TEST(the_hook_is_replaced_and_restored)
{
    fx_excepthook original = fx_set_excepthook(NULL);
    ck_assert(original == recording_hook); /* the fixture's */
    fx_excepthook standard = fx_set_excepthook(another_hook);
    ck_assert(standard != NULL);
    ck_assert(standard != recording_hook);
    ck_assert(fx_set_excepthook(recording_hook) == another_hook);
    fx_thread_unref(run_to_the_end(raise_enoent, NULL));
    ck_assert_int_eq(atomic_load(&seen.calls), 1);
    ck_assert(fx_set_excepthook(another_hook) == recording_hook);
    fx_thread_unref(run_to_the_end(raise_enoent, NULL));
    ck_assert_int_eq(atomic_load(&seen.calls), 1);
    ck_assert(fx_set_excepthook(NULL) == another_hook);
    ck_assert(fx_set_excepthook(NULL) == standard);
}
END_TEST

static void *raise_in_foreign(void *self)
{
    *(fx_thread **)self = fx_thread_ref(fx_current_thread());
    fx_raise(21);
}

START_TEST(an_exception_ends_a_foreign_thread_too)
{
    fx_thread *self = NULL;
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, raise_in_foreign, &self), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_ptr_nonnull(self);
    ck_assert_int_eq(fx_thread_exception(self), 21);
    ck_assert_int_eq(atomic_load(&seen.calls), 1);
    ck_assert_ptr_eq(seen.thread, self);
    fx_thread_unref(self);
}
END_TEST

static void uncaught_in_a_named_thread(void *arg)
{
    (void)arg;
    fx_set_excepthook(NULL);
    fx_thread *t = fx_thread_new(raise_message, NULL, &(fx_thread_attr){.name = "the loader"});
    fx_thread_start(t);
    fx_thread_join(t, NULL);
    fx_thread_unref(t);
    int own = 1234567;
    t = run_to_the_end(raise_code, &own);
    fx_thread_unref(t);
}

START_TEST(the_default_hook_writes_name_and_exception_to_stderr)
{
    struct child child;
    child_fork(&child, uncaught_in_a_named_thread, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "");
    ck_assert_ptr_nonnull(strstr(child.err, "the loader"));
    ck_assert_ptr_nonnull(strstr(child.err, "ENOENT"));
    ck_assert_ptr_nonnull(strstr(child.err, "cannot open config: 3 of all"));
    ck_assert_ptr_nonnull(strstr(child.err, "1234567"));
}
END_TEST

static void say_goodbye(void)
{
    printf("goodbye\n");
}

static void uncaught_in_main(void *arg)
{
    if (!arg)
        fx_set_excepthook(NULL);
    atexit(say_goodbye);
    fx_raise_msg(-EIO, "main has had enough");
}

START_TEST(uncaught_in_main_the_hook_is_called_and_the_program_exits_with_failure)
{
    struct child child;
    child_fork(&child, uncaught_in_main, NULL);
    assert_child_exits(&child, EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(child.err, "MainThread"));
    ck_assert_ptr_nonnull(strstr(child.err, "EIO"));
    ck_assert_ptr_nonnull(strstr(child.err, "main has had enough"));
    ck_assert_str_eq(child.out, "goodbye\n");
}
END_TEST

START_TEST(a_code_has_a_name)
{
    ck_assert_str_eq(fx_exc_name(-ETIMEDOUT), "ETIMEDOUT");
    ck_assert_str_eq(fx_exc_name(-ENOENT), "ENOENT");
    ck_assert_str_eq(fx_exc_name(FX_STOPPED), "FX_STOPPED");
    ck_assert_str_eq(fx_exc_name(FX_EXITED), "FX_EXITED");
    ck_assert_str_eq(fx_exc_name(FX_CANCELLED), "FX_CANCELLED");
    ck_assert_str_eq(fx_exc_name(FX_TIMED_OUT), "FX_TIMED_OUT");
    ck_assert_str_eq(fx_exc_name(FX_WORKER_DIED), "FX_WORKER_DIED");
    ck_assert_str_eq(fx_exc_name(FX_POOL_BROKEN), "FX_POOL_BROKEN");
    ck_assert_str_eq(fx_exc_name(17), "17");
    ck_assert_str_eq(fx_exc_name(0x3fffffff), "1073741823");
    const int odd[] = {0, -4095, -100000, INT32_MIN, INT32_MAX, FX_POOL_BROKEN + 1};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        ck_assert_ptr_nonnull(fx_exc_name(odd[i]));
        ck_assert_str_ne(fx_exc_name(odd[i]), "");
    }
}
END_TEST

static void *name_18(void *same)
{
    *(bool *)same = strcmp(fx_exc_name(18), "18") == 0;
    return NULL;
}

START_TEST(the_name_of_an_own_code_is_the_calling_threads)
{
    bool same = false;
    const char *name = fx_exc_name(17);
    fx_thread_unref(run_to_the_end(name_18, &same));
    ck_assert(same);
    ck_assert_str_eq(name, "17");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, record_exceptions, NULL);
    tcase_add_test(tests, raise_ends_the_thread_and_tells_where);
    tcase_add_test(tests, every_kind_of_code_is_kept);
    tcase_add_test(tests, raise_of_0_raises_einval);
    tcase_add_test(tests, raised_by_address_there_is_no_place);
    tcase_add_test(tests, a_message_is_formatted_at_once_and_kept);
    tcase_add_test(tests, a_message_is_cut_at_159_bytes);
    tcase_add_test(tests, a_payload_lives_until_the_last_unref);
    tcase_add_test(tests, a_payload_without_a_destructor_is_the_programs);
    tcase_add_test(tests, the_payload_of_a_thread_given_up_is_freed_at_its_end);
    tcase_add_test(tests, check_raises_what_is_negative_and_returns_the_rest);
    tcase_add_test(tests, exception_info_is_refused_before_the_end);
    tcase_add_test(tests, a_thread_that_returned_has_no_exception);
    tcase_add_test(tests, an_exit_is_told_and_the_hook_is_not_called);
    tcase_add_test(tests, the_hook_is_called_once_in_the_thread_before_it_can_be_joined);
    tcase_add_test(tests, the_hook_is_replaced_and_restored);
    tcase_add_test(tests, an_exception_ends_a_foreign_thread_too);
    tcase_add_test(tests, the_default_hook_writes_name_and_exception_to_stderr);
    tcase_add_test(tests, uncaught_in_main_the_hook_is_called_and_the_program_exits_with_failure);
    tcase_add_test(tests, a_code_has_a_name);
    tcase_add_test(tests, the_name_of_an_own_code_is_the_calling_threads);
}

int main(void)
{
    return run_suite("exception", add_tests);
}
