/* Barriers: rounds that pass, and all the ways in which one fails. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "worker.h"

static int wait_for_ever(void *barrier)
{
    return fx_barrier_wait(barrier);
}

static int wait_20_ms(void *barrier)
{
    return fx_barrier_wait_for(barrier, FX_MSEC(20));
}

/* Parties that have arrived, parked or still awake. */
#define await_arrived(barrier, n) await(fx_barrier_n_waiting(barrier) == (n))

static void arrive(struct worker *w, uint32_t n, fx_barrier *barrier)
{
    for (uint32_t i = 0; i < n; i++) {
        worker_start(&w[i], wait_for_ever, barrier);
        await_arrived(barrier, i + 1);
    }
}

START_TEST(a_barrier_is_32_bytes_and_zeroes_are_one_of_no_parties)
{
    fx_barrier zero, init = FX_BARRIER_INIT(3), made;
    memset(&zero, 0, sizeof zero);
    ck_assert_uint_eq(sizeof(fx_barrier), 32);
    ck_assert_int_eq(fx_barrier_init(&made, 3, NULL, NULL), 0);
    ck_assert_mem_eq(&made, &init, sizeof made);
    ck_assert_uint_eq(fx_barrier_parties(&zero), 0);
    ck_assert_int_eq(fx_barrier_wait(&zero), -EINVAL);
    ck_assert(!fx_barrier_broken(&zero));
    ck_assert_uint_eq(fx_barrier_n_waiting(&zero), 0);
    ck_assert_int_eq(fx_barrier_reset(&zero), 0);
}
END_TEST

START_TEST(init_refuses_none_and_too_many)
{
    fx_barrier barrier;
    ck_assert_int_eq(fx_barrier_init(&barrier, 0, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_barrier_init(&barrier, FX_BARRIER_MAX + 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_barrier_init(&barrier, (uint32_t)-1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_barrier_init(&barrier, FX_BARRIER_MAX, NULL, NULL), 0);
    ck_assert_uint_eq(fx_barrier_parties(&barrier), FX_BARRIER_MAX);
}
END_TEST

START_TEST(a_single_party_never_waits)
{
    fx_barrier barrier = FX_BARRIER_INIT(1);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(fx_barrier_wait(&barrier), 0);
        ck_assert_int_eq(fx_barrier_wait_for(&barrier, 0), 0);
        ck_assert_int_eq(fx_barrier_wait_until(&barrier, 0), 0);
    }
    ck_assert_uint_eq(fx_barrier_n_waiting(&barrier), 0);
}
END_TEST

START_TEST(the_last_lets_all_go_and_each_has_the_index_of_its_arrival)
{
    enum { N = 7 };
    fx_barrier barrier = FX_BARRIER_INIT(N + 1);
    for (int round = 0; round < 5; round++) {
        struct worker w[N];
        arrive(w, N, &barrier);
        for (int i = 0; i < N; i++)
            ck_assert(!worker_done(&w[i]));
        ck_assert_int_eq(fx_barrier_wait(&barrier), N);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(worker_end(&w[i]), i);
        ck_assert_uint_eq(fx_barrier_n_waiting(&barrier), 0);
    }
}
END_TEST

static atomic_int actions;

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&actions, 1);
}

enum { ROUNDS = 300 };
static fx_barrier many_rounds;
static atomic_int out_of_step;

static int run_rounds(void *arg)
{
    (void)arg;
    for (int i = 1; i <= ROUNDS; i++) {
        if (fx_barrier_wait(&many_rounds) < 0)
            return -1;
        if (atomic_load(&actions) != i)
            atomic_fetch_add(&out_of_step, 1);
        if (fx_barrier_wait(&many_rounds) < 0) /* all have looked before the next is counted */
            return -1;
    }
    return 0;
}

static int parity;

static void count_every_other(void *arg)
{
    if (++parity % 2)
        count(arg);
}

START_TEST(the_action_runs_once_a_round_before_anyone_goes_on)
{
    enum { N = 4 };
    struct worker w[N];
    ck_assert_int_eq(fx_barrier_init(&many_rounds, N, count_every_other, NULL), 0);
    for (int i = 0; i < N; i++)
        worker_start(&w[i], run_rounds, NULL);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_int_eq(parity, 2 * ROUNDS);
    ck_assert_int_eq(atomic_load(&out_of_step), 0);
}
END_TEST

START_TEST(a_timeout_breaks_it_for_all)
{
    enum { N = 3 };
    fx_barrier barrier = FX_BARRIER_INIT(N + 2);
    struct worker w[N], hasty;
    arrive(w, N, &barrier);
    worker_start(&hasty, wait_20_ms, &barrier);
    ck_assert_int_eq(worker_end(&hasty), -EPIPE);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), -EPIPE);
    ck_assert(fx_barrier_broken(&barrier));
    ck_assert_uint_eq(fx_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(fx_barrier_wait(&barrier), -EPIPE);
    ck_assert_int_eq(fx_barrier_wait_for(&barrier, 0), -EPIPE);
}
END_TEST

