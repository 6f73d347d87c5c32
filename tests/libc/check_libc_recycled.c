/* What one thread leaves behind never reaches the next one on the same TCB.
 *
 * Each test is a pair: a thread that leaves a state of libc as dirty as it can and ends, and the
 * next one, which looks. The pair runs some rounds, one thread at a time, so that the second is all
 * but certain to stand on what the first one stood on; that it does is not demanded.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fenv.h>
#include <langinfo.h>
#include <locale.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "module_tls.h"
#include "robust_list.h"
#include "sanitizer.h"

#include "../thread/suite.h"

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

enum { ROUNDS = 20 };

/* One thread that leaves, then one that looks, again and again. */
static void run_pairs(fx_target leave, fx_target look)
{
    for (int i = 0; i < ROUNDS; i++) {
        crew_run(1, leave);
        crew_run(1, look);
    }
    ck_assert_recorded();
}

/* --- errno, locale, dlerror, resolver, floating point ----------------------------------------- */

static void *leave_errno(void *arg)
{
    errno = 77;
    return arg;
}

static void *look_at_errno(void *arg)
{
    expect_int(errno, ==, 0);
    return arg;
}

START_TEST(errno_does_not_reach_the_next_thread)
{
    run_pairs(leave_errno, look_at_errno);
}
END_TEST

static locale_t left_locale;

static void *leave_locale(void *arg)
{
    left_locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (!left_locale)
        left_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    expect(left_locale && uselocale(left_locale) == LC_GLOBAL_LOCALE);
    return arg;
}

static void *look_at_locale(void *arg)
{
    expect(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    expect(strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
    expect(isalpha('a') && !isalpha('1') && toupper('x') == 'X');
    expect(strtod("1.5", NULL) == 1.5);
    return arg;
}

START_TEST(a_locale_set_and_freed_does_not_reach_the_next_thread)
{
    for (int i = 0; i < ROUNDS; i++) {
        crew_run(1, leave_locale);
        freelocale(left_locale);
        void *volatile overwritten = memset(malloc(600), 0x55, 600);
        crew_run(1, look_at_locale);
        free(overwritten);
    }
    ck_assert_recorded();
}
END_TEST

static void *leave_dlerror(void *arg)
{
    expect(dlopen("/nonexistent/module.so", RTLD_NOW) == NULL);
    return arg;
}

static void *look_at_dlerror(void *arg)
{
    expect(dlerror() == NULL);
    return arg;
}

START_TEST(a_pending_dlerror_does_not_reach_the_next_thread)
{
    run_pairs(leave_dlerror, look_at_dlerror);
}
END_TEST

static void *leave_resolver(void *arg)
{
    expect_int(res_init(), ==, 0);
    _res.options |= RES_DEBUG | RES_USEVC;
    _res.retry = 77;
    _res.nscount = 0;
    return arg;
}

static void *look_at_resolver(void *arg)
{
    expect_int(_res.options & (RES_DEBUG | RES_USEVC), ==, 0);
    expect_int(_res.retry, !=, 77);
    expect_int(res_init(), ==, 0);
    expect_int(_res.options & (RES_DEBUG | RES_USEVC), ==, 0);
    expect_int(_res.retry, !=, 77);
    return arg;
}

START_TEST(the_resolver_s_state_does_not_reach_the_next_thread)
{
    unsigned long before = _res.options;
    run_pairs(leave_resolver, look_at_resolver);
    ck_assert_uint_eq(_res.options, before);
}
END_TEST

static void *leave_rounding(void *arg)
{
    fesetround(FE_UPWARD);
    feraiseexcept(FE_INVALID);
    return arg;
}

static void *look_at_rounding(void *arg)
{
    expect_int(fegetround(), ==, FE_TONEAREST);
    expect_int(fetestexcept(FE_INVALID), ==, 0);
    return arg;
}

START_TEST(the_rounding_mode_does_not_reach_the_next_thread)
{
    run_pairs(leave_rounding, look_at_rounding);
}
END_TEST

/* --- cancellation and clean-up ---------------------------------------------------------------- */

static void *leave_cancel_state(void *arg)
{
    expect_int(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), ==, 0);
    expect_int(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), ==, 0);
    return arg;
}

static void *leave_request_to_cancel(void *arg)
{
    expect_int(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), ==, 0);
    expect_int(pthread_cancel(pthread_self()), ==, 0);
    return arg;
}

static void *look_at_cancel_state(void *arg)
{
    int old = -1;
    pthread_testcancel();
    expect_int(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old), ==, 0);
    expect_int(old, ==, PTHREAD_CANCEL_ENABLE);
    expect_int(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old), ==, 0);
    expect_int(old, ==, PTHREAD_CANCEL_DEFERRED);
    pthread_testcancel();
    return arg;
}

