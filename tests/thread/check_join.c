/* Joining: its answers, its timeouts, who may join whom. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/await.h"
#include "captured.h"
#include "gate.h"
#include "proc.h"
#include "suite.h"

static void *return_arg(void *arg)
{
    return arg;
}

static void *raise_eio(void *arg)
{
    (void)arg;
    fx_raise(-EIO);
}

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

/* A result that no join has touched. */
static char untouched;
#define UNTOUCHED ((void *)&untouched)

START_TEST(join_of_null_and_of_an_unstarted_thread_is_einval)
{
    void *result = UNTOUCHED;
    fx_thread *t = fx_thread_new(return_arg, NULL, NULL);
    fx_thread *targets[] = {NULL, t};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fx_thread_join(targets[i], &result), -EINVAL);
        ck_assert_int_eq(fx_thread_join_for(targets[i], 0, &result), -EINVAL);
        ck_assert_int_eq(fx_thread_join_for(targets[i], FX_FOREVER, &result), -EINVAL);
        ck_assert_int_eq(fx_thread_join_until(targets[i], fx_now(), &result), -EINVAL);
    }
    ck_assert_ptr_eq(result, UNTOUCHED);
    fx_thread_unref(t);
}
END_TEST

START_TEST(join_yields_the_result_and_may_ignore_it)
{
    int it;
    void *result = UNTOUCHED;
    fx_thread *t = fx_thread_spawn(return_arg, &it);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &it);
    fx_thread_unref(t);
}
END_TEST

START_TEST(join_yields_null_for_a_thread_that_raised)
{
    void *result = UNTOUCHED;
    fx_set_excepthook(silent_hook);
    fx_thread *t = fx_thread_spawn(raise_eio, NULL);
    ck_assert_int_eq(fx_thread_join(t, &result), 0);
    ck_assert_ptr_null(result);
    fx_thread_unref(t);
}
END_TEST

START_TEST(an_ended_thread_can_be_joined_again_in_every_way)
{
    int it;
    fx_thread *t = fx_thread_spawn(return_arg, &it);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    const fx_nsec timeouts[] = {0, 1, FX_SEC(1), FX_FOREVER, -2, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        void *result = UNTOUCHED;
        ck_assert_int_eq(fx_thread_join_for(t, timeouts[i], &result), 0);
        ck_assert_ptr_eq(result, &it);
        result = UNTOUCHED;
        ck_assert_int_eq(fx_thread_join_until(t, timeouts[i], &result), 0);
        ck_assert_ptr_eq(result, &it);
    }
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_timeout_of_nothing_tries)
{
    struct gate gate = {0};
    void *result = UNTOUCHED;
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    const fx_nsec past[] = {0, -2, -FX_SEC(5), INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        ck_assert_int_eq(fx_thread_join_for(t, past[i], &result), -ETIMEDOUT);
        ck_assert_int_eq(fx_thread_join_until(t, past[i], &result), -ETIMEDOUT);
    }
    ck_assert_int_eq(fx_thread_join_until(t, fx_now(), &result), -ETIMEDOUT);
    ck_assert_ptr_eq(result, UNTOUCHED);
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join_for(t, FX_FOREVER, &result), 0);
    ck_assert_ptr_eq(result, &gate);
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_timed_join_waits_for_all_of_its_time)
{
    struct gate gate = {0};
    void *result = UNTOUCHED;
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    const fx_nsec times[] = {1, FX_USEC(50), FX_MSEC(2), FX_MSEC(80)};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        fx_deadline begin = fx_now();
        ck_assert_int_eq(fx_thread_join_for(t, times[i], &result), -ETIMEDOUT);
        ck_assert_int_ge(fx_now() - begin, times[i]);
        fx_deadline deadline = fx_now() + times[i];
        ck_assert_int_eq(fx_thread_join_until(t, deadline, &result), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), deadline);
    }
    ck_assert_ptr_eq(result, UNTOUCHED);
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join_until(t, FX_FOREVER, &result), 0);
    ck_assert_ptr_eq(result, &gate);
    fx_thread_unref(t);
}
END_TEST

