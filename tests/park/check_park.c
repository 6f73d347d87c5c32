/* lib/park: the order of waiters, what wakers choose and give, timeouts, moves. */
#include <check.h>
#include <fxthread.h>
#include <string.h>

#include "base/atomic.h"
#include "child.h"
#include "crew.h"
#include "kernel/inject.h"
#include "kernel/processor.h"
#include "park/park.h"

#include "../thread/suite.h"

enum { WAITERS = 6, NOT_YET = 1000 };

static char here, there; /* addresses to wait at */

/* What became of each waiter. */
static struct {
    int result[WAITERS];
    uintptr_t given[WAITERS];
    int order[WAITERS];
    int places, woken; /* of the order, taken; waits that are over */
    int left_calls, left_others;
    fx_nsec timeout;
    bool spins, at_front;
} seen;

static bool always(const void *arg)
{
    (void)arg;
    return true;
}

static bool never(const void *arg)
{
    (void)arg;
    return false;
}

static void count_left(bool others, void *arg)
{
    (void)arg;
    seen.left_calls++;
    seen.left_others += others;
}

static struct fxi_wait wait_here(void)
{
    return (struct fxi_wait){
        .address = &here,
        .condition = always,
        .left = count_left,
        .deadline = fx_deadline_after(seen.timeout),
        .spins = seen.spins,
    };
}

static void *wait_once(void *arg)
{
    int i = crew_number(arg);
    struct fxi_wait wait = wait_here();
    wait.wants = (uintptr_t)i;
    wait.at_front = seen.at_front;
    int rc = fxi_park_wait(&wait, &seen.given[i]);
    fxi_store_release(&seen.result[i], rc);
    seen.order[fxi_add_relaxed(&seen.places, 1)] = i;
    __atomic_fetch_add(&seen.woken, 1, __ATOMIC_RELEASE); /* with the acquire in await_woken */
    return NULL;
}

static struct crew crew;

/* n waiters, queued in the order of their numbers. */
static void start_waiters(int n, fx_nsec timeout)
{
    seen.timeout = timeout;
    crew.n = n;
    for (int i = 0; i < n; i++) {
        seen.result[i] = NOT_YET;
        crew.threads[i] = fx_thread_spawn(wait_once, (void *)(intptr_t)i);
        ck_assert_ptr_nonnull(crew.threads[i]);
        await(fxi_park_count(&here) == (size_t)i + 1);
    }
}

static void await_woken(int n)
{
    await(fxi_load_acquire(&seen.woken) == n); /* acquire: with the release in wait_once */
}

static void end(void)
{
    fxi_unpark(&here, SIZE_MAX);
    fxi_unpark(&there, SIZE_MAX);
    crew_join(&crew);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

START_TEST(waiters_are_woken_in_the_order_in_which_they_came)
{
    start_waiters(WAITERS, FX_FOREVER);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_uint_eq(fxi_unpark(&here, 1), 1);
        await_woken(i + 1);
        ck_assert_int_eq(seen.order[i], i);
    }
    ck_assert_uint_eq(fxi_unpark(&here, 1), 0);
    end();
}
END_TEST

START_TEST(unpark_wakes_exactly_n)
{
    start_waiters(WAITERS, FX_FOREVER);
    ck_assert_uint_eq(fxi_unpark(&here, 2), 2);
    await_woken(2);
    ck_assert_uint_eq(fxi_park_count(&here), WAITERS - 2);
    ck_assert_uint_eq(fxi_unpark(&here, 100), WAITERS - 2);
    await_woken(WAITERS);
    end();
}
END_TEST

START_TEST(one_that_waits_at_the_front_is_woken_first)
{
    start_waiters(2, FX_FOREVER);
    seen.at_front = true;
    crew.threads[2] = fx_thread_spawn(wait_once, (void *)2);
    crew.n = 3;
    await(fxi_park_count(&here) == 3);
    ck_assert_uint_eq(fxi_unpark(&here, 1), 1);
    await_woken(1);
    ck_assert_int_eq(seen.order[0], 2);
    end();
}
END_TEST

