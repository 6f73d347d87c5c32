/* I/O that is ended early: by a stop, a deadline, a signal, a fork, at every moment; what was not
 * done is not lost, and what was is told. */
#include <pthread.h>
#include <signal.h>

#include "child.h"
#include "io_kinds.h"
#include "sanitizer.h"

#include "../thread/suite.h"

/* --- futures ---------------------------------------------------------------------------------- */

START_TEST(a_stopped_operation_has_had_no_effect)
{
    fx_executor *pool = io_pool(_i, 2);
    for (int i = 0; i < IO_KINDS; i++) {
        const struct io_kind *kind = &io_kinds[i];
        struct io_place place;
        kind->set_up(&place);
        fx_future *future = kind->begin(&place, pool);
        await(fx_future_running(future));
        ck_assert_int_eq(fx_future_cancel(future), -EBUSY);
        ck_assert_int_eq(fx_future_stop(future), 0);
        ck_assert_msg(fx_future_io_for(future, FX_SEC(await_limit())) == -ECANCELED, "%s",
                      kind->name);
        ck_assert(!fx_future_cancelled(future));
        ck_assert_int_eq(fx_future_stop(future), -EALREADY);
        ck_assert_int_eq(exception_of(future), FX_STOPPED);
        ck_assert_msg(kind->is_untouched(&place), "%s", kind->name);
        place_end(&place);
    }
    end_pool(pool);
}
END_TEST

static void *stop_it(void *future)
{
    fx_future_stop(future);
    return NULL;
}

static void yield_in_callback(fx_future *future, void *arg)
{
    (void)future;
    (void)arg;
    fx_yield();
}

/* A stop that meets the completion: one of the two has happened, wholly. */
START_TEST(a_stop_that_comes_too_late_changes_nothing)
{
    fx_executor *pool = io_pool(_i, 1);
    for (int n = 0, rounds = scaled(10); n < rounds; n++)
        for (int i = 0; i < IO_KINDS; i++) {
            const struct io_kind *kind = &io_kinds[i];
            struct io_place place;
            if (kind->set_up == fifo_place || kind->set_up == connect_place)
                continue; /* there may be nobody any more who is waited for */
            kind->set_up(&place);
            fx_future *future = kind->begin(&place, pool);
            fx_thread *stopper = fx_thread_spawn(stop_it, future);
            if (n % 2)
                fx_future_add_done_callback(future, yield_in_callback, NULL);
            kind->satisfy(&place);
            fx_thread_join(stopper, NULL);
            fx_thread_unref(stopper);
            int64_t result = io_of(future);
            ck_assert_msg(result == -ECANCELED || is_result_of(kind, result), "%s: %lld",
                          kind->name, (long long)result);
            if (kind->set_up == pipe_place && kind->begin != poll_begin)
                ck_assert_uint_eq(io_drain(place.fds[0]), result == 3 ? 0 : 3);
            place_end(&place);
        }
    end_pool(pool);
}
END_TEST

static void *stop_own_operation(void *arg)
{
    struct io_place place;
    pipe_place(&place);
    fx_future *future = read_begin(&place, fx_current_executor());
    expect(fx_future_running(future));
    expect_int(fx_future_stop(future), ==, 0);
    expect_int(fx_future_io(future), ==, -ECANCELED);
    fx_future_unref(future);
    expect(three_come(&place));
    place_end(&place);
    return arg;
}

START_TEST(a_task_stops_an_operation_of_its_own_worker)
{
    fx_executor *pool = io_pool(_i, 1);
    run_in(pool, stop_own_operation, NULL);
    end_pool(pool);
}
END_TEST

static atomic_int holds, told;

static void *hold_worker(void *arg)
{
    atomic_store(&holds, 1);
    while (!atomic_load(&told))
        await_pause();
    return arg;
}