static void *open_soon(void *gate)
{
    fx_sleep(FX_MSEC(30));
    gate_open(gate);
    return NULL;
}

START_TEST(a_join_that_waits_is_woken_by_the_end)
{
    const fx_nsec long_enough[] = {FX_FOREVER, INT64_MAX, FX_SEC(100)};
    for (size_t i = 0; i < sizeof long_enough / sizeof long_enough[0]; i++) {
        struct gate gate = {0};
        void *result = UNTOUCHED;
        fx_thread *t = fx_thread_spawn(gate_target, &gate);
        fx_thread *opener = fx_thread_spawn(open_soon, &gate);
        ck_assert_int_eq(fx_thread_join_for(t, long_enough[i], &result), 0);
        ck_assert_ptr_eq(result, &gate);
        ck_assert(!fx_thread_is_alive(t));
        ck_assert_int_eq(fx_thread_join(opener, NULL), 0);
        fx_thread_unref(t);
        fx_thread_unref(opener);
    }
}
END_TEST

static atomic_int signals_seen;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}

struct pesterer {
    pid_t target;
    atomic_int stop;
};

static void *pester(void *arg)
{
    struct pesterer *it = arg;
    while (!atomic_load(&it->stop)) {
        syscall(SYS_tgkill, getpid(), it->target, SIGUSR1);
        usleep(300);
    }
    return NULL;
}

