/* All thread pools of the process: what a fork and the end of the program do with them. */
#include "context/hooks.h"
#include "context/program_exit.h"
#include "executor/blocking.h"
#include "executor/pool.h"
#include "executor/process_pool.h"
#include "park/park.h"

static struct {
    fxi_lowlock lock;
    struct fxi_list listed; /* those of this process; the oldest first */
    uint32_t generation;
} pools = { .listed = FXI_LIST_INIT(pools.listed) };

static struct fxi_pool *pool_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_pool, listed);
}

int fxi_pools_add(struct fxi_pool *pool)
{
    int rc = fxi_program_exit_arm();
    if (rc != 0)
        return rc;
    fxi_lowlock_acquire(&pools.lock);
    pool->generation = pools.generation;
    fxi_list_push_back(&pools.listed, &pool->listed);
    fxi_lowlock_release(&pools.lock);
    return 0;
}

void fxi_pools_remove(struct fxi_pool *pool)
{
    fxi_lowlock_acquire(&pools.lock);
    fxi_list_remove(&pool->listed);
    fxi_list_init(&pool->listed);
    fxi_lowlock_release(&pools.lock);
}

uint32_t fxi_pools_generation(void)
{
    return fxi_load_relaxed(&pools.generation);
}

/* --- the end of the program ------------------------------------------------------------------- */

/* A pool to wait for, with a hold on it; NULL: none is left. The one whose task calls exit() would
 * wait for that task. */
static struct fxi_pool *next_to_end(void)
{
    struct fxi_task *task = fxi_task_current();
    struct fxi_pool *found = NULL;
    fxi_lowlock_acquire(&pools.lock);
    fxi_list_for_each(node, &pools.listed) {
        struct fxi_pool *pool = pool_of(node);
        if (pool->is_ended || (task && task->executor == &pool->executor) ||
            !fxi_hold_if_any(&pool->holds))
            continue;
        pool->is_ended = true;
        found = pool;
        break;
    }
    fxi_lowlock_release(&pools.lock);
    return found;
}

static void end_all(void)
{
    struct fxi_pool *pool;
    while ((pool = next_to_end()) != NULL) {
        pool->executor.ops->shutdown(&pool->executor, true, false, FX_FOREVER);
        fxi_pool_drop(pool, 1);
    }
    fxi_process_pools_end(); /* whose tasks those of threads may have waited for */
}

/* --- fork ------------------------------------------------------------------------------------- */

static void before_fork(void)
{
    fxi_lowlock_acquire(&pools.lock);
    fxi_list_for_each(node, &pools.listed)
        fxi_pool_before_fork(pool_of(node));
    fxi_blocking_before_fork();
}

/* In the child no pool of the parent's has a worker any more. */
static void after_fork(bool in_child)
{
    fxi_blocking_after_fork(in_child);
    fxi_list_for_each(node, &pools.listed)
        fxi_pool_after_fork(pool_of(node), in_child);
    if (in_child) {
        fxi_store_relaxed(&pools.generation, pools.generation + 1);
        while (!fxi_list_is_empty(&pools.listed)) {
            struct fxi_list *node = pools.listed.next;
            fxi_list_remove(node);
            fxi_list_init(node);
        }
        fxi_worker_self = NULL;
    }
    fxi_lowlock_release(&pools.lock);
}

static struct fxi_hooks hooks = {
    .before_fork = before_fork, .after_fork = after_fork, .program_exit = end_all
};

FXI_AT_LOAD(FXI_FLOOR_EXECUTOR) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}
