/* The threads that are alive, oldest first, and the main thread among them. */
#ifndef FXI_CONTEXT_REGISTRY_H
#define FXI_CONTEXT_REGISTRY_H

#include "context/thread_record.h"

/* Locks the list. All signals but 33 are blocked until the unlock, which takes the mask that the lock
 * returned. A fork waits for this lock, so that no thread is half started or half ended in
 * the child. */
fxi_sigmask fxi_registry_lock(void);
void fxi_registry_unlock(fxi_sigmask mask);

/* The same for a caller that has blocked all signals but 33 already, and keeps it so. */
void fxi_registry_lock_blocked(void);
void fxi_registry_unlock_blocked(void);

/* With the lock held. Adding gives the thread its ident and a state of ALIVE; removing is done once. */
void fxi_registry_add(fx_thread *thread);
void fxi_registry_remove(fx_thread *thread);
extern struct fxi_list fxi_registry_alive;
extern size_t fxi_registry_count; /* without the internal ones */

static inline fx_thread *fxi_registry_thread(struct fxi_list *node)
{
    return fxi_container_of(node, struct fx_thread, alive);
}

/* The main thread's record: of the thread that main runs in or, in a forked child, of the one that
 * forked. */
fx_thread *fxi_registry_main(void);

/* Around fork. In the child every thread but the calling one is LOST, and that one is the main
 * thread. */
void fxi_registry_before_fork(void);
void fxi_registry_after_fork(bool in_child, fx_thread *self);

/* In the child, after all that: gives up the references that the lost threads held on themselves. */
void fxi_registry_release_lost(void);

#endif
