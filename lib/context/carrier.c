#include "context/carrier.h"

#include <errno.h>

#include "kernel/lowlock.h"
#include "libc/alloc.h"

#define STACKS_KEPT 128 /* idle ones; at 32 KiB each, but for the hot ones, 4 MiB in all */
#define HOT 4           /* the latest ones keep their memory as their last threads left it */
#define LOOKED_AT 16    /* carriers that a starter looks at for a free one before it makes one */

/* `warm` are those with a stack, the latest first: the first is the likeliest to be in the caches,
 * the last the likeliest to be free. `bare` are those whose stack was given back. `lock` is a leaf:
 * nobody waits for anything else while holding it. */
static struct {
    fxi_lowlock lock;
    unsigned warm_count;
    struct fxi_list warm, bare;
    struct fxi_carrier *latest_made; /* all there are, for leak checkers: while a thread ends, only
                                      * its own stack points at its carrier */
} pool = { .warm = FXI_LIST_INIT(pool.warm), .bare = FXI_LIST_INIT(pool.bare) };

static struct fxi_carrier *carrier_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_carrier, pooled);
}

/* A free carrier out of the list, of the wanted stack size if there is one among those looked at. */
static struct fxi_carrier *find_free(struct fxi_list *list, size_t stack_size)
{
    struct fxi_carrier *other = NULL;
    unsigned looked_at = 0;
    fxi_list_for_each(node, list) {
        struct fxi_carrier *carrier = carrier_of(node);
        if (looked_at++ == LOOKED_AT)
            break;
        if (!fxi_tcb_is_free(&carrier->tcb))
            continue;
        if (carrier->stack.size == stack_size)
            return carrier;
        other = other ? other : carrier;
    }
    return other;
}

static struct fxi_carrier *take_free(size_t stack_size)
{
    fxi_lowlock_acquire(&pool.lock);
    struct fxi_carrier *carrier = find_free(&pool.warm, stack_size);
    if (carrier)
        pool.warm_count--;
    else
        carrier = find_free(&pool.bare, stack_size);
    if (carrier)
        fxi_list_remove(&carrier->pooled);
    fxi_lowlock_release(&pool.lock);
    return carrier;
}

/* Of a carrier that is no longer among the latest, all but the top of the stack is given back: its
 * thread, even if it has not quite ended, uses nothing below. Threads that come and go one after the
 * other never pay for this; the memory that idle stacks hold is bounded all the same. */
static void shed_cooling(void)
{
    struct fxi_list *node = pool.warm.next;
    for (unsigned i = 0; i < HOT && node != &pool.warm; i++)
        node = node->next;
    if (node != &pool.warm && !carrier_of(node)->is_shed) {
        carrier_of(node)->is_shed = true;
        fxi_stack_shed(&carrier_of(node)->stack);
    }
}

/* While there are more than `kept` idle stacks, takes the one of the longest idle carrier away from it;
 * false if none is free. */
static bool take_idle_stack(struct fxi_stack *stack, unsigned kept)
{
    bool found = false;
    fxi_lowlock_acquire(&pool.lock);
    struct fxi_list *first = pool.warm_count > kept ? pool.warm.prev : &pool.warm;
    for (struct fxi_list *node = first; node != &pool.warm; node = node->prev) {
        struct fxi_carrier *carrier = carrier_of(node);
        if (!fxi_tcb_is_free(&carrier->tcb))
            continue;
        *stack = carrier->stack;
        carrier->stack.reserve = NULL;
        carrier->stack.size = 0;
        fxi_list_remove(node);
        fxi_list_push_front(&pool.bare, node);
        pool.warm_count--;
        found = true;
        break;
    }
    fxi_lowlock_release(&pool.lock);
    return found;
}

static int map_stack(struct fxi_stack *stack, size_t size)
{
    int rc;
    struct fxi_stack idle;
    while ((rc = fxi_stack_map(stack, size)) != 0 && take_idle_stack(&idle, 0))
        fxi_stack_unmap(&idle);
    return rc;
}

/* Gives `carrier` a TCB that may run and a stack as wanted, where what it has is not that. */
static int equip(struct fxi_carrier *carrier, size_t stack_size)
{
    int rc = 0;
    if (carrier->tcb.linked && fxi_tcb_is_recyclable())
        rc = fxi_tcb_recycle(&carrier->tcb);
    else if (carrier->tcb.linked)
        fxi_tcb_free(&carrier->tcb);
    if (!carrier->tcb.thread_pointer)
        rc = fxi_tcb_make(&carrier->tcb);
    if (rc == 0 && carrier->stack.size != stack_size) {
        fxi_stack_unmap(&carrier->stack);
        rc = map_stack(&carrier->stack, stack_size);
    }
    return rc;
}

static struct fxi_carrier *new_carrier(void)
{
    struct fxi_carrier *carrier = fxi_alloc(sizeof *carrier);
    if (!carrier)
        return NULL;
    if (fxi_tcb_make(&carrier->tcb) != 0) {
        fxi_free(carrier);
        return NULL;
    }
    carrier->made_before = pool.latest_made; /* guarded, as all starters, by the registry's lock */
    pool.latest_made = carrier;
    return carrier;
}

int fxi_carrier_get(struct fxi_carrier **out, size_t stack_size)
{
    stack_size = fxi_stack_round(stack_size);
    struct fxi_carrier *carrier = take_free(stack_size);
    if (!carrier)
        carrier = new_carrier();
    if (!carrier)
        return -ENOMEM;
    int rc = equip(carrier, stack_size);
    if (rc != 0) {
        fxi_carrier_put(carrier);
        return rc;
    }
    carrier->is_shed = false;
    *out = carrier;
    return 0;
}

void fxi_carrier_put(struct fxi_carrier *carrier)
{
    bool warm = carrier->stack.reserve != NULL;
    if (!warm)
        carrier->stack.size = 0;
    fxi_lowlock_acquire(&pool.lock);
    fxi_list_push_front(warm ? &pool.warm : &pool.bare, &carrier->pooled);
    pool.warm_count += warm;
    if (warm)
        shed_cooling();
    fxi_lowlock_release(&pool.lock);
    /* From here on another thread may own the carrier, though not before this one, if it runs on it,
     * has ended. */
    struct fxi_stack idle;
    while (take_idle_stack(&idle, STACKS_KEPT))
        fxi_stack_unmap(&idle);
}

void fxi_carrier_before_fork(void)
{
    fxi_lowlock_acquire(&pool.lock);
}

void fxi_carrier_after_fork(bool in_child)
{
    if (in_child) {
        fxi_list_for_each(node, &pool.warm)
            fxi_tcb_relink(&carrier_of(node)->tcb, false);
        fxi_list_for_each(node, &pool.bare)
            fxi_tcb_relink(&carrier_of(node)->tcb, false);
    }
    fxi_lowlock_release(&pool.lock);
}
