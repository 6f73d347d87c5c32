/* What the threads of a test found, for its main thread to assert on.
 *
 * An assertion of Check belongs on the test's main thread alone. A worker says expect() instead:
 * the first expectation that fails, of all threads, is kept with its place.
 *
 *     static void *worker(void *arg) { expect(errno == 0); expect_int(getpid(), ==, parent); ... }
 *     ...
 *     fx_thread_join(t, NULL);
 *     ck_assert_msg(!record_failure(), "%s", record_failure());
 *
 * expect() and expect_int() are also values: whether the expectation was met. Programs without
 * Check, and forked children, end with record_status(): 0, or 1 after printing what failed.
 */
#ifndef TESTS_SUPPORT_RECORD_H
#define TESTS_SUPPORT_RECORD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

struct record {
    int claimed;    /* a thread writes, or has written, the text */
    int complete;   /* the text is there */
    char text[400];
};

/* Weak: the sources of one program share it, and no program has to name a source for it. */
__attribute__((weak)) struct record test_record;

static inline bool record_met(bool met, const char *file, int line, const char *what,
                              long long left, long long right, bool numbers)
{
    if (met || __atomic_exchange_n(&test_record.claimed, 1, __ATOMIC_RELAXED))
        return met;
    if (numbers)
        snprintf(test_record.text, sizeof test_record.text, "%s:%d: %s (%lld, %lld)", file, line,
                 what, left, right);
    else
        snprintf(test_record.text, sizeof test_record.text, "%s:%d: %s", file, line, what);
    /* release: pairs with the acquire in record_failure */
    __atomic_store_n(&test_record.complete, 1, __ATOMIC_RELEASE);
    return met;
}

#define expect(condition) \
    record_met((condition) ? true : false, __FILE__, __LINE__, #condition, 0, 0, false)

#define expect_int(left, op, right)                                                            \
    __extension__({                                                                            \
        long long expect_left = (long long)(left), expect_right = (long long)(right);          \
        record_met(expect_left op expect_right, __FILE__, __LINE__, #left " " #op " " #right,  \
                   expect_left, expect_right, true);                                           \
    })

/* The first failed expectation, or NULL. */
static inline const char *record_failure(void)
{
    return __atomic_load_n(&test_record.complete, __ATOMIC_ACQUIRE) ? test_record.text : NULL;
}

static inline int record_status(void)
{
    if (!record_failure())
        return 0;
    fprintf(stderr, "%s\n", test_record.text);
    fflush(stderr);
    return 1;
}

#ifdef __cplusplus
}
#endif

#endif
