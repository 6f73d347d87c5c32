/* Modes: safe, deferred and async; and a shared library that opts in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "../thread/suite.h"
#include "module_loop.h"
#include "victim.h"

static fx_stop_mode mode;
static int end;

static void start_in_mode(void (*place)(void), fx_stop_mode stop_mode)
{
    victim_make(place, &(fx_thread_attr){ .stop_mode = stop_mode });
    ck_assert_int_eq(fx_thread_start(victim.thread), 0);
}

static void loops(void)
{
    victim_is_there();
    while (!__atomic_load_n(&end, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
    victim_is_there();
    fx_checkpoint();
}

/* Where the loop itself is not stopped: it ends, and then the stop point behind it is reached. */
static void stop_point_stops_it(void)
{
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    for (int i = 0; i < 10; i++)
        await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    __atomic_store_n(&end, 1, __ATOMIC_RELEASE);
    victim_ends_by(FX_STOPPED);
    ck_assert_int_eq(victim_turns(), 2);
}

START_TEST(a_deferred_thread_is_stopped_at_stop_points_only)
{
    for (int i = 0; i < scaled(8); i++) {
        end = 0;
        start_in_mode(loops, FX_STOP_DEFERRED);
        stop_point_stops_it();
    }
}
END_TEST

static void sleeps(void)
{
    victim_is_there();
    fx_sleep(FX_SEC(3600));
}

START_TEST(in_every_mode_a_wait_is_stopped)
{
    for (int i = 0; i < 3 * scaled(12); i++) {
        start_in_mode(sleeps, (fx_stop_mode)(i % 3));
        await(victim_turns() == 1);
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        victim_stop();
    }
}
END_TEST

START_TEST(safe_and_async_threads_are_stopped_in_their_loops)
{
    for (int i = 0; i < scaled(24); i++) {
        start_in_mode(loops, i % 2 ? FX_STOP_ASYNC : FX_STOP_SAFE);
        await(victim_turns() == 1);
        victim_stop();
    }
}
END_TEST

/* --- changes --- */

static void tells_modes(void)
{
    fx_stop_mode first = fx_stop_set_mode(FX_STOP_DEFERRED), second = fx_stop_set_mode(FX_STOP_SAFE);
    expect_int(first, ==, mode);
    expect_int(second, ==, FX_STOP_DEFERRED);
    expect_int(fx_stop_set_mode((fx_stop_mode)77), ==, FX_STOP_SAFE);
    expect_int(fx_stop_set_mode(FX_STOP_ASYNC), ==, FX_STOP_SAFE);
    expect_int(fx_stop_set_mode(FX_STOP_SAFE), ==, FX_STOP_ASYNC);
}

START_TEST(set_mode_returns_the_former_mode_and_takes_no_unknown_one)
{
    for (int i = 0; i < 3; i++) {
        mode = (fx_stop_mode)i;
        start_in_mode(tells_modes, mode);
        victim_ends_by(0);
    }
    ck_assert_int_eq(fx_stop_set_mode(FX_STOP_SAFE), FX_STOP_SAFE); /* main's own */
}
END_TEST

static void becomes_safe(void)
{
    victim_is_there();
    while (!fx_stop_requested())
        __asm__ volatile("");
    for (volatile int i = 0; i < 100000; i++)
        ;
    victim_is_there();
    fx_stop_set_mode(FX_STOP_SAFE);
    for (;;)
        __asm__ volatile("");
}

START_TEST(a_pending_stop_comes_when_the_mode_allows_it)
{
    for (int i = 0; i < scaled(12); i++) {
        start_in_mode(becomes_safe, FX_STOP_DEFERRED);
        await(victim_turns() == 1);
        victim_stop();
        ck_assert_int_eq(victim_turns(), 2);
    }
}
END_TEST

/* --- another library's code --- */

static void (*foreign_loop)(unsigned long *);
static void (*foreign_loop_until)(unsigned long *, int *);
static void (*foreign_call)(void (*)(void *), void *);
static unsigned long turns;

static void open_module(void)
{
    void *module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    ck_assert_msg(module != NULL, "%s", dlerror());
    *(void **)&foreign_loop = dlsym(module, "module_loop");
    *(void **)&foreign_loop_until = dlsym(module, "module_loop_until");
    *(void **)&foreign_call = dlsym(module, "module_call");
}

static void in_module(void)
{
    victim_is_there();
    foreign_loop(&turns);
}

static void in_module_until(void)
{
    victim_is_there();
    foreign_loop_until(&turns, &end);
    victim.went_on = 1; /* the stop comes with the return */
}

static void call_back(void *arg)
{
    victim_is_there();
    while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
}

static void called_by_module(void)
{
    foreign_call(call_back, &end);
    victim.went_on = 1;
}

START_TEST(in_a_shared_library_a_stop_waits_for_its_return)
{
    open_module();
    for (int i = 0; i < scaled(24); i++) {
        end = 0;
        victim_start(i % 2 ? in_module_until : called_by_module);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        for (int j = 0; j < 5; j++)
            await_pause();
        ck_assert(fx_thread_is_alive(victim.thread));
        __atomic_store_n(&end, 1, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
    }
}
END_TEST

START_TEST(a_shared_library_that_opted_in_is_stopped_as_the_programs_own_code)
{
    open_module();
    ck_assert_int_eq(fx_stop_allow_object((const void *)(uintptr_t)foreign_loop), 0);
    ck_assert_int_eq(fx_stop_allow_object((const char *)(uintptr_t)foreign_call + 1), 0);
    for (int i = 0; i < scaled(24); i++) {
        end = 0;
        victim_start(i % 2 ? in_module : called_by_module);
        await(victim_turns() == 1);
        pass_a_moment();
        victim_stop();
    }
}
END_TEST

START_TEST(an_async_thread_is_stopped_in_a_shared_library)
{
    open_module();
    for (int i = 0; i < scaled(24); i++) {
        start_in_mode(in_module, FX_STOP_ASYNC);
        await(victim_turns() == 1);
        pass_a_moment();
        victim_stop();
    }
}
END_TEST

START_TEST(what_cannot_opt_in_is_einval)
{
    int on_stack = 0;
    ck_assert_int_eq(fx_stop_allow_object(NULL), -EINVAL);
    ck_assert_int_eq(fx_stop_allow_object(&on_stack), -EINVAL);
    ck_assert_int_eq(fx_stop_allow_object(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")), -EINVAL);
    ck_assert_int_eq(fx_stop_allow_object(dlsym(RTLD_DEFAULT, "fx_lock_release")), -EINVAL);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_deferred_thread_is_stopped_at_stop_points_only);
    tcase_add_test(tests, in_every_mode_a_wait_is_stopped);
    tcase_add_test(tests, set_mode_returns_the_former_mode_and_takes_no_unknown_one);
    tcase_add_test(tests, what_cannot_opt_in_is_einval);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, safe_and_async_threads_are_stopped_in_their_loops);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_pending_stop_comes_when_the_mode_allows_it);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, in_a_shared_library_a_stop_waits_for_its_return);
    add_if(STOPS_ARRIVE_ANYWHERE, tests,
           a_shared_library_that_opted_in_is_stopped_as_the_programs_own_code);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, an_async_thread_is_stopped_in_a_shared_library);
}

int main(void)
{
    return run_suite("stop_mode", add_tests);
}
