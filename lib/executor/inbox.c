#include "executor/worker.h"

#include "executor/request.h"
#include "kernel/event.h"
#include "kernel/futex.h"

/* Beside 0 and pointers to posts, which are even. */
enum { SLEEPS = 1, NOTIFIED = 3, WATCHES = 5 };

static bool is_post(uintptr_t word)
{
    return word != 0 && (word & 1) == 0;
}

/* The word's low half, by which its worker sleeps: of a post's address it is not SLEEPS. */
static uint32_t *futex_of(struct fxi_worker *worker)
{
    uint32_t *halves = (uint32_t *)(void *)&worker->inbox;
    return &halves[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

/* Changes WATCHES to `post`, and wakes the worker, which does not end before it has seen that there are
 * no wakers: so the event is its own until then, and the pool there. */
static bool try_post_to_backend(struct fxi_worker *worker, uintptr_t *word, uintptr_t post)
{
    fxi_add_relaxed(&worker->wakers, 1u); /* it comes before the change, which the worker acquires */
    /* acquire: pairs with the release in fxi_worker_sleep, for the event */
    bool is_posted = fxi_cas_acq_rel(&worker->inbox, word, post);
    if (is_posted)
        fxi_event_set(worker->event);
    fxi_sub_acq_rel(&worker->wakers, 1u); /* release: pairs with the acquire in fxi_requests_end */
    return is_posted;
}

/* Changes the word to `post`, of which `word` is what it was. From the change on the worker, and its
 * pool, may be gone: the wake only names an address. */
static bool try_post(struct fxi_worker *worker, uintptr_t *word, uintptr_t post)
{
    uint32_t *futex = futex_of(worker);
    if (fxi_unlikely(*word == WATCHES))
        return try_post_to_backend(worker, word, post);
    if (!fxi_cas_release(&worker->inbox, word, post)) /* pairs with the acquire in take_inbox */
        return false;
    if (*word == SLEEPS)
        fxi_futex_wake(futex, 1);
    return true;
}

void fxi_worker_post(struct fxi_worker *worker, struct fxi_post *post)
{
    uintptr_t word = fxi_load_relaxed(&worker->inbox);
    do
        post->next = is_post(word) ? (struct fxi_post *)word : NULL;
    while (!try_post(worker, &word, (uintptr_t)post));
}

void fxi_worker_notify(struct fxi_worker *worker)
{
    uintptr_t word = fxi_load_relaxed(&worker->inbox);
    /* One that is awake may be about to sleep; one with a post, or notified, is not. */
    while (word == 0 || word == SLEEPS || word == WATCHES)
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
        fxi_worker_post(fiber->worker, &fiber->resumed);
}

void fxi_fiber_arrives(struct fxi_post *post)
{
    struct fxi_fiber *fiber = fxi_container_of(post, struct fxi_fiber, resumed);
    make_ready(fiber->worker, fiber);
}

/* Empties the inbox: the posts in it, the latest first. */
static struct fxi_post *take_inbox(struct fxi_worker *worker)
{
    /* acquire: pairs with the releases in try_post */
    uintptr_t word = fxi_exchange_acquire(&worker->inbox, (uintptr_t)0);
    return is_post(word) ? (struct fxi_post *)word : NULL;
}

void fxi_worker_collect(struct fxi_worker *worker)
{
    struct fxi_post *post = take_inbox(worker), *first = NULL;
    while (post) {
        struct fxi_post *earlier = post->next;
        post->next = first;
        first = post;
        post = earlier;
    }
    while (first) {
        struct fxi_post *later = first->next;
        first->arrive(first);
        first = later;
    }
}

void fxi_worker_sleep(struct fxi_worker *worker, fx_deadline deadline)
{
    uintptr_t empty = 0;
    if (worker->in_flight > 0) {
        /* release: pairs with the acquire in try_post_to_backend. fxi_worker_collect takes it back. */
        if (fxi_cas_release(&worker->inbox, &empty, (uintptr_t)WATCHES))
            fxi_requests_wait(worker, deadline);
        return;
    }
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
    uintptr_t word = fxi_load_relaxed(&worker->inbox);
    return word == SLEEPS || word == WATCHES;
}
