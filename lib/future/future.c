/* A future's state: how it moves on, and its end. The contract is future/future.h. */
#include "future/future.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "future/follow.h"
#include "future/lock.h"
#include "libc/alloc.h"
#include "park/park.h"
#include "stop/caught.h"
#include "stop/raise.h"

void fxi_future_init(fx_future *future, const struct fxi_future_kind *kind, uint32_t references)
{
    future->references = references;
    future->kind = kind;
    future->generation = fxi_future_generation();
}

bool fxi_future_is_lost(const fx_future *future)
{
    return !future->kind->is_promise && future->generation != fxi_future_generation() &&
           !fxi_future_is_done(future);
}

/* --- done ------------------------------------------------------------------------------------- */

/* The state is one of the done ones, and `word` what it was before. */
static bool tell(fx_future *future, uint32_t word)
{
    if (word & FXI_FUTURE_WAITERS)
        fxi_unpark(&future->state, SIZE_MAX);
    return fxi_unlikely(word & FXI_FUTURE_FOLLOWED) && fxi_future_tell_followers(future);
}

static bool become_done(fx_future *future)
{
    if (fxi_future_has_no_handle(future)) {
        uint32_t word = fxi_load_relaxed(&future->state);
        /* release: pairs with the acquire of those whom its callbacks make find it done */
        fxi_store_release(&future->state, FXI_FUTURE_DONE);
        return tell(future, word);
    }
    /* release: pairs with the acquire of all who find it done */
    return tell(future, fxi_exchange_release(&future->state, FXI_FUTURE_DONE));
}

bool fxi_future_finish(fx_future *future, void *result)
{
    future->result = result;
    return become_done(future);
}

bool fxi_future_finish_raised(fx_future *future, struct fxi_raised *raised)
{
    future->exception = raised->code;
    bool says_more = raised->file || raised->message[0] || raised->payload;
    future->details = says_more ? fxi_alloc(sizeof *raised) : NULL;
    if (future->details)
        *future->details = *raised;
    else if (raised->payload && raised->free_payload)
        raised->free_payload(raised->payload);
    raised->payload = NULL;
    return become_done(future);
}

bool fxi_future_finish_code(fx_future *future, fx_exc code, const char *message)
{
    struct fxi_raised raised = { .code = code };
    snprintf(raised.message, sizeof raised.message, "%s", message ? message : "");
    return fxi_future_finish_raised(future, &raised);
}

/* As `tell`, but for the callbacks: whether there are any. */
static bool tell_quietly(fx_future *future, uint32_t word)
{
    if (word & FXI_FUTURE_WAITERS)
        fxi_unpark(&future->state, SIZE_MAX);
    return fxi_unlikely(word & FXI_FUTURE_FOLLOWED) && fxi_future_tell_watches(future);
}

bool fxi_future_finish_quietly(fx_future *future, void *result, fx_exc code)
{
    future->result = result;
    future->exception = code;
    /* release: pairs with the acquire of all who find it done */
    return tell_quietly(future, fxi_exchange_release(&future->state, FXI_FUTURE_DONE));
}

bool fxi_future_cancel_quietly(fx_future *future)
{
    uint32_t word = fxi_load_relaxed(&future->state);
    do {
        if ((word & FXI_FUTURE_STATE_MASK) != FXI_FUTURE_PENDING)
            return false;
        /* release: pairs with the acquire of all who find it done */
    } while (!fxi_cas_release(&future->state, &word, FXI_FUTURE_CANCELLED));
    return tell_quietly(future, word);
}

/* --- ended early ------------------------------------------------------------------------------ */

bool fxi_future_cancel(fx_future *future, int *outcome)
{
    int unused;
    outcome = outcome ? outcome : &unused;
    uint32_t word = fxi_load_relaxed(&future->state);
    if ((word & FXI_FUTURE_STATE_MASK) == FXI_FUTURE_PENDING && future->kind->hold_back &&
        !future->kind->hold_back(future))
        word = fxi_load_relaxed(&future->state); /* it has begun, and is PENDING no more */
    do {
        switch ((enum fxi_future_state)(word & FXI_FUTURE_STATE_MASK)) {
        case FXI_FUTURE_PENDING:
            break;
        case FXI_FUTURE_RUNNING:
        case FXI_FUTURE_SETTING:
            *outcome = -EBUSY;
            return false;
        case FXI_FUTURE_CANCELLED:
            *outcome = 0;
            return false;
        default:
            *outcome = -EALREADY;
            return false;
        }
        /* release: pairs with the acquire of all who find it done */
    } while (!fxi_cas_release(&future->state, &word, FXI_FUTURE_CANCELLED));
    *outcome = 0;
    if (future->kind->withdrawn)
        future->kind->withdrawn(future);
    return tell(future, word);
}