START_TEST(a_false_condition_does_not_wait)
{
    ck_assert_int_eq(fxi_park(&here, never, NULL, FX_FOREVER), -EAGAIN);
    ck_assert_uint_eq(fxi_park_count(&here), 0);
}
END_TEST

START_TEST(a_deadline_that_is_past_times_out)
{
    seen.timeout = 0;
    struct fxi_wait wait = wait_here();
    uintptr_t given = 7;
    ck_assert_int_eq(fxi_park_wait(&wait, &given), -ETIMEDOUT);
    ck_assert_uint_eq(given, 7);
    ck_assert_int_eq(seen.left_calls, 1);
    ck_assert_int_eq(seen.left_others, 0);
}
END_TEST

START_TEST(no_wait_ends_before_its_deadline)
{
    for (int i = 0; i < 20; i++) {
        fx_deadline end_at = fx_deadline_after(FX_USEC(500));
        ck_assert_int_eq(fxi_park(&here, always, NULL, end_at), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end_at);
        end_at = fx_deadline_after(FX_USEC(500));
        ck_assert_int_eq(fxi_park_until(end_at), 0);
        ck_assert_int_ge(fx_now(), end_at);
    }
}
END_TEST

START_TEST(one_that_leaves_is_told_whether_others_remain)
{
    start_waiters(2, FX_FOREVER);
    seen.timeout = FX_MSEC(1);
    struct fxi_wait wait = wait_here();
    ck_assert_int_eq(fxi_park_wait(&wait, NULL), -ETIMEDOUT);
    ck_assert_int_eq(seen.left_calls, 1);
    ck_assert_int_eq(seen.left_others, 1);
    end();
}
END_TEST

/* Wakes those whose number is odd, up to a limit, and gives each ten times its number. */
struct choice {
    int calls, stop_at;
    bool finished, remain;
};

static enum fxi_choice choose_odd(struct fxi_waiter *waiter, void *arg)
{
    struct choice *choice = arg;
    choice->calls++;
    if ((int)waiter->wants == choice->stop_at)
        return FXI_CHOICE_STOP;
    waiter->given = waiter->wants * 10;
    return waiter->wants % 2 ? FXI_CHOICE_WAKE : FXI_CHOICE_SKIP;
}

static void note_finish(bool remain, void *arg)
{
    struct choice *choice = arg;
    choice->finished = true;
    choice->remain = remain;
}

START_TEST(a_waker_chooses_by_what_waiters_want_and_gives)
{
    struct choice choice = { .stop_at = -1 };
    start_waiters(WAITERS, FX_FOREVER);
    ck_assert_uint_eq(fxi_unpark_chosen(&here, choose_odd, note_finish, &choice), WAITERS / 2);
    ck_assert_int_eq(choice.calls, WAITERS);
    ck_assert(choice.finished && choice.remain);
    await_woken(WAITERS / 2);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(fxi_load_acquire(&seen.result[i]), i % 2 ? 0 : NOT_YET);
        if (i % 2)
            ck_assert_uint_eq(seen.given[i], (uintptr_t)i * 10);
    }
    end();
}
END_TEST

START_TEST(a_waker_that_stops_looks_at_nobody_behind)
{
    struct choice choice = { .stop_at = 2 };
    start_waiters(WAITERS, FX_FOREVER);
    ck_assert_uint_eq(fxi_unpark_chosen(&here, choose_odd, note_finish, &choice), 1);
    ck_assert_int_eq(choice.calls, 3);
    ck_assert(choice.remain);
    await_woken(1);
    ck_assert_int_eq(seen.order[0], 1);
    end();
}
END_TEST

START_TEST(finish_is_told_when_nobody_remains)
{
    struct choice choice = { .stop_at = -1 };
    ck_assert_uint_eq(fxi_unpark_chosen(&here, choose_odd, note_finish, &choice), 0);
    ck_assert(choice.finished && !choice.remain);
}
END_TEST

static void count_and_unpark(void *arg)
{
    ++*(int *)arg;
    fxi_unpark(&here, 1);
}