START_TEST(an_operation_that_no_worker_has_taken_is_cancelled)
{
    fx_executor *pool = io_pool(_i, 1);
    struct io_place place;
    pipe_place(&place);
    fx_future *holder = submit(pool, hold_worker, NULL);
    await(atomic_load(&holds));
    fx_future *cancelled = read_begin(&place, pool), *stopped = read_begin(&place, pool);
    ck_assert_int_eq(fx_future_cancel(cancelled), 0);
    ck_assert_int_eq(fx_future_stop(stopped), 0);
    ck_assert(fx_future_cancelled(cancelled) && fx_future_cancelled(stopped));
    atomic_store(&told, 1);
    result_of(holder);
    ck_assert_int_eq(io_of(cancelled), -ECANCELED);
    ck_assert_int_eq(io_of(stopped), -ECANCELED);
    end_pool(pool);
    ck_assert(three_come(&place));
    place_end(&place);
}
END_TEST

/* The descriptor is gone, and what waits for it is not: it can still be stopped. */
START_TEST(closing_the_descriptor_leaves_an_operation_to_be_stopped)
{
    fx_executor *pool = io_pool(_i, 1);
    struct io_place place;
    pipe_place(&place);
    fx_future *future = read_begin(&place, pool);
    await(fx_future_running(future));
    ck_assert_int_eq(fx_future_io_for(future, FX_MSEC(5)), -ETIMEDOUT);
    close(place.fds[0]);
    place.fds[0] = -1;
    ck_assert_int_eq(fx_future_io_for(future, FX_MSEC(5)), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_stop(future), 0);
    ck_assert_int_eq(io_of(future), -ECANCELED);
    place_end(&place);
    end_pool(pool);
}
END_TEST

/* --- in line ---------------------------------------------------------------------------------- */

enum { TASK_ON_URING, TASK_ON_EPOLL, THREAD, DEFERRED_THREAD, CONTEXTS };

struct wait {
    const struct io_kind *kind;
    struct io_place place;
    int context;
    atomic_int begun, cleaned;
    atomic_bool may_go_on;
    int64_t result;
};

static void *wait_and_clean(void *arg)
{
    struct wait *wait = arg;
    if (wait->context == DEFERRED_THREAD)
        fx_stop_set_mode(FX_STOP_DEFERRED);
    FX_TRY {
        atomic_store(&wait->begun, 1);
        wait->result = wait->kind->in_line(&wait->place, FX_FOREVER);
        expect(!"it goes on");
    } FX_FINALLY {
        atomic_fetch_add(&wait->cleaned, 1);
    } FX_END
    return arg;
}

/* Runs fn(wait) in a context of that kind, stops it when it has begun, and so long later; how it
 * ended. */
static fx_exc stop_in(int context, fx_target fn, struct wait *wait, fx_nsec later)
{
    fx_exc code = 0;
    wait->context = context;
    if (context == THREAD || context == DEFERRED_THREAD) {
        fx_thread *thread = fx_thread_spawn(fn, wait);
        await(atomic_load(&wait->begun));
        fx_sleep(later);
        int rc = fx_thread_stop(thread);
        ck_assert(rc == 0 || rc == -ESRCH);
        atomic_store(&wait->may_go_on, true);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
        code = fx_thread_exception(thread);
        fx_thread_unref(thread);
        return code;
    }
    fx_executor *pool = io_pool(context, 1);
    fx_future *task = submit(pool, fn, wait);
    await(atomic_load(&wait->begun));
    fx_sleep(later);
    int rc = fx_future_stop(task);
    ck_assert(rc == 0 || rc == -EALREADY);
    atomic_store(&wait->may_go_on, true);
    code = exception_of(task);
    end_pool(pool);
    return code;
}

