/* All process pools of the process: what a fork and the end of the program do with them. */
#include "context/hooks.h"
#include "context/program_exit.h"
#include "executor/pool.h"
#include "executor/process_pool.h"
#include "kernel/descriptor.h"
#include "kernel/shared_memory.h"

static struct {
    fxi_lowlock lock;
    struct fxi_list listed; /* those of this process; the oldest first */
    struct fxi_list inherited; /* those of processes that it was forked from */
} pools = { .listed = FXI_LIST_INIT(pools.listed),
            .inherited = FXI_LIST_INIT(pools.inherited) };

static struct fxi_process_pool *pool_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_process_pool, listed);
}

int fxi_process_pools_add(struct fxi_process_pool *pool)
{
    int rc = fxi_program_exit_arm();
    if (rc != 0)
        return rc;
    fxi_lowlock_acquire(&pools.lock);
    pool->generation = fxi_pools_generation();
    fxi_list_push_back(&pools.listed, &pool->listed);
    fxi_lowlock_release(&pools.lock);
    return 0;
}

void fxi_process_pools_remove(struct fxi_process_pool *pool)
{
    fxi_lowlock_acquire(&pools.lock);
    if (pool->listed.next)
        fxi_list_remove(&pool->listed);
    pool->listed.next = NULL;
    fxi_lowlock_release(&pools.lock);
}

/* --- the end of the program ------------------------------------------------------------------- */

/* A pool to wait for, with a hold on it; NULL: none is left. One that calls exit(), in a done
 * callback, would wait for itself. */
static struct fxi_process_pool *next_to_end(void)
{
    struct fxi_process_pool *found = NULL;
    fxi_lowlock_acquire(&pools.lock);
    fxi_list_for_each(node, &pools.listed) {
        struct fxi_process_pool *pool = pool_of(node);
        if (pool->is_ended || fxi_load_acquire(&pool->state) == FXI_PROCESS_POOL_ENDED ||
            fxi_process_pool_is_own(pool) || !fxi_hold_if_any(&pool->holds))
            continue;
        pool->is_ended = true;
        found = pool;
        break;
    }
    fxi_lowlock_release(&pools.lock);
    return found;
}

void fxi_process_pools_end(void)
{
    struct fxi_process_pool *pool;
    while ((pool = next_to_end()) != NULL) {
        pool->executor.ops->shutdown(&pool->executor, true, false, FX_FOREVER);
        fxi_process_pool_drop(pool);
    }
}

/* --- fork ------------------------------------------------------------------------------------- */

static void before_fork(void)
{
    fxi_lowlock_acquire(&pools.lock);
    fxi_list_for_each(node, &pools.listed) {
        struct fxi_process_pool *pool = pool_of(node);
        fxi_lowlock_acquire(&pool->lock);
        fxi_lowlock_acquire(&pool->arena.lock);
        fxi_lowlock_acquire(&pool->memory.lock);
    }
    fxi_functions_lock();
    fxi_fork_server_before_fork();
}

/* In the child nothing of the parent's pool is there but memory, of which the contents are the
 * parent's: nothing is written to it, or closed or killed that the parent has. */
static void become_foreign(struct fxi_process_pool *pool)
{
    fxi_store_relaxed(&pool->executor.condition, FXI_EXECUTOR_BROKEN);
    pool->is_foreign = pool->is_closed = pool->arena.is_anothers = true;
    pool->unfinished = pool->present = pool->wanted = 0;
    fxi_store_relaxed(&pool->state, FXI_PROCESS_POOL_ENDED);
    pool->monitor = pool->teller = NULL;
    fxi_descriptor_close(pool->channel);
    fxi_descriptor_close(pool->epoll);
    fxi_descriptor_close(pool->event);
    pool->channel = pool->epoll = pool->event = -1;
    fxi_descriptor_close(pool->arena.memory);
    pool->arena.memory = -1;
    pool->arena.closes = true;
    for (uint32_t i = 0; i < pool->max_workers; i++) {
        fxi_descriptor_close(pool->seats[i].process);
        pool->seats[i].process = -1;
        pool->seats[i].state = FXI_SEAT_EMPTY;
    }
}

static void after_fork(bool in_child)
{
    fxi_fork_server_after_fork(in_child);
    fxi_functions_unlock();
    fxi_list_for_each(node, &pools.listed) {
        struct fxi_process_pool *pool = pool_of(node);
        if (in_child)
            become_foreign(pool);
        fxi_lowlock_release(&pool->memory.lock);
        fxi_lowlock_release(&pool->arena.lock);
        fxi_lowlock_release(&pool->lock);
    }
    while (in_child && !fxi_list_is_empty(&pools.listed)) {
        struct fxi_list *node = pools.listed.next;
        fxi_list_remove(node);
        fxi_list_push_back(&pools.inherited, node);
    }
    fxi_lowlock_release(&pools.lock);
}

void fxi_process_pools_unmap(void)
{
    fxi_list_for_each(node, &pools.inherited) {
        struct fxi_arena *arena = &pool_of(node)->arena;
        fxi_shared_unmap(arena->base, arena->size);
    }
    fxi_list_init(&pools.inherited);
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_EXECUTOR) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}
