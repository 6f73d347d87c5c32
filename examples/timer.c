/* I want something done later, unless I change my mind.
 *
 * Start a timer: when its time has come it calls the function in a thread of its own. One that is
 * cancelled before does not call. It prints:
 *
 *     main: waits
 *     main: the second one is cancelled
 *     Timer-1: called for the first one
 *
 * usage: timer [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *call(void *name)
{
    printf("%s: called for %s\n", fx_thread_name(fx_current_thread()), (const char *)name);
    return NULL;
}

static fx_timer *start(fx_nsec interval, const char *name)
{
    fx_timer *timer = fx_timer_new(interval, call, (void *)name);
    int rc = timer ? fx_timer_start(timer) : -errno;

    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", name, strerror(-rc));
        exit(EXIT_FAILURE);
    }
    return timer;
}

int main(int argc, char **argv)
{
    double second = argc > 1 ? atof(argv[1]) : 1;
    fx_timer *first = start(FX_SEC(0.3 * second), "the first one");
    fx_timer *second_one = start(FX_SEC(0.3 * second), "the second one");

    puts("main: waits");
    fx_sleep(FX_SEC(0.2 * second));

    /* -EALREADY is no error of ours: on a machine that is busy it may have come to its call. */
    int rc = fx_timer_cancel(second_one);

    if (rc == 0)
        puts("main: the second one is cancelled");
    else
        printf("main: the second one is not cancelled: %s\n", fx_exc_name(rc));

    /* Not to wait for them would do, too: the program's end waits for timers as it does for
     * threads. */
    rc = fx_timer_join(first);
    if (rc == 0)
        rc = fx_timer_join(second_one);
    if (rc != 0)
        fprintf(stderr, "no end of the timers: %s\n", strerror(-rc));
    fx_timer_unref(first);
    fx_timer_unref(second_one);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
