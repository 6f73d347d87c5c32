/* A stop reaches the program's own code at any instruction, and callbacks that the library calls.
 * */
#include "../thread/suite.h"
#include "victim.h"

static void empty_loop(void)
{
    victim_is_there();
    for (;;)
        __asm__ volatile("");
}

START_TEST(an_empty_loop_is_stopped)
{
    stop_once_in(empty_loop);
}
END_TEST

static void arithmetic(void)
{
    static volatile double kept = 0.5;
    double sum = 0;
    uint64_t n = 1;
    victim_is_there();
    for (;;) {
        n = n * 6364136223846793005u + 1442695040888963407u;
        sum = sum * kept + (double)(n >> 40);
        if (n == 0)
            kept = sum;
    }
}

START_TEST(a_loop_of_arithmetic_is_stopped)
{
    stop_once_in(arithmetic);
}
END_TEST

static int volatile depth_sink;

__attribute__((noinline)) static int go_down(int depth)
{
    int below = depth > 0 ? go_down(depth - 1) : 0;
    return below + depth_sink; /* so that the call is none that becomes a jump */
}

static void go_down_and_up(void)
{
    for (;;) {
        victim_is_there();
        go_down(200);
    }
}

START_TEST(a_stop_finds_its_way_up_from_any_depth_of_calls)
{
    stop_in(go_down_and_up);
}
END_TEST

__attribute__((noinline)) static void stay_down(int depth)
{
    if (depth > 0) {
        stay_down(depth - 1);
        depth_sink++;
        return;
    }
    victim_is_there();
    while (depth_sink == 0)
        __asm__ volatile("");
}

static void far_down(void)
{
    stay_down(400);
}

START_TEST(a_loop_at_the_bottom_of_400_calls_is_stopped)
{
    stop_once_in(far_down);
}
END_TEST

/* Of scopes that are entered and left all the time: each instruction of that is a place to stop. */
static int opened, closed;

static void closes(void *count)
{
    ++*(int *)count;
}

static void scopes(void)
{
    for (;;) {
        victim_is_there();
        FX_TRY {
            FX_DEFER(closes, &opened);
            FX_TRY { depth_sink++; } FX_FINALLY { depth_sink--; } FX_END
        }
        FX_EXCEPT(e) { expect_int(e, ==, 0); }
        FX_FINALLY { closed++; } FX_END
    }
}

START_TEST(a_loop_that_enters_and_leaves_scopes_is_stopped)
{
    stop_in(scopes);
    ck_assert_int_ge(closed, opened); /* the guard lies inside */
}
END_TEST

static void raises(void)
{
    for (;;) {
        victim_is_there();
        FX_TRY { fx_raise(17); }
        FX_EXCEPT(e) { expect_int(e, ==, 17); } FX_END
    }
}

START_TEST(a_loop_that_raises_and_catches_is_stopped)
{
    stop_in(raises);
}
END_TEST

static void checkpoints(void)
{
    for (;;) {
        victim_is_there();
        fx_checkpoint();
    }
}

START_TEST(a_loop_of_checkpoints_is_stopped)
{
    stop_in(checkpoints);
}
END_TEST

/* --- callbacks of the library --- */

static fx_once once;

static void loop_in_once(void *arg)
{
    (void)arg;
    empty_loop();
}

static void in_once(void)
{
    fx_once_call(&once, loop_in_once, NULL);
}

static void do_nothing(void *arg)
{
    ++*(int *)arg;
}

START_TEST(what_is_done_once_is_stopped_and_not_done_then)
{
    int done = 0;
    stop_once_in(in_once);
    ck_assert_int_eq(fx_once_call(&once, do_nothing, &done), 0);
    ck_assert_int_eq(done, 1);
}
END_TEST

static fx_once outer_once;

static void call_inner_once(void *arg)
{
    fx_once_call(&once, loop_in_once, arg);
}

static void in_two_onces(void)
{
    fx_once_call(&outer_once, call_inner_once, NULL);
}

START_TEST(a_callback_in_a_callback_is_stopped)
{
    int done = 0;
    stop_once_in(in_two_onces);
    ck_assert_int_eq(fx_once_call(&outer_once, do_nothing, &done), 0);
    ck_assert_int_eq(fx_once_call(&once, do_nothing, &done), 0);
    ck_assert_int_eq(done, 2);
}
END_TEST

static void in_barrier_action(void)
{
    fx_barrier barrier;
    fx_barrier_init(&barrier, 1, loop_in_once, NULL);
    fx_barrier_wait(&barrier);
}

START_TEST(the_action_of_a_barrier_is_stopped)
{
    stop_once_in(in_barrier_action);
}
END_TEST

static int predicate_may_end;

static bool false_when_told(void *arg)
{
    (void)arg;
    victim_is_there();
    while (!__atomic_load_n(&predicate_may_end, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
    return false;
}

static fx_lock predicate_lock;
static fx_condition predicate_condition;

static void in_predicate(void)
{
    FX_WITH(&predicate_lock)
        fx_condition_wait_pred(&predicate_condition, &predicate_lock, false_when_told, NULL,
                               FX_FOREVER);
}

/* It is no such callback, and short: it is not cut off. */
START_TEST(the_predicate_of_a_wait_ends_then_the_wait_is_stopped_and_the_lock_released)
{
    for (int i = 0; i < scaled(12); i++) {
        predicate_may_end = 0;
        victim_start(in_predicate);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        await_pause();
        __atomic_store_n(&predicate_may_end, 1, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
        ck_assert(!fx_lock_locked(&predicate_lock));
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_loop_of_checkpoints_is_stopped);
    tcase_add_test(tests,
                   the_predicate_of_a_wait_ends_then_the_wait_is_stopped_and_the_lock_released);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, an_empty_loop_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_of_arithmetic_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_stop_finds_its_way_up_from_any_depth_of_calls);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_at_the_bottom_of_400_calls_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_that_enters_and_leaves_scopes_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_that_raises_and_catches_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, what_is_done_once_is_stopped_and_not_done_then);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_callback_in_a_callback_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, the_action_of_a_barrier_is_stopped);
}

int main(void)
{
    return run_suite("stop_own", add_tests);
}