START_TEST(a_stop_ends_what_waits_in_line)
{
    for (int i = 0; i < IO_KINDS; i++)
        for (int later = 0; later < 2; later++) {
            struct wait wait = { .kind = &io_kinds[i] };
            wait.kind->set_up(&wait.place);
            fx_exc code = stop_in(_i, wait_and_clean, &wait, FX_MSEC(3 * later));
            ck_assert_msg(code == FX_STOPPED, "%s: %d", wait.kind->name, code);
            ck_assert_int_eq(atomic_load(&wait.cleaned), 1);
            ck_assert_msg(wait.kind->is_untouched(&wait.place), "%s", wait.kind->name);
            place_end(&wait.place);
        }
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

/* In a region of fx_stop_disable() it goes on, and the stop comes afterwards. */
static void *wait_undisturbed(void *arg)
{
    struct wait *wait = arg;
    fx_stop_disable();
    atomic_store(&wait->begun, 1);
    wait->result = wait->kind->in_line(&wait->place, FX_FOREVER);
    fx_stop_enable();
    fx_checkpoint();
    return arg;
}

static void *satisfy_when_stopped(void *arg)
{
    struct wait *wait = arg;
    await(atomic_load(&wait->may_go_on));
    wait->kind->satisfy(&wait->place);
    return NULL;
}

START_TEST(where_stops_are_disabled_the_operation_is_done)
{
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i] };
        wait.kind->set_up(&wait.place);
        fx_thread *other = fx_thread_spawn(satisfy_when_stopped, &wait);
        ck_assert_int_eq(stop_in(_i, wait_undisturbed, &wait, FX_MSEC(1)), FX_STOPPED);
        fx_thread_join(other, NULL);
        fx_thread_unref(other);
        ck_assert_msg(is_result_of(wait.kind, wait.result), "%s: %lld", wait.kind->name,
                      (long long)wait.result);
        place_end(&wait.place);
    }
}
END_TEST

/* It was asked before the call, which could be done at once, and is not. */
static void *call_after_stop(void *arg)
{
    struct wait *wait = arg;
    fx_stop_set_mode(FX_STOP_DEFERRED);
    atomic_store(&wait->begun, 1);
    while (!atomic_load(&wait->may_go_on))
        ;
    wait->kind->in_line(&wait->place, FX_FOREVER);
    return arg;
}

START_TEST(a_stop_that_came_before_keeps_the_operation_from_being_done)
{
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i] };
        if (wait.kind->satisfy != write_three)
            continue;
        wait.kind->set_up(&wait.place);
        wait.kind->satisfy(&wait.place);
        ck_assert_int_eq(stop_in(_i, call_after_stop, &wait, 0), FX_STOPPED);
        ck_assert_msg(io_drain(wait.place.fds[0]) == 3, "%s", wait.kind->name);
        place_end(&wait.place);
    }
}
END_TEST

/* --- at every moment -------------------------------------------------------------------------- */

struct stream {
    struct wait wait;
    int ends[2];
    atomic_size_t taken;
    bool with_deadlines;
};

/* Each byte that was taken is counted: between the two nothing is raised. */
static void *take_bytes(void *arg)
{
    struct stream *stream = arg;
    unsigned n = 0;
    fx_stop_set_mode(FX_STOP_DEFERRED);
    atomic_store(&stream->wait.begun, 1);
    for (;;) {
        char buf[3];
        fx_nsec timeout = stream->with_deadlines ? (fx_nsec)(++n % 64) * 1000 : FX_FOREVER;
        ssize_t got = fx_read_for(stream->ends[0], buf, sizeof buf, -1, timeout);
        if (got > 0)
            atomic_fetch_add(&stream->taken, (size_t)got);
        else
            expect_int(got, ==, -ETIMEDOUT);
    }
    return arg;
}

static void *give_bytes(void *arg)
{
    struct stream *stream = arg;
    size_t given = 0;
    set_non_blocking(stream->ends[1], true);
    while (!atomic_load(&stream->wait.may_go_on)) {
        if (write(stream->ends[1], "x", 1) == 1)
            given++;
        for (volatile int i = 0; i < (int)(given * 37 % 3000); i++)
            ;
    }
    return (void *)given;
}

