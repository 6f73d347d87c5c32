/* No stop is early: where something must not be left half done it waits, and comes as soon as that
 * has ended. */
#include <pthread.h>

#include "../thread/suite.h"
#include "victim.h"

/* What a place does while a stop is asked of it; each step is told to the test. */
static int may_go_on, completed, after;

/* Of the victim: is there, and stays until the stop has been asked and the test lets it go on. */
static void stay(void)
{
    victim_is_there();
    while (!__atomic_load_n(&may_go_on, __ATOMIC_ACQUIRE))
        for (volatile int i = 0; i < 100; i++)
            ;
    for (volatile int i = 0; i < 1000; i++) /* time for the signal to come into it */
        ;
}

static void stop_while_it_stays(void (*place)(void))
{
    may_go_on = completed = after = 0;
    victim_start(place);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    for (int i = 0; i < 5; i++)
        await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    ck_assert_int_eq(completed, 0);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    __atomic_store_n(&may_go_on, 1, __ATOMIC_RELEASE);
    victim_ends_by(FX_STOPPED);
    ck_assert_int_eq(completed, 1);
    ck_assert_int_eq(after, 0);
}

/* Where a region without stops has ended, the stop comes within that call or block. */
static void not_reached(void)
{
    after = 1;
}

static void in_finally(void)
{
    FX_TRY { completed = 0; } FX_FINALLY { stay(); completed = 1; } FX_END
    not_reached();
}

static void in_except(void)
{
    FX_TRY { fx_raise(5); } FX_EXCEPT(e) { stay(); completed = 1; } FX_END
    not_reached();
}

static void in_condition(void)
{
    FX_TRY { fx_raise(5); } FX_EXCEPT_IF(e, (stay(), completed = 1, e == 5)) { after = 0; } FX_END
    not_reached();
}

static void stay_deferred(void *arg)
{
    (void)arg;
    stay();
    completed = 1;
}

static void in_deferred(void)
{
    {
        FX_DEFER(stay_deferred, NULL);
    }
    not_reached();
}

START_TEST(in_finally_a_stop_waits)
{
    stop_while_it_stays(in_finally);
}
END_TEST

START_TEST(in_except_a_stop_waits)
{
    stop_while_it_stays(in_except);
    stop_while_it_stays(in_condition);
}
END_TEST

START_TEST(in_a_deferred_call_a_stop_waits)
{
    stop_while_it_stays(in_deferred);
}
END_TEST

static void in_scope_in_finally(void)
{
    FX_TRY { completed = 0; }
    FX_FINALLY {
        FX_TRY { stay(); fx_raise(7); }
        FX_EXCEPT(e) { expect_int(e, ==, 7); }
        FX_FINALLY { completed = 1; } FX_END
    } FX_END
    not_reached();
}

START_TEST(in_a_scope_inside_of_finally_a_stop_waits)
{
    stop_while_it_stays(in_scope_in_finally);
}
END_TEST

/* --- regions --- */

static void disabled(void)
{
    fx_stop_disable();
    stay();
    expect(fx_stop_requested());
    fx_checkpoint();
    expect_int(fx_sleep(FX_MSEC(1)), ==, 0);
    completed = 1;
    fx_stop_enable();
    not_reached();
}

START_TEST(in_a_disabled_region_a_stop_waits_and_comes_at_its_end)
{
    stop_while_it_stays(disabled);
}
END_TEST

static void disabled_twice(void)
{
    fx_stop_disable();
    fx_stop_disable();
    fx_stop_disable();
    stay();
    fx_stop_enable();
    fx_stop_enable();
    fx_checkpoint();
    completed = 1;
    fx_stop_enable();
    not_reached();
}

START_TEST(disabled_regions_nest)
{
    stop_while_it_stays(disabled_twice);
}
END_TEST

static void enabled_too_often(void)
{
    fx_stop_enable();
    fx_stop_enable();
    fx_stop_disable();
    stay();
    completed = 1;
    fx_stop_enable();
    not_reached();
}

START_TEST(enabling_too_often_has_no_effect)
{
    stop_while_it_stays(enabled_too_often);
}
END_TEST

/* A stop inside of a region that a scope has to end, as it is left by the stop of its end. */
static void region_around_scope(void)
{
    fx_stop_disable();
    FX_TRY { stay(); } FX_FINALLY { completed = 1; } FX_END
    fx_stop_enable();
    not_reached();
}

START_TEST(a_scope_inside_a_disabled_region_ends_before_the_stop_comes)
{
    stop_while_it_stays(region_around_scope);
}
END_TEST

static int sleeps_whole;

static void sleeps_disabled(void)
{
    fx_stop_disable();
    fx_deadline before = fx_now();
    victim_is_there();
    expect_int(fx_sleep(FX_MSEC(20)), ==, 0);
    if (fx_now() - before >= FX_MSEC(20))
        sleeps_whole++;
    fx_stop_enable();
    not_reached();
}

