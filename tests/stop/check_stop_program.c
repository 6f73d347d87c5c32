/* A stop reaches a program that does unusual things with its stack, its signals and its processes:
 * handlers of its own, longjmp, swapcontext, fork, vfork, code without unwind tables. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define WITHOUT_TABLES
#include "module_loop.h"

#include "../thread/suite.h"
#include "victim.h"

/* The address sanitizer has a vfork of its own, which ends a process whose threads it did not
 * start. */
#ifdef FXI_ASAN
#define SANITIZER_REPLACES_VFORK 1
#else
#define SANITIZER_REPLACES_VFORK 0
#endif

/* --- signal handlers of the program --- */

static int handled;

static void handler(int number)
{
    (void)number;
    for (volatile int i = 0; i < 500; i++)
        ;
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static int bombarding;

static void send_signal(fx_thread *thread, int number)
{
    syscall(SYS_tgkill, getpid(), fx_thread_native_id(thread), number);
    for (volatile int i = 0; i < 1000; i++)
        ;
}

/* Signals the victim all the time, twice before the next two, so that handlers nest, but not
 * deeply. */
static void *bombard(void *arg)
{
    while (__atomic_load_n(&bombarding, __ATOMIC_ACQUIRE)) {
        int before = __atomic_load_n(&handled, __ATOMIC_RELAXED);
        send_signal(arg, SIGUSR1);
        send_signal(arg, SIGALRM);
        while (__atomic_load_n(&bombarding, __ATOMIC_ACQUIRE) &&
               __atomic_load_n(&handled, __ATOMIC_RELAXED) - before < 2)
            ;
    }
    return NULL;
}

static void stop_bombarded(void (*place)(void), int flags)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < scaled(24); i++) {
        victim_start(place);
        __atomic_store_n(&bombarding, 1, __ATOMIC_RELEASE);
        fx_thread *bombarder = fx_thread_spawn(bombard, victim.thread);
        int before = __atomic_load_n(&handled, __ATOMIC_RELAXED);
        await(victim_turns() > 0 && __atomic_load_n(&handled, __ATOMIC_RELAXED) > before);
        pass_a_moment();
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        victim_join();
        __atomic_store_n(&bombarding, 0, __ATOMIC_RELEASE);
        fx_thread_join(bombarder, NULL);
        fx_thread_unref(bombarder);
        victim_ends_by(FX_STOPPED);
    }
}

static void loops(void)
{
    victim_is_there();
    for (;;)
        __asm__ volatile("");
}

static void mallocs(void)
{
    for (;;) {
        victim_is_there();
        free(malloc(victim_turns() % 5000));
    }
}

static void sleeps(void)
{
    for (;;) {
        victim_is_there();
        fx_sleep(FX_SEC(3600));
    }
}

START_TEST(a_loop_is_stopped_while_the_programs_handlers_run)
{
    stop_bombarded(loops, SA_RESTART);
    stop_bombarded(loops, SA_ONSTACK);
}
END_TEST

START_TEST(libc_is_left_and_a_stop_point_too_while_the_programs_handlers_run)
{
    stop_bombarded(mallocs, SA_RESTART);
    stop_bombarded(sleeps, SA_NODEFER);
}
END_TEST

/* --- longjmp --- */

static sigjmp_buf environment;

static int jump_out(const void *one, const void *other)
{
    if (one != other)
        siglongjmp(environment, 1);
    return 0;
}

/* Out of libc, over return addresses that a stop may have replaced; and out of plain calls. */
static void jumps(void)
{
    for (;;) {
        victim_is_there();
        if (sigsetjmp(environment, 0) == 0) {
            int numbers[] = { 2, 1 };
            if (victim_turns() % 2)
                qsort(numbers, 2, sizeof *numbers, jump_out);
            else
                jump_out(&numbers[0], &numbers[1]);
        }
        getppid();
    }
}

START_TEST(a_program_that_uses_longjmp_is_stopped)
{
    stop_in(jumps);
}
END_TEST

static void jump_handler(int number)
{
    (void)number;
    siglongjmp(environment, 1);
}

static void jumps_out_of_handlers(void)
{
    struct sigaction action = { .sa_handler = jump_handler };
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR2, &action, NULL);
    for (;;) {
        if (sigsetjmp(environment, 1) == 0)
            raise(SIGUSR2);
        victim_is_there();
    }
}

START_TEST(a_program_that_jumps_out_of_its_signal_handlers_is_stopped)
{
    stop_in(jumps_out_of_handlers);
}
END_TEST

/* --- another stack --- */

static ucontext_t own_context, other_context;

static void run_on_other_stack(void)
{
    for (;;) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        victim_is_there();
        swapcontext(&other_context, &own_context);
    }
}

static void switches(void)
{
    static char stack[256 * 1024];
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    other_context.uc_link = NULL;
    makecontext(&other_context, run_on_other_stack, 0);
    for (;;) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        swapcontext(&own_context, &other_context);
    }
}

START_TEST(a_program_that_uses_swapcontext_is_stopped_on_its_own_stack)
{
    stop_in(switches);
}
END_TEST

static int stays;

static void stay_on_other_stack(void)
{
    victim_is_there();
    while (__atomic_load_n(&stays, __ATOMIC_ACQUIRE))
        ;
    victim_is_there();
    setcontext(&own_context);
}

static void stays_on_other_stack(void)
{
    static char stack[256 * 1024];
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    other_context.uc_link = NULL;
    makecontext(&other_context, stay_on_other_stack, 0);
    swapcontext(&own_context, &other_context);
    for (;;)
        __asm__ volatile("");
}

