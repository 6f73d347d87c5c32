/* I want something to go on in the background for as long as the program runs, and no longer.
 *
 * Make it a daemon: the program does not wait for it when it ends. This one is cut off in its sleep
 * and never says that it is done. It prints:
 *
 *     daemon: starting
 *     worker: starting
 *     worker: done
 *
 * A daemon can be cut off anywhere, so it should hold nothing that has to be put in order first.
 *
 * usage: daemon [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double second = 1; /* static: the threads use it when main has returned */

static void *watch(void *unused)
{
    (void)unused;
    puts("daemon: starting");
    fx_sleep(FX_SEC(2 * second));
    puts("daemon: done"); /* too late: the program has ended by then */
    return NULL;
}

static void *work(void *unused)
{
    (void)unused;
    puts("worker: starting");
    fx_sleep(FX_SEC(second));
    puts("worker: done");
    return NULL;
}

static void start(fx_target fn, const fx_thread_attr *attr)
{
    fx_thread *thread = fx_thread_new(fn, NULL, attr);
    int rc = thread ? fx_thread_start(thread) : -errno;

    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", attr->name, strerror(-rc));
        exit(EXIT_FAILURE);
    }
    fx_thread_unref(thread);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        second = atof(argv[1]);
    start(watch, &(fx_thread_attr){.name = "daemon", .daemon = true});
    start(work, &(fx_thread_attr){.name = "worker"});
    return EXIT_SUCCESS; /* waits for the worker, and not for the daemon */
}
