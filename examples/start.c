/* I want two things done at the same time, and the program to end when both are done.
 *
 * Start a thread for each and leave it alone. The program waits for its threads when main returns,
 * so main need not. It prints:
 *
 *     slow: starting
 *     quick: starting
 *     main: returns
 *     quick: done
 *     slow: done
 *
 * usage: start [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Static, as the threads use it when main has returned: its locals are gone by then. */
static double second = 1;

static void *slow(void *unused)
{
    (void)unused;
    puts("slow: starting");
    fx_sleep(FX_SEC(2 * second));
    puts("slow: done");
    return NULL;
}

static void *quick(void *unused)
{
    (void)unused;
    puts("quick: starting");
    fx_sleep(FX_SEC(second));
    puts("quick: done");
    return NULL;
}

/* A thread that is left alone needs no handle: it frees itself when it ends. */
static void start(fx_target fn)
{
    fx_thread *thread = fx_thread_spawn(fn, NULL);

    if (!thread) {
        fprintf(stderr, "no thread: %s\n", strerror(errno));
        exit(EXIT_FAILURE);
    }
    fx_thread_unref(thread);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        second = atof(argv[1]);
    start(slow);
    start(quick);
    puts("main: returns");
    return EXIT_SUCCESS;
}
