/* The main function of a Check program: one suite with one case, its tests added by a function. */
#ifndef TESTS_THREAD_SUITE_H
#define TESTS_THREAD_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Check's limit for a test lies above await()'s, so that a hang is reported by its condition. */
enum { TEST_LIMIT_SECONDS = 150 };

static inline int run_suite(const char *name, void (*add_tests)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, TEST_LIMIT_SECONDS);
    add_tests(tests);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
