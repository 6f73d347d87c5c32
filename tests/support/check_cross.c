/* The part of Check's interface that the tests use, for a build for another processor.
 *
 * Distributions install Check's library for their own processor alone, while its header serves any.
 * This implements what the header declares, in fork mode, so that the same tests run under an
 * emulator: each test in a child of its own, in a process group with a time limit, a failed
 * assertion being an exit, and Check's closing line at the end.
 *
 * Left out: fixtures that are not checked (they are run as checked ones are), tags, logs, and the
 * no-fork mode. */
#define _GNU_SOURCE
#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ASSERTION_FAILED = 213 }; /* the exit code of a test that did not hold */

struct test {
    const TTest *test;
    int signal;
    int exit_value;
    int start, end;
    struct test *next;
};

struct fixture {
    SFun setup, teardown;
    struct fixture *next;
};

struct TCase {
    const char *name;
    struct test *tests, **last;
    struct fixture *fixtures, **last_fixture;
    double timeout;
    TCase *next;
};

struct Suite {
    const char *name;
    TCase *cases, **last;
    Suite *next;
};

struct SRunner {
    Suite *suites, **last;
    int run, failures, errors;
};

static void *make(size_t size)
{
    void *made = calloc(1, size);
    if (!made)
        abort();
    return made;
}

static double number_from(const char *variable, double otherwise)
{
    const char *text = getenv(variable);
    double number = text ? atof(text) : 0;
    return number > 0 ? number : otherwise;
}

Suite *suite_create(const char *name)
{
    Suite *suite = make(sizeof *suite);
    suite->name = name;
    suite->last = &suite->cases;
    return suite;
}

TCase *tcase_create(const char *name)
{
    TCase *tcase = make(sizeof *tcase);
    tcase->name = name;
    tcase->last = &tcase->tests;
    tcase->last_fixture = &tcase->fixtures;
    tcase->timeout = number_from("CK_DEFAULT_TIMEOUT", 4);
    return tcase;
}

void suite_add_tcase(Suite *suite, TCase *tcase)
{
    *suite->last = tcase;
    suite->last = &tcase->next;
}

void _tcase_add_test(TCase *tcase, const TTest *function, int signal, int exit_value, int start,
                     int end)
{
    struct test *test = make(sizeof *test);
    test->test = function;
    test->signal = signal;
    test->exit_value = exit_value;
    test->start = start;
    test->end = end;
    *tcase->last = test;
    tcase->last = &test->next;
}

void tcase_add_checked_fixture(TCase *tcase, SFun setup, SFun teardown)
{
    struct fixture *fixture = make(sizeof *fixture);
    fixture->setup = setup;
    fixture->teardown = teardown;
    *tcase->last_fixture = fixture;
    tcase->last_fixture = &fixture->next;
}

void tcase_add_unchecked_fixture(TCase *tcase, SFun setup, SFun teardown)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
}

void tcase_set_timeout(TCase *tcase, double seconds)
{
    tcase->timeout = seconds;
}

SRunner *srunner_create(Suite *suite)
{
    SRunner *runner = make(sizeof *runner);
    runner->last = &runner->suites;
    if (suite)
        srunner_add_suite(runner, suite);
    return runner;
}

void srunner_add_suite(SRunner *runner, Suite *suite)
{
    *runner->last = suite;
    runner->last = &suite->next;
}

void srunner_set_fork_status(SRunner *runner, enum fork_status status)
{
    (void)runner;
    (void)status;
}

void srunner_free(SRunner *runner)
{
    (void)runner; /* the program ends now */
}

int srunner_ntests_failed(SRunner *runner)
{
    return runner->failures + runner->errors;
}

int srunner_ntests_run(SRunner *runner)
{
    return runner->run;
}

pid_t check_fork(void)
{
    return fork();
}

void check_waitpid_and_exit(pid_t pid)
{
    int status;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    _exit(EXIT_FAILURE);
}

void _mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expression, const char *message, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: ", file, line);
    if (message) {
        va_start(arguments, message);
        vfprintf(stderr, message, arguments);
        va_end(arguments);
    } else {
        fputs(expression, stderr);
    }
    fputc('\n', stderr);
    fflush(stderr);
    _exit(ASSERTION_FAILED);
}

static void run_in_child(const TCase *tcase, const struct test *test, int i)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever ends the runner ends the test */
    for (struct fixture *f = tcase->fixtures; f; f = f->next)
        if (f->setup)
            f->setup();
    test->test->fn(i);
    for (struct fixture *f = tcase->fixtures; f; f = f->next)
        if (f->teardown)
            f->teardown();
    exit(EXIT_SUCCESS);
}

/* The child's wait status. One that is over its time is killed with its group. */
static int wait_for_child(pid_t child, double seconds, bool *timed_out)
{
    int status = 0;
    struct timespec pause = {0, 5000000};

    *timed_out = false;
    for (double waited = 0; waitpid(child, &status, WNOHANG) == 0; waited += 0.005) {
        if (waited >= seconds && !*timed_out) {
            *timed_out = true;
            kill(-child, SIGKILL);
            kill(child, SIGKILL);
        }
        nanosleep(&pause, NULL);
    }
    kill(-child, SIGKILL); /* what the test left behind */
    return status;
}

static void run_test(SRunner *runner, const TCase *tcase, const struct test *test, int i)
{
    bool timed_out;
    int status;
    pid_t child;
    char verdict[64] = "";

    fflush(NULL);
    child = fork();
    if (child < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (child == 0)
        run_in_child(tcase, test, i);
    setpgid(child, child);
    status = wait_for_child(child, tcase->timeout * number_from("CK_TIMEOUT_MULTIPLIER", 1),
                            &timed_out);
    runner->run++;
    if (timed_out) {
        snprintf(verdict, sizeof verdict, "over its time");
        runner->errors++;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == ASSERTION_FAILED) {
        snprintf(verdict, sizeof verdict, "failed");
        runner->failures++;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != test->signal) {
        snprintf(verdict, sizeof verdict, "ended by signal %d", WTERMSIG(status));
        runner->errors++;
    } else if (WIFEXITED(status)
               && (test->signal != 0 || WEXITSTATUS(status) != test->exit_value)) {
        snprintf(verdict, sizeof verdict, "exit code %d", WEXITSTATUS(status));
        runner->errors++;
    }
    if (*verdict)
        printf("%s:%d:%s:%s:%d: %s\n", test->test->file, test->test->line, tcase->name,
               test->test->name, i, verdict);
}

void srunner_run_all(SRunner *runner, enum print_output mode)
{
    int good;

    (void)mode;
    for (Suite *suite = runner->suites; suite; suite = suite->next) {
        printf("Running suite(s): %s\n", suite->name);
        for (TCase *tcase = suite->cases; tcase; tcase = tcase->next)
            for (struct test *test = tcase->tests; test; test = test->next)
                for (int i = test->start; i < test->end; i++)
                    run_test(runner, tcase, test, i);
    }
    good = runner->run - runner->failures - runner->errors;
    printf("%d%%: Checks: %d, Failures: %d, Errors: %d\n",
           runner->run ? good * 100 / runner->run : 100, runner->run, runner->failures,
           runner->errors);
    fflush(stdout);
}