START_TEST(a_sleep_in_a_disabled_region_is_not_shortened)
{
    for (int i = 0; i < scaled(8); i++) {
        sleeps_whole = after = 0;
        victim_start(sleeps_disabled);
        await(victim_turns() == 1);
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        victim_stop();
        ck_assert_int_eq(sleeps_whole, 1);
        ck_assert_int_eq(after, 0);
    }
}
END_TEST

/* --- the thread's end --- */

static fx_local key;

static void stay_in_destructor(void *value)
{
    stay_deferred(value);
}

static void returns_with_local(void)
{
    fx_local_set(key, &key);
}

static void returns_with_pthread_key(void)
{
    static pthread_key_t made;
    pthread_key_create(&made, stay_in_destructor);
    pthread_setspecific(made, &made);
}

/* A thread that has returned has not been stopped, even if it is still there. */
static void stop_at_its_end(void (*place)(void))
{
    may_go_on = completed = 0;
    victim_start(place);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    for (int i = 0; i < 5; i++)
        await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    __atomic_store_n(&may_go_on, 1, __ATOMIC_RELEASE);
    victim_ends_by(0);
    ck_assert_int_eq(completed, 1);
}

START_TEST(in_the_destructors_of_a_thread_that_returned_a_stop_comes_too_late)
{
    ck_assert_int_eq(fx_local_create(&key, stay_in_destructor), 0);
    stop_at_its_end(returns_with_local);
    if (!THREADS_ARE_PTHREADS) /* whose keys are destroyed when the thread is no more one of ours */
        stop_at_its_end(returns_with_pthread_key);
}
END_TEST

static int hooks;

static void staying_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    hooks += info->code == 9;
    stay();
    completed = 1;
}

static void raises(void)
{
    fx_raise(9);
}

START_TEST(in_the_excepthook_a_stop_comes_too_late)
{
    fx_set_excepthook(staying_hook);
    may_go_on = completed = 0;
    victim_start(raises);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    for (int i = 0; i < 5; i++)
        await_pause();
    __atomic_store_n(&may_go_on, 1, __ATOMIC_RELEASE);
    victim_ends_by(9);
    ck_assert_int_eq(completed, 1);
    ck_assert_int_eq(hooks, 1);
}
END_TEST

/* The finally block of a stop is not stopped by another one. */
static void stopped_twice(void)
{
    FX_TRY {
        victim_is_there();
        fx_sleep(FX_SEC(3600));
    } FX_FINALLY {
        stay();
        completed = 1;
    } FX_END
}

START_TEST(a_second_stop_does_not_disturb_the_finally_blocks_of_the_first)
{
    for (int i = 0; i < scaled(12); i++) {
        may_go_on = completed = 0;
        victim_start(stopped_twice);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        await(victim_turns() == 2);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        await_pause();
        __atomic_store_n(&may_go_on, 1, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(completed, 1);
    }
}
END_TEST

/* --- what FX_WITH holds --- */

static fx_lock lock;
static fx_rlock rlock;
static fx_rwlock rwlock;
static fx_semaphore semaphore = FX_BOUNDED_SEMAPHORE_INIT(2);

__attribute__((noinline)) static void use_it(void)
{
    __asm__ volatile("");
}

static void holds_all(void)
{
    for (;;) {
        victim_is_there();
        FX_WITH(&lock) FX_WITH(&rlock) FX_WITH(&rlock) {
            FX_WITH(fx_reading(&rwlock)) FX_WITH(&semaphore)
                use_it();
            FX_WITH(fx_writing(&rwlock))
                use_it();
        }
    }
}

START_TEST(what_is_held_is_released_exactly_once)
{
    for (int i = 0; i < scaled(200); i++) {
        victim_start(holds_all);
        await(victim_turns() > 0);
        pass_a_moment();
        victim_stop();
        ck_assert(!fx_lock_locked(&lock));
        ck_assert(!fx_rlock_locked(&rlock));
        ck_assert_int_eq(fx_semaphore_value(&semaphore), 2);
        ck_assert(fx_rwlock_try_acquire_write(&rwlock));
        ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    add_if(STOPS_ARRIVE_ANYWHERE, tests, in_finally_a_stop_waits);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, in_except_a_stop_waits);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, in_a_deferred_call_a_stop_waits);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, in_a_scope_inside_of_finally_a_stop_waits);
    tcase_add_test(tests, in_a_disabled_region_a_stop_waits_and_comes_at_its_end);
    tcase_add_test(tests, disabled_regions_nest);
    tcase_add_test(tests, enabling_too_often_has_no_effect);
    tcase_add_test(tests, a_scope_inside_a_disabled_region_ends_before_the_stop_comes);
    tcase_add_test(tests, a_sleep_in_a_disabled_region_is_not_shortened);
    tcase_add_test(tests, in_the_destructors_of_a_thread_that_returned_a_stop_comes_too_late);
    tcase_add_test(tests, in_the_excepthook_a_stop_comes_too_late);
    tcase_add_test(tests, a_second_stop_does_not_disturb_the_finally_blocks_of_the_first);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, what_is_held_is_released_exactly_once);
}

int main(void)
{
    return run_suite("stop_early", add_tests);
}