START_TEST(the_cancel_state_does_not_reach_the_next_thread)
{
    run_pairs(leave_cancel_state, look_at_cancel_state);
}
END_TEST

START_TEST(a_request_to_cancel_does_not_reach_the_next_thread)
{
    run_pairs(leave_request_to_cancel, look_at_cancel_state);
}
END_TEST

static atomic_int handlers_run;

static void count_handler(void *arg)
{
    (void)arg;
    atomic_fetch_add(&handlers_run, 1);
}

static void *leave_cleanup_handler(void *arg)
{
    pthread_cleanup_push(count_handler, NULL);
    fx_thread_exit(arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *end_by_pthread_exit(void *arg)
{
    pthread_exit(arg);
}

START_TEST(a_cleanup_handler_does_not_reach_the_next_thread)
{
    for (int i = 0; i < ROUNDS; i++) {
        fx_thread *thread = fx_thread_spawn(leave_cleanup_handler, NULL);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
        fx_thread_unref(thread);
        int before = atomic_load(&handlers_run);
        thread = fx_thread_spawn(end_by_pthread_exit, NULL);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
        fx_thread_unref(thread);
        ck_assert_int_eq(atomic_load(&handlers_run), before);
    }
}
END_TEST

/* --- thread-locals and keys ------------------------------------------------------------------- */

static _Thread_local int zeroed[50];
static _Thread_local int initialised = 4711;
static struct tls_module dynamic, initial_exec;
static int (*cxx_touch)(void), (*cxx_constructed)(void), (*cxx_destroyed)(void);
static pthread_key_t plain_key, destroyed_key;
static atomic_int keys_destroyed;

static void *leave_thread_locals(void *arg)
{
    for (int i = 0; i < 50; i++)
        zeroed[i] = -1;
    initialised = 0;
    dynamic.set(5);
    initial_exec.set(6);
    return arg;
}

static void *look_at_thread_locals(void *arg)
{
    for (int i = 0; i < 50; i++)
        expect_int(zeroed[i], ==, 0);
    expect_int(initialised, ==, 4711);
    expect(dynamic.is_initial());
    expect(initial_exec.is_initial());
    return arg;
}

START_TEST(thread_locals_do_not_reach_the_next_thread)
{
    ck_assert(tls_module_open(&dynamic, MODULE_TLS));
    ck_assert(tls_module_open(&initial_exec, MODULE_INITIAL_EXEC));
    run_pairs(leave_thread_locals, look_at_thread_locals);
}
END_TEST

static void *touch_object(void *arg)
{
    expect_int(cxx_touch(), ==, 1);
    expect_int(cxx_touch(), ==, 2);
    return arg;
}

START_TEST(cxx_thread_locals_are_constructed_anew)
{
    void *handle = dlopen(MODULE_CXX, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return; /* built without a C++ compiler */
    cxx_touch = (int (*)(void))dlsym(handle, "module_cxx_touch");
    cxx_constructed = (int (*)(void))dlsym(handle, "module_cxx_constructed");
    cxx_destroyed = (int (*)(void))dlsym(handle, "module_cxx_destroyed");
    for (int i = 1; i <= ROUNDS; i++) {
        crew_run(1, touch_object);
        ck_assert_recorded();
        ck_assert_int_eq(cxx_constructed(), i);
        ck_assert_int_eq(cxx_destroyed(), i);
    }
}
END_TEST

static void count_key(void *value)
{
    atomic_fetch_add(&keys_destroyed, value == &keys_destroyed);
}

static void *leave_keys(void *arg)
{
    expect_int(pthread_setspecific(plain_key, &plain_key), ==, 0);
    expect_int(pthread_setspecific(destroyed_key, &keys_destroyed), ==, 0);
    return arg;
}

static void *look_at_keys(void *arg)
{
    expect(pthread_getspecific(plain_key) == NULL);
    expect(pthread_getspecific(destroyed_key) == NULL);
    return arg;
}

START_TEST(values_of_keys_do_not_reach_the_next_thread)
{
    ck_assert_int_eq(pthread_key_create(&plain_key, NULL), 0);
    ck_assert_int_eq(pthread_key_create(&destroyed_key, count_key), 0);
    run_pairs(leave_keys, look_at_keys);
    ck_assert_int_eq(atomic_load(&keys_destroyed), ROUNDS);
}
END_TEST

START_TEST(values_beyond_the_first_keys_do_not_reach_the_next_thread)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(pthread_key_create(&plain_key, NULL), 0);
    ck_assert_int_eq(pthread_key_create(&destroyed_key, count_key), 0);
    run_pairs(leave_keys, look_at_keys);
    ck_assert_int_eq(atomic_load(&keys_destroyed), ROUNDS);
}
END_TEST

/* --- what the kernel keeps for the thread ----------------------------------------------------- */

static pthread_mutex_t robust;

static void *leave_robust_mutex(void *arg)
{
    int code = pthread_mutex_lock(&robust);
    expect(code == 0 || code == EOWNERDEAD);
    if (code == EOWNERDEAD)
        expect_int(pthread_mutex_consistent(&robust), ==, 0);
    return arg; /* and holds it */
}

static void *look_at_robust_list(void *arg)
{
    struct robust_list_head *list;
    if (robust_list_of_self(&list) && expect(list != NULL)) {
        expect(list->list.next == &list->list);
        expect(list->list_op_pending == NULL);
    }
    expect_int(pthread_mutex_lock(&robust), ==, EOWNERDEAD);
    expect_int(pthread_mutex_consistent(&robust), ==, 0);
    expect_int(pthread_mutex_unlock(&robust), ==, 0);
    return arg;
}

START_TEST(the_robust_list_does_not_reach_the_next_thread)
{
    struct robust_list_head *list;
    if (!robust_list_of_self(&list))
        return;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    ck_assert_int_eq(pthread_mutex_init(&robust, &attr), 0);
    run_pairs(leave_robust_mutex, look_at_robust_list);
}
END_TEST

static void *leave_signal_mask(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    expect_int(pthread_sigmask(SIG_SETMASK, &all, NULL), ==, 0);
    expect_int(pthread_kill(pthread_self(), SIGUSR1), ==, 0); /* pending for ever */
    return arg;
}

static void *look_at_signal_mask(void *arg)
{
    sigset_t mask;
    expect_int(pthread_sigmask(SIG_SETMASK, NULL, &mask), ==, 0);
    for (int signal = 1; signal <= 31; signal++)
        expect_int(sigismember(&mask, signal), ==, signal == SIGUSR2);
    expect_int(sigpending(&mask), ==, 0);
    expect_int(sigismember(&mask, SIGUSR1), ==, 0);
    return arg;
}

START_TEST(the_signal_mask_is_the_creator_s)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    run_pairs(leave_signal_mask, look_at_signal_mask);
}
END_TEST

enum { OWN_STACK = 65536 };
static char *own_stack;

static void *leave_signal_stack(void *arg)
{
    stack_t stack = {.ss_sp = own_stack, .ss_size = OWN_STACK};
    expect_int(sigaltstack(&stack, NULL), ==, 0);
    return arg;
}

static void *look_at_signal_stack(void *arg)
{
    stack_t stack;
    expect_int(sigaltstack(NULL, &stack), ==, 0);
    expect(stack.ss_flags & SS_DISABLE || stack.ss_sp != own_stack);
    return arg;
}

START_TEST(a_signal_stack_does_not_reach_the_next_thread)
{
    own_stack = malloc(OWN_STACK);
    ck_assert_ptr_nonnull(own_stack);
    run_pairs(leave_signal_stack, look_at_signal_stack);
    free(own_stack);
}
END_TEST

static void *leave_name(void *arg)
{
    expect_int(pthread_setname_np(pthread_self(), "left behind"), ==, 0);
    return arg;
}

static void *look_at_name(void *arg)
{
    char name[16] = "";
    expect_int(pthread_getname_np(pthread_self(), name, sizeof name), ==, 0);
    expect(strcmp(name, "left behind") != 0);
    return arg;
}

START_TEST(a_name_does_not_reach_the_next_thread)
{
    run_pairs(leave_name, look_at_name);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, errno_does_not_reach_the_next_thread);
    tcase_add_test(tests, a_locale_set_and_freed_does_not_reach_the_next_thread);
    tcase_add_test(tests, a_pending_dlerror_does_not_reach_the_next_thread);
    tcase_add_test(tests, the_resolver_s_state_does_not_reach_the_next_thread);
    tcase_add_test(tests, the_rounding_mode_does_not_reach_the_next_thread);
    tcase_add_test(tests, the_cancel_state_does_not_reach_the_next_thread);
    tcase_add_test(tests, a_request_to_cancel_does_not_reach_the_next_thread);
    tcase_add_test(tests, a_cleanup_handler_does_not_reach_the_next_thread);
    tcase_add_test(tests, thread_locals_do_not_reach_the_next_thread);
    tcase_add_test(tests, cxx_thread_locals_are_constructed_anew);
    tcase_add_test(tests, values_of_keys_do_not_reach_the_next_thread);
    tcase_add_test(tests, values_beyond_the_first_keys_do_not_reach_the_next_thread);
    tcase_add_test(tests, the_robust_list_does_not_reach_the_next_thread);
    tcase_add_test(tests, the_signal_mask_is_the_creator_s);
    if (!SIGNAL_STACK_IS_TAKEN)
        tcase_add_test(tests, a_signal_stack_does_not_reach_the_next_thread);
    tcase_add_test(tests, a_name_does_not_reach_the_next_thread);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("recycled TLS", add_tests);
}