START_TEST(on_another_stack_a_stop_waits_for_the_return_to_the_threads_own)
{
    for (int i = 0; i < scaled(12); i++) {
        __atomic_store_n(&stays, 1, __ATOMIC_RELEASE);
        victim_start(stays_on_other_stack);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        for (int j = 0; j < 10; j++) /* so that retries come, too */
            await_pause();
        ck_assert(fx_thread_is_alive(victim.thread));
        __atomic_store_n(&stays, 0, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(victim_turns(), 2);
    }
}
END_TEST

/* --- processes --- */

/* All children that are left have ended as they should: in them nothing was stopped. */
static void children_were_not_stopped(void)
{
    int status;
    while (wait(&status) > 0)
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

static void forks(void)
{
    for (;;) {
        victim_is_there();
        pid_t child = fork();
        if (child == 0) {
            fx_checkpoint();
            _exit(fx_stop_requested());
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child)
            expect_int(status, ==, 0);
    }
}

START_TEST(a_program_that_forks_is_stopped_and_its_children_are_not)
{
    stop_in(forks);
    children_were_not_stopped();
}
END_TEST

static void vforks(void)
{
    for (;;) {
        victim_is_there();
        pid_t child = vfork();
        if (child == 0)
            _exit(0);
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child)
            expect_int(status, ==, 0);
    }
}

START_TEST(a_program_that_vforks_is_stopped_and_its_children_are_not)
{
    stop_in(vforks);
    children_were_not_stopped();
}
END_TEST

static void spawns(void)
{
    for (;;) {
        victim_is_there();
        pid_t child;
        int status = 0;
        if (posix_spawn(&child, "/bin/true", NULL, NULL, (char *[]){ "true", NULL }, environ) == 0 &&
            waitpid(child, &status, 0) == child)
            expect_int(status, ==, 0);
    }
}

START_TEST(a_program_that_spawns_others_is_stopped)
{
    stop_in(spawns);
    children_were_not_stopped();
}
END_TEST

/* What was asked of a thread that forks is not asked of the child. */
static int child_exit_code;

static void forks_with_a_stop_pending(void)
{
    fx_stop_disable();
    victim_is_there();
    while (!fx_stop_requested())
        await_pause();
    pid_t child = fork();
    if (child == 0) {
        bool requested = fx_stop_requested();
        fx_stop_enable();
        fx_checkpoint();
        fx_sleep(FX_MSEC(1));
        _exit(requested ? 3 : 5);
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    child_exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    fx_stop_enable();
}

START_TEST(a_forked_child_has_no_pending_stop)
{
    for (int i = 0; i < scaled(12); i++) {
        victim_start(forks_with_a_stop_pending);
        await(victim_turns() == 1);
        victim_stop();
        ck_assert_int_eq(child_exit_code, 5);
    }
}
END_TEST

/* --- code without unwind tables --- */

static int bare_end;

static void bare(void)
{
    unsigned long turns = 0;
    victim_is_there();
    bare_loop_until(&turns, &bare_end);
    victim_is_there();
    for (;;)
        __asm__ volatile("");
}

START_TEST(in_code_without_unwind_tables_a_stop_waits_for_its_end)
{
    for (int i = 0; i < scaled(12); i++) {
        bare_end = 0;
        victim_start(bare);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        for (int j = 0; j < 10; j++)
            await_pause();
        ck_assert(fx_thread_is_alive(victim.thread));
        __atomic_store_n(&bare_end, 1, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
        ck_assert_int_eq(victim_turns(), 2);
    }
}
END_TEST

static void loop_below(void *arg)
{
    (void)arg;
    victim_is_there();
    while (!__atomic_load_n(&bare_end, __ATOMIC_ACQUIRE))
        getppid();
}

static void below_bare(void)
{
    bare_call(loop_below, NULL);
    for (;;)
        __asm__ volatile("");
}

START_TEST(below_code_without_unwind_tables_a_stop_waits_for_its_end)
{
    for (int i = 0; i < scaled(12); i++) {
        bare_end = 0;
        victim_start(below_bare);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        for (int j = 0; j < 10; j++)
            await_pause();
        ck_assert(fx_thread_is_alive(victim.thread));
        __atomic_store_n(&bare_end, 1, __ATOMIC_RELEASE);
        victim_ends_by(FX_STOPPED);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_forked_child_has_no_pending_stop);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_is_stopped_while_the_programs_handlers_run);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           libc_is_left_and_a_stop_point_too_while_the_programs_handlers_run);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_program_that_uses_longjmp_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_program_that_jumps_out_of_its_signal_handlers_is_stopped);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_program_that_uses_swapcontext_is_stopped_on_its_own_stack);
    add_if(STOPS_ARRIVE_ANYWHERE, tests,
           on_another_stack_a_stop_waits_for_the_return_to_the_threads_own);
    add_if(STOPS_FOLLOW_A_LIBRARY && CHILD_MAY_ALLOCATE, tests,
           a_program_that_forks_is_stopped_and_its_children_are_not);
    add_if(STOPS_FOLLOW_A_LIBRARY && !SANITIZER_REPLACES_VFORK, tests,
           a_program_that_vforks_is_stopped_and_its_children_are_not);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, a_program_that_spawns_others_is_stopped);
    add_if(STOPS_ARRIVE_ANYWHERE, tests,
           in_code_without_unwind_tables_a_stop_waits_for_its_end);
    add_if(STOPS_ARRIVE_ANYWHERE, tests,
           below_code_without_unwind_tables_a_stop_waits_for_its_end);
}

int main(void)
{
    return run_suite("stop_program", add_tests);
}
