/* Where the kernel or the memory refuses: a stop that cannot be sent, or not be sent again, waits
 * for a stop point or another call; and no more libraries can opt in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WITHOUT_TABLES
#include "module_loop.h"

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "stop/walk.h"
#include "victim.h"

static int end;

static void loops(void)
{
    victim_is_there();
    while (!__atomic_load_n(&end, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
    victim_is_there();
    fx_checkpoint();
}

static void start_loop(void)
{
    end = 0;
    victim_start(loops);
    await(victim_turns() == 1);
}

START_TEST(a_stop_that_cannot_be_sent_is_eagain_and_waits_for_a_stop_point)
{
    start_loop();
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1, EAGAIN);
    ck_assert_int_eq(fx_thread_stop(victim.thread), -EAGAIN);
    await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    __atomic_store_n(&end, 1, __ATOMIC_RELEASE);
    victim_ends_by(FX_STOPPED);
    ck_assert_int_eq(victim_turns(), 2);
}
END_TEST

START_TEST(a_stop_that_could_not_be_sent_is_sent_by_the_next_call)
{
    start_loop();
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1, EAGAIN);
    ck_assert_int_eq(fx_thread_stop(victim.thread), -EAGAIN);
    victim_stop();
    ck_assert_int_eq(victim_turns(), 1);
}
END_TEST

/* The kernel's own answer. */
START_TEST(a_full_queue_of_signals_is_eagain)
{
    struct rlimit limit, none;
    ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    start_loop();
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    ck_assert_int_eq(fx_thread_stop(victim.thread), -EAGAIN);
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
    victim_stop();
}
END_TEST

/* In a wait the thread is woken without a signal. */
static void sleeps(void)
{
    victim_is_there();
    fx_sleep(FX_SEC(3600));
}

START_TEST(a_thread_that_waits_needs_no_signal)
{
    victim_start(sleeps);
    await(victim_turns() == 1 && is_asleep(fx_thread_native_id(victim.thread)));
    fxi_inject_arm(FXI_INJECT_SIGNAL, 1, EAGAIN);
    victim_stop();
    fxi_inject_disarm();
}
END_TEST

/* The first signal finds it where it cannot be stopped, and there is no timer for another one. */
static void bare_then_loops(void)
{
    unsigned long turns = 0;
    victim_is_there();
    bare_loop_until(&turns, &end);
    victim_is_there();
    for (;;)
        __asm__ volatile("");
}

START_TEST(where_no_timer_can_be_had_a_stop_waits_for_another_call)
{
    end = 0;
    victim_start(bare_then_loops);
    await(victim_turns() == 1);
    fxi_inject_arm(FXI_INJECT_SIGNAL, 2, EAGAIN);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    await(fxi_inject_count(FXI_INJECT_SIGNAL) == 2);
    __atomic_store_n(&end, 1, __ATOMIC_RELEASE);
    await(victim_turns() == 2);
    for (int i = 0; i < 5; i++)
        await_pause();
    ck_assert(fx_thread_is_alive(victim.thread));
    victim_stop();
}
END_TEST

/* --- opting in --- */

/* One more library, another one to the loader: a copy of the file. */
static void *open_copy(const char *folder, int number)
{
    char path[200], buffer[4096];
    snprintf(path, sizeof path, "%s/module-%d.so", folder, number);
    FILE *from = fopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", "re");
    FILE *to = fopen(path, "we");
    ck_assert(from && to);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, from)) > 0;)
        ck_assert_uint_eq(fwrite(buffer, 1, got, to), got);
    fclose(from);
    ck_assert_int_eq(fclose(to), 0);
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(module != NULL, "%s", dlerror());
    unlink(path);
    return dlsym(module, "module_loop");
}

START_TEST(the_thirty_third_library_cannot_opt_in)
{
    char folder[] = "/tmp/check_stop_faults.XXXXXX";
    void *functions[33];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 33; i++)
        functions[i] = open_copy(folder, i);
    rmdir(folder);
    for (int i = 0; i < 32; i++)
        ck_assert_int_eq(fx_stop_allow_object(functions[i]), 0);
    ck_assert_int_eq(fx_stop_allow_object(functions[32]), -ENOSPC);
    ck_assert_int_eq(fx_stop_allow_object(functions[7]), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    /* Where the library is a part of the program without bounds, no signal is sent at all. */
    bool signals = STOPS_ARRIVE_ANYWHERE && fxi_walk_is_possible();
    tcase_add_test(tests, a_thread_that_waits_needs_no_signal);
    tcase_add_test(tests, the_thirty_third_library_cannot_opt_in);
    add_if(signals, tests, a_stop_that_cannot_be_sent_is_eagain_and_waits_for_a_stop_point);
    add_if(signals, tests, a_stop_that_could_not_be_sent_is_sent_by_the_next_call);
    add_if(signals, tests, a_full_queue_of_signals_is_eagain);
    add_if(signals, tests, where_no_timer_can_be_had_a_stop_waits_for_another_call);
}

int main(void)
{
    return run_suite("stop_faults", add_tests);
}
