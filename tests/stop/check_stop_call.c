/* A blocking system call as a stop point: a stop before it or in it ends it, in every mode and in every
 * kind of thread; what it has done is told; deadlines; other signals; regions without stops. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "../executor/pool.h"
#include "../thread/suite.h"
#include "blocking_call.h"
#include "child.h"
#include "kernel/inject.h"
#include "kernel/membarrier.h"

#define HOUR FX_SEC(3600)

/* --- results --- */

START_TEST(the_result_is_the_kernels_and_errno_is_left_alone)
{
    char byte = 'x';
    const long arguments[6] = { -1, (long)(uintptr_t)&byte, 1 };
    channel_open();
    channel_put();
    errno = 77;
    ck_assert_int_eq(read_byte_until(FX_FOREVER), 1);
    ck_assert_int_eq(fxi_stop_call(SYS_write, arguments, FX_FOREVER), -EBADF);
    ck_assert_int_eq(fxi_stop_call(SYS_write, arguments, fx_deadline_after(HOUR)), -EBADF);
    ck_assert_int_eq(fxi_stop_call(SYS_getppid, arguments, FX_FOREVER), getppid());
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void *six;

START_TEST(all_six_arguments_arrive)
{
    const long arguments[6] = { 0, 8192, 3, 0x22, -1, 0 }; /* of mmap: read, write; private, of nothing */
    six = (void *)fxi_stop_call(SYS_mmap, arguments, FX_FOREVER);
    ck_assert_int_gt((long)six, 0);
    memset(six, 1, 8192);
    const long other[6] = { (long)six, 8192 };
    ck_assert_int_eq(fxi_stop_call(SYS_munmap, other, FX_FOREVER), 0);
}
END_TEST

/* --- stops --- */

static void reads(void)
{
    victim_is_there();
    expect_int(read_byte(), ==, 0);
}

static void reads_until_later(void)
{
    victim_is_there();
    expect_int(fxi_stop_point((int)read_byte_until(fx_deadline_after(HOUR))), ==, 0);
}

static void reads_deferred(void)
{
    fx_stop_set_mode(FX_STOP_DEFERRED);
    reads();
}

static void reads_async(void)
{
    fx_stop_set_mode(FX_STOP_ASYNC);
    reads();
}

static void polls(void)
{
    const long arguments[6] = { 0, 0, 0, 0, 0 };
    victim_is_there();
    expect_int(fxi_stop_point((int)fxi_stop_call(SYS_ppoll, arguments, FX_FOREVER)), ==, 0);
}

static void (*const places[])(void) = { reads, reads_until_later, reads_deferred, reads_async, polls };

START_TEST(a_call_that_blocks_is_stopped)
{
    channel_open();
    stop_asleep_in(places[_i]);
    stop_once_in(places[_i]);
    channel_put();
    ck_assert_int_eq(read_byte(), 1); /* nobody is there any more who would take it */
}
END_TEST

static int taken;

/* In the deferred mode nothing comes between a call's return and the count. */
static void reads_all(void)
{
    fx_stop_set_mode(FX_STOP_DEFERRED);
    for (;;) {
        victim_is_there();
        if (read_byte() == 1)
            taken++;
    }
}

START_TEST(a_call_that_took_effect_returns_its_result_and_none_is_lost)
{
    int put = 0;
    taken = 0;
    channel_open();
    for (int i = 0; i < scaled(60); i++) {
        victim_start(reads_all);
        await(victim_turns() > 0);
        for (int j = 0; j < 20; j++) {
            channel_put();
            put++;
            if (j % 3 == 0)
                pass_a_moment();
        }
        victim_stop();
        ck_assert_int_eq(taken + channel_holds(), put);
    }
    printf("%d of %d were taken\n", taken, put);
}
END_TEST

static void reads_and_takes_the_stop(void)
{
    for (int i = 0; i < 3; i++) {
        FX_TRY { reads(); }
        FX_EXCEPT_ANY(e) { expect_int(e, ==, FX_STOPPED); } FX_END
    }
}

START_TEST(after_a_stop_that_was_taken_the_next_call_blocks_again)
{
    channel_open();
    victim_start(reads_and_takes_the_stop);
    for (uint64_t i = 1; i <= 3; i++) {
        await(victim_turns() == i && is_asleep(fx_thread_native_id(victim.thread)));
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    }
    victim_ends_by(0);
}
END_TEST

/* --- where there is none --- */

static int go_on;

static void reads_disabled(void)
{
    fx_stop_disable();
    victim_is_there();
    taken = read_byte();
    fx_stop_enable();
}

static void reads_in_finally(void)
{
    FX_TRY { } FX_FINALLY {
        victim_is_there();
        taken = read_byte();
    } FX_END
    fx_checkpoint();
}

static void read_is_not_stopped(void (*place)(void))
{
    channel_open();
    victim_start(place);
    await(victim_turns() == 1 && is_asleep(fx_thread_native_id(victim.thread)));
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    for (int i = 0; i < 5; i++)
        await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    channel_put();
    victim_ends_by(FX_STOPPED);
    ck_assert_int_eq(taken, 1);
}

START_TEST(where_stops_are_inhibited_the_call_goes_on)
{
    read_is_not_stopped(reads_disabled);
    read_is_not_stopped(reads_in_finally);
}
END_TEST

static int results[2];

static int compare(const void *one, const void *other)
{
    (void)one;
    (void)other;
    victim_is_there();
    results[0] = read_byte();
    results[1] = read_byte();
    return 0;
}

static void reads_in_sort(void)
{
    int numbers[] = { 2, 1 };
    qsort(numbers, 2, sizeof *numbers, compare);
    fx_checkpoint();
}

START_TEST(below_a_foreign_frame_it_returns_ecanceled)
{
    channel_open();
    victim_start(reads_in_sort);
    await(victim_turns() == 1 && is_asleep(fx_thread_native_id(victim.thread)));
    victim_stop();
    ck_assert_int_eq(results[0], -ECANCELED);
    ck_assert_int_eq(results[1], -ECANCELED);
}
END_TEST

/* --- whose thread it is --- */

static fx_thread *foreign;
static int foreign_caught;

static void *read_in_pthread(void *arg)
{
    __atomic_store_n(&foreign, fx_thread_ref(fx_current_thread()), __ATOMIC_RELEASE);
    FX_TRY {
        expect_int(read_byte(), ==, 0);
    } FX_EXCEPT_ANY(e) {
        foreign_caught = e;
    } FX_END
    return arg;
}

static void foreign_is_stopped(bool signals_blocked)
{
    sigset_t all, former;
    pthread_t thread;
    foreign = NULL;
    foreign_caught = 0;
    channel_open();
    sigfillset(&all);
    if (signals_blocked)
        pthread_sigmask(SIG_SETMASK, &all, &former);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_in_pthread, NULL), 0);
    if (signals_blocked)
        pthread_sigmask(SIG_SETMASK, &former, NULL);
    await(__atomic_load_n(&foreign, __ATOMIC_ACQUIRE));
    if (scaled(100) % 2 == 0)
    if (signals_blocked)
        await(is_asleep(fx_thread_native_id(foreign)));
    ck_assert_int_eq(fx_thread_stop(foreign), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(foreign_caught, FX_STOPPED);
    fx_thread_unref(foreign);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

START_TEST(a_foreign_thread_is_stopped)
{
    for (int i = 0; i < scaled(20); i++)
        foreign_is_stopped(i % 2);
}
END_TEST

static void *stop_main(void *arg)
{
    await(is_asleep(getpid()));
    expect_int(fx_thread_stop(fx_main_thread()), ==, 0);
    return arg;
}

START_TEST(the_main_thread_is_stopped)
{
    volatile int caught = 0;
    channel_open();
    for (int i = 0; i < scaled(20); i++) {
        fx_thread *t = fx_thread_spawn(stop_main, NULL);
        FX_TRY { read_byte(); }
        FX_EXCEPT_ANY(e) { caught += e == FX_STOPPED; } FX_END
        fx_thread_join(t, NULL);
        fx_thread_unref(t);
        ck_assert_int_eq(caught, i + 1);
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

static void *read_in_task(void *arg)
{
    FX_TRY {
        victim_is_there();
        read_byte();
    } FX_FINALLY {
        taken++;
    } FX_END
    return arg;
}

static void *return_it(void *arg)
{
    return arg;
}

START_TEST(a_task_is_stopped_and_meanwhile_others_have_a_worker)
{
    fx_executor *pool = pool_of(1);
    channel_open();
    for (int i = 0; i < scaled(20); i++) {
        victim.there = 0;
        taken = 0;
        fx_future *future = submit(pool, read_in_task, NULL);
        await(victim_turns() == 1);
        ck_assert_ptr_eq(run_in(pool, return_it, &taken), &taken);
        ck_assert_int_eq(fx_future_stop(future), 0);
        ck_assert_int_eq(exception_of(future), FX_STOPPED);
        ck_assert_int_eq(taken, 1);
    }
    end_pool(pool);
}
END_TEST

START_TEST(a_time_limit_ends_a_call_of_a_task)
{
    fx_executor *pool = pool_of(1);
    channel_open();
    fx_future *future = fx_submit_with(pool, read_in_task, NULL,
                                       &(fx_submit_attr){ .time_limit = FX_MSEC(5) });
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -ETIME);
    fx_future_unref(future);
    end_pool(pool);
}
END_TEST

/* --- deadlines --- */

START_TEST(a_call_that_blocks_ends_after_its_deadline)
{
    channel_open();
    for (int i = 0; i < scaled(20); i++) {
        fx_deadline deadline = fx_deadline_after(FX_USEC(1) << i % 12);
        ck_assert_int_eq(read_byte_until(deadline), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), deadline);
    }
}
END_TEST

START_TEST(after_the_deadline_it_is_made_all_the_same_and_ends_if_it_blocks)
{
    channel_open();
    for (int i = 0; i < scaled(20); i++) {
        channel_put();
        ck_assert_int_eq(read_byte_until(i % 2 ? 1 : fx_now()), 1);
        ck_assert_int_eq(read_byte_until(i % 2 ? 1 : fx_now()), -ETIMEDOUT);
        ck_assert_int_eq(read_byte_until(-5), -ETIMEDOUT);
    }
}
END_TEST

START_TEST(a_deadline_holds_where_stops_are_inhibited)
{
    channel_open();
    fx_stop_disable();
    ck_assert_int_eq(read_byte_until(fx_deadline_after(FX_MSEC(1))), -ETIMEDOUT);
    fx_stop_enable();
}
END_TEST

START_TEST(a_deadline_holds_with_all_signals_blocked_and_leaves_the_mask_as_it_was)
{
    sigset_t all, former, present;
    channel_open();
    ck_assert_int_eq(read_byte_until(fx_deadline_after(1)), -ETIMEDOUT);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    ck_assert_int_eq(read_byte_until(fx_deadline_after(FX_MSEC(1))), -ETIMEDOUT);
    pthread_sigmask(SIG_SETMASK, NULL, &present);
    ck_assert(sigismember(&present, fx_stop_signal()));
    pthread_sigmask(SIG_SETMASK, &former, NULL);
}
END_TEST

START_TEST(after_a_deadline_nothing_is_interrupted)
{
    channel_open();
    for (int i = 0; i < scaled(20); i++) {
        struct timespec moment = { 0, 1000000 };
        ck_assert_int_eq(read_byte_until(fx_deadline_after(FX_USEC(100))), -ETIMEDOUT);
        ck_assert_int_eq(nanosleep(&moment, NULL), 0);
    }
}
END_TEST

static int time_out_in_child(void)
{
    return read_byte_until(fx_deadline_after(FX_MSEC(1))) == -ETIMEDOUT;
}

START_TEST(deadlines_hold_in_a_forked_child)
{
    channel_open();
    ck_assert_int_eq(time_out_in_child(), 1);
    ck_assert_int_eq(child_run(time_out_in_child), 1);
}
END_TEST

START_TEST(no_timer_for_a_deadline_is_enomem)
{
    channel_open();
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1, EAGAIN);
    ck_assert_int_eq(read_byte_until(fx_deadline_after(HOUR)), -ENOMEM);
    fxi_inject_disarm();
    ck_assert_int_eq(read_byte_until(fx_deadline_after(1)), -ETIMEDOUT);
}
END_TEST

