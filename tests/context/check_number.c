/* lib/context/number: the numbers of contexts. */
#include <check.h>
#include <fxthread.h>

#include "base/atomic.h"
#include "child.h"
#include "context/number.h"
#include "context/registry.h"
#include "crew.h"
#include "kernel/inject.h"

#include "../thread/suite.h"

enum { MANY = 200 };

static uint32_t numbers[MANY];
static int arrived;

static struct fxi_context *look_up(uint32_t number)
{
    fxi_sigmask mask = fxi_registry_lock();
    struct fxi_context *context = fxi_number_context(number);
    fxi_registry_unlock(mask);
    return context;
}

static void *note_number(void *arg)
{
    numbers[crew_number(arg)] = fxi_self_number();
    return NULL;
}

static void *note_number_among_others(void *arg)
{
    note_number(arg);
    expect(look_up(fxi_self_number()) == fxi_self());
    fxi_add_relaxed(&arrived, 1);
    await(fxi_load_relaxed(&arrived) == MANY);
    return NULL;
}

START_TEST(living_contexts_have_different_numbers)
{
    uint32_t own = fxi_self_number();
    ck_assert_uint_ne(own, 0);
    crew_run(MANY, note_number_among_others);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_ne(numbers[i], 0);
        ck_assert_uint_ne(numbers[i], own);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(numbers[i], numbers[j]);
    }
}
END_TEST

START_TEST(a_context_keeps_its_number)
{
    uint32_t own = fxi_self_number();
    crew_run(10, note_number);
    ck_assert_uint_eq(fxi_self_number(), own);
    ck_assert_uint_eq(fxi_self()->number, own);
    ck_assert_ptr_eq(look_up(own), fxi_self());
}
END_TEST

START_TEST(a_number_given_up_is_used_again_but_late)
{
    crew_run_in_sequence(MANY, note_number);
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_lt(numbers[i], 100); /* not a new one for each of the 200 */
        for (int j = i > 60 ? i - 60 : 0; j < i; j++)
            ck_assert_uint_ne(numbers[i], numbers[j]);
    }
}
END_TEST

START_TEST(a_number_that_nobody_has_leads_to_no_context)
{
    ck_assert_ptr_null(look_up(1));
    crew_run(1, note_number);
    ck_assert_ptr_null(look_up(0));
    ck_assert_ptr_null(look_up(numbers[0]));
    ck_assert_ptr_null(look_up(FX_LOCK_NUMBER));
}
END_TEST

START_TEST(without_memory_there_is_no_number)
{
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_uint_eq(fxi_self_number(), 0);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_ne(fxi_self_number(), 0);
}
END_TEST

static uint32_t number_of_parent;

static int child_looks(void)
{
    bool others = false;
    for (int i = 0; i < MANY; i++)
        others |= look_up(numbers[i]) != NULL;
    return fxi_self_number() == number_of_parent && !others ? 0 : 1;
}

static void *wait_for_fork(void *arg)
{
    note_number(arg);
    fxi_add_relaxed(&arrived, 1);
    await(fxi_load_relaxed(&arrived) > MANY);
    return NULL;
}

START_TEST(a_forked_child_keeps_its_number_and_knows_no_others)
{
    struct crew crew;
    number_of_parent = fxi_self_number();
    crew_start(&crew, MANY, wait_for_fork);
    await(fxi_load_relaxed(&arrived) == MANY);
    ck_assert_int_eq(child_run(child_looks), 0);
    fxi_add_relaxed(&arrived, 1);
    crew_join(&crew);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, living_contexts_have_different_numbers);
    tcase_add_test(tests, a_context_keeps_its_number);
    tcase_add_test(tests, a_number_given_up_is_used_again_but_late);
    tcase_add_test(tests, a_number_that_nobody_has_leads_to_no_context);
    tcase_add_test(tests, without_memory_there_is_no_number);
    tcase_add_test(tests, a_forked_child_keeps_its_number_and_knows_no_others);
}

int main(void)
{
    return run_suite("number", add_tests);
}