START_TEST(signals_neither_end_nor_shorten_a_join)
{
    struct sigaction action = {.sa_handler = count_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    struct gate gate = {0};
    void *result = UNTOUCHED;
    struct pesterer it = {.target = kernel_tid()};
    fx_thread *t = fx_thread_spawn(gate_target, &gate);
    fx_thread *pesterer = fx_thread_spawn(pester, &it);
    await(atomic_load(&signals_seen) > 0);
    int before = atomic_load(&signals_seen);
    fx_deadline deadline = fx_deadline_after(FX_MSEC(150));
    int rc = fx_thread_join_until(t, deadline, &result);
    fx_deadline end = fx_now();
    int after = atomic_load(&signals_seen);
    fx_thread *opener = fx_thread_spawn(open_soon, &gate);
    int rc_forever = fx_thread_join(t, &result);
    atomic_store(&it.stop, 1);
    fx_thread_join(pesterer, NULL);
    fx_thread_join(opener, NULL);
    ck_assert_int_eq(rc, -ETIMEDOUT);
    ck_assert_int_ge(end, deadline);
    ck_assert_int_gt(after, before);
    ck_assert_int_eq(rc_forever, 0);
    ck_assert_ptr_eq(result, &gate);
    fx_thread_unref(t);
    fx_thread_unref(pesterer);
    fx_thread_unref(opener);
}
END_TEST

static void *join_self(void *arg)
{
    int *rc = arg;
    fx_thread *self = fx_current_thread();
    rc[0] = fx_thread_join(self, NULL);
    rc[1] = fx_thread_join_for(self, 0, NULL);
    rc[2] = fx_thread_join_for(self, FX_SEC(1), NULL);
    rc[3] = fx_thread_join_until(self, FX_FOREVER, NULL);
    return NULL;
}

static void assert_all_edeadlk(const int rc[4])
{
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(rc[i], -EDEADLK);
}

START_TEST(join_of_oneself_is_edeadlk)
{
    int rc[4] = {0};
    fx_thread *t = fx_thread_spawn(join_self, rc);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    assert_all_edeadlk(rc);
    fx_thread_unref(t);
}
END_TEST

START_TEST(join_of_oneself_is_edeadlk_in_main_and_in_a_foreign_thread)
{
    int rc[4] = {0};
    pthread_t foreign;
    join_self(rc);
    assert_all_edeadlk(rc);
    rc[0] = rc[1] = rc[2] = rc[3] = 0;
    ck_assert_int_eq(pthread_create(&foreign, NULL, join_self, rc), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    assert_all_edeadlk(rc);
}
END_TEST

struct joiner {
    fx_thread *target;
    fx_nsec timeout;
    atomic_int *ready;
    int rc;
    void *result;
};

static void *join_target(void *arg)
{
    struct joiner *joiner = arg;
    atomic_fetch_add(joiner->ready, 1);
    joiner->rc = fx_thread_join_for(joiner->target, joiner->timeout, &joiner->result);
    return NULL;
}

START_TEST(many_threads_of_both_kinds_join_one_at_once)
{
    enum { OURS = 12, FOREIGN = 12, ALL = OURS + FOREIGN };
    for (int round = 0; round < 20; round++) {
        struct gate gate = {0};
        atomic_int ready = 0;
        struct joiner joiners[ALL];
        fx_thread *ours[OURS];
        pthread_t foreign[FOREIGN];
        fx_thread *t = fx_thread_spawn(gate_target, &gate);
        for (int i = 0; i < ALL; i++)
            joiners[i] = (struct joiner){t, i % 2 ? FX_FOREVER : FX_SEC(100), &ready, 1, NULL};
        for (int i = 0; i < OURS; i++)
            ck_assert_ptr_nonnull(ours[i] = fx_thread_spawn(join_target, &joiners[i]));
        for (int i = 0; i < FOREIGN; i++)
            ck_assert_int_eq(
                pthread_create(&foreign[i], NULL, join_target, &joiners[OURS + i]), 0);
        await(atomic_load(&ready) == ALL);
        gate_open(&gate);
        for (int i = 0; i < OURS; i++) {
            ck_assert_int_eq(fx_thread_join(ours[i], NULL), 0);
            fx_thread_unref(ours[i]);
        }
        for (int i = 0; i < FOREIGN; i++)
            ck_assert_int_eq(pthread_join(foreign[i], NULL), 0);
        for (int i = 0; i < ALL; i++) {
            ck_assert_int_eq(joiners[i].rc, 0);
            ck_assert_ptr_eq(joiners[i].result, &gate);
        }
        fx_thread_unref(t);
    }
}
END_TEST

START_TEST(joins_that_time_out_do_not_disturb_one_that_waits)
{
    enum { JOINERS = 16 };
    struct gate gate = {0};
    atomic_int ready = 0;
    struct joiner joiners[JOINERS];
    fx_thread *threads[JOINERS], *t = fx_thread_spawn(gate_target, &gate);
    for (int i = 0; i < JOINERS; i++) {
        joiners[i] = (struct joiner){t, i == 0 ? FX_FOREVER : FX_USEC(i * 300), &ready, 1, NULL};
        ck_assert_ptr_nonnull(threads[i] = fx_thread_spawn(join_target, &joiners[i]));
    }
    for (int i = 1; i < JOINERS; i++) {
        ck_assert_int_eq(fx_thread_join(threads[i], NULL), 0);
        ck_assert_int_eq(joiners[i].rc, -ETIMEDOUT);
        fx_thread_unref(threads[i]);
    }
    ck_assert(fx_thread_is_alive(threads[0]));
    gate_open(&gate);
    ck_assert_int_eq(fx_thread_join(threads[0], NULL), 0);
    ck_assert_int_eq(joiners[0].rc, 0);
    fx_thread_unref(threads[0]);
    fx_thread_unref(t);
}
END_TEST

struct foreign_self {
    struct gate gate;
    fx_thread *_Atomic self;
};

static void *publish_self(void *arg)
{
    struct foreign_self *it = arg;
    atomic_store(&it->self, fx_thread_ref(fx_current_thread()));
    gate_wait(&it->gate);
    return it;
}

START_TEST(a_foreign_thread_can_be_joined_by_its_handle)
{
    struct foreign_self it = {0};
    atomic_int ready = 0;
    pthread_t foreign;
    void *result = UNTOUCHED;
    ck_assert_int_eq(pthread_create(&foreign, NULL, publish_self, &it), 0);
    await(atomic_load(&it.self) != NULL);
    fx_thread *handle = atomic_load(&it.self);
    ck_assert(fx_thread_is_alive(handle));
    ck_assert_int_eq(fx_thread_join_for(handle, FX_MSEC(5), &result), -ETIMEDOUT);
    ck_assert_ptr_eq(result, UNTOUCHED);
    struct joiner joiner = {handle, FX_FOREVER, &ready, 1, UNTOUCHED};
    fx_thread *t = fx_thread_spawn(join_target, &joiner);
    await(atomic_load(&ready) == 1);
    gate_open(&it.gate);
    ck_assert_int_eq(fx_thread_join(handle, &result), 0);
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(joiner.rc, 0);
    ck_assert_ptr_null(joiner.result);
    ck_assert_ptr_null(result);
    ck_assert(!fx_thread_is_alive(handle));
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_int_eq(fx_thread_join(handle, NULL), 0);
    fx_thread_unref(handle);
    fx_thread_unref(t);
}
END_TEST

static void *join_main(void *arg)
{
    (void)arg;
    int rc = fx_thread_join(fx_main_thread(), NULL);
    printf("joined main: %d\n", rc);
    return NULL;
}

static void exit_while_joined(void *arg)
{
    (void)arg;
    fx_thread_unref(fx_thread_spawn(join_main, NULL));
    exit(EXIT_SUCCESS);
}

START_TEST(main_in_exit_has_ended_for_who_joins_it)
{
    struct child child;
    child_fork(&child, exit_while_joined, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "joined main: 0\n");
}
END_TEST

static void end_main_while_joined(void *arg)
{
    (void)arg;
    fx_thread_unref(fx_thread_spawn(join_main, NULL));
    fx_thread_exit(NULL);
}

START_TEST(main_that_left_by_thread_exit_can_be_joined)
{
    struct child child;
    child_fork(&child, end_main_while_joined, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "joined main: 0\n");
}
END_TEST

static void *exit_behind_the_gate(void *gate)
{
    gate_wait(gate);
    exit(5);
}

static void *print_join(void *target)
{
    printf("joined: %d\n", fx_thread_join(target, NULL));
    return NULL;
}

static void exit_in_a_joined_thread(void *arg)
{
    (void)arg;
    static struct gate gate;
    fx_thread *t = fx_thread_spawn(exit_behind_the_gate, &gate);
    fx_thread_unref(fx_thread_spawn(print_join, t));
    gate_open(&gate);
    for (;;)
        pause();
}

START_TEST(a_thread_in_exit_has_ended_for_who_joins_it)
{
    struct child child;
    child_fork(&child, exit_in_a_joined_thread, NULL);
    assert_child_exits(&child, 5);
    ck_assert_str_eq(child.out, "joined: 0\n");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, join_of_null_and_of_an_unstarted_thread_is_einval);
    tcase_add_test(tests, join_yields_the_result_and_may_ignore_it);
    tcase_add_test(tests, join_yields_null_for_a_thread_that_raised);
    tcase_add_test(tests, an_ended_thread_can_be_joined_again_in_every_way);
    tcase_add_test(tests, a_timeout_of_nothing_tries);
    tcase_add_test(tests, a_timed_join_waits_for_all_of_its_time);
    tcase_add_test(tests, a_join_that_waits_is_woken_by_the_end);
    tcase_add_test(tests, signals_neither_end_nor_shorten_a_join);
    tcase_add_test(tests, join_of_oneself_is_edeadlk);
    tcase_add_test(tests, join_of_oneself_is_edeadlk_in_main_and_in_a_foreign_thread);
    tcase_add_test(tests, many_threads_of_both_kinds_join_one_at_once);
    tcase_add_test(tests, joins_that_time_out_do_not_disturb_one_that_waits);
    tcase_add_test(tests, a_foreign_thread_can_be_joined_by_its_handle);
    tcase_add_test(tests, main_in_exit_has_ended_for_who_joins_it);
    if (MAIN_CAN_LEAVE)
        tcase_add_test(tests, main_that_left_by_thread_exit_can_be_joined);
    tcase_add_test(tests, a_thread_in_exit_has_ended_for_who_joins_it);
}

int main(void)
{
    return run_suite("join", add_tests);
}