bool fxi_future_stop(fx_future *future, int *outcome)
{
    bool interrupted = fxi_future_cancel(future, outcome);
    if (*outcome == -EBUSY)
        *outcome = future->kind->stop ? future->kind->stop(future) : -ENOTSUP;
    return interrupted;
}

int fx_future_cancel(fx_future *future)
{
    int outcome;
    if (!future)
        return -EINVAL;
    if (fxi_future_cancel(future, &outcome))
        fxi_raise_stored(fxi_self());
    return outcome;
}

int fx_future_stop(fx_future *future)
{
    int outcome;
    if (!future)
        return -EINVAL;
    if (fxi_future_stop(future, &outcome))
        fxi_raise_stored(fxi_self());
    return outcome;
}

/* --- questions that do not wait --------------------------------------------------------------- */

static uint32_t state_of(const fx_future *future)
{
    /* acquire: pairs with the release of whoever made it done */
    return fxi_load_acquire(&future->state) & FXI_FUTURE_STATE_MASK;
}

bool fx_future_cancelled(const fx_future *future)
{
    return future && state_of(future) == FXI_FUTURE_CANCELLED;
}

bool fx_future_running(const fx_future *future)
{
    if (!future)
        return false;
    uint32_t state = state_of(future);
    if (state == FXI_FUTURE_PENDING && future->kind->refresh && !fxi_future_is_lost(future)) {
        future->kind->refresh((fx_future *)(uintptr_t)future); /* only its state is written */
        state = state_of(future);
    }
    return state == FXI_FUTURE_RUNNING || state == FXI_FUTURE_SETTING;
}

bool fx_future_done(const fx_future *future)
{
    return future && fxi_future_is_done(future);
}

size_t fx_future_result_size(const fx_future *future)
{
    return future ? future->result_size : 0;
}

int fx_future_worker_status(fx_future *future, int *wstatus)
{
    int status, rc;
    if (!future)
        return -EINVAL;
    rc = fxi_future_is_done(future) && future->kind->worker_status
             ? future->kind->worker_status(future, &status)
             : -ENODATA;
    if (rc == 0 && wstatus)
        *wstatus = status;
    return rc;
}

/* --- references ------------------------------------------------------------------------------- */

fx_future *fx_future_ref(fx_future *future)
{
    if (future)
        fxi_add_relaxed(&future->references, 1u); /* whoever calls this holds one already */
    return future;
}

static bool value_is_unclaimed(const fx_future *future)
{
    return (future->state & (FXI_FUTURE_STATE_MASK | FXI_FUTURE_FETCHED)) == FXI_FUTURE_DONE &&
           future->exception == 0 && future->result;
}

/* Callbacks of a future that nobody will finish: a promise that was given up. */
static void free_callbacks(fx_future *future)
{
    while (future->callbacks) {
        struct fxi_callback *node = future->callbacks;
        future->callbacks = node->next;
        if (node->is_own)
            node->fn(NULL, node->arg);
        else
            fxi_free(node);
    }
}

static FXI_NOINLINE void free_extras(fx_future *future)
{
    fxi_future_report_unread(future);
    if (future->free_result && value_is_unclaimed(future))
        future->free_result(future->result);
    struct fxi_raised *details = future->details;
    if (details && details->payload && details->free_payload)
        details->free_payload(details->payload);
    fxi_free(details);
    free_callbacks(future);
}

void fx_future_unref(fx_future *future)
{
    /* acquire, and acq_rel: all that other holders did to the future comes before its end. Where this is the
     * only reference nobody can take another one. */
    if (!future || (fxi_load_acquire(&future->references) != 1 &&
                    fxi_sub_acq_rel(&future->references, 1u) != 1))
        return;
    if (future->exception || future->free_result || future->callbacks)
        free_extras(future);
    future->kind->free(future);
}

void fx_future_unref_all(fx_future **futures, size_t n)
{
    for (size_t i = 0; futures && i < n; i++) {
        fx_future_unref(futures[i]);
        futures[i] = NULL;
    }
}
