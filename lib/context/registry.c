#include "context/registry.h"

#include "context/hooks.h"
#include "context/number.h"
#include "kernel/clone.h"
#include "kernel/lowlock.h"

static struct fxi_thread_name first_main_name = { .text = "MainThread" };

static fx_thread first_main = {
    .context.stop.base = FXI_STOP_BASE_OF_MAIN,
    .references = 1,
    .kind = FXI_THREAD_MAIN,
    .state = FXI_THREAD_ALIVE,
    .ident = 1,
    .name = &first_main_name,
};

static fx_thread *main_thread = &first_main;
static uint64_t last_ident = 1;
static fxi_lowlock lock;

struct fxi_list fxi_registry_alive = FXI_LIST_INIT(fxi_registry_alive);
size_t fxi_registry_count;

FXI_AT_LOAD(FXI_FLOOR_CONTEXT) static void enter_main(void)
{
    first_main.native_id = fxi_getpid();
    fxi_list_push_back(&fxi_registry_alive, &first_main.alive);
    fxi_registry_count = 1;
}

fx_thread *fxi_registry_main(void)
{
    return fxi_load_relaxed(&main_thread); /* changes only in a child that has one thread */
}

fxi_sigmask fxi_registry_lock(void)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&lock);
    return mask;
}

void fxi_registry_unlock(fxi_sigmask mask)
{
    fxi_lowlock_release(&lock);
    fxi_signals_set(mask);
}

void fxi_registry_lock_blocked(void)
{
    fxi_lowlock_acquire(&lock);
}

void fxi_registry_unlock_blocked(void)
{
    fxi_lowlock_release(&lock);
}

void fxi_registry_add(fx_thread *thread)
{
    fxi_store_relaxed(&thread->ident, ++last_ident); /* others may ask for it meanwhile */
    fxi_store_relaxed(&thread->state, FXI_THREAD_ALIVE);
    fxi_list_push_back(&fxi_registry_alive, &thread->alive);
    fxi_registry_count += !thread->internal;
}

void fxi_registry_remove(fx_thread *thread)
{
    fxi_number_take_back(&thread->context);
    fxi_list_remove(&thread->alive);
    fxi_registry_count -= !thread->internal;
}

void fxi_registry_before_fork(void)
{
    fxi_registry_lock_blocked();
}

static struct fxi_list lost = FXI_LIST_INIT(lost);

static void forget_others(fx_thread *self)
{
    self = self ? self : &first_main; /* no memory for a record of its own, then */
    struct fxi_list *node = fxi_registry_alive.next;
    while (node != &fxi_registry_alive) {
        fx_thread *thread = fxi_registry_thread(node);
        node = node->next;
        if (thread == self)
            continue;
        fxi_number_lose(&thread->context);
        fxi_store_relaxed(&thread->state, FXI_THREAD_LOST);
        fxi_list_push_back(&lost, &thread->alive);
    }
    fxi_list_init(&fxi_registry_alive);
    fxi_list_push_back(&fxi_registry_alive, &self->alive);
    fxi_registry_count = 1;
    self->native_id = fxi_getpid();
    fxi_store_relaxed(&main_thread, self);
}

void fxi_registry_after_fork(bool in_child, fx_thread *self)
{
    if (in_child)
        forget_others(self);
    fxi_registry_unlock_blocked();
}

void fxi_registry_release_lost(void)
{
    while (!fxi_list_is_empty(&lost)) {
        fx_thread *thread = fxi_registry_thread(lost.next);
        fxi_list_remove(&thread->alive);
        if (thread->kind != FXI_THREAD_MAIN)
            fx_thread_unref(thread);
    }
}
