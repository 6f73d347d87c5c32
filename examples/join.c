/* I want two things done at the same time, and to go on with their results when both are there.
 *
 * Start a thread for each, and join both. It takes as long as the slower one, and the order of the
 * joins does not matter. What a thread's function returns is what joining it yields. It prints:
 *
 *     slow: starting
 *     quick: starting
 *     quick: done
 *     slow: done
 *     main: slow brought 2, quick brought 1
 *
 * usage: join [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct errand {
    const char *name;
    double seconds;
    int brought;
};

static void *run(void *arg)
{
    struct errand *errand = arg;

    printf("%s: starting\n", errand->name);
    fx_sleep(FX_SEC(errand->seconds));
    printf("%s: done\n", errand->name);
    return &errand->brought;
}

static fx_thread *start(struct errand *errand)
{
    fx_thread *thread = fx_thread_new(run, errand, &(fx_thread_attr){.name = errand->name});
    int rc = thread ? fx_thread_start(thread) : -errno;

    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", errand->name, strerror(-rc));
        exit(EXIT_FAILURE);
    }
    return thread;
}

/* Waits for the thread's end and gives up its handle. */
static int result_of(fx_thread *thread)
{
    void *result = NULL;
    int rc = fx_thread_join(thread, &result);

    /* Joining succeeds however the thread ended; a result there is only if it returned. */
    if (rc != 0 || !result) {
        fprintf(stderr, "%s: %s\n", fx_thread_name(thread),
                rc != 0 ? strerror(-rc) : fx_exc_name(fx_thread_exception(thread)));
        exit(EXIT_FAILURE);
    }
    fx_thread_unref(thread);
    return *(int *)result;
}

int main(int argc, char **argv)
{
    double second = argc > 1 ? atof(argv[1]) : 1;
    /* Static, as the program ends early where a thread cannot be started, and the other one still
     * uses its errand when main has ended. */
    static struct errand slow = {.name = "slow", .brought = 2};
    static struct errand quick = {.name = "quick", .brought = 1};

    slow.seconds = 2 * second;
    quick.seconds = second;

    fx_thread *slow_thread = start(&slow);
    fx_thread *quick_thread = start(&quick);
    int from_slow = result_of(slow_thread);
    int from_quick = result_of(quick_thread);

    printf("main: slow brought %d, quick brought %d\n", from_slow, from_quick);
    return EXIT_SUCCESS;
}
