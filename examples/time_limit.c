/* I want the result of a computation, but only if it is there in time.
 *
 * Join it with a time limit, and stop it when that has passed. It computes in a loop that looks at
 * no flag and calls nothing: it is stopped all the same, and the lock that it holds at that moment
 * is released. It prints:
 *
 *     27: reached 1 after 111 steps
 *     endless: stopped when its time was over, after some steps
 *
 * usage: time_limit [seconds to count as one] */
#include <fxthread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    const char *name;
    uint64_t number;
    bool endless;
    fx_lock lock; /* protects steps */
    uint64_t steps;
};

/* Halves the number, or multiplies it by 3 and adds 1, until it is 1. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    uint64_t n = worker->number;
    while (n != 1 || worker->endless) {
        n = n % 2 ? 3 * n + 1 : n / 2;
        FX_WITH(&worker->lock)
            worker->steps++;
    }
    return worker;
}

/* What it returned; NULL if it took longer than that and was stopped. */
static void *result_within(fx_thread *thread, fx_nsec limit)
{
    void *result = NULL;
    if (fx_thread_join_for(thread, limit, &result) == -ETIMEDOUT) {
        fx_thread_stop(thread);
        fx_thread_join(thread, &result); /* it may have returned just before the stop */
    }
    return result;
}

static bool run(struct worker *worker, fx_nsec limit)
{
    fx_thread *thread = fx_thread_spawn(work, worker);
    if (!thread) {
        fprintf(stderr, "%s: %s\n", worker->name, strerror(errno));
        exit(EXIT_FAILURE);
    }
    bool in_time = result_within(thread, limit) != NULL;
    fx_thread_unref(thread);
    FX_WITH(&worker->lock) { /* which nobody holds any more */
        if (in_time)
            printf("%s: reached 1 after %ju steps\n", worker->name, (uintmax_t)worker->steps);
        else
            printf("%s: stopped when its time was over, after %s steps\n", worker->name,
                   worker->steps > 0 ? "some" : "no");
    }
    return in_time;
}

int main(int argc, char **argv)
{
    double second = argc > 1 ? atof(argv[1]) : 1;
    static struct worker quick = { .name = "27", .number = 27 };
    static struct worker endless = { .name = "endless", .number = 27, .endless = true };

    bool one = run(&quick, FX_SEC(60));
    bool other = run(&endless, FX_SEC(second));
    return one && !other ? EXIT_SUCCESS : EXIT_FAILURE;
}
