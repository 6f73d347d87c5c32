/* Done callbacks: they may wait for whatever the monitor is to do next, or be stopped, and so are
 * called in a thread of their own, in the order in which the futures were
 * finished. It is started with the first of them, and ended with the monitor.
 *
 * What is to be told keeps the pool's reference on its task until it has been. */
#include <pthread.h>

#include "context/thread_record.h"
#include "executor/process_pool.h"
#include "future/follow.h"
#include "libc/tcb.h"
#include "park/park.h"
#include "stop/caught.h"

/* With pthread_exit() in one callback the others are called all the same. */
static void call(struct fxi_process_task *task)
{
    struct fxi_context *self = fxi_current;
    __pthread_unwind_buf_t net;
    if (__sigsetjmp_cancel(net.__cancel_jmp_buf, 0) == 0) {
        __pthread_register_cancel(&net);
        if (fxi_future_resume_callbacks(&task->task.future))
            fxi_raised_drop(self);
        __pthread_unregister_cancel(&net);
    } else {
        fxi_tcb_resume(&fxi_thread_of(self)->carrier->tcb);
        self->base = NULL;
        self->scopes.innermost = NULL;
        if (fxi_future_resume_callbacks(&task->task.future))
            fxi_raised_drop(self);
    }
    fx_future_unref(&task->task.future);
}

static bool has_nothing(const void *arg)
{
    const struct fxi_process_pool *pool = arg;
    return fxi_load_relaxed(&pool->untold_count) == 0 && !fxi_load_relaxed(&pool->telling_ends);
}

static struct fxi_process_task *next_untold(struct fxi_process_pool *pool)
{
    struct fxi_process_task *task = NULL;
    fxi_lowlock_acquire(&pool->lock);
    if (!fxi_list_is_empty(&pool->untold)) {
        task = fxi_container_of(pool->untold.next, struct fxi_process_task, queued);
        fxi_list_remove(&task->queued);
        fxi_store_relaxed(&pool->untold_count, pool->untold_count - 1);
    }
    fxi_lowlock_release(&pool->lock);
    return task;
}

/* If a callback has forked, the child's copy of this thread ends, and the child with it. */
static void *tell_all(void *arg)
{
    struct fxi_process_pool *pool = arg;
    struct fxi_process_task *task;
    fxi_signals_set(pool->plan.mask);
    while (!pool->is_foreign) {
        if ((task = next_untold(pool)) != NULL)
            call(task);
        else if (fxi_load_relaxed(&pool->telling_ends))
            break;
        else
            fxi_park(&pool->untold, has_nothing, pool, FX_FOREVER);
    }
    return NULL;
}

/* With the lock held: the monitor starts the thread. */
void fxi_process_pool_tell(struct fxi_process_pool *pool, struct fxi_process_task *task)
{
    fxi_list_push_back(&pool->untold, &task->queued);
    fxi_store_relaxed(&pool->untold_count, pool->untold_count + 1);
    if (fxi_load_relaxed(&pool->teller))
        fxi_unpark(&pool->untold, 1);
    else
        fxi_process_pool_wake_monitor(pool);
}

/* Without a thread they are called here, after all. */
void fxi_process_pool_see_to_telling(struct fxi_process_pool *pool)
{
    struct fxi_process_task *task;
    if (pool->teller || fxi_load_relaxed(&pool->untold_count) == 0)
        return;
    fx_thread *teller =
        fx_thread_new(tell_all, pool, &(fx_thread_attr){ .name = "fx-callbacks", .daemon = true });
    if (teller)
        teller->internal = true;
    fxi_store_release(&pool->teller, teller); /* pairs with the acquire in is_own */
    if (teller && fx_thread_start(teller) == 0)
        return;
    fxi_store_release(&pool->teller, NULL);
    fx_thread_unref(teller);
    while ((task = next_untold(pool)) != NULL)
        call(task);
}

void fxi_process_pool_end_telling(struct fxi_process_pool *pool)
{
    fxi_process_pool_see_to_telling(pool);
    if (!pool->teller)
        return;
    fxi_store_relaxed(&pool->telling_ends, true);
    fxi_unpark(&pool->untold, 1);
    fx_thread_join(pool->teller, NULL);
    fx_thread_unref(pool->teller);
}
