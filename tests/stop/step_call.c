/* A stop after every single instruction of a system call that is a stop point: on the way to it and into
 * it, nothing there; and all through it, with something there. Either the call was made and its result is
 * returned, or it had no effect. */
#define _GNU_SOURCE
#include "../thread/suite.h"
#include "blocking_call.h"
#include "step.h"

#if CAN_STEP

static fx_stop_mode mode;
static int taken;

static void reads_in_mode(void)
{
    fx_stop_set_mode(mode);
    victim_is_there();
    step_begin();
    taken += read_byte() == 1; /* of the deferred mode nothing comes between the two */
    step_end();
}

static bool is_there_and_asleep(void)
{
    return victim_turns() > 0 && is_asleep(fx_thread_native_id(victim.thread));
}

static const fx_stop_mode modes[] = { FX_STOP_SAFE, FX_STOP_DEFERRED, FX_STOP_ASYNC };

START_TEST(a_call_that_blocks)
{
    step_catch_traps();
    channel_open();
    mode = modes[_i];
    long k = 1;
    for (bool reached = true; reached; k = step_after(k)) {
        step_arm(k);
        victim_start(reads_in_mode);
        step_await(step_reached() || is_there_and_asleep());
        reached = step_reached();
        ck_assert_int_eq(step_ask(), 0);
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        victim_ends_by(FX_STOPPED);
    }
    printf("%ld instructions\n", k);
    ck_assert_int_gt(k, 20);
}
END_TEST

static void put_one(void)
{
    while (channel_holds() == 0)
        channel_put();
    taken = 0;
}

static void look(long k)
{
    ck_assert_msg(taken + channel_holds() == 1 || mode != FX_STOP_DEFERRED,
                  "after %ld: %d taken, %d left", k, taken, channel_holds());
    if (k == 0)
        ck_assert_int_eq(taken, 1);
}

START_TEST(a_call_that_returns)
{
    channel_open();
    mode = modes[_i];
    ck_assert_int_gt(step_through(reads_in_mode, put_one, look), 20);
}
END_TEST

static void reads_until_later(void)
{
    fx_stop_set_mode(FX_STOP_DEFERRED);
    victim_is_there();
    step_begin();
    taken += fxi_stop_point((int)read_byte_until(fx_deadline_after(FX_SEC(3600)))) == 1;
    step_end();
}

START_TEST(a_call_with_a_deadline)
{
    channel_open();
    mode = FX_STOP_DEFERRED;
    step_through(reads_until_later, put_one, look);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_call_that_blocks, 0, 3);
    tcase_add_loop_test(tests, a_call_that_returns, 0, 3);
    tcase_add_test(tests, a_call_with_a_deadline);
}

int main(void)
{
    return run_suite("step_call", add_tests);
}

#else

int main(void)
{
    return TEST_SKIPPED;
}

#endif
