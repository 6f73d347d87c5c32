/* Who is alive: fx_active_count() and fx_enumerate(). */
#define _GNU_SOURCE
#include <fxthread.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/await.h"
#include "gate.h"
#include "suite.h"

enum { ROOM = 64 };

static void unref_all(fx_thread **threads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fx_thread_unref(threads[i]);
}

static int index_of(fx_thread *const *threads, size_t n, const fx_thread *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (threads[i] == wanted)
            return (int)i;
    return -1;
}

START_TEST(main_is_alive_alone_at_first)
{
    fx_thread *seen[ROOM];
    ck_assert_uint_eq(fx_active_count(), 1);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 1);
    ck_assert_ptr_eq(seen[0], fx_main_thread());
    unref_all(seen, 1);
}
END_TEST

START_TEST(enumerate_lists_the_living_oldest_first)
{
    enum { THREADS = 10 };
    struct gate gate = {0};
    fx_thread *t[THREADS], *seen[ROOM];
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_nonnull(t[i] = fx_thread_spawn(gate_target, &gate));
    ck_assert_uint_eq(fx_active_count(), 1 + THREADS);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 1 + THREADS);
    ck_assert_ptr_eq(seen[0], fx_main_thread());
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_eq(seen[1 + i], t[i]);
    unref_all(seen, 1 + THREADS);
    gate_open(&gate);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(fx_thread_join(t[i], NULL), 0);
    ck_assert_uint_eq(fx_active_count(), 1);
    unref_all(t, THREADS);
}
END_TEST

START_TEST(order_is_that_of_the_starts_and_survives_ends_in_between)
{
    struct gate stay = {0}, leave = {0};
    fx_thread *late = fx_thread_new(gate_target, &stay, NULL); /* made first, started last */
    fx_thread *first = fx_thread_spawn(gate_target, &stay);
    fx_thread *middle = fx_thread_spawn(gate_target, &leave);
    fx_thread *last = fx_thread_spawn(gate_target, &stay);
    fx_thread *seen[ROOM];
    ck_assert_int_eq(fx_thread_start(late), 0);
    gate_open(&leave);
    ck_assert_int_eq(fx_thread_join(middle, NULL), 0);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 4);
    ck_assert_ptr_eq(seen[0], fx_main_thread());
    ck_assert_ptr_eq(seen[1], first);
    ck_assert_ptr_eq(seen[2], last);
    ck_assert_ptr_eq(seen[3], late);
    unref_all(seen, 4);
    gate_open(&stay);
    fx_thread *all[] = {late, first, last, middle};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(fx_thread_join(all[i], NULL), 0);
    unref_all(all, 4);
}
END_TEST

START_TEST(the_unstarted_and_the_ended_are_not_listed)
{
    struct gate gate = {.opened = 1};
    fx_thread *unstarted = fx_thread_new(gate_target, &gate, NULL);
    fx_thread *ended = fx_thread_spawn(gate_target, &gate), *seen[ROOM];
    ck_assert_int_eq(fx_thread_join(ended, NULL), 0);
    ck_assert_uint_eq(fx_active_count(), 1);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 1);
    unref_all(seen, 1);
    fx_thread_unref(unstarted);
    fx_thread_unref(ended);
}
END_TEST

START_TEST(no_more_than_n_are_written_and_all_are_counted)
{
    enum { THREADS = 5 };
    struct gate gate = {0};
    fx_thread *t[THREADS], *seen[ROOM], *const sentinel = (fx_thread *)seen;
    for (int i = 0; i < THREADS; i++)
        ck_assert_ptr_nonnull(t[i] = fx_thread_spawn(gate_target, &gate));
    ck_assert_uint_eq(fx_enumerate(NULL, 0), 1 + THREADS);
    for (size_t n = 0; n < ROOM; n++) {
        size_t written = n < 1 + THREADS ? n : 1 + THREADS;
        for (int i = 0; i < ROOM; i++)
            seen[i] = sentinel;
        ck_assert_uint_eq(fx_enumerate(seen, n), 1 + THREADS);
        for (size_t i = 0; i < written; i++)
            ck_assert_ptr_eq(seen[i], i == 0 ? fx_main_thread() : t[i - 1]);
        for (size_t i = written; i < ROOM; i++)
            ck_assert_ptr_eq(seen[i], sentinel);
        unref_all(seen, written);
    }
    gate_open(&gate);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(fx_thread_join(t[i], NULL), 0);
    unref_all(t, THREADS);
}
END_TEST

struct counted {
    struct gate gate;
    atomic_int freed;
};

static void count_free(void *arg)
{
    atomic_fetch_add(&((struct counted *)arg)->freed, 1);
}