START_TEST(a_wait_without_time_breaks_it_unless_it_is_the_last)
{
    fx_barrier barrier = FX_BARRIER_INIT(2);
    struct worker w;
    arrive(&w, 1, &barrier);
    ck_assert_int_eq(fx_barrier_wait_for(&barrier, 0), 1);
    ck_assert_int_eq(worker_end(&w), 0);
    ck_assert(!fx_barrier_broken(&barrier));
    ck_assert_int_eq(fx_barrier_wait_for(&barrier, -7), -EPIPE);
    ck_assert(fx_barrier_broken(&barrier));
}
END_TEST

START_TEST(abort_breaks_it_for_those_that_wait_and_those_to_come)
{
    enum { N = 3 };
    fx_barrier barrier = FX_BARRIER_INIT(N + 1);
    struct worker w[N];
    arrive(w, N, &barrier);
    ck_assert_int_eq(fx_barrier_abort(&barrier), 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), -EPIPE);
    ck_assert_int_eq(fx_barrier_abort(&barrier), 0);
    ck_assert(fx_barrier_broken(&barrier));
    ck_assert_int_eq(fx_barrier_wait(&barrier), -EPIPE);
}
END_TEST

START_TEST(reset_mends_a_broken_one)
{
    fx_barrier barrier = FX_BARRIER_INIT(2);
    struct worker w;
    fx_barrier_abort(&barrier);
    ck_assert_int_eq(fx_barrier_reset(&barrier), 0);
    ck_assert(!fx_barrier_broken(&barrier));
    arrive(&w, 1, &barrier);
    ck_assert_int_eq(fx_barrier_wait(&barrier), 1);
    ck_assert_int_eq(worker_end(&w), 0);
}
END_TEST

START_TEST(reset_turns_those_that_wait_away_and_begins_anew)
{
    enum { N = 3 };
    fx_barrier barrier = FX_BARRIER_INIT(N + 1);
    for (int round = 0; round < 20; round++) {
        struct worker old[N], new[N];
        arrive(old, N, &barrier);
        ck_assert_int_eq(fx_barrier_reset(&barrier), 0);
        ck_assert_uint_eq(fx_barrier_n_waiting(&barrier), 0);
        ck_assert(!fx_barrier_broken(&barrier));
        for (int i = 0; i < N; i++) /* while the old ones may still be leaving */
            worker_start(&new[i], wait_for_ever, &barrier);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(worker_end(&old[i]), -EPIPE);
        await_arrived(&barrier, N);
        ck_assert_int_eq(fx_barrier_wait(&barrier), N);
        int sum = 0;
        for (int i = 0; i < N; i++)
            sum += worker_end(&new[i]);
        ck_assert_int_eq(sum, N * (N - 1) / 2);
    }
}
END_TEST

/* --- while the action runs -------------------------------------------------------------------- */

static fx_event in_action, may_return;

static void act_until_told(void *arg)
{
    (void)arg;
    fx_event_set(&in_action);
    fx_event_wait(&may_return);
}

static fx_barrier acting;

static void fill(struct worker *waiting, struct worker *last)
{
    fx_barrier_init(&acting, 2, act_until_told, NULL);
    worker_start(waiting, wait_20_ms, &acting);
    await_arrived(&acting, 1);
    worker_start(last, wait_for_ever, &acting);
    fx_event_wait(&in_action);
}

START_TEST(once_all_have_arrived_the_time_counts_no_more)
{
    struct worker waiting, last, later;
    fx_deadline end = fx_deadline_after(FX_MSEC(40));
    fill(&waiting, &last);
    worker_start(&later, wait_20_ms, &acting); /* of the next round: it waits to arrive */
    ck_assert_int_eq(worker_end(&later), -ETIMEDOUT);
    while (fx_now() < end)
        fx_sleep(FX_MSEC(1));
    ck_assert(!worker_done(&waiting));
    ck_assert_uint_eq(fx_barrier_n_waiting(&acting), 2);
    fx_event_set(&may_return);
    ck_assert_int_eq(worker_end(&waiting), 0);
    ck_assert_int_eq(worker_end(&last), 1);
    ck_assert(!fx_barrier_broken(&acting));
}
END_TEST

START_TEST(abort_during_the_action_turns_all_away)
{
    struct worker waiting, last, later;
    fill(&waiting, &last);
    worker_start(&later, wait_for_ever, &acting);
    fx_barrier_abort(&acting);
    ck_assert_int_eq(worker_end(&waiting), -EPIPE);
    ck_assert_int_eq(worker_end(&later), -EPIPE);
    ck_assert(!worker_done(&last));
    fx_event_set(&may_return);
    ck_assert_int_eq(worker_end(&last), -EPIPE);
    ck_assert_int_eq(fx_barrier_reset(&acting), 0);
    ck_assert_uint_eq((uint32_t)acting.state, 0);
}
END_TEST

