/* Scopes in C++: the same blocks, and exceptions of C++ that pass them. */
#include <fxthread.h>

#include <pthread.h>
#include <string>

#include "../thread/suite.h"
#include "raise_below.h"
#include "trace.h"

namespace {

struct noting {
    const char *what;
    explicit noting(const char *what) : what(what) {}
    ~noting() { note(what); }
};

fx_lock lock;
fx_rlock rlock;
fx_semaphore semaphore = FX_SEMAPHORE_INIT(1);
fx_rwlock rwlock;

char deferred[] = "deferred";

/* Not in a FX_FINALLY itself: see <fxthread/scope.h>. */
__attribute__((noinline)) void throw_and_catch()
{
    try {
        throw 9;
    } catch (int) {
        note("9");
    }
}

std::string leave(int how)
{
    try {
        noting outer("~outer");
        FX_TRY {
            noting inner("~inner");
            FX_DEFER(note_deferred, deferred);
            if (how == 0)
                throw 5;
            if (how == 1)
                return "returned " + std::string(40, 'x');
            if (how == 2)
                throw std::string("a string");
        } FX_EXCEPT(e) {
            note("except");
        } FX_FINALLY {
            noting local("~local");
            throw_and_catch();
            scribble(how);
        } FX_END
    } catch (int number) {
        return std::to_string(number);
    } catch (const std::string &text) {
        return text;
    }
    return "end";
}

START_TEST(an_exception_of_cxx_and_a_return_run_finally_and_go_on)
{
    ck_assert(leave(0) == "5");
    ck_assert(traced("deferred ~inner 9 ~local ~outer"));
    ck_assert(leave(1) == "returned " + std::string(40, 'x'));
    ck_assert(traced("deferred ~inner 9 ~local ~outer"));
    ck_assert(leave(2) == "a string");
    ck_assert(traced("deferred ~inner 9 ~local ~outer"));
    ck_assert(leave(3) == "end");
    ck_assert(traced("deferred ~inner 9 ~local ~outer"));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

START_TEST(clauses_work_as_in_c)
{
    volatile int taken = 0;
    FX_TRY {
        FX_TRY { raise_below(3, 5); }
        FX_EXCEPT_IF(e, e == 4) { note("4"); }
        FX_EXCEPT(e) { note("5"); fx_raise_msg(e + 1, "%s", "six"); }
        FX_FINALLY { note("finally"); } FX_END
    } FX_EXCEPT_ANY(e) {
        taken = e;
        ck_assert_str_eq(fx_caught()->message, "six");
    } FX_END
    ck_assert_int_eq(taken, 6);
    ck_assert(traced("5 finally"));
    for (int i = 0; i < 10; i++) {
        FX_TRY {
            if (i % 2)
                continue;
            if (i == 6)
                break;
            note("even");
        } FX_FINALLY { note("f"); } FX_END
    }
    ck_assert(traced("even f f even f f even f f f"));
}
END_TEST

START_TEST(an_exception_of_cxx_out_of_except_or_finally_leaves_the_scope)
{
    for (int in_finally = 0; in_finally < 2; in_finally++) {
        int got = 0;
        try {
            FX_TRY { fx_raise(3); }
            FX_EXCEPT_IF(e, !in_finally) { throw 1; }
            FX_FINALLY { note("finally"); if (in_finally) throw 2; } FX_END
        } catch (int number) {
            got = number;
        }
        ck_assert_int_eq(got, 1 + in_finally);
        ck_assert(traced("finally"));
        ck_assert_ptr_null(fx_scope_own->innermost);
    }
}
END_TEST

START_TEST(resources_are_released_by_all_kinds_of_exceptions)
{
    for (int how = 0; how < 3; how++) {
        FX_TRY {
            try {
                FX_WITH(&lock) {
                    FX_WITH(&rlock) {
                        FX_GUARD(&semaphore);
                        FX_GUARD(fx_reading(&rwlock));
                        ck_assert(fx_lock_locked(&lock));
                        ck_assert(fx_rlock_owned(&rlock));
                        ck_assert_uint_eq(fx_semaphore_value(&semaphore), 0);
                        ck_assert(!fx_rwlock_try_acquire_write(&rwlock));
                        if (how == 0)
                            break;
                        if (how == 1)
                            throw 1;
                        fx_raise(2);
                    }
                }
            } catch (int) {
                note("thrown");
            }
        } FX_EXCEPT(e) { note("raised"); } FX_END
        ck_assert(!fx_lock_locked(&lock));
        ck_assert(!fx_rlock_owned(&rlock));
        ck_assert_uint_eq(fx_semaphore_value(&semaphore), 1);
        FX_WITH(fx_writing(&rwlock)) { note("free"); }
    }
    ck_assert(traced("free thrown free raised free"));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

void *exit_inside(void *arg)
{
    noting outer("~outer");
    FX_TRY {
        noting inner("~inner");
        FX_WITH(&lock) { pthread_exit(arg); }
    } FX_FINALLY { note("finally"); scribble(1); } FX_END
    return nullptr;
}

START_TEST(pthread_exit_runs_destructors_releases_and_finally)
{
    void *result = nullptr;
    fx_thread *t = fx_thread_spawn(exit_inside, deferred);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, deferred);
    ck_assert_int_eq(fx_thread_exception(t), FX_EXITED);
    fx_thread_unref(t);
    ck_assert(!fx_lock_locked(&lock));
    ck_assert(traced("~inner finally ~outer"));
}
END_TEST

void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_exception_of_cxx_and_a_return_run_finally_and_go_on);
    tcase_add_test(tests, clauses_work_as_in_c);
    tcase_add_test(tests, an_exception_of_cxx_out_of_except_or_finally_leaves_the_scope);
    tcase_add_test(tests, resources_are_released_by_all_kinds_of_exceptions);
    tcase_add_test(tests, pthread_exit_runs_destructors_releases_and_finally);
}

} // namespace

int main()
{
    return run_suite("scope_cxx", add_tests);
}
