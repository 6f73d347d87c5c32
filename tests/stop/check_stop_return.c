/* A stop waits for another library's function to return, by way of its return address; if nothing
 * is to be raised any more when it does, the function has simply returned, with all of its results.
 * */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "../thread/suite.h"
#include "module_loop.h"
#include "victim.h"

static void *module;

/* The library's function of that name, with the type that its header says. */
#define IN_MODULE(name) ((__typeof__(&name))(uintptr_t)dlsym(module, #name))

/* In the function, called back by it: until the stop has been asked and its signal has come, for
 * which there is time. After that nothing is to be raised. */
static void take_stop_on(void *arg)
{
    (void)arg;
    victim_is_there();
    while (!fx_stop_requested())
        __asm__ volatile("");
    for (volatile int i = 0; i < 200000; i++)
        ;
    fx_stop_disable();
}

static void stop_in_function(void (*place)(void))
{
    module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    ck_assert_msg(module != NULL, "%s", dlerror());
    stop_once_in(place);
}

static void returns_integer(void)
{
    long got = IN_MODULE(module_integer)(take_stop_on, NULL);
    expect_int(got, ==, 0x123456789abcdef);
    fx_stop_enable();
}

static void returns_pair(void)
{
    struct module_two got = IN_MODULE(module_pair)(take_stop_on, NULL);
    expect_int(got.one, ==, -7);
    expect_int(got.other, ==, 0x7eeeeeeeeeeeeee);
    fx_stop_enable();
}

static void returns_double(void)
{
    double got = IN_MODULE(module_double)(take_stop_on, NULL);
    expect(got == 0.1);
    fx_stop_enable();
}

static void returns_complex(void)
{
    _Complex double got = IN_MODULE(module_complex)(take_stop_on, NULL);
    expect(__real__ got == 0.25 && __imag__ got == 0.5);
    fx_stop_enable();
}

static void returns_long_double(void)
{
    long double got = IN_MODULE(module_long_double)(take_stop_on, NULL);
    expect(got == 1e4000L);
    fx_stop_enable();
}

START_TEST(integers_are_returned)
{
    stop_in_function(returns_integer);
    stop_in_function(returns_pair);
}
END_TEST

START_TEST(floating_point_numbers_are_returned)
{
    stop_in_function(returns_double);
    stop_in_function(returns_complex);
    stop_in_function(returns_long_double);
}
END_TEST

/* What was asked has been taken by a scope of the callback's own. */
static int taken;

static void take_stop(void *arg)
{
    (void)arg;
    victim_is_there();
    while (!fx_stop_requested())
        __asm__ volatile("");
    for (volatile int i = 0; i < 200000; i++)
        ;
    expect_int(fx_sleep(FX_MSEC(1)), ==, -ECANCELED); /* it cannot be raised in here */
}

static void takes_it_outside(void)
{
    FX_TRY {
        IN_MODULE(module_call)(take_stop, NULL);
        expect(false);
    } FX_EXCEPT_ANY(e) {
        taken += e == FX_STOPPED;
    } FX_END
    fx_checkpoint();
    long got = IN_MODULE(module_integer)((void (*)(void *))free, NULL);
    expect_int(got, ==, 0x123456789abcdef);
}

START_TEST(a_stop_is_raised_by_the_return_and_the_next_call_is_one_like_any_other)
{
    module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    for (int i = 0; i < scaled(24); i++) {
        taken = 0;
        victim_start(takes_it_outside);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        victim_ends_by(0);
        ck_assert_int_eq(taken, 1);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, integers_are_returned);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, floating_point_numbers_are_returned);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_stop_is_raised_by_the_return_and_the_next_call_is_one_like_any_other);
}

int main(void)
{
    return run_suite("stop_return", add_tests);
}
