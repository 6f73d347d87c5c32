/* A stop ends every wait of the library, for ever or with a deadline, and what was waited for is as
 * though nobody had come. */
#include "../thread/suite.h"
#include "victim.h"

#define HOUR FX_SEC(3600)

static void in_sleep(void)
{
    victim_is_there();
    fx_sleep(HOUR);
}

START_TEST(a_sleep_is_stopped)
{
    stop_asleep_in(in_sleep);
}
END_TEST

static void in_short_sleeps(void)
{
    for (;;) {
        victim_is_there();
        fx_sleep(FX_USEC(20));
    }
}

START_TEST(a_loop_of_short_sleeps_is_stopped)
{
    stop_in(in_short_sleeps);
}
END_TEST

/* --- locks that somebody else holds --- */

static fx_lock lock;
static fx_rlock rlock;
static fx_rwlock rwlock;
static fx_semaphore semaphore;

static void at_lock(void)
{
    victim_is_there();
    FX_WITH(&lock)
        expect(false);
}

static void at_lock_for(void)
{
    victim_is_there();
    expect_int(fx_lock_acquire_for(&lock, HOUR), ==, 0);
}

START_TEST(a_wait_for_a_lock_is_stopped)
{
    fx_lock_acquire(&lock);
    stop_asleep_in(at_lock);
    stop_asleep_in(at_lock_for);
    ck_assert(fx_lock_locked(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert(!fx_lock_locked(&lock));
    ck_assert(fx_lock_try_acquire(&lock));
}
END_TEST

static void at_rlock(void)
{
    victim_is_there();
    FX_WITH(&rlock)
        expect(false);
}

START_TEST(a_wait_for_an_rlock_is_stopped)
{
    fx_rlock_acquire(&rlock);
    fx_rlock_acquire(&rlock);
    stop_asleep_in(at_rlock);
    ck_assert(fx_rlock_owned(&rlock));
    ck_assert_int_eq(fx_rlock_release(&rlock), 0);
    ck_assert_int_eq(fx_rlock_release(&rlock), 0);
    ck_assert(!fx_rlock_locked(&rlock));
}
END_TEST

static void at_reading(void)
{
    victim_is_there();
    FX_WITH(fx_reading(&rwlock))
        expect(false);
}

static void at_writing(void)
{
    victim_is_there();
    FX_WITH(fx_writing(&rwlock))
        expect(false);
}

START_TEST(a_wait_for_either_side_of_an_rwlock_is_stopped)
{
    fx_rwlock_acquire_write(&rwlock);
    stop_asleep_in(at_reading);
    stop_asleep_in(at_writing);
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
    fx_rwlock_acquire_read(&rwlock);
    stop_asleep_in(at_writing);
    /* The writers that were stopped keep no reader out. */
    ck_assert_int_eq(fx_rwlock_acquire_read_for(&rwlock, FX_SEC(await_limit())), 0);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert_int_eq(fx_rwlock_release_read(&rwlock), 0);
    ck_assert(fx_rwlock_try_acquire_write(&rwlock));
}
END_TEST

static void at_semaphore(void)
{
    victim_is_there();
    FX_WITH(&semaphore)
        expect(false);
}

START_TEST(a_wait_for_a_semaphore_is_stopped_and_takes_nothing)
{
    stop_asleep_in(at_semaphore);
    ck_assert_int_eq(fx_semaphore_value(&semaphore), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 3), 0);
    ck_assert_int_eq(fx_semaphore_value(&semaphore), 3);
}
END_TEST

/* --- conditions: the lock is held again when the wait's scopes end --- */

static fx_condition condition;
static int seen_held, seen_free;

static bool lock_is_mine(void)
{
    return (lock.word & FX_LOCK_NUMBER) == fx_lock_self.number;
}

static void at_condition(void)
{
    fx_lock_acquire(&lock);
    FX_TRY {
        victim_is_there();
        for (;;)
            expect_int(fx_condition_wait(&condition, &lock), ==, 0);
    } FX_FINALLY {
        if (lock_is_mine())
            seen_held++;
        fx_lock_release(&lock);
    } FX_END
}

static void at_condition_in_with(void)
{
    FX_WITH(&lock) {
        FX_TRY {
            victim_is_there();
            expect_int(fx_condition_wait_for(&condition, &lock, HOUR), ==, 0);
        } FX_FINALLY {
            if (lock_is_mine())
                seen_held++;
        } FX_END
    }
}

START_TEST(a_wait_at_a_condition_is_stopped_and_has_its_lock_again)
{
    int rounds = scaled(24);
    stop_asleep_in(at_condition);
    ck_assert_int_eq(seen_held, rounds);
    ck_assert(!fx_lock_locked(&lock));
    stop_asleep_in(at_condition_in_with);
    ck_assert_int_eq(seen_held, 2 * rounds);
    ck_assert(!fx_lock_locked(&lock));
    ck_assert_int_eq(fx_condition_notify_all(&condition), 0);
}
END_TEST

static void at_condition_of_rlock(void)
{
    FX_WITH(&rlock) FX_WITH(&rlock) {
        FX_TRY {
            victim_is_there();
            expect_int(fx_condition_wait(&condition, &rlock), ==, 0);
        } FX_FINALLY {
            if (fx_rlock_owned(&rlock))
                seen_held++;
        } FX_END
    }
}

START_TEST(a_wait_with_an_rlock_is_stopped_and_has_all_its_levels_again)
{
    stop_asleep_in(at_condition_of_rlock);
    ck_assert_int_eq(seen_held, scaled(24));
    ck_assert(!fx_rlock_locked(&rlock));
}
END_TEST

/* The stop finds it waiting for the lock, which the notifier still holds: it has to wait for that
 * in any case, and the notification is not to be lost on a thread that is gone. */
START_TEST(a_stop_while_the_lock_is_acquired_again_waits_for_the_lock)
{
    for (int i = 0; i < scaled(24); i++) {
        seen_held = 0;
        victim_start(at_condition);
        await(victim_turns() == 1);
        fx_lock_acquire(&lock); /* it waits by now: it held the lock */
        ck_assert_int_eq(fx_condition_notify(&condition, 1), 0);
        if (i % 2)
            ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        pass_a_moment();
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        pass_a_moment();
        ck_assert(fx_thread_is_alive(victim.thread));
        ck_assert(lock_is_mine());
        fx_lock_release(&lock);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(seen_held, 1);
        ck_assert(!fx_lock_locked(&lock));
    }
}
END_TEST

/* --- the others --- */

static fx_event event;

static void at_event(void)
{
    victim_is_there();
    fx_event_wait(&event);
}

START_TEST(a_wait_for_an_event_is_stopped)
{
    stop_asleep_in(at_event);
    ck_assert(!fx_event_is_set(&event));
    fx_event_set(&event);
    ck_assert_int_eq(fx_event_wait_for(&event, FX_SEC(await_limit())), 0);
}
END_TEST

static fx_barrier barrier = FX_BARRIER_INIT(2);

static void at_barrier(void)
{
    victim_is_there();
    fx_barrier_wait(&barrier);
}

static void *pass_barrier(void *arg)
{
    expect_int(fx_barrier_wait_for(&barrier, FX_SEC(await_limit())), >=, 0);
    return arg;
}

START_TEST(a_wait_at_a_barrier_is_stopped_and_breaks_it)
{
    for (int i = 0; i < scaled(24); i++) {
        victim_start(at_barrier);
        await(fx_barrier_n_waiting(&barrier) == 1);
        victim_stop();
        ck_assert(fx_barrier_broken(&barrier));
        ck_assert_int_eq(fx_barrier_reset(&barrier), 0);
        ck_assert(!fx_barrier_broken(&barrier));
        ck_assert_int_eq(fx_barrier_n_waiting(&barrier), 0);
    }
    fx_thread *other = fx_thread_spawn(pass_barrier, NULL);
    pass_barrier(NULL);
    ck_assert_int_eq(fx_thread_join(other, NULL), 0);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    fx_thread_unref(other);
}
END_TEST

static fx_queue *queue;

static void at_get(void)
{
    victim_is_there();
    fx_queue_get(queue, NULL);
}

static void at_put(void)
{
    victim_is_there();
    fx_queue_put(queue, &lock);
}

static void at_queue_join(void)
{
    victim_is_there();
    fx_queue_join(queue);
}

START_TEST(waits_at_a_queue_are_stopped_and_no_item_is_lost)
{
    void *item = NULL;
    queue = fx_queue_new(FX_QUEUE_FIFO, 1);
    ck_assert_ptr_nonnull(queue);
    stop_asleep_in(at_get);
    ck_assert_int_eq(fx_queue_put_for(queue, &rlock, FX_SEC(await_limit())), 0);
    stop_asleep_in(at_put);
    stop_asleep_in(at_queue_join);
    ck_assert_int_eq(fx_queue_size(queue), 1);
    ck_assert_int_eq(fx_queue_get_for(queue, FX_SEC(await_limit()), &item), 0);
    ck_assert_ptr_eq(item, &rlock);
    ck_assert_int_eq(fx_queue_size(queue), 0);
    fx_queue_unref(queue);
}
END_TEST

static fx_once once;
static fx_event once_may_end;

static void wait_in_once(void *arg)
{
    (void)arg;
    fx_event_wait(&once_may_end);
}

static void *do_once(void *arg)
{
    fx_once_call(&once, wait_in_once, arg);
    return arg;
}

static void at_once(void)
{
    victim_is_there();
    fx_once_call(&once, wait_in_once, NULL);
}

START_TEST(a_wait_for_what_another_does_once_is_stopped)
{
    fx_thread *doing = fx_thread_spawn(do_once, NULL);
    await(__atomic_load_n(&once.word, __ATOMIC_RELAXED) != 0);
    stop_asleep_in(at_once);
    fx_event_set(&once_may_end);
    ck_assert_int_eq(fx_thread_join(doing, NULL), 0);
    ck_assert_int_eq(fx_once_call(&once, NULL, NULL), 0); /* it is done */
    fx_thread_unref(doing);
}
END_TEST

static fx_thread *joined;

static void at_join(void)
{
    victim_is_there();
    fx_thread_join(joined, NULL);
}

static void *wait_for_event(void *arg)
{
    fx_event_wait(arg);
    return arg;
}

START_TEST(a_join_is_stopped_and_the_other_thread_goes_on)
{
    void *result = NULL;
    joined = fx_thread_spawn(wait_for_event, &event);
    stop_asleep_in(at_join);
    ck_assert(fx_thread_is_alive(joined));
    fx_event_set(&event);
    ck_assert_int_eq(fx_thread_join_for(joined, FX_SEC(await_limit()), &result), 0);
    ck_assert_ptr_eq(result, &event);
    fx_thread_unref(joined);
}
END_TEST

static fx_timer *timer;

static void at_timer(void)
{
    victim_is_there();
    fx_timer_join(timer);
}

START_TEST(a_wait_for_a_timer_is_stopped)
{
    timer = fx_timer_new(HOUR, wait_for_event, &event);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    stop_asleep_in(at_timer);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    fx_timer_unref(timer);
}
END_TEST

/* --- what was got is got --- */

/* A unit is released and a stop sent at the same moment: either it was taken, and given back by the
 * scope, or never taken. */
static void takes_a_unit(void)
{
    victim_is_there();
    FX_WITH(&semaphore)
        victim_is_there();
    for (;;)
        fx_checkpoint();
}

START_TEST(a_stop_and_a_wake_at_the_same_moment_lose_nothing)
{
    for (int i = 0; i < scaled(300); i++) {
        victim_start(takes_a_unit);
        await(victim_turns() > 0);
        if (i % 4)
            pass_a_moment();
        if (i % 2) {
            fx_semaphore_release(&semaphore, 1);
            fx_thread_stop(victim.thread);
        } else {
            fx_thread_stop(victim.thread);
            fx_semaphore_release(&semaphore, 1);
        }
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(fx_semaphore_value(&semaphore), 1);
        ck_assert(fx_semaphore_try_acquire(&semaphore));
    }
}
END_TEST

static void gets_an_item(void)
{
    victim_is_there();
    fx_stop_disable();
    if (fx_queue_get(queue, NULL) == 0)
        seen_free++;
    fx_stop_enable();
    for (;;)
        fx_checkpoint();
}

/* A wait in such a region is not ended by a stop. */
START_TEST(a_wait_in_a_disabled_region_goes_on_until_it_has_what_it_waits_for)
{
    queue = fx_queue_new(FX_QUEUE_FIFO, 0);
    int rounds = scaled(24);
    for (int i = 0; i < rounds; i++) {
        victim_start(gets_an_item);
        await(victim_turns() > 0);
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        pass_a_moment();
        ck_assert(fx_thread_is_alive(victim.thread));
        ck_assert_int_eq(fx_queue_put(queue, NULL), 0);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(seen_free, i + 1);
    }
    fx_queue_unref(queue);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_sleep_is_stopped);
    tcase_add_test(tests, a_loop_of_short_sleeps_is_stopped);
    tcase_add_test(tests, a_wait_for_a_lock_is_stopped);
    tcase_add_test(tests, a_wait_for_an_rlock_is_stopped);
    tcase_add_test(tests, a_wait_for_either_side_of_an_rwlock_is_stopped);
    tcase_add_test(tests, a_wait_for_a_semaphore_is_stopped_and_takes_nothing);
    tcase_add_test(tests, a_wait_at_a_condition_is_stopped_and_has_its_lock_again);
    tcase_add_test(tests, a_wait_with_an_rlock_is_stopped_and_has_all_its_levels_again);
    tcase_add_test(tests, a_stop_while_the_lock_is_acquired_again_waits_for_the_lock);
    tcase_add_test(tests, a_wait_for_an_event_is_stopped);
    tcase_add_test(tests, a_wait_at_a_barrier_is_stopped_and_breaks_it);
    tcase_add_test(tests, waits_at_a_queue_are_stopped_and_no_item_is_lost);
    tcase_add_test(tests, a_wait_for_what_another_does_once_is_stopped);
    tcase_add_test(tests, a_join_is_stopped_and_the_other_thread_goes_on);
    tcase_add_test(tests, a_wait_for_a_timer_is_stopped);
    tcase_add_test(tests, a_stop_and_a_wake_at_the_same_moment_lose_nothing);
    tcase_add_test(tests, a_wait_in_a_disabled_region_goes_on_until_it_has_what_it_waits_for);
}

int main(void)
{
    return run_suite("stop_wait", add_tests);
}
