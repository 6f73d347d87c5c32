/* A stop after every single instruction of a wait: on the way to it, until the victim sleeps; and
 * on the way out of it, from the moment that somebody has given it what it waited for. Nothing is
 * lost and nothing held twice: whoever comes next gets it. */
#define _GNU_SOURCE
#include "../thread/suite.h"
#include "step.h"

#include "kernel/processor.h"

#if CAN_STEP

static fx_lock lock;
static fx_rlock rlock;
static fx_rwlock rwlock;
static fx_semaphore semaphore;
static fx_event event;
static fx_condition condition;
static fx_queue *queue;
static int inside, held_in_finally;

static bool is_there_and_asleep(void)
{
    return victim_turns() > 0 && is_asleep(fx_thread_native_id(victim.thread));
}

/* What is waited for: given when the test says so, taken from whoever has it now, and all as it
 * was. */
struct wait {
    void (*place)(void);
    void (*prepare)(void);
    void (*give)(void);
    bool (*is_whole)(void); /* after the victim's end and a give() */
};

/* The victim sleeps, or stands behind its k-th instruction. */
static long step_in(const struct wait *wait)
{
    for (long k = 1;; k = step_after(k)) {
        wait->prepare();
        step_arm(k);
        victim_start(wait->place);
        step_await(step_reached() || is_there_and_asleep());
        bool reached = step_reached();
        ck_assert_int_eq(step_ask(), 0);
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        victim_ends_by(FX_STOPPED);
        wait->give();
        ck_assert_msg(wait->is_whole(), "after %ld instructions", k);
        if (!reached)
            return k;
    }
}

/* The victim sleeps, is given what it waits for, and then goes k instructions. */
static long step_out(const struct wait *wait)
{
    for (long k = 1;; k = step_after(k)) {
        wait->prepare();
        step_arm(k);
        __atomic_store_n(&step.counts, 0, __ATOMIC_RELEASE);
        victim_start(wait->place);
        step_await(is_there_and_asleep());
        step_send_flag();
        step_await(step_steps() && is_there_and_asleep());
        __atomic_store_n(&step.counts, 1, __ATOMIC_RELEASE);
        wait->give();
        step_await(step_reached() || step_is_through());
        bool reached = step_reached();
        if (reached)
            ck_assert_int_eq(step_ask(), 0);
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        victim_ends_by(reached ? FX_STOPPED : 0);
        ck_assert_msg(wait->is_whole(), "%ld instructions after it was given", k);
        if (!reached)
            return k;
    }
}

static void step_in_and_out(const struct wait *wait)
{
    step_catch_traps();
    fxi_processor_count = 1; /* nobody spins there */
    long in = step_in(wait), out = step_out(wait);
    printf("%ld instructions in, %ld out\n", in, out);
    ck_assert_int_gt(in, 10);
}

/* --- locks --- */

static void at_lock(void)
{
    victim_is_there();
    step_begin();
    FX_WITH(&lock)
        inside++;
    step_end();
}

static void hold_lock(void)
{
    ck_assert(fx_lock_try_acquire(&lock));
}

static void release_lock(void)
{
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}

static bool lock_is_free(void)
{
    return fx_lock_try_acquire(&lock) && fx_lock_release(&lock) == 0 && !fx_lock_locked(&lock);
}

START_TEST(a_lock)
{
    step_in_and_out(&(struct wait){ at_lock, hold_lock, release_lock, lock_is_free });
}
END_TEST

static void at_rlock(void)
{
    victim_is_there();
    step_begin();
    FX_WITH(&rlock)
        inside++;
    step_end();
}

static void hold_rlock(void)
{
    ck_assert(fx_rlock_try_acquire(&rlock));
}

static void release_rlock(void)
{
    ck_assert_int_eq(fx_rlock_release(&rlock), 0);
}

static bool rlock_is_free(void)
{
    return !fx_rlock_locked(&rlock);
}

START_TEST(an_rlock)
{
    step_in_and_out(&(struct wait){ at_rlock, hold_rlock, release_rlock, rlock_is_free });
}
END_TEST

static void at_reading(void)
{
    victim_is_there();
    step_begin();
    FX_WITH(fx_reading(&rwlock))
        inside++;
    step_end();
}

static void at_writing(void)
{
    victim_is_there();
    step_begin();
    FX_WITH(fx_writing(&rwlock))
        inside++;
    step_end();
}

static void hold_writing(void)
{
    ck_assert(fx_rwlock_try_acquire_write(&rwlock));
}

