/* A task that waits where another library has called the program back holds its worker in the kernel, and
 * another one takes its place; everywhere else it is suspended, from whatever library it waits. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

#include "../stop/module_loop.h"
#include "../thread/suite.h"
#include "executor/pool.h"
#include "park/park.h"
#include "stop/chain.h"
#include "stop/walk.h"

static fx_executor *pool;
static fx_event event;
static atomic_int there;

static void one_worker(void)
{
    pool = pool_of(1);
}

static void end(void)
{
    end_pool(pool);
}

static size_t blocked(void)
{
    return __atomic_load_n(&fxi_pool_of(pool)->blocked, __ATOMIC_RELAXED);
}

static size_t parked(void)
{
    return fxi_park_count(&event);
}

static void *set_event(void *arg)
{
    fx_event_set(&event);
    return arg;
}

static void wait_for_event(void)
{
    expect_int(fx_event_wait(&event), ==, 0);
}

/* --- ways to the wait ------------------------------------------------------------------------- */

static int compare(const void *one, const void *other)
{
    wait_for_event();
    return one < other;
}

static void sorts(void)
{
    int numbers[] = { 2, 1 };
    qsort(numbers, 2, sizeof *numbers, compare);
}

static int see_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    (void)arg;
    wait_for_event();
    return 1;
}

static void iterates(void)
{
    expect_int(dl_iterate_phdr(see_object, NULL), ==, 1);
}

static FXI_NOINLINE void goes_deep(int depth, void (*fn)(void))
{
    if (depth > 0)
        goes_deep(depth - 1, fn);
    else
        fn();
    __asm__ volatile("");
}

static void sorts_deep(void)
{
    goes_deep(2 * FXI_CHAIN_FRAMES_MOST, sorts);
}

static int compare_deep(const void *one, const void *other)
{
    goes_deep(2 * FXI_CHAIN_FRAMES_MOST, wait_for_event);
    return one < other;
}

static void sorts_and_goes_deep(void)
{
    int numbers[] = { 2, 1 };
    qsort(numbers, 2, sizeof *numbers, compare_deep);
}

static void waits_deep(void)
{
    goes_deep(2 * FXI_CHAIN_FRAMES_MOST, wait_for_event);
}

static void (*call_in_module)(void (*fn)(void *), void *arg);

static void wait_there(void *arg)
{
    (void)arg;
    wait_for_event();
}

/* From another library, which has not called back. */
static void module_waits(void)
{
    call_in_module((void (*)(void *))(uintptr_t)fx_event_wait, &event);
}

static void module_calls_back(void)
{
    call_in_module(wait_there, NULL);
}

static void runs_once(void *arg)
{
    (void)arg;
    wait_for_event();
}

/* What this library calls back is no other's. */
static void once_waits(void)
{
    fx_once once = FX_ONCE_INIT;
    expect_int(fx_once_call(&once, runs_once, NULL), ==, 0);
}

/* --- blocked, and suspended ------------------------------------------------------------------- */

static const struct way {
    void (*wait)(void);
    size_t blocks;
} ways[] = {
    { wait_for_event, 0 }, { waits_deep, 0 },          { once_waits, 0 }, { module_waits, 0 },
    { sorts, 1 },          { sorts_deep, 1 },          { iterates, 1 },   { sorts_and_goes_deep, 1 },
    { module_calls_back, 1 },
};
enum { WAYS = sizeof ways / sizeof *ways };

static void *wait_this_way(void *arg)
{
    ((const struct way *)arg)->wait();
    atomic_fetch_add(&there, 1);
    wait_for_event(); /* it is set: no wait */
    return arg;
}

static void open_module(void)
{
    void *module = dlopen(TEST_BUILDDIR "/tests/stop/.libs/module_loop.so", RTLD_NOW);
    ck_assert_msg(module != NULL, "%s", dlerror());
    void *function = dlsym(module, "module_call");
    memcpy(&call_in_module, &function, sizeof function);
}

static void goes_this_way(const struct way *way)
{
    fx_event_clear(&event);
    fx_future *waits = submit(pool, wait_this_way, (void *)(uintptr_t)way);
    await(parked() == 1);
    await(blocked() == way->blocks);
    if (way->blocks == 0) /* not on the way to it either */
        await_pause();
    ck_assert_int_eq(blocked(), way->blocks);
    run_in(pool, set_event, NULL);
    result_of(waits);
    ck_assert_int_eq(blocked(), 0);
}

START_TEST(a_wait_blocks_its_worker_only_where_another_library_has_called_back)
{
    open_module();
    for (int i = 0; i < scaled(20); i++)
        goes_this_way(&ways[_i]);
    end();
}
END_TEST