START_TEST(before_sleep_runs_when_queued_and_may_wake_its_own_waiter)
{
    int calls = 0;
    struct fxi_wait wait = {
        .address = &here,
        .condition = always,
        .before_sleep = count_and_unpark,
        .arg = &calls,
        .deadline = FX_FOREVER,
    };
    ck_assert_int_eq(fxi_park_wait(&wait, NULL), 0);
    ck_assert_int_eq(calls, 1);
}
END_TEST

static bool say_yes(void *arg)
{
    return ++*(int *)arg == 1;
}

static bool say_no(void *arg)
{
    ++*(int *)arg;
    return false;
}

START_TEST(moved_waiters_are_woken_at_their_new_address_in_order)
{
    int asked = 0;
    start_waiters(WAITERS, FX_FOREVER);
    ck_assert_uint_eq(fxi_park_move(&here, &there, 4, say_yes, &asked), 4);
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_eq(fxi_park_count(&here), 2);
    ck_assert_uint_eq(fxi_park_count(&there), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(fxi_unpark(&there, 1), 1);
        await_woken(i + 1);
        ck_assert_int_eq(seen.order[i], i);
    }
    end();
}
END_TEST

START_TEST(nobody_is_moved_where_it_may_not_be)
{
    int asked = 0;
    ck_assert_uint_eq(fxi_park_move(&here, &there, 4, say_no, &asked), 0);
    ck_assert_int_eq(asked, 0);
    start_waiters(2, FX_FOREVER);
    ck_assert_uint_eq(fxi_park_move(&here, &there, 4, say_no, &asked), 0);
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_eq(fxi_park_count(&here), 2);
    end();
}
END_TEST

START_TEST(a_moved_waiter_has_no_deadline_any_more)
{
    int asked = 0;
    start_waiters(1, FX_SEC(2));
    ck_assert_uint_eq(fxi_park_move(&here, &there, 1, say_yes, &asked), 1);
    fx_sleep(FX_SEC(2.1));
    ck_assert_uint_eq(fxi_park_count(&there), 1);
    ck_assert_int_eq(seen.left_calls, 0);
    fxi_unpark(&there, 1);
    await_woken(1);
    ck_assert_int_eq(seen.result[0], 0);
    end();
}
END_TEST

/* Each waiter's deadline comes at about the time of its wake: every wait ends in one of the two
 * ways, and each wake that was counted was taken. */
static struct {
    int wakes, timeouts, stop;
} race;

static void *race_waiter(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        struct fxi_wait wait = {
            .address = &here,
            .condition = always,
            .deadline = fx_deadline_after(1000 * (i % 60)),
            .spins = i % 2,
        };
        int rc = fxi_park_wait(&wait, NULL);
        expect(rc == 0 || rc == -ETIMEDOUT);
        fxi_add_relaxed(rc == 0 ? &race.wakes : &race.timeouts, 1);
    }
    return NULL;
}

START_TEST(a_timeout_that_meets_a_wake_takes_the_wake)
{
    size_t woken = 0;
    crew_start(&crew, 3, race_waiter);
    while (fxi_load_relaxed(&race.wakes) + fxi_load_relaxed(&race.timeouts) < 3 * 2000)
        woken += fxi_unpark(&here, 1);
    crew_join(&crew);
    ck_assert_uint_eq(woken, (size_t)race.wakes);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

START_TEST(failing_futex_waits_change_nothing)
{
    static const int errors[] = { EINTR, EAGAIN };
    for (int i = 0; i < 2; i++) {
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1, errors[i]);
        fx_deadline end_at = fx_deadline_after(FX_MSEC(2));
        ck_assert_int_eq(fxi_park(&here, always, NULL, end_at), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end_at);
        ck_assert_uint_ge(fxi_inject_count(FXI_INJECT_FUTEX_WAIT), 2);
    }
    fxi_inject_disarm();
}
END_TEST

START_TEST(a_spinning_waiter_is_woken_too)
{
    seen.spins = true;
    for (int i = 0; i < 20; i++) {
        seen.woken = seen.places = 0;
        start_waiters(2, FX_FOREVER);
        fxi_unpark(&here, 2);
        await_woken(2);
        crew_join(&crew);
    }
}
END_TEST

