// C++ in the library's threads: thread_local objects, exceptions, call_once, guards, streams.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <locale>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include <fxthread.h>

#include "child.h"
#include "crew.h"
#include "sanitizer.h"
#include "scale.h"

// Last: Check defines fail as a macro.
#include "../thread/suite.h"

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

namespace {

constexpr int AT_ONCE = 16;

// --- thread_local objects ------------------------------------------------------------------------

std::atomic<int> constructed, destroyed;

struct Counted {
    pthread_t owner = pthread_self();
    std::string text = std::string(100, 'x');
    Counted() { ++constructed; }
    ~Counted()
    {
        expect(pthread_equal(owner, pthread_self()));
        expect(text == std::string(100, 'x'));
        ++destroyed;
    }
};

std::vector<int> *order_of_ends;

struct First {
    int used = 0;
    ~First() { if (order_of_ends) order_of_ends->push_back(1); }
};

struct Second {
    int used = 0;
    ~Second() { if (order_of_ends) order_of_ends->push_back(2); }
};

thread_local Counted counted;
thread_local First first;
thread_local Second second;

void *use_thread_locals(void *arg)
{
    expect(pthread_equal(counted.owner, pthread_self()));
    expect_int(counted.text.size(), ==, 100);
    return arg;
}

void *exit_with_thread_locals(void *arg)
{
    use_thread_locals(arg);
    fx_thread_exit(arg);
}

START_TEST(thread_local_objects_are_destroyed_in_their_thread)
{
    int n = scaled(200);
    crew_run(AT_ONCE, use_thread_locals);
    crew_run_in_sequence(n, use_thread_locals);
    ck_assert_recorded();
    ck_assert_int_eq(constructed, n + AT_ONCE);
    ck_assert_int_eq(destroyed, n + AT_ONCE);
}
END_TEST

START_TEST(thread_local_objects_are_destroyed_when_a_thread_exits)
{
    for (int i = 1; i <= 20; i++) {
        fx_thread *thread = fx_thread_spawn(exit_with_thread_locals, nullptr);
        ck_assert_ptr_nonnull(thread);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), nullptr), 0);
        fx_thread_unref(thread);
        ck_assert_int_eq(destroyed, i);
    }
    ck_assert_recorded();
}
END_TEST

void *construct_in_order(void *arg)
{
    first.used = 1;
    second.used = 1;
    return arg;
}

START_TEST(thread_local_objects_end_in_reverse_order)
{
    std::vector<int> order;
    order_of_ends = &order;
    crew_run(1, construct_in_order);
    order_of_ends = nullptr;
    ck_assert_recorded();
    ck_assert_int_eq(order.size(), 2);
    ck_assert_int_eq(order[0], 2);
    ck_assert_int_eq(order[1], 1);
}
END_TEST

// --- exceptions ----------------------------------------------------------------------------------

std::atomic<int> unwound;

struct Unwound {
    ~Unwound() { ++unwound; }
};

[[gnu::noinline]] int throw_at_depth(int depth, int value)
{
    Unwound here;
    if (depth == 0)
        throw std::runtime_error(std::to_string(value));
    return throw_at_depth(depth - 1, value) + 1;
}

void *throw_and_catch(void *arg)
{
    int number = crew_number(arg);
    for (int i = 0; i < 200; i++) {
        try {
            throw_at_depth(i % 10, number * 1000 + i);
            expect(false);
        } catch (const std::runtime_error &error) {
            expect_int(std::stoi(error.what()), ==, number * 1000 + i);
            expect_int(std::uncaught_exceptions(), ==, 0);
            try {
                throw;
            } catch (const std::exception &again) {
                expect(&again == &error);
            }
        }
    }
    return nullptr;
}

START_TEST(exceptions_are_thrown_and_caught_in_many_threads_at_once)
{
    crew_run(AT_ONCE, throw_and_catch);
    ck_assert_recorded();
    // 200 throws a thread, of 1 to 10 frames: 5.5 on average
    ck_assert_int_eq(unwound, AT_ONCE * 1100);
}
END_TEST

std::mutex kept_mutex;
std::vector<std::exception_ptr> kept; // nobody else will free what is being handled at the end

void *leave_caught_exception(void *arg)
{
    try {
        throw 5;
    } catch (int) {
        kept_mutex.lock();
        kept.push_back(std::current_exception());
        kept_mutex.unlock();
        fx_thread_exit(arg); // the exception is being handled when the thread ends
    }
    return nullptr;
}

void *look_at_current_exception(void *arg)
{
    expect(std::current_exception() == nullptr);
    expect_int(std::uncaught_exceptions(), ==, 0);
    return arg;
}

START_TEST(an_exception_being_handled_does_not_reach_the_next_thread)
{
    for (int i = 0; i < 20; i++) {
        fx_thread *thread = fx_thread_spawn(leave_caught_exception, nullptr);
        ck_assert_ptr_nonnull(thread);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), nullptr), 0);
        fx_thread_unref(thread);
        crew_run(1, look_at_current_exception);
    }
    ck_assert_recorded();
}
END_TEST

void *throw_out_of_the_thread(void *)
{
    throw std::runtime_error("nobody catches this");
}

int let_an_exception_escape()
{
    std::signal(SIGABRT, SIG_DFL);
    // As the default does, but silently: std::terminate was called, and in the thread that threw.
    std::set_terminate([] { std::abort(); });
    fx_thread *thread = fx_thread_spawn(throw_out_of_the_thread, nullptr);
    fx_thread_join_for(thread, FX_SEC(await_limit()), nullptr);
    return 3;
}

START_TEST(an_exception_that_escapes_the_thread_s_function_terminates)
{
    ck_assert_int_eq(child_run(let_an_exception_escape), -SIGABRT);
}
END_TEST

