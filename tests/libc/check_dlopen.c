/* Modules with thread-locals, opened, closed and opened again while threads live and others have
 * ended: in every thread, whenever it began, they hold what the module's image says.
 *
 * The initial-exec model puts a module's variables into each thread's static TLS, where dlopen()
 * itself must write them, into the blocks of all threads there are and of those kept for later.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "child.h"
#include "crew.h"
#include "module_tls.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

SANITIZER_IGNORE_LEAKS

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

enum { ALIVE = 12, ENDED = 24, PHASES = 6 };

static struct tls_module module;
static const char *module_path;

static void *nothing(void *arg)
{
    return arg;
}

static void *look_and_set(void *arg)
{
    int number = crew_number(arg) + 1;
    expect(module.is_initial());
    module.set(number);
    expect(module.has(number));
    return NULL;
}

/* --- threads that live through everything ----------------------------------------------------- */

static atomic_int phase, reached[PHASES + 1];

/* In each phase of main's, looks once at the module, which is open then. */
static void *look_in_each_phase(void *arg)
{
    atomic_fetch_add(&reached[0], 1);
    for (int i = 1; i <= PHASES; i++) {
        await(atomic_load(&phase) >= i);
        look_and_set(arg);
        atomic_fetch_add(&reached[i], 1);
    }
    return NULL;
}

static void assert_initial_everywhere(void)
{
    struct crew living;
    crew_run(ENDED, nothing); /* their TCBs wait to be recycled */
    crew_start(&living, ALIVE, look_in_each_phase);
    await(atomic_load(&reached[0]) == ALIVE || record_failure());
    for (int i = 1; i <= PHASES; i++) {
        ck_assert_msg(tls_module_open(&module, module_path), "%s", dlerror());
        atomic_store(&phase, i);
        await(atomic_load(&reached[i]) == ALIVE || record_failure());
        look_and_set(NULL);
        crew_run(ENDED, look_and_set);
        crew_run_in_sequence(4, look_and_set);
        ck_assert_recorded();
        ck_assert_int_eq(dlclose(module.handle), 0);
        crew_run(4, nothing); /* and one recycled while it is closed */
    }
    crew_join(&living);
    ck_assert_recorded();
}

START_TEST(a_module_s_thread_locals_are_initial_in_living_and_recycled_threads)
{
    module_path = MODULE_TLS;
    assert_initial_everywhere();
}
END_TEST

START_TEST(initial_exec_thread_locals_are_initial_in_living_and_recycled_threads)
{
    module_path = MODULE_INITIAL_EXEC;
    assert_initial_everywhere();
}
END_TEST

/* --- opened by threads ------------------------------------------------------------------------ */

static void *open_look_close(void *arg)
{
    struct tls_module mine;
    int number = crew_number(arg) + 1;
    if (!expect(tls_module_open(&mine, module_path)))
        return NULL;
    expect(mine.is_initial());
    mine.set(number);
    await_pause();
    expect(mine.has(number));
    expect_int(dlclose(mine.handle), ==, 0);
    return NULL;
}

static void *open_look_close_often(void *arg)
{
    for (int i = 0; i < scaled(30); i++)
        crew_run(2, open_look_close);
    return arg;
}

START_TEST(threads_open_and_close_modules_while_others_start_and_end)
{
    module_path = MODULE_TLS;
    crew_run(4, open_look_close_often);
    module_path = MODULE_INITIAL_EXEC;
    crew_run(4, open_look_close_often);
    ck_assert_recorded();
}
END_TEST

static void *open_for_all(void *arg)
{
    expect(tls_module_open(&module, module_path));
    return arg;
}

static void *close_for_all(void *arg)
{
    expect_int(dlclose(module.handle), ==, 0);
    return arg;
}

START_TEST(a_module_opened_in_one_thread_works_in_others_and_is_closed_in_another)
{
    static const char *const paths[] = {MODULE_TLS, MODULE_INITIAL_EXEC};
    for (int i = 0; i < 2; i++) {
        module_path = paths[i];
        crew_run(1, open_for_all);
        ck_assert_recorded();
        crew_run(ALIVE, look_and_set);
        crew_run(1, close_for_all);
        ck_assert_recorded();
    }
}
END_TEST

static atomic_bool finished;

static void *start_threads_that_look(void *arg)
{
    while (!atomic_load(&finished))
        crew_run(3, nothing);
    return arg;
}

START_TEST(initial_exec_thread_locals_reach_threads_that_are_just_starting)
{
    struct crew starters;
    module_path = MODULE_INITIAL_EXEC;
    crew_start(&starters, 2, start_threads_that_look);
    for (int i = 0; i < scaled(100); i++) {
        if (!expect(tls_module_open(&module, module_path)))
            break;
        crew_run(3, look_and_set);
        expect_int(dlclose(module.handle), ==, 0);
    }
    atomic_store(&finished, true);
    crew_join(&starters);
    ck_assert_recorded();
}
END_TEST

/* --- objects of a module that is to be closed ------------------------------------------------- */

static void *cxx_handle;
static int (*cxx_touch)(void), (*cxx_destroyed)(void);
static atomic_bool touched, closed;

static void *touch_and_stay(void *arg)
{
    expect_int(cxx_touch(), ==, 1);
    atomic_store(&touched, true);
    await(atomic_load(&closed));
    expect_int(cxx_touch(), ==, 2); /* it stays loaded as long as its object lives */
    return arg;
}

START_TEST(a_closed_module_stays_until_its_thread_local_objects_have_ended)
{
    cxx_handle = dlopen(MODULE_CXX, RTLD_NOW | RTLD_LOCAL);
    if (!cxx_handle)
        return; /* built without a C++ compiler */
    cxx_touch = (int (*)(void))dlsym(cxx_handle, "module_cxx_touch");
    cxx_destroyed = (int (*)(void))dlsym(cxx_handle, "module_cxx_destroyed");
    struct crew crew;
    crew_start(&crew, 1, touch_and_stay);
    await(atomic_load(&touched) || record_failure());
    ck_assert_int_eq(dlclose(cxx_handle), 0);
    atomic_store(&closed, true);
    crew_join(&crew);
    ck_assert_recorded();
    cxx_handle = dlopen(MODULE_CXX, RTLD_NOW | RTLD_LOCAL);
    ck_assert_ptr_nonnull(cxx_handle);
    cxx_touch = (int (*)(void))dlsym(cxx_handle, "module_cxx_touch");
    ck_assert_int_eq(cxx_touch(), 1);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_module_s_thread_locals_are_initial_in_living_and_recycled_threads);
    tcase_add_test(tests, initial_exec_thread_locals_are_initial_in_living_and_recycled_threads);
    tcase_add_test(tests, threads_open_and_close_modules_while_others_start_and_end);
    tcase_add_test(tests, a_module_opened_in_one_thread_works_in_others_and_is_closed_in_another);
    tcase_add_test(tests, initial_exec_thread_locals_reach_threads_that_are_just_starting);
    tcase_add_test(tests, a_closed_module_stays_until_its_thread_local_objects_have_ended);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("dlopen", add_tests);
}