/* The same places again and again, in turn: what was found free of one is not taken for another. */
START_TEST(all_ways_in_turn)
{
    open_module();
    for (int i = 0; i < scaled(30); i++)
        for (int j = 0; j < WAYS; j++)
            goes_this_way(&ways[(i + 5 * j) % WAYS]);
    end();
}
END_TEST

static int depth_of_sort, depth_of_wait;

static void waits_at_depth(void)
{
    goes_deep(depth_of_wait, wait_for_event);
}

static int compare_at_depth(const void *one, const void *other)
{
    waits_at_depth();
    return one < other;
}

static void sorts_here(void)
{
    int numbers[] = { 2, 1 };
    qsort(numbers, 2, sizeof *numbers, compare_at_depth);
}

static void sorts_at_depth(void)
{
    goes_deep(depth_of_sort, sorts_here);
}

/* More places than are kept, and the same depths with another library in between and without. */
START_TEST(more_places_than_are_kept)
{
    for (int i = 0; i < FXI_CHAINS + 20; i++) {
        depth_of_wait = i % 30;
        depth_of_sort = i / 3;
        goes_this_way(&(struct way){ waits_at_depth, 0 });
        goes_this_way(&(struct way){ sorts_at_depth, 1 });
    }
    end();
}
END_TEST

/* --- yields ----------------------------------------------------------------------------------- */

static int compare_and_yield(const void *one, const void *other)
{
    for (int i = 0; i < 100; i++)
        fx_yield();
    expect_int(atomic_load(&there), ==, 0);
    return one < other;
}

static void *note(void *arg)
{
    atomic_fetch_add(&there, 1);
    return arg;
}

static void *yield_in_sort(void *arg)
{
    int numbers[] = { 2, 1 };
    fx_future *other = fx_submit(pool, note, NULL);
    qsort(numbers, 2, sizeof *numbers, compare_and_yield);
    while (atomic_load(&there) == 0)
        fx_yield();
    fx_future_unref(other);
    return arg;
}

START_TEST(a_yield_in_a_callback_yields_to_nobody_and_after_it_does)
{
    run_in(pool, yield_in_sort, NULL);
    end();
}
END_TEST

/* --- the ends of a wait ----------------------------------------------------------------------- */

static int compare_for_a_while(const void *one, const void *other)
{
    fx_deadline begin = fx_now();
    expect_int(fx_event_wait_for(&event, FX_MSEC(2)), ==, -ETIMEDOUT);
    expect_int(fx_now() - begin, >=, FX_MSEC(2));
    begin = fx_now();
    expect_int(fx_sleep(FX_MSEC(2)), ==, 0);
    expect_int(fx_now() - begin, >=, FX_MSEC(2));
    return one < other;
}

static void *sort_for_a_while(void *arg)
{
    int numbers[] = { 2, 1 };
    qsort(numbers, 2, sizeof *numbers, compare_for_a_while);
    return arg;
}

START_TEST(deadlines_hold_in_a_callback)
{
    run_in(pool, sort_for_a_while, NULL);
    end();
}
END_TEST

static int compare_until_stopped(const void *one, const void *other)
{
    int rc = fx_event_wait(&event);
    expect_int(rc, ==, -ECANCELED);
    return one < other;
}

static void *sort_until_stopped(void *arg)
{
    int numbers[] = { 2, 1 };
    FX_TRY {
        qsort(numbers, 2, sizeof *numbers, compare_until_stopped);
        fx_checkpoint();
        expect(false);
    } FX_FINALLY {
        atomic_fetch_add(&there, 1);
    } FX_END
    return arg;
}

START_TEST(a_stop_ends_a_wait_in_a_callback)
{
    for (int i = 0; i < scaled(20); i++) {
        fx_future *future = submit(pool, sort_until_stopped, NULL);
        await(parked() == 1 && blocked() == 1);
        ck_assert_int_eq(fx_future_stop(future), 0);
        ck_assert_int_eq(exception_of(future), FX_STOPPED);
        ck_assert_int_eq(atomic_load(&there), i + 1);
        await(blocked() == 0);
    }
    end();
}
END_TEST

static void add_tests(TCase *tests)
{
    if (!fxi_walk_is_possible())
        return;
    tcase_add_checked_fixture(tests, one_worker, NULL);
    tcase_add_loop_test(tests, a_wait_blocks_its_worker_only_where_another_library_has_called_back, 0,
                        WAYS);
    tcase_add_test(tests, all_ways_in_turn);
    tcase_add_test(tests, more_places_than_are_kept);
    tcase_add_test(tests, a_yield_in_a_callback_yields_to_nobody_and_after_it_does);
    tcase_add_test(tests, deadlines_hold_in_a_callback);
    tcase_add_test(tests, a_stop_ends_a_wait_in_a_callback);
}

int main(void)
{
    return run_suite("check_task_foreign", add_tests);
}