START_TEST(those_taken_wait_on_until_they_are_woken)
{
    struct choice choice = { .stop_at = -1 };
    start_waiters(2, FX_MSEC(20));
    struct fxi_waiter *taken = fxi_unpark_take(&here, choose_odd, note_finish, &choice);
    ck_assert_ptr_nonnull(taken);
    ck_assert_uint_eq(fxi_park_count(&here), 1);
    await_woken(1); /* the other one, by its deadline */
    ck_assert_int_eq(fxi_load_acquire(&seen.result[0]), -ETIMEDOUT);
    ck_assert_int_eq(fxi_load_acquire(&seen.result[1]), NOT_YET);
    fxi_unpark_wake(taken);
    await_woken(2);
    ck_assert_int_eq(fxi_load_acquire(&seen.result[1]), 0);
    crew_join(&crew);
    fxi_unpark_wake(fxi_unpark_take(&here, choose_odd, NULL, &choice)); /* nobody */
}
END_TEST

/* Or two that wake each other, and both sleep, would never find out that they need not. */
START_TEST(one_that_spins_in_vain_tries_for_longer_after_a_while)
{
    const struct fxi_wait wait = {
        .address = &here, .condition = always, .spins = true, .deadline = 1 /* past */
    };
    struct fxi_context *self = fxi_self();
    ck_assert_ptr_nonnull(self);
    for (int i = 0; i < 20000 && self->waiter.long_spins == 0; i++)
        ck_assert_int_eq(fxi_park_wait(&wait, NULL), -ETIMEDOUT);
    ck_assert_int_eq(self->waiter.long_spins > 0, fxi_processors() > 1);
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(fxi_park_wait(&wait, NULL), -ETIMEDOUT);
    ck_assert_uint_eq(self->waiter.long_spins, 0);
}
END_TEST

static int child_parks(void)
{
    int rc = fxi_park(&here, always, NULL, fx_deadline_after(FX_MSEC(1)));
    return rc == -ETIMEDOUT && fxi_park_count(&here) == 0 ? 0 : 1;
}

START_TEST(a_forked_child_has_no_waiters_and_can_wait)
{
    start_waiters(3, FX_FOREVER);
    ck_assert_int_eq(child_run(child_parks), 0);
    ck_assert_uint_eq(fxi_park_count(&here), 3);
    end();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, waiters_are_woken_in_the_order_in_which_they_came);
    tcase_add_test(tests, unpark_wakes_exactly_n);
    tcase_add_test(tests, one_that_waits_at_the_front_is_woken_first);
    tcase_add_test(tests, a_false_condition_does_not_wait);
    tcase_add_test(tests, a_deadline_that_is_past_times_out);
    tcase_add_test(tests, no_wait_ends_before_its_deadline);
    tcase_add_test(tests, one_that_leaves_is_told_whether_others_remain);
    tcase_add_test(tests, a_waker_chooses_by_what_waiters_want_and_gives);
    tcase_add_test(tests, a_waker_that_stops_looks_at_nobody_behind);
    tcase_add_test(tests, finish_is_told_when_nobody_remains);
    tcase_add_test(tests, before_sleep_runs_when_queued_and_may_wake_its_own_waiter);
    tcase_add_test(tests, moved_waiters_are_woken_at_their_new_address_in_order);
    tcase_add_test(tests, nobody_is_moved_where_it_may_not_be);
    tcase_add_test(tests, a_moved_waiter_has_no_deadline_any_more);
    tcase_add_test(tests, a_timeout_that_meets_a_wake_takes_the_wake);
    tcase_add_test(tests, failing_futex_waits_change_nothing);
    tcase_add_test(tests, a_spinning_waiter_is_woken_too);
    tcase_add_test(tests, those_taken_wait_on_until_they_are_woken);
    tcase_add_test(tests, one_that_spins_in_vain_tries_for_longer_after_a_while);
    tcase_add_test(tests, a_forked_child_has_no_waiters_and_can_wait);
}

int main(void)
{
    return run_suite("park", add_tests);
}
