/* Waiting for one future, and what is then said of it. */
#include <errno.h>
#include <string.h>

#include "future/future.h"
#include "park/park.h"
#include "stop/stop.h"

/* Under the bucket's lock: announces a waiter, unless the future is done. */
static bool must_wait(const void *arg)
{
    fx_future *future = *(fx_future *const *)arg;
    uint32_t word = fxi_load_relaxed(&future->state);
    do {
        if (fxi_future_word_is_done(word))
            return false;
    } while (!(word & FXI_FUTURE_WAITERS) &&
             !fxi_cas_relaxed(&future->state, &word, word | FXI_FUTURE_WAITERS));
    return true;
}

static int check_wait(const fx_future *future, fx_deadline deadline)
{
    /* A task's first field is its future. */
    if (fxi_current && (const void *)fxi_current->task == (const void *)future)
        return -EDEADLK;
    if (fxi_future_is_lost(future))
        return -ESRCH;
    return deadline != FX_FOREVER && deadline <= fx_now() ? -ETIMEDOUT : 0;
}

static int wait_for(fx_future *future, fx_deadline deadline, bool is_stop_point)
{
    struct fxi_wait wait = { .address = &future->state,
                             .condition = must_wait,
                             .arg = &future,
                             .deadline = deadline,
                             .spins = true,
                             .is_no_stop_point = !is_stop_point };
    while (!fxi_future_is_done(future)) {
        int rc = check_wait(future, deadline);
        if (rc == 0)
            rc = future->kind->await ? future->kind->await(future, deadline, is_stop_point) : -EAGAIN;
        if (rc == -EAGAIN)
            rc = fxi_park_wait(&wait, NULL);
        if (rc != 0 && rc != -EAGAIN)
            return fxi_future_is_done(future) ? 0 : rc;
    }
    return 0;
}

int fxi_future_wait(fx_future *future, fx_deadline deadline)
{
    return wait_for(future, deadline, true);
}

int fxi_future_wait_unstopped(fx_future *future)
{
    return wait_for(future, FX_FOREVER, false);
}

int fxi_future_outcome_of(fx_exc code)
{
    switch (code) {
    case 0:
        return 0;
    case FX_CANCELLED:
    case FX_STOPPED:
        return -ECANCELED;
    case FX_TIMED_OUT:
        return -ETIME;
    case FX_POOL_BROKEN:
        return -EPIPE;
    case FX_WORKER_DIED:
        return -EOWNERDEAD;
    default:
        return -EREMOTEIO;
    }
}

int fxi_future_outcome(fx_future *future)
{
    fx_exc exception = fxi_future_exception(future);
    if (exception != 0)
        fxi_future_mark(future, FXI_FUTURE_TOLD);
    return fxi_future_outcome_of(exception);
}

int fx_future_result_until(fx_future *future, fx_deadline deadline, void **out)
{
    if (!future)
        return -EINVAL;
    int rc = fxi_future_wait(future, deadline);
    if (rc != 0)
        return fxi_stop_point(rc);
    rc = fxi_future_outcome(future);
    if (rc == 0 && out) {
        if (future->free_result)
            fxi_future_mark(future, FXI_FUTURE_FETCHED);
        *out = future->result;
    }
    return rc;
}

int fx_future_result_for(fx_future *future, fx_nsec timeout, void **out)
{
    return fx_future_result_until(future, fx_deadline_after(timeout), out);
}

int fx_future_result(fx_future *future, void **out)
{
    return fx_future_result_until(future, FX_FOREVER, out);
}

int fx_future_result_copy(fx_future *future, void *buf, size_t size)
{
    if (!future || (!buf && size > 0))
        return -EINVAL;
    int rc = fxi_future_wait(future, FX_FOREVER);
    if (rc != 0)
        return fxi_stop_point(rc);
    rc = fxi_future_outcome(future);
    if (rc != 0)
        return rc;
    if (size < future->result_size)
        return -EMSGSIZE;
    if (future->result_size > 0)
        memcpy(buf, future->result, future->result_size);
    return 0;
}

int fx_future_exception_until(fx_future *future, fx_deadline deadline, fx_exc *out)
{
    if (!future)
        return -EINVAL;
    int rc = fxi_future_wait(future, deadline);
    if (rc != 0)
        return fxi_stop_point(rc);
    fxi_future_outcome(future);
    if (out)
        *out = fxi_future_exception(future);
    return 0;
}

int fx_future_exception_for(fx_future *future, fx_nsec timeout, fx_exc *out)
{
    return fx_future_exception_until(future, fx_deadline_after(timeout), out);
}

int fx_future_exception(fx_future *future, fx_exc *out)
{
    return fx_future_exception_until(future, FX_FOREVER, out);
}

int fx_future_exception_info(fx_future *future, fx_exc_info *info)
{
    int rc = fx_future_exception_until(future, FX_FOREVER, NULL);
    if (rc == 0 && info)
        *info = fxi_future_info(future);
    return rc;
}
