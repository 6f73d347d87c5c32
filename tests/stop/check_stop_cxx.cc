/* Stops in C++: in a program that throws and catches all the time, in destructors and constructors,
 * and in scopes with C++ exceptions passing through. */
#include <fxthread.h>

#include <dlfcn.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
#include "../thread/suite.h"
}
#include "victim.h"

namespace {

__attribute__((noinline)) void throw_below(int depth)
{
    if (depth > 0) {
        std::string frame(20 + depth, 'x');
        throw_below(depth - 1);
        if (frame.empty())
            throw frame;
    }
    throw std::runtime_error("thrown");
}

void throws_and_catches()
{
    for (;;) {
        victim_is_there();
        try {
            throw_below(5);
        } catch (const std::exception &exception) {
            expect(exception.what()[0] == 't');
        }
    }
}

START_TEST(a_loop_that_throws_and_catches_is_stopped)
{
    stop_in(throws_and_catches);
    try { /* the run-time's own state is whole, in this thread too */
        throw_below(3);
    } catch (const std::runtime_error &) {
        return;
    }
    ck_abort_msg("not caught");
}
END_TEST

void uses_containers()
{
    for (;;) {
        victim_is_there();
        std::vector<std::string> lines;
        for (int i = 0; i < 40; i++)
            lines.push_back(std::string(static_cast<size_t>(i), 'y'));
        auto shared = std::make_shared<std::vector<std::string>>(lines);
        expect(shared->size() == 40);
    }
}

START_TEST(a_loop_of_containers_is_stopped)
{
    stop_in(uses_containers);
}
END_TEST

int finally_ran, entered;

void throws_through_scopes()
{
    for (;;) {
        victim_is_there();
        try {
            FX_TRY {
                __atomic_fetch_add(&entered, 1, __ATOMIC_RELAXED);
                throw 5;
            } FX_FINALLY {
                finally_ran++;
            } FX_END
        } catch (int thrown) {
            expect_int(thrown, ==, 5);
        }
    }
}

START_TEST(cxx_exceptions_that_leave_scopes_meet_stops_and_finally_runs_once)
{
    for (int i = 0; i < scaled(24); i++) {
        finally_ran = entered = 0;
        victim_start(throws_through_scopes);
        await(victim_turns() > static_cast<uint64_t>(i % 4));
        pass_a_moment();
        victim_stop();
        /* The last one may have been stopped between its beginning and its first statement. */
        ck_assert_int_ge(finally_ran, entered);
        ck_assert_int_le(finally_ran, entered + 1);
    }
}
END_TEST

void waits_in_catch()
{
    try {
        throw_below(2);
    } catch (const std::exception &) {
        victim_is_there();
        fx_sleep(FX_SEC(3600));
    }
}

START_TEST(a_wait_in_a_catch_block_is_stopped)
{
    stop_asleep_in(waits_in_catch);
}
END_TEST

fx_lock lock;

struct user {
    user() { FX_WITH(&lock) uses++; }
    ~user() { FX_WITH(&lock) uses--; }
    static int uses;
};

int user::uses;

void holds_locks_in_methods()
{
    for (;;) {
        victim_is_there();
        user one, other;
    }
}

START_TEST(locks_held_in_constructors_and_destructors_are_released)
{
    for (int i = 0; i < scaled(24); i++) {
        victim_start(holds_locks_in_methods);
        await(victim_turns() > static_cast<uint64_t>(i % 4));
        pass_a_moment();
        victim_stop();
        ck_assert(!fx_lock_locked(&lock));
    }
}
END_TEST

/* A throw passes a frame whose return address a stop has replaced. */
void (*call_in_module)(void (*)(void *), void *);
int thrown_and_caught;

void throw_when_asked(void *)
{
    victim_is_there();
    while (!fx_stop_requested())
        __asm__ volatile("");
    for (volatile int i = 0; i < 200000; i = i + 1)
        ;
    fx_stop_disable();
    throw 7;
}

void throws_through_module()
{
    try {
        call_in_module(throw_when_asked, nullptr);
    } catch (int thrown) {
        thrown_and_caught += thrown == 7;
    }
    fx_stop_enable();
}

START_TEST(a_throw_passes_a_function_that_a_stop_waits_for)
{
    void *module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    ck_assert_msg(module != nullptr, "%s", dlerror());
    *reinterpret_cast<void **>(&call_in_module) = dlsym(module, "module_call");
    stop_once_in(throws_through_module);
    ck_assert_int_eq(thrown_and_caught, scaled(24));
}
END_TEST

void add_tests(TCase *tests)
{
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_throw_passes_a_function_that_a_stop_waits_for);
    tcase_add_test(tests, a_wait_in_a_catch_block_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_loop_that_throws_and_catches_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_loop_of_containers_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           cxx_exceptions_that_leave_scopes_meet_stops_and_finally_runs_once);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, locks_held_in_constructors_and_destructors_are_released);
}

}

int main()
{
    return run_suite("stop_cxx", add_tests);
}
