/* After a stop nothing is left of it: the thread's end is a thread's end like any other, what it
 * ran on is used again without a trace, and nothing piles up. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../thread/proc.h"
#include "../thread/suite.h"
#include "victim.h"

static pthread_key_t pthread_key;
static fx_local key;
static int destroyed;
static _Thread_local int zero, four = 4;

static void count_destroyed(void *value)
{
    (void)value;
    destroyed++;
}

/* Changes whatever a thread has of its own, and stays. */
static void changes_all(void)
{
    errno = EXDEV;
    zero = 1;
    four = 5;
    pthread_setspecific(pthread_key, &destroyed);
    fx_local_set(key, &destroyed);
    fx_stop_set_mode(FX_STOP_ASYNC);
    fx_stop_set_mode(FX_STOP_SAFE);
    victim_is_there();
    for (;;) {
        FX_TRY { fx_checkpoint(); } FX_FINALLY { zero++; } FX_END
        free(malloc(100));
    }
}

static void finds_nothing(void)
{
    expect_int(errno, ==, 0);
    expect_int(zero, ==, 0);
    expect_int(four, ==, 4);
    expect(pthread_getspecific(pthread_key) == NULL);
    expect(fx_local_get(key) == NULL);
    expect(!fx_stop_requested());
    expect(fx_caught() == NULL);
    expect_int(fx_stop_set_mode(FX_STOP_SAFE), ==, FX_STOP_SAFE);
    fx_checkpoint();
    expect_int(fx_sleep(FX_USEC(10)), ==, 0);
    FX_TRY { fx_raise(8); } FX_EXCEPT(e) { expect_int(e, ==, 8); } FX_END
}

START_TEST(the_destructors_of_a_stopped_thread_run_and_the_next_thread_finds_nothing)
{
    pthread_key_create(&pthread_key, count_destroyed);
    fx_local_create(&key, count_destroyed);
    for (int i = 0; i < scaled(50); i++) {
        destroyed = 0;
        victim_start(changes_all);
        await(victim_turns() == 1);
        pass_a_moment();
        victim_stop();
        ck_assert_int_eq(destroyed, 2);
        victim_start(finds_nothing);
        victim_ends_by(0);
    }
}
END_TEST

/* It ends with regions that it never left. */
static void leaves_regions_open(void)
{
    fx_stop_disable();
    fx_stop_disable();
    fx_stop_set_mode(FX_STOP_DEFERRED);
    victim_is_there();
    while (!fx_stop_requested())
        await_pause();
}

START_TEST(what_a_thread_left_disabled_or_pending_is_not_the_next_ones)
{
    pthread_key_create(&pthread_key, count_destroyed);
    fx_local_create(&key, count_destroyed);
    for (int i = 0; i < scaled(12); i++) {
        victim_start(leaves_regions_open);
        await(victim_turns() == 1);
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        victim_ends_by(0);
        victim_start(finds_nothing);
        victim_ends_by(0);
        victim_start(changes_all);
        await(victim_turns() == 1);
        victim_stop();
    }
}
END_TEST

static size_t timers_of_process(void)
{
    size_t count = 0;
    char line[128];
    FILE *timers = fopen("/proc/self/timers", "re");
    while (timers && fgets(line, sizeof line, timers))
        count += strncmp(line, "ID:", 3) == 0;
    if (timers)
        fclose(timers);
    return count;
}

static void mallocs(void)
{
    for (;;) {
        victim_is_there();
        free(malloc(200));
    }
}

START_TEST(nothing_piles_up)
{
    stop_in(mallocs); /* what is made once is there */
    size_t mappings = mapping_count(), resident = status_kib("VmRSS");
    for (int i = 0; i < scaled(20); i++)
        stop_in(mallocs);
    ck_assert_uint_le(timers_of_process(), 1);
    ck_assert_uint_eq(task_count(), 1);
    ck_assert_uint_le(mapping_count(), mappings + 8);
    if (!SIGNAL_STACK_IS_TAKEN)
        ck_assert_uint_le(status_kib("VmRSS"), resident + 2048);
}
END_TEST

/* A chain: each is joined by the one that is stopped next. */
static void *join_it(void *other)
{
    FX_TRY { fx_thread_join(other, NULL); }
    FX_FINALLY { fx_thread_unref(other); } FX_END
    return NULL;
}

START_TEST(a_chain_of_threads_that_join_each_other_ends_when_its_first_is_stopped)
{
    enum { LENGTH = 20 };
    fx_thread *first, *last;
    victim_start(mallocs);
    await(victim_turns() > 0);
    first = victim.thread;
    last = fx_thread_ref(first);
    for (int i = 0; i < LENGTH; i++)
        last = fx_thread_spawn(join_it, last);
    ck_assert_int_eq(fx_thread_stop(first), 0);
    ck_assert_int_eq(fx_thread_join_for(last, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(last), 0);
    fx_thread_unref(last);
    victim_ends_by(FX_STOPPED);
}
END_TEST

static void add_tests(TCase *tests)
{
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           the_destructors_of_a_stopped_thread_run_and_the_next_thread_finds_nothing);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           what_a_thread_left_disabled_or_pending_is_not_the_next_ones);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests, nothing_piles_up);
    add_if(STOPS_FOLLOW_A_LIBRARY, tests,
           a_chain_of_threads_that_join_each_other_ends_when_its_first_is_stopped);
}

int main(void)
{
    return run_suite("stop_after", add_tests);
}