START_TEST(an_enumerated_handle_is_counted)
{
    static struct counted it;
    fx_thread *seen[ROOM];
    fx_thread *t = fx_thread_new(gate_target, &it, &(fx_thread_attr){.free_result = count_free});
    ck_assert_int_eq(fx_thread_start(t), 0);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 2);
    fx_thread_unref(t);
    gate_open(&it.gate);
    ck_assert_int_eq(fx_thread_join(seen[1], NULL), 0);
    await(fx_active_count() == 1);
    ck_assert(!fx_thread_is_alive(seen[1]));
    ck_assert_int_eq(atomic_load(&it.freed), 0);
    unref_all(seen, 2);
    await(atomic_load(&it.freed) == 1);
}
END_TEST

struct foreign {
    struct gate before, after;
    fx_thread *_Atomic self;
};

static void *foreign_target(void *arg)
{
    struct foreign *it = arg;
    gate_wait(&it->before);
    atomic_store(&it->self, fx_current_thread());
    gate_wait(&it->after);
    return NULL;
}

START_TEST(a_foreign_thread_is_listed_from_its_first_call_to_its_end)
{
    struct foreign it = {0};
    fx_thread *seen[ROOM];
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, foreign_target, &it), 0);
    await(atomic_load(&it.before.waiters) == 1);
    ck_assert_uint_eq(fx_active_count(), 1);
    gate_open(&it.before);
    await(atomic_load(&it.self) != NULL);
    ck_assert_uint_eq(fx_active_count(), 2);
    ck_assert_uint_eq(fx_enumerate(seen, ROOM), 2);
    ck_assert_ptr_eq(seen[0], fx_main_thread());
    ck_assert_ptr_eq(seen[1], atomic_load(&it.self));
    gate_open(&it.after);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_uint_eq(fx_active_count(), 1);
    ck_assert(!fx_thread_is_alive(seen[1]));
    ck_assert_str_ne(fx_thread_name(seen[1]), "");
    unref_all(seen, 2);
}
END_TEST

struct churn {
    atomic_int stop;
    int failures;
};

static void *do_nothing(void *arg)
{
    return arg;
}

static void *churn_threads(void *arg)
{
    struct churn *it = arg;
    for (unsigned round = 0; !atomic_load(&it->stop); round++) {
        fx_thread *t = fx_thread_spawn(do_nothing, NULL);
        if (!t) {
            it->failures++;
            break;
        }
        if (round % 3)
            it->failures += fx_thread_join(t, NULL) != 0;
        it->failures += round % 3 && fx_thread_is_alive(t);
        fx_thread_unref(t);
        /* Those given up must not pile up without limit. */
        while (fx_active_count() > 40 && !atomic_load(&it->stop))
            await_pause();
    }
    return NULL;
}

START_TEST(enumerate_while_threads_start_and_end)
{
    enum { CHURNERS = 3, ROUNDS = 1500 };
    struct churn churns[CHURNERS] = {0};
    fx_thread *churners[CHURNERS];
    for (int i = 0; i < CHURNERS; i++)
        ck_assert_ptr_nonnull(churners[i] = fx_thread_spawn(churn_threads, &churns[i]));
    for (int round = 0; round < ROUNDS; round++) {
        fx_thread *seen[ROOM];
        size_t alive = fx_enumerate(seen, ROOM), written = alive < ROOM ? alive : ROOM;
        ck_assert_uint_ge(alive, 1 + CHURNERS);
        ck_assert_ptr_eq(seen[0], fx_main_thread());
        for (int i = 0; i < CHURNERS; i++)
            ck_assert_int_ge(index_of(seen, written, churners[i]), 1);
        for (size_t i = 0; i < written; i++) {
            ck_assert_uint_ne(fx_thread_ident(seen[i]), 0);
            ck_assert_str_ne(fx_thread_name(seen[i]), "");
            ck_assert_int_eq(index_of(seen + i + 1, written - i - 1, seen[i]), -1);
        }
        unref_all(seen, written);
    }
    for (int i = 0; i < CHURNERS; i++)
        atomic_store(&churns[i].stop, 1);
    for (int i = 0; i < CHURNERS; i++) {
        ck_assert_int_eq(fx_thread_join(churners[i], NULL), 0);
        ck_assert_int_eq(churns[i].failures, 0);
    }
    unref_all(churners, CHURNERS);
    await(fx_active_count() == 1);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, main_is_alive_alone_at_first);
    tcase_add_test(tests, enumerate_lists_the_living_oldest_first);
    tcase_add_test(tests, order_is_that_of_the_starts_and_survives_ends_in_between);
    tcase_add_test(tests, the_unstarted_and_the_ended_are_not_listed);
    tcase_add_test(tests, no_more_than_n_are_written_and_all_are_counted);
    tcase_add_test(tests, an_enumerated_handle_is_counted);
    tcase_add_test(tests, a_foreign_thread_is_listed_from_its_first_call_to_its_end);
    tcase_add_test(tests, enumerate_while_threads_start_and_end);
}

int main(void)
{
    return run_suite("enumerate", add_tests);
}
