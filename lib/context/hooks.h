/* How floors above this one take part in what happens to the whole process or to a foreign thread:
 * they register what they do, once, from a constructor. */
#ifndef FXI_CONTEXT_HOOKS_H
#define FXI_CONTEXT_HOOKS_H

#include "context/thread_record.h"

struct fxi_hooks {
    struct fxi_hooks *next;
    /* Around fork, in the forking thread, with all signals but 33 blocked: before, the highest floor
     * first; after, the lowest first. Any may be NULL. */
    void (*before_fork)(void);
    void (*after_fork)(bool in_child);
    /* The program ends: exit() was called, or main returned. */
    void (*program_exit)(void);
    /* A thread that the library did not start ends, in that thread. */
    void (*foreign_end)(fx_thread *thread);
};

/* What runs when the library is loaded: lower floors first, so that the locks of a fork are taken from
 * the highest floor down, as everywhere. */
#define FXI_AT_LOAD(floor) __attribute__((constructor(floor)))
enum {
    FXI_FLOOR_CONTEXT = 1000,
    FXI_FLOOR_STOP,
    FXI_FLOOR_PARK,
    FXI_FLOOR_SYNC,
    FXI_FLOOR_THREAD,
    FXI_FLOOR_FUTURE,
    FXI_FLOOR_EXECUTOR
};

void fxi_hooks_register(struct fxi_hooks *hooks);
void fxi_hooks_before_fork(void);
void fxi_hooks_after_fork(bool in_child);
void fxi_hooks_program_exit(void);
void fxi_hooks_foreign_end(fx_thread *thread);

#endif
