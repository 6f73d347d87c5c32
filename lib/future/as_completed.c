/* Futures one after the other, as they become done.
 *
 * Each different one gets a watch, in an array that lives from the beginning to the end. The
 * finishers push the watches; the owner takes what has come, and hands it out. */
#include <errno.h>

#include "future/follow.h"
#include "future/lock.h"
#include "libc/alloc.h"
#include "stop/stop.h"

struct several {
    struct fxi_watch_set set;
    struct fxi_watch *taken;  /* fired, and not handed out; the earliest first */
    size_t left;              /* not handed out */
    size_t n;
    fx_deadline deadline;
    uint32_t generation;      /* the oldest of the futures' */
    struct fxi_watch watches[];
};

/* A table of the futures met so far, by address: open addressing, at most half full. A place holds
 * the number of a watch plus 1. */
struct table {
    size_t *places;
    size_t mask;
};

static int make_table(struct table *table, size_t n)
{
    size_t size = 2;
    while (size < 2 * n)
        size *= 2;
    table->mask = size - 1;
    table->places = fxi_alloc(size * sizeof *table->places);
    return table->places ? 0 : -ENOMEM;
}

/* Where the future stands in the table, or would. */
static size_t *place_of(const struct table *table, const struct several *several,
                        const fx_future *future)
{
    size_t i = (size_t)((uint64_t)(uintptr_t)future * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    for (;; i++) {
        size_t *place = &table->places[i & table->mask];
        if (*place == 0 || several->watches[*place - 1].future == future)
            return place;
    }
}

/* One watch for each different future, with the index where it first stands. */
static int choose(struct several *several, fx_future *const *futures, size_t n)
{
    struct table table;
    if (make_table(&table, n) != 0)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t *place = place_of(&table, several, futures[i]);
        if (*place != 0)
            continue;
        several->watches[several->n].future = futures[i];
        several->watches[several->n].index = i;
        *place = ++several->n;
    }
    fxi_free(table.places);
    return 0;
}

int fx_as_completed_init(fx_as_completed *each, fx_future *const *futures, size_t n, fx_nsec total)
{
    if (!each)
        return -EINVAL;
    *each = (fx_as_completed){ 0 };
    for (size_t i = 0; i < n; i++)
        if (!futures || !futures[i])
            return -EINVAL;
    if (n > SIZE_MAX / 4 / sizeof(struct fxi_watch))
        return -ENOMEM;
    struct several *several = fxi_alloc(sizeof *several + n * sizeof *several->watches);
    if (!several)
        return -ENOMEM;
    if (choose(several, futures, n) != 0) {
        fxi_free(several);
        return -ENOMEM;
    }
    several->deadline = fx_deadline_after(total);
    several->set.unfired = several->left = several->n;
    several->generation = fxi_future_generation();
    for (size_t i = 0; i < several->n; i++) {
        fx_future *future = fx_future_ref(several->watches[i].future);
        if (future->generation < several->generation)
            several->generation = future->generation;
        fxi_watch_add(&several->watches[i], &several->set, future);
    }
    each->state = several;
    return 0;
}

/* Whether all that are left were lost in a fork, in the parent of which this began or not. */
static bool none_will_come(const struct several *several)
{
    size_t lost = 0;
    for (size_t i = 0; i < several->n && lost < several->left; i++)
        lost += fxi_future_is_lost(several->watches[i].future);
    return lost == several->left;
}

static int await_next(struct several *several)
{
    several->taken = fxi_watch_take(&several->set);
    while (!several->taken) {
        if (several->generation != fxi_future_generation() && none_will_come(several))
            return -ESRCH;
        int rc = fxi_watch_wait(&several->set, several->deadline);
        if (rc != 0)
            return rc;
        several->taken = fxi_watch_take(&several->set);
    }
    return 0;
}

int fx_as_completed_next(fx_as_completed *each, fx_future **borrowed, size_t *index)
{
    struct several *several = each ? each->state : NULL;
    if (!several)
        return -EINVAL;
    if (several->left == 0)
        return 0;
    if (!several->taken) {
        int rc = await_next(several);
        if (rc != 0)
            return fxi_stop_point(rc);
    }
    struct fxi_watch *watch = several->taken;
    several->taken = watch->next_fired;
    several->left--;
    if (borrowed)
        *borrowed = watch->future;
    if (index)
        *index = watch->index;
    return 1;
}

void fx_as_completed_end(fx_as_completed *each)
{
    struct several *several = each ? each->state : NULL;
    if (!several)
        return;
    each->state = NULL;
    for (size_t i = 0; i < several->n; i++) {
        fx_future *future = several->watches[i].future;
        fxi_watch_remove(&several->watches[i]);
        fx_future_unref(future);
    }
    fxi_free(several);
}