int call_terminate_handler()
{
    std::set_terminate([] { std::_Exit(17); });
    fx_thread *thread = fx_thread_spawn(throw_out_of_the_thread, nullptr);
    fx_thread_join_for(thread, FX_SEC(await_limit()), nullptr);
    return 3;
}

START_TEST(the_terminate_handler_is_called_for_it)
{
    ck_assert_int_eq(child_run(call_terminate_handler), 17);
}
END_TEST

void *exit_through_frames(void *arg)
{
    Unwound here;
    pthread_exit(arg);
}

START_TEST(pthread_exit_ends_a_cxx_thread)
{
    fx_thread *thread = fx_thread_spawn(exit_through_frames, &unwound);
    void *result = nullptr;
    ck_assert_ptr_nonnull(thread);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), &result), 0);
    ck_assert_ptr_eq(result, static_cast<void *>(&unwound));
    ck_assert_int_eq(fx_thread_exception(thread), FX_EXITED);
    fx_thread_unref(thread);
}
END_TEST

// --- once, guards, shared pointers, streams ------------------------------------------------------

std::once_flag flag;
std::atomic<int> once_calls, failing_calls, guard_calls, arrived;
std::once_flag failing_flag;

int count_guard()
{
    std::this_thread::yield();
    return ++guard_calls;
}

void *pass_once_and_guard(void *arg)
{
    ++arrived;
    await(arrived == AT_ONCE);
    std::call_once(flag, [] {
        std::this_thread::yield();
        ++once_calls;
    });
    expect_int(once_calls, ==, 1);
    static int guarded = count_guard();
    expect_int(guarded, ==, 1);
    return arg;
}

void *fail_in_call_once(void *arg)
{
    try {
        std::call_once(failing_flag, [] {
            if (++failing_calls < 3)
                throw std::runtime_error("not yet");
        });
        expect_int(failing_calls, ==, 3);
    } catch (const std::runtime_error &) {
        expect_int(failing_calls, <=, 3);
    }
    return arg;
}

START_TEST(call_once_and_static_guards_let_one_thread_through)
{
    crew_run(AT_ONCE, pass_once_and_guard);
    ck_assert_recorded();
    ck_assert_int_eq(once_calls, 1);
    ck_assert_int_eq(guard_calls, 1);
}
END_TEST

START_TEST(call_once_is_tried_again_when_it_throws)
{
    crew_run(AT_ONCE, fail_in_call_once);
    ck_assert_recorded();
    ck_assert_int_eq(failing_calls, 3);
}
END_TEST

std::shared_ptr<Unwound> *shared;

void *copy_shared(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        std::shared_ptr<Unwound> copy = *shared;
        expect(copy != nullptr);
    }
    return arg;
}

// libstdc++ counts without atomics while libc says that there is one thread only.
START_TEST(shared_pointers_count_with_atomics)
{
    std::shared_ptr<Unwound> pointer = std::make_shared<Unwound>();
    shared = &pointer;
    struct crew crew;
    crew_start(&crew, 4, copy_shared);
    copy_shared(nullptr);
    crew_join(&crew);
    ck_assert_recorded();
    ck_assert_int_eq(pointer.use_count(), 1);
    ck_assert_int_eq(unwound, 0);
}
END_TEST

void *format(void *arg)
{
    int number = crew_number(arg);
    for (int i = 0; i < 50; i++) {
        std::ostringstream stream;
        stream.imbue(std::locale::classic());
        stream << number << ' ' << 0.5 << ' ' << std::hex << 255 << std::endl;
        expect(stream.str() == std::to_string(number) + " 0.5 ff\n");
        std::istringstream back(stream.str());
        int read = -1;
        double half = 0;
        back >> read >> half;
        expect(read == number && half == 0.5);
    }
    std::clog << std::flush;
    return nullptr;
}

START_TEST(streams_format_in_many_threads_at_once)
{
    crew_run(AT_ONCE, format);
    ck_assert_recorded();
}
END_TEST

std::mutex mutex;
int in_mutex;

void *start_std_thread(void *arg)
{
    std::thread other([] {
        std::lock_guard<std::mutex> guard(mutex);
        in_mutex++;
    });
    {
        std::lock_guard<std::mutex> guard(mutex);
        in_mutex++;
    }
    expect(other.get_id() != std::this_thread::get_id());
    other.join();
    return arg;
}

START_TEST(std_threads_start_and_end_in_threads)
{
    crew_run(AT_ONCE, start_std_thread);
    ck_assert_recorded();
    ck_assert_int_eq(in_mutex, 2 * AT_ONCE);
}
END_TEST

} // namespace

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, thread_local_objects_are_destroyed_in_their_thread);
    tcase_add_test(tests, thread_local_objects_are_destroyed_when_a_thread_exits);
    tcase_add_test(tests, thread_local_objects_end_in_reverse_order);
    tcase_add_test(tests, exceptions_are_thrown_and_caught_in_many_threads_at_once);
    tcase_add_test(tests, an_exception_being_handled_does_not_reach_the_next_thread);
    tcase_add_test(tests, an_exception_that_escapes_the_thread_s_function_terminates);
    tcase_add_test(tests, the_terminate_handler_is_called_for_it);
    tcase_add_test(tests, pthread_exit_ends_a_cxx_thread);
    tcase_add_test(tests, call_once_and_static_guards_let_one_thread_through);
    tcase_add_test(tests, call_once_is_tried_again_when_it_throws);
    tcase_add_test(tests, shared_pointers_count_with_atomics);
    tcase_add_test(tests, streams_format_in_many_threads_at_once);
    tcase_add_test(tests, std_threads_start_and_end_in_threads);
}

int main()
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("C++ in the library's threads", add_tests);
}
