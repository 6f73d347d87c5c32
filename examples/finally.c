/* I want to stop a thread that never ends by itself, and have it put things in order first.
 *
 * fx_thread_stop() raises an exception in it, wherever it is; its FX_FINALLY runs, and then it can
 * be joined. The thread needs to know nothing of it: there is no flag to look at. It prints:
 *
 *     clock: tick
 *     clock: tick
 *     clock: tick
 *     clock: put in order
 *     main: the clock ended by FX_STOPPED
 *
 * usage: finally [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double second = 1;

static void *tick(void *unused)
{
    FX_TRY {
        while (true) {
            puts("clock: tick");
            fx_sleep(FX_SEC(second));
        }
    } FX_FINALLY {
        puts("clock: put in order");
    } FX_END
    return unused; /* not reached */
}

int main(int argc, char **argv)
{
    if (argc > 1)
        second = atof(argv[1]);
    fx_thread *clock = fx_thread_spawn(tick, NULL);
    if (!clock) {
        fprintf(stderr, "clock: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    fx_sleep(FX_SEC(2.5 * second));
    fx_thread_stop(clock);
    fx_thread_join(clock, NULL); /* not before its finally block has run */
    printf("main: the clock ended by %s\n", fx_exc_name(fx_thread_exception(clock)));
    bool stopped = fx_thread_exception(clock) == FX_STOPPED;
    fx_thread_unref(clock);
    return stopped ? EXIT_SUCCESS : EXIT_FAILURE;
}
