#include "sync/queue_store.h"

#include <errno.h>

#include "base/compiler.h"
#include "libc/alloc.h"

enum { CAPACITY_MIN = 16 };

struct fxi_queue_entry {
    void *item;
    uint64_t pushed;
};

static size_t ring_place(const struct fxi_queue_store *store, size_t i)
{
    return (store->head + i) & (store->capacity - 1);
}

/* Moves all to memory of another capacity, which is enough for them. */
static int resize(struct fxi_queue_store *store, size_t capacity)
{
    size_t bytes;
    bool heap = store->kind == FX_QUEUE_PRIORITY;
    if (__builtin_mul_overflow(capacity, heap ? sizeof *store->heap : sizeof *store->ring, &bytes))
        return -ENOMEM;
    void *memory = fxi_alloc(bytes);
    if (!memory)
        return -ENOMEM;
    if (heap) {
        struct fxi_queue_entry *entries = memory;
        for (size_t i = 0; i < store->count; i++)
            entries[i] = store->heap[i];
        fxi_free(store->heap);
        store->heap = entries;
    } else {
        void **items = memory;
        for (size_t i = 0; i < store->count; i++)
            items[i] = store->ring[ring_place(store, i)];
        fxi_free(store->ring);
        store->ring = items;
        store->head = 0;
    }
    store->capacity = capacity;
    return 0;
}

/* --- the heap: entry i is not greater than entries 2i + 1 and 2i + 2 -------------------------- */

static bool is_less(const struct fxi_queue_store *store, const struct fxi_queue_entry *one,
                    const struct fxi_queue_entry *other)
{
    int order = store->compare ? store->compare(one->item, other->item)
                               : ((uintptr_t)one->item > (uintptr_t)other->item) -
                                     ((uintptr_t)one->item < (uintptr_t)other->item);
    return order != 0 ? order < 0 : one->pushed < other->pushed;
}

static void heap_push(struct fxi_queue_store *store, struct fxi_queue_entry entry)
{
    size_t i = store->count;
    while (i > 0 && is_less(store, &entry, &store->heap[(i - 1) / 2])) {
        store->heap[i] = store->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    store->heap[i] = entry;
}

/* The count was lowered already: the entry behind the last is to find a new place. */
static void *heap_pop(struct fxi_queue_store *store)
{
    void *item = store->heap[0].item;
    struct fxi_queue_entry last = store->heap[store->count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < store->count) {
        if (child + 1 < store->count &&
            is_less(store, &store->heap[child + 1], &store->heap[child]))
            child++;
        if (!is_less(store, &store->heap[child], &last))
            break;
        store->heap[i] = store->heap[child];
        i = child;
    }
    store->heap[i] = last;
    return item;
}

/* --- both ------------------------------------------------------------------------------------- */

int fxi_queue_store_push(struct fxi_queue_store *store, void *item)
{
    if (fxi_unlikely(store->count == store->capacity)) {
        int rc = resize(store, store->capacity ? 2 * store->capacity : CAPACITY_MIN);
        if (rc != 0)
            return rc;
    }
    if (store->kind == FX_QUEUE_PRIORITY)
        heap_push(store, (struct fxi_queue_entry){ item, store->pushed++ });
    else
        store->ring[ring_place(store, store->count)] = item;
    store->count++;
    return 0;
}

void *fxi_queue_store_pop(struct fxi_queue_store *store)
{
    void *item;
    store->count--;
    if (store->kind == FX_QUEUE_PRIORITY) {
        item = heap_pop(store);
    } else if (store->kind == FX_QUEUE_LIFO) {
        item = store->ring[ring_place(store, store->count)];
    } else {
        item = store->ring[store->head];
        store->head = ring_place(store, 1);
    }
    /* A crowd is gone: its memory is given back, but for twice what is needed now. Where there is
     * none to move to, it is tried again at the next pop. */
    if (fxi_unlikely(store->capacity > 4096 && store->count < store->capacity / 8))
        resize(store, store->capacity / 4);
    return item;
}

void fxi_queue_store_free(struct fxi_queue_store *store)
{
    fxi_free(store->ring);
    fxi_free(store->heap);
    store->ring = NULL;
    store->heap = NULL;
    store->count = store->capacity = store->head = 0;
}