START_TEST(no_byte_is_lost_to_a_stop_or_a_deadline)
{
    for (int n = 0, rounds = scaled(60); n < rounds; n++) {
        struct stream stream = { .with_deadlines = n % 2 };
        void *given = NULL;
        io_pipe(stream.ends);
        fx_thread *giver = fx_thread_spawn(give_bytes, &stream);
        ck_assert_int_eq(stop_in(_i, take_bytes, &stream.wait, FX_USEC(50 * (n % 20))), FX_STOPPED);
        fx_thread_join(giver, &given);
        fx_thread_unref(giver);
        ck_assert_uint_eq((size_t)given, atomic_load(&stream.taken) + io_drain(stream.ends[0]));
        io_close(stream.ends);
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

/* --- signals and forks ------------------------------------------------------------------------ */

static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void *wait_for_kind(void *arg)
{
    struct wait *wait = arg;
    atomic_store(&wait->begun, 1);
    wait->result = wait->kind->in_line(&wait->place, FX_FOREVER);
    atomic_store(&wait->cleaned, 1);
    return arg;
}

START_TEST(signals_of_the_program_end_no_operation)
{
    struct sigaction action = { .sa_handler = count_signal };
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i] };
        pthread_t thread;
        wait.kind->set_up(&wait.place);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_kind, &wait), 0);
        await(atomic_load(&wait.begun));
        for (int n = 0; n < 10; n++) {
            int before = atomic_load(&signals);
            pthread_kill(thread, SIGUSR1);
            await(atomic_load(&signals) > before);
        }
        ck_assert_int_eq(atomic_load(&wait.cleaned), 0);
        wait.kind->satisfy(&wait.place);
        pthread_join(thread, NULL);
        ck_assert_msg(is_result_of(wait.kind, wait.result), "%s: %lld", wait.kind->name,
                      (long long)wait.result);
        place_end(&wait.place);
    }
}
END_TEST

static int forked_pipe[2];

static int read_in_child(void)
{
    char c = 0;
    if (fx_read_for(forked_pipe[0], &c, 1, -1, FX_MSEC(5)) != -ETIMEDOUT)
        return 1;
    if (fx_write(forked_pipe[1], "c", 1, -1) != 1 || fx_read(forked_pipe[0], &c, 1, -1) != 1)
        return 2;
    return c == 'c' && fx_close(forked_pipe[0]) == 0 ? 0 : 3;
}

static void *fork_here(void *arg)
{
    char c;
    fx_future *under_way = fx_async_sleep(fx_current_executor(), FX_MSEC(5));
    expect_int(child_run(read_in_child), ==, 0);
    expect_int(fx_future_io(under_way), ==, 0);
    fx_future_unref(under_way);
    expect_int(fx_write(forked_pipe[1], "p", 1, -1), ==, 1);
    expect_int(fx_read(forked_pipe[0], &c, 1, -1), ==, 1);
    return arg;
}

START_TEST(the_child_of_a_tasks_fork_makes_plain_calls)
{
    fx_executor *pool = io_pool(_i, 1);
    io_pipe(forked_pipe);
    run_in(pool, fork_here, NULL);
    ck_assert_int_eq(child_run(read_in_child), 0);
    io_close(forked_pipe);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_stopped_operation_has_had_no_effect, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_stop_that_comes_too_late_changes_nothing, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_task_stops_an_operation_of_its_own_worker, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, an_operation_that_no_worker_has_taken_is_cancelled, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, closing_the_descriptor_leaves_an_operation_to_be_stopped, 0,
                        IO_BACKENDS);
    tcase_add_loop_test(tests, a_stop_ends_what_waits_in_line, 0, CONTEXTS);
    tcase_add_loop_test(tests, where_stops_are_disabled_the_operation_is_done, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_stop_that_came_before_keeps_the_operation_from_being_done, 0,
                        CONTEXTS);
    tcase_add_loop_test(tests, no_byte_is_lost_to_a_stop_or_a_deadline, 0, CONTEXTS);
    tcase_add_test(tests, signals_of_the_program_end_no_operation);
    tcase_add_loop_test(tests, the_child_of_a_tasks_fork_makes_plain_calls, 0, IO_BACKENDS);
}

int main(void)
{
    return run_suite("io_stop", add_tests);
}
