/* A program with more thread-local data than many a stack is large: its threads start, find it as
 * the image says, whichever thread had the TCB before, and have their whole stack besides. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "sanitizer.h"

enum { LARGE = 3 << 20, PAGE = 4096, FRAME = 200 << 10 };

static _Thread_local unsigned char zeroed[LARGE];
static _Thread_local unsigned char initialised[LARGE] = {1, 2, 3};

static void *look_and_set(void *arg)
{
    unsigned sum = 0;
    for (size_t i = 0; i < LARGE; i += PAGE)
        sum += zeroed[i] + (i ? initialised[i] : 0u);
    expect_int(sum, ==, 0);
    expect_int(initialised[0] + initialised[1] + initialised[2], ==, 6);
    for (size_t i = 0; i < LARGE; i += PAGE)
        zeroed[i] = initialised[i] = 0xff;

    volatile char frame[FRAME];
    for (size_t i = 0; i < FRAME; i += PAGE)
        frame[i] = 1;
    expect_int(frame[PAGE], ==, 1);
    return arg;
}

int main(void)
{
    if (THREADS_ARE_PTHREADS)
        return TEST_SKIPPED;
    for (int i = 0; i < 3; i++) {
        crew_run_in_sequence(10, look_and_set);
        crew_run(8, look_and_set);
    }
    fx_thread_attr attr = {.stack_size = 512 << 10};
    fx_thread *thread = fx_thread_new(look_and_set, NULL, &attr);
    if (expect(thread != NULL) && expect_int(fx_thread_start(thread), ==, 0))
        expect_int(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), ==, 0);
    fx_thread_unref(thread);
    return record_status();
}