START_TEST(reset_during_the_action_begins_anew_when_it_has_returned)
{
    struct worker waiting, last, later;
    fill(&waiting, &last);
    fx_barrier_reset(&acting);
    worker_start(&later, wait_for_ever, &acting);
    ck_assert_int_eq(worker_end(&waiting), -EPIPE);
    ck_assert(!worker_done(&later));
    fx_event_set(&may_return);
    ck_assert_int_eq(worker_end(&last), -EPIPE);
    await_arrived(&acting, 1);
    ck_assert_int_eq(fx_barrier_wait(&acting), 1);
    ck_assert_int_eq(worker_end(&later), 0);
}
END_TEST

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

static void raise_eio(void *arg)
{
    (void)arg;
    fx_raise(-EIO);
}

START_TEST(an_action_that_raises_breaks_it)
{
    fx_barrier barrier;
    struct worker waiting, last;
    fx_set_excepthook(silent_hook);
    fx_barrier_init(&barrier, 2, raise_eio, NULL);
    for (int i = 0; i < 3; i++) {
        arrive(&waiting, 1, &barrier);
        worker_start(&last, wait_for_ever, &barrier);
        ck_assert_int_eq(worker_end(&waiting), -EPIPE);
        ck_assert_int_eq(fx_thread_join(last.thread, NULL), 0);
        ck_assert_int_eq(fx_thread_exception(last.thread), -EIO);
        ck_assert(!worker_done(&last));
        fx_thread_unref(last.thread);
        ck_assert(fx_barrier_broken(&barrier));
        ck_assert_int_eq(fx_barrier_wait(&barrier), -EPIPE);
        ck_assert_int_eq(fx_barrier_reset(&barrier), 0);
        ck_assert(!fx_barrier_broken(&barrier));
    }
}
END_TEST

static void *exit_in_pthread(void *barrier)
{
    fx_barrier_wait(barrier);
    return barrier;
}

static void exit_pthread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

START_TEST(an_action_that_ends_its_thread_breaks_it)
{
    fx_barrier barrier;
    pthread_t foreign;
    void *rc = &barrier;
    fx_barrier_init(&barrier, 1, exit_pthread, NULL);
    ck_assert_int_eq(pthread_create(&foreign, NULL, exit_in_pthread, &barrier), 0);
    ck_assert_int_eq(pthread_join(foreign, &rc), 0);
    ck_assert_ptr_null(rc);
    ck_assert(fx_barrier_broken(&barrier));
}
END_TEST

static int numbers[4];

static int write_and_add_up(void *arg)
{
    int me = (int)(intptr_t)arg, rc = 0;
    for (int i = 1; i <= 200 && rc >= 0; i++) {
        numbers[me] = i;
        rc = fx_barrier_wait(&many_rounds);
        int sum = numbers[0] + numbers[1] + numbers[2] + numbers[3];
        if (sum != 4 * i)
            return -1;
        if (rc >= 0)
            rc = fx_barrier_wait(&many_rounds);
    }
    return rc < 0 ? rc : 0;
}

START_TEST(what_each_party_wrote_is_seen_by_all)
{
    struct worker w[4];
    fx_barrier_init(&many_rounds, 4, NULL, NULL);
    for (int i = 0; i < 4; i++)
        worker_start(&w[i], write_and_add_up, (void *)(intptr_t)i);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 20; i++) {
        fx_barrier barrier = FX_BARRIER_INIT(2);
        struct worker w;
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        arrive(&w, 1, &barrier);
        await_waiters(&barrier, 1);
        ck_assert_int_eq(fx_barrier_wait(&barrier), 1);
        ck_assert_int_eq(worker_end(&w), 0);
        fxi_inject_disarm();
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_barrier_is_32_bytes_and_zeroes_are_one_of_no_parties);
    tcase_add_test(tests, init_refuses_none_and_too_many);
    tcase_add_test(tests, a_single_party_never_waits);
    tcase_add_test(tests, the_last_lets_all_go_and_each_has_the_index_of_its_arrival);
    tcase_add_test(tests, the_action_runs_once_a_round_before_anyone_goes_on);
    tcase_add_test(tests, a_timeout_breaks_it_for_all);
    tcase_add_test(tests, a_wait_without_time_breaks_it_unless_it_is_the_last);
    tcase_add_test(tests, abort_breaks_it_for_those_that_wait_and_those_to_come);
    tcase_add_test(tests, reset_mends_a_broken_one);
    tcase_add_test(tests, reset_turns_those_that_wait_away_and_begins_anew);
    tcase_add_test(tests, once_all_have_arrived_the_time_counts_no_more);
    tcase_add_test(tests, abort_during_the_action_turns_all_away);
    tcase_add_test(tests, reset_during_the_action_begins_anew_when_it_has_returned);
    tcase_add_test(tests, an_action_that_raises_breaks_it);
    tcase_add_test(tests, an_action_that_ends_its_thread_breaks_it);
    tcase_add_test(tests, what_each_party_wrote_is_seen_by_all);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
}

int main(void)
{
    return run_suite("barrier", add_tests);
}
