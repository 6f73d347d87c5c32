#include "executor/worker.h"

#include "kernel/futex.h"

/* Beside 0 and pointers to fibers, which are even. */
enum { SLEEPS = 1, NOTIFIED = 3 };

static bool is_fiber(uintptr_t word)
{
    return word != 0 && (word & 1) == 0;
}

/* The word's low half, by which its worker sleeps: of a fiber's address it is not SLEEPS. */
static uint32_t *futex_of(struct fxi_worker *worker)
{
    uint32_t *halves = (uint32_t *)(void *)&worker->inbox;
    return &halves[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

/* Changes the word to `post`, of which `word` is what it was. From the change on the worker, and its
 * pool, may be gone: the wake only names an address. */
static bool try_post(struct fxi_worker *worker, uintptr_t *word, uintptr_t post)
{
    uint32_t *futex = futex_of(worker);
    if (!fxi_cas_release(&worker->inbox, word, post)) /* pairs with the acquire in take_inbox */
        return false;
    if (*word == SLEEPS)
        fxi_futex_wake(futex, 1);
    return true;
}

static void post(struct fxi_worker *worker, struct fxi_fiber *fiber)
{
    uintptr_t word = fxi_load_relaxed(&worker->inbox);
    do
        fiber->next = is_fiber(word) ? (struct fxi_fiber *)word : NULL;
    while (!try_post(worker, &word, (uintptr_t)fiber));
}

void fxi_worker_notify(struct fxi_worker *worker)
{
    uintptr_t word = fxi_load_relaxed(&worker->inbox);
    /* One that is awake may be about to sleep; one with a fiber, or notified, is not. */
    while (word == 0 || word == SLEEPS)
        if (try_post(worker, &word, NOTIFIED))
            return;
}

static void make_ready(struct fxi_worker *worker, struct fxi_fiber *fiber)
{
    if (fxi_alarm_is_set(&fiber->alarm))
        fxi_alarm_unset(&worker->alarms, &fiber->alarm);
    fiber->next = NULL;
    if (worker->ready_first)
        worker->ready_last->next = fiber;
    else
        worker->ready_first = fiber;
    worker->ready_last = fiber;
    worker->ready_count++;
}

void fxi_worker_resume(struct fxi_fiber *fiber)
{
    if (fiber->worker == fxi_worker_self)
        make_ready(fiber->worker, fiber);
    else
        post(fiber->worker, fiber);
}

/* Empties the inbox: the fibers in it, the latest first. */
static struct fxi_fiber *take_inbox(struct fxi_worker *worker)
{
    /* acquire: pairs with the releases in try_post */
    uintptr_t word = fxi_exchange_acquire(&worker->inbox, (uintptr_t)0);
    return is_fiber(word) ? (struct fxi_fiber *)word : NULL;
}

void fxi_worker_collect(struct fxi_worker *worker)
{
    struct fxi_fiber *fiber = take_inbox(worker), *first = NULL;
    while (fiber) {
        struct fxi_fiber *earlier = fiber->next;
        fiber->next = first;
        first = fiber;
        fiber = earlier;
    }
    while (first) {
        struct fxi_fiber *later = first->next;
        make_ready(worker, first);
        first = later;
    }
}

void fxi_worker_sleep(struct fxi_worker *worker, fx_deadline deadline)
{
    uintptr_t empty = 0;
    /* relaxed: who sees it only wakes this worker */
    if (!fxi_cas_relaxed(&worker->inbox, &empty, (uintptr_t)SLEEPS))
        return;
    while (fxi_load_relaxed(&worker->inbox) == SLEEPS) {
        switch (fxi_futex_wait(futex_of(worker), SLEEPS, deadline)) {
        case FXI_FUTEX_WOKEN:
        case FXI_FUTEX_CHANGED:
        case FXI_FUTEX_INTERRUPTED:
            break; /* look again */
        case FXI_FUTEX_TIMED_OUT:
            return;
        }
    }
}

bool fxi_worker_is_asleep(const struct fxi_worker *worker)
{
    return fxi_load_relaxed(&worker->inbox) == SLEEPS;
}
