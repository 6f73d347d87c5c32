/* fx_wait. Where all are waited for, that is one wait after the other; where one of them is enough,
 * each gets a watch. */
#include <errno.h>

#include "future/follow.h"
#include "libc/alloc.h"
#include "stop/stop.h"

#define WATCHES_ON_STACK 16

static bool has_failed(const fx_future *future)
{
    fx_exc exception = fxi_future_is_done(future) ? fxi_future_exception(future) : 0;
    return exception != 0 && exception != FX_CANCELLED;
}

static size_t count(fx_future *const *futures, size_t n, bool (*is)(const fx_future *))
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += is(futures[i]);
    return found;
}

static int wait_for_all(fx_future *const *futures, size_t n, fx_deadline deadline)
{
    for (size_t i = 0; i < n; i++) {
        int rc = fxi_future_wait(futures[i], deadline);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* A future that was lost in a fork is never done: it is left out, and if it was needed the wait
 * says so. */
static int wait_watching(fx_future *const *futures, size_t n, fx_deadline deadline,
                         struct fxi_watch_set *set, struct fxi_watch *watches)
{
    size_t added = 0;
    bool any_lost = false;
    for (size_t i = 0; i < n; i++) {
        if (fxi_future_is_lost(futures[i])) {
            any_lost = true;
            fxi_watch_omit(set);
        } else {
            fxi_watch_add(&watches[added++], set, futures[i]);
        }
    }
    int rc = added == 0 ? 0 : fxi_watch_wait(set, deadline);
    for (size_t i = 0; i < added; i++)
        fxi_watch_remove(&watches[i]);
    if (rc == 0 && any_lost && (set->failures_only ? !count(futures, n, has_failed) : added == 0))
        rc = -ESRCH;
    return rc;
}

static int wait_for_one(fx_future *const *futures, size_t n, fx_deadline deadline,
                        bool failures_only)
{
    struct fxi_watch on_stack[WATCHES_ON_STACK], *watches = on_stack;
    struct fxi_watch_set set = { .unfired = n, .failures_only = failures_only };
    size_t done = count(futures, n, fxi_future_is_done);
    if (done == n || (done > 0 && !failures_only) || count(futures, n, has_failed) > 0)
        return 0;
    if (n > WATCHES_ON_STACK && !(watches = fxi_alloc(n * sizeof *watches)))
        return -ENOMEM;
    int rc = wait_watching(futures, n, deadline, &set, watches);
    if (watches != on_stack)
        fxi_free(watches);
    return rc;
}

static bool all_are_there(fx_future *const *futures, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!futures || !futures[i])
            return false;
    return true;
}

int fx_wait_until(fx_future *const *futures, size_t n, fx_deadline deadline, fx_return_when when,
                  size_t *n_done)
{
    int rc = -EINVAL;
    if (!all_are_there(futures, n))
        return rc;
    switch (when) {
    case FX_ALL_COMPLETED:
        rc = wait_for_all(futures, n, deadline);
        break;
    case FX_FIRST_COMPLETED:
    case FX_FIRST_EXCEPTION:
        rc = wait_for_one(futures, n, deadline, when == FX_FIRST_EXCEPTION);
        break;
    }
    if (n_done && (rc == 0 || rc == -ETIMEDOUT))
        *n_done = count(futures, n, fxi_future_is_done);
    return fxi_stop_point(rc);
}

int fx_wait(fx_future *const *futures, size_t n, fx_nsec timeout, fx_return_when when,
            size_t *n_done)
{
    return fx_wait_until(futures, n, fx_deadline_after(timeout), when, n_done);
}