static void release_writing(void)
{
    ck_assert_int_eq(fx_rwlock_release_write(&rwlock), 0);
}

static bool rwlock_is_free(void)
{
    return fx_rwlock_try_acquire_read(&rwlock) && fx_rwlock_release_read(&rwlock) == 0 &&
           fx_rwlock_try_acquire_write(&rwlock) && fx_rwlock_release_write(&rwlock) == 0;
}

START_TEST(both_sides_of_an_rwlock)
{
    step_in_and_out(&(struct wait){ at_reading, hold_writing, release_writing, rwlock_is_free });
    step_in_and_out(&(struct wait){ at_writing, hold_writing, release_writing, rwlock_is_free });
}
END_TEST

static void at_semaphore(void)
{
    victim_is_there();
    step_begin();
    FX_WITH(&semaphore)
        inside++;
    step_end();
}

static void empty_semaphore(void)
{
    fx_semaphore_init(&semaphore, 0);
}

static void release_semaphore(void)
{
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), 0);
}

static bool semaphore_has_its_unit(void)
{
    return fx_semaphore_value(&semaphore) == 1;
}

START_TEST(a_semaphore)
{
    step_in_and_out(&(struct wait){ at_semaphore, empty_semaphore, release_semaphore,
                                    semaphore_has_its_unit });
}
END_TEST

/* --- what is not given back --- */

static void at_event(void)
{
    victim_is_there();
    step_begin();
    fx_event_wait(&event);
    step_end();
}

static void clear_event(void)
{
    fx_event_clear(&event);
}

static void set_event(void)
{
    fx_event_set(&event);
}

static bool event_is_set(void)
{
    return fx_event_wait_for(&event, 0) == 0;
}

START_TEST(an_event)
{
    step_in_and_out(&(struct wait){ at_event, clear_event, set_event, event_is_set });
}
END_TEST

static void at_condition(void)
{
    FX_WITH(&lock) {
        victim_is_there();
        step_begin();
        FX_TRY {
            fx_condition_wait(&condition, &lock);
        } FX_FINALLY {
            held_in_finally += (lock.word & FX_LOCK_NUMBER) == fx_lock_self.number;
        } FX_END
        step_end();
    }
}

static void forget(void)
{
    held_in_finally = 0;
}

static void notify(void)
{
    fx_condition_notify(&condition, 1);
}

/* Also where the stop came before the block: then there was no finally. */
static bool lock_was_held(void)
{
    return held_in_finally <= 1 && lock_is_free();
}

START_TEST(a_condition)
{
    step_in_and_out(&(struct wait){ at_condition, forget, notify, lock_was_held });
}
END_TEST

static void at_queue(void)
{
    victim_is_there();
    step_begin();
    fx_stop_disable();
    if (fx_queue_get(queue, NULL) == 0)
        inside++;
    fx_stop_enable();
    step_end();
}

static void empty_queue(void)
{
    while (fx_queue_get_for(queue, 0, NULL) == 0)
        ;
    inside = 0;
}

static void put(void)
{
    ck_assert_int_eq(fx_queue_put(queue, NULL), 0);
}

static bool item_was_got_or_is_there(void)
{
    return fx_queue_size(queue) + (size_t)inside == 1;
}

START_TEST(a_queue)
{
    queue = fx_queue_new(FX_QUEUE_FIFO, 0);
    /* In the region the stop has to wait: only the way out. */
    step_catch_traps();
    fxi_processor_count = 1;
    step_out(&(struct wait){ at_queue, empty_queue, put, item_was_got_or_is_there });
    fx_queue_unref(queue);
}
END_TEST

static void sleeps(void)
{
    victim_is_there();
    step_begin();
    fx_sleep(FX_SEC(3600));
    step_end();
}

static void nothing(void)
{
}

static bool always(void)
{
    return true;
}

START_TEST(a_sleep)
{
    step_catch_traps();
    step_in(&(struct wait){ sleeps, nothing, nothing, always });
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_lock);
    tcase_add_test(tests, an_rlock);
    tcase_add_test(tests, both_sides_of_an_rwlock);
    tcase_add_test(tests, a_semaphore);
    tcase_add_test(tests, an_event);
    tcase_add_test(tests, a_condition);
    tcase_add_test(tests, a_queue);
    tcase_add_test(tests, a_sleep);
}

int main(void)
{
    return run_suite("step_wait", add_tests);
}

#else

int main(void)
{
    return TEST_SKIPPED;
}

#endif
