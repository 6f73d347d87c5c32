/* The memory that a pool's processes share, as the program's own process hands it out: arguments
 * and results of tasks.
 *
 * Guarantee: what is handed out has its pages already. What is known of it, free or not, lies in
 *   the program's private memory: a worker that runs wild can spoil contents, never the order.
 * Layout: one range of addresses for all of the memory, mapped whole in each process, of which a
 *   page costs nothing before it is asked for. It is divided into extents, of whole pages; an
 *   extent is free, one large payload, or a window of blocks of one size.
 * After fork: in the child nothing is handed out or taken back, for the memory is the parent's. */
#ifndef FXI_EXECUTOR_PROCESS_ARENA_H
#define FXI_EXECUTOR_PROCESS_ARENA_H

#include "base/list.h"
#include "kernel/lowlock.h"

struct fxi_extent; /* one of the divisions of the range */

#define FXI_ARENA_CLASSES 10

struct fxi_arena {
    int memory;                /* the descriptor; -1: nothing is handed out any more */
    bool closes;               /* it is to be closed */
    size_t users;              /* who use the descriptor without the lock */
    char *base;
    size_t size;
    bool is_anothers;          /* a forked child's copy */
    fxi_lowlock lock;
    struct fxi_list extents;   /* all, by address */
    struct fxi_list windows[FXI_ARENA_CLASSES]; /* those with free blocks */
};

/* What is handed out. Zeroed: nothing. */
struct fxi_payload {
    struct fxi_extent *extent;
    uint32_t block;
};

/* 0, -ENOMEM, -EMFILE, -ENFILE. */
int fxi_arena_init(struct fxi_arena *arena);

/* Hands nothing out from here on, and closes the descriptor, at once or when those who use it at
 * this moment have done. What was handed out stays. */
void fxi_arena_close(struct fxi_arena *arena);

/* Gives back everything. */
void fxi_arena_destroy(struct fxi_arena *arena);

/* `size` bytes, aligned to 64, of which the first are a copy of those at `head` (NULL: of none),
 * and the others zero. NULL: no memory. */
void *fxi_arena_get(struct fxi_arena *arena, const void *head, size_t head_size, size_t size,
                    struct fxi_payload *payload);
void fxi_arena_put(struct fxi_arena *arena, const struct fxi_payload *payload);

#endif
