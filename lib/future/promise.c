/* Promises: futures that the program itself fulfils. */
#include <errno.h>

#include "future/future.h"
#include "libc/alloc.h"
#include "stop/raise.h"

static void free_promise(fx_future *future)
{
    fxi_free(future);
}

static const struct fxi_future_kind promise_kind = { .free = free_promise, .is_promise = true };

fx_future *fx_future_new(void)
{
    fx_future *future = fxi_alloc(sizeof *future);
    if (future)
        fxi_future_init(future, &promise_kind, 1);
    return future;
}

static int check(const fx_future *future)
{
    if (!future)
        return -EINVAL;
    return future->kind->is_promise ? 0 : -EPERM;
}

int fx_future_set_running_or_notify_cancel(fx_future *future)
{
    int rc = check(future);
    if (rc != 0 || fxi_future_start(future))
        return rc;
    return fx_future_cancelled(future) ? -ECANCELED : -EALREADY;
}

/* Of several who would fulfil it one wins, and makes it done. */
static int claim(fx_future *future)
{
    int rc = check(future);
    if (rc != 0)
        return rc;
    uint32_t word = fxi_load_relaxed(&future->state), state;
    do {
        state = word & FXI_FUTURE_STATE_MASK;
        if (state != FXI_FUTURE_PENDING && state != FXI_FUTURE_RUNNING)
            return -EALREADY;
        /* relaxed: nothing hangs on it but the right to go on */
    } while (!fxi_cas_relaxed(&future->state, &word, word - state + FXI_FUTURE_SETTING));
    return 0;
}

int fx_future_set_result(fx_future *future, void *result)
{
    int rc = claim(future);
    if (rc == 0 && fxi_future_finish(future, result))
        fxi_raise_stored(fxi_self());
    return rc;
}

int fx_future_set_exception(fx_future *future, fx_exc code, const char *message)
{
    int rc = claim(future);
    if (rc == 0 && fxi_future_finish_code(future, code == 0 ? -EINVAL : code, message))
        fxi_raise_stored(fxi_self());
    return rc;
}
