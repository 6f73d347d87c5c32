/* What a queue holds, without any synchronisation: a ring, which serves the oldest or the latest,
 * or a heap, which serves the least.
 *
 * Guarantee: items that compare equal leave a heap in the order in which they came. After an item
 *   was taken there is room for another one: that push does not fail. */
#ifndef FXI_SYNC_QUEUE_STORE_H
#define FXI_SYNC_QUEUE_STORE_H

#include <fxthread/queue.h>

struct fxi_queue_entry;

struct fxi_queue_store {
    fx_queue_kind kind;
    size_t count, capacity; /* the capacity is 0 or a power of two */
    size_t head;            /* of a ring: where the oldest stands */
    void **ring;
    struct fxi_queue_entry *heap;
    uint64_t pushed; /* counts a heap's pushes, for the order of equal items */
    fx_queue_compare compare;
};

/* 0 or -ENOMEM. */
int fxi_queue_store_push(struct fxi_queue_store *store, void *item);

/* The next item; the store is not empty. */
void *fxi_queue_store_pop(struct fxi_queue_store *store);

/* Gives up the memory; what is in it is dropped. */
void fxi_queue_store_free(struct fxi_queue_store *store);

#endif
