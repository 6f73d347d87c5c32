/* Two pools under everything at once: threads and tasks submit, wait, cancel, stop, time out and yield;
 * and pools are made and shut down meanwhile. Each round's tasks all end, in a way that they may. */
#include <errno.h>
#include <fxthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "await.h"
#include "record.h"
#include "scale.h"

enum { THREADS = 4, ROUNDS = 60, TASKS = 40 };

static fx_executor *pools[2];
static fx_semaphore semaphore;
static fx_lock lock;
static long guarded;
static atomic_long ended;

static void *visit(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    FX_TRY {
        for (int i = 0; i < 5; i++) {
            switch (rand_r(&seed) % 8) {
            case 0:
                fx_sleep(FX_USEC(rand_r(&seed) % 300));
                break;
            case 1:
                fx_semaphore_acquire_for(&semaphore, FX_USEC(rand_r(&seed) % 300));
                break;
            case 2:
                fx_semaphore_release(&semaphore, 1);
                break;
            case 3:
                FX_WITH(&lock) {
                    long before = guarded++;
                    if (rand_r(&seed) % 2)
                        fx_yield();
                    expect(guarded == before + 1);
                }
                break;
            case 4:
                fx_yield();
                break;
            case 5: {
                fx_future *inner = fx_submit(pools[rand_r(&seed) % 2], visit, (void *)1);
                if (inner && rand_r(&seed) % 2)
                    fx_future_result_for(inner, FX_USEC(rand_r(&seed) % 500), NULL);
                fx_future_unref(inner);
                break;
            }
            case 6:
                for (volatile int spin = 0; spin < 2000; spin++)
                    ;
                break;
            default:
                if (rand_r(&seed) % 16 == 0)
                    fx_raise(7);
            }
            if (arg == (void *)1)
                break; /* an inner one: else there would be ever more */
        }
    } FX_FINALLY {
        atomic_fetch_add(&ended, 1);
    } FX_END
    return arg;
}

static void disturb(fx_future *future, unsigned *seed)
{
    switch (rand_r(seed) % 6) {
    case 0:
        fx_future_cancel(future);
        break;
    case 1:
        fx_future_stop(future);
        break;
    case 2:
        fx_future_result_for(future, FX_USEC(rand_r(seed) % 200), NULL);
        break;
    default:
        break;
    }
}

static void *submitter(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg + 100;
    for (int round = 0; round < scaled(ROUNDS); round++) {
        fx_future *futures[TASKS];
        for (int i = 0; i < TASKS; i++) {
            futures[i] = fx_submit(pools[i % 2], visit, (void *)(uintptr_t)(rand_r(&seed) | 2));
            expect(futures[i] != NULL);
        }
        for (int i = 0; i < TASKS; i++)
            disturb(futures[i], &seed);
        for (int i = 0; i < TASKS; i++) {
            int rc = fx_future_result_for(futures[i], FX_SEC(await_limit()), NULL);
            expect(rc == 0 || rc == -ECANCELED || rc == -EREMOTEIO);
            fx_future_unref(futures[i]);
        }
        fx_executor *own = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 1 });
        for (int i = 0; own && i < 5; i++)
            fx_submit_detached(own, visit, (void *)1);
        if (rand_r(&seed) % 2)
            expect_int(fx_executor_shutdown(own, true, rand_r(&seed) % 2), ==, 0);
        fx_executor_unref(own);
    }
    return NULL;
}

static void ignore(fx_future *future, const fx_exc_info *info)
{
    (void)future;
    (void)info;
}

int main(void)
{
    fx_thread *threads[THREADS];
    fx_set_unread_hook(ignore);
    for (int i = 0; i < 2; i++)
        pools[i] = fx_thread_pool_new(&(fx_thread_pool_attr){
            .max_workers = (size_t)i + 1, .idle_timeout = FX_USEC(300) });
    for (int i = 0; i < THREADS; i++)
        threads[i] = fx_thread_spawn(submitter, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++) {
        expect_int(fx_thread_join(threads[i], NULL), ==, 0);
        expect_int(fx_thread_exception(threads[i]), ==, 0);
        fx_thread_unref(threads[i]);
    }
    for (int i = 0; i < 2; i++) {
        expect_int(fx_executor_shutdown_for(pools[i], FX_SEC(await_limit()), false), ==, 0);
        fx_executor_unref(pools[i]);
    }
    expect(!fx_lock_locked(&lock));
    printf("%ld tasks, %ld sections\n", atomic_load(&ended), guarded);
    return record_status();
}
