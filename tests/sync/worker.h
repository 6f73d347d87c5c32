/* What the tests of primitives share: a thread that makes one call, and waiting until it waits.
 *
 *     struct worker w;
 *     worker_start(&w, wait_at_event, &event);     // int wait_at_event(void *event)
 *     await_waiters(&event, 1);
 *     fx_event_set(&event);
 *     ck_assert_int_eq(worker_end(&w), 0);         // what the call returned
 */
#ifndef TESTS_SYNC_WORKER_H
#define TESTS_SYNC_WORKER_H

#include <fxthread.h>

#include <check.h>
#include <stdatomic.h>

#include "../support/await.h"
#include "park/park.h"

struct worker {
    fx_thread *thread;
    int (*call)(void *);
    void *arg;
    atomic_int rc;
    atomic_bool done;
};

static inline void *worker_main(void *arg)
{
    struct worker *worker = arg;
    atomic_store(&worker->rc, worker->call(worker->arg));
    atomic_store(&worker->done, true);
    return NULL;
}

static inline void worker_start(struct worker *worker, int (*call)(void *), void *arg)
{
    worker->call = call;
    worker->arg = arg;
    atomic_init(&worker->rc, -1000);
    atomic_init(&worker->done, false);
    worker->thread = fx_thread_spawn(worker_main, worker);
    ck_assert_ptr_nonnull(worker->thread);
}

static inline int worker_end(struct worker *worker)
{
    ck_assert_int_eq(fx_thread_join_for(worker->thread, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(worker->thread);
    return atomic_load(&worker->rc);
}

static inline bool worker_done(struct worker *worker)
{
    return atomic_load(&worker->done);
}

/* Until exactly n threads wait at the address. */
#define await_waiters(address, n) await(fxi_park_count(address) == (n))

/* Starts workers 0 to n - 1 one after the other, so that they wait at `address` in that order. */
#define workers_line_up(workers, n, call, arg, address)     \
    do {                                                    \
        for (size_t line_i = 0; line_i < (n); line_i++) {   \
            worker_start(&(workers)[line_i], (call), (arg)); \
            await_waiters((address), line_i + 1);           \
        }                                                   \
    } while (0)

#endif
