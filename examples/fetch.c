/* A thousand things fetched by two workers: each fetch waits for its answer, and while it does its worker
 * sees to others. At most fifty are on their way at a time. It prints something like:
 *
 *     1000 things, at most 50 on their way at a time, sum 999000, in 110 ms */
#include <fxthread.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THINGS = 1000, AT_A_TIME = 50 };

static fx_semaphore lines = FX_SEMAPHORE_INIT(AT_A_TIME);
static atomic_int on_their_way, most;

/* Stands for a request over the network. */
static int request(int thing)
{
    int now = atomic_fetch_add(&on_their_way, 1) + 1;
    int before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
    fx_sleep(FX_MSEC(5));
    atomic_fetch_sub(&on_their_way, 1);
    return 2 * thing;
}

static void *fetch(void *arg)
{
    int *thing = arg;
    FX_WITH(&lines) {
        *thing = request(*thing);
    }
    return thing;
}

int main(void)
{
    static int things[THINGS];
    static fx_future *futures[THINGS];
    long sum = 0;

    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    if (!pool) {
        perror("fx_thread_pool_new");
        return EXIT_FAILURE;
    }
    fx_deadline begin = fx_now();
    for (int i = 0; i < THINGS; i++) {
        things[i] = i;
        futures[i] = fx_submit(pool, fetch, &things[i]);
        if (!futures[i]) {
            perror("fx_submit");
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < THINGS; i++) {
        void *thing = NULL;
        if (fx_future_result(futures[i], &thing) == 0)
            sum += *(int *)thing;
    }
    printf("%d things, at most %d on their way at a time, sum %ld, in %.0f ms\n", THINGS,
           atomic_load(&most), sum, (double)(fx_now() - begin) / 1e6);
    fx_future_unref_all(futures, THINGS);
    fx_executor_shutdown(pool, true, false);
    fx_executor_unref(pool);
    return sum == (long)THINGS * (THINGS - 1) ? EXIT_SUCCESS : EXIT_FAILURE;
}