static void *read_without_memory(void *arg)
{
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    expect_int(read_byte_until(FX_FOREVER), ==, -ENOMEM);
    fxi_inject_disarm();
    return arg;
}

START_TEST(no_memory_for_a_foreign_threads_context_is_enomem)
{
    pthread_t thread;
    channel_open();
    ck_assert_int_eq(pthread_create(&thread, NULL, read_without_memory, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

/* --- other signals --- */

static atomic_int handled, leave_handler;

static void handle(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
    while (!atomic_load(&leave_handler))
        ;
}

static void catch_it(int flags)
{
    struct sigaction action = { .sa_handler = handle, .sa_flags = flags };
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void signal_victim(void)
{
    int before = atomic_load(&handled);
    syscall(SYS_tgkill, getpid(), fx_thread_native_id(victim.thread), SIGUSR1);
    await(atomic_load(&handled) > before);
}

static const int flags_of_handler[] = { 0, SA_RESTART };

START_TEST(another_signal_does_not_end_the_call)
{
    atomic_store(&leave_handler, 1);
    catch_it(flags_of_handler[_i]);
    channel_open();
    victim_start(reads);
    await(victim_turns() == 1);
    for (int i = 0; i < 20; i++) {
        if (i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        signal_victim();
    }
    victim_stop();
}
END_TEST

/* The kernel goes on with the call when the handler returns: with its flag, for that of the stop's signal
 * was another one, which came before. */
START_TEST(a_stop_that_comes_in_a_handler_on_top_of_the_call_ends_it_afterwards)
{
    catch_it(flags_of_handler[_i % 2]);
    channel_open();
    for (int i = 0; i < scaled(10); i++) {
        atomic_store(&leave_handler, 0);
        victim_start(_i < 2 ? reads : reads_deferred);
        await(victim_turns() == 1 && is_asleep(fx_thread_native_id(victim.thread)));
        signal_victim();
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        pass_a_moment();
        atomic_store(&leave_handler, 1);
        victim_ends_by(FX_STOPPED);
    }
}
END_TEST

static void stands_then_reads(void)
{
    fx_stop_set_mode(FX_STOP_DEFERRED);
    victim_is_there();
    while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
    victim_is_there();
    expect_int(read_byte(), ==, 0);
}

START_TEST(in_the_deferred_mode_no_signal_is_sent_but_for_a_call)
{
    if (!fxi_membarrier_works())
        return;
    channel_open();
    victim_start(stands_then_reads);
    await(victim_turns() == 1);
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1000000, EAGAIN);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    ck_assert_int_eq(fxi_inject_count(FXI_INJECT_SIGNAL), 0);
    fxi_inject_disarm();
    __atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
    victim_ends_by(FX_STOPPED); /* the call looks before it is made */
    ck_assert_int_eq(victim_turns(), 2);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_result_is_the_kernels_and_errno_is_left_alone);
    tcase_add_test(tests, all_six_arguments_arrive);
    tcase_add_loop_test(tests, a_call_that_blocks_is_stopped, 0, sizeof places / sizeof *places);
    tcase_add_test(tests, a_call_that_took_effect_returns_its_result_and_none_is_lost);
    tcase_add_test(tests, after_a_stop_that_was_taken_the_next_call_blocks_again);
    tcase_add_test(tests, where_stops_are_inhibited_the_call_goes_on);
    tcase_add_test(tests, below_a_foreign_frame_it_returns_ecanceled);
    tcase_add_test(tests, a_foreign_thread_is_stopped);
    tcase_add_test(tests, the_main_thread_is_stopped);
    tcase_add_test(tests, a_task_is_stopped_and_meanwhile_others_have_a_worker);
    tcase_add_test(tests, a_time_limit_ends_a_call_of_a_task);
    tcase_add_test(tests, a_call_that_blocks_ends_after_its_deadline);
    tcase_add_test(tests, after_the_deadline_it_is_made_all_the_same_and_ends_if_it_blocks);
    tcase_add_test(tests, a_deadline_holds_where_stops_are_inhibited);
    tcase_add_test(tests, a_deadline_holds_with_all_signals_blocked_and_leaves_the_mask_as_it_was);
    tcase_add_test(tests, after_a_deadline_nothing_is_interrupted);
    tcase_add_test(tests, deadlines_hold_in_a_forked_child);
    tcase_add_test(tests, no_timer_for_a_deadline_is_enomem);
    tcase_add_test(tests, no_memory_for_a_foreign_threads_context_is_enomem);
    tcase_add_loop_test(tests, another_signal_does_not_end_the_call, 0, 2);
    tcase_add_loop_test(tests, a_stop_that_comes_in_a_handler_on_top_of_the_call_ends_it_afterwards, 0,
                        4);
    tcase_add_test(tests, in_the_deferred_mode_no_signal_is_sent_but_for_a_call);
}

int main(void)
{
    return run_suite("check_stop_call", add_tests);
}
